// A tree built from libyaml's events rather than from its own document tree: only the events give the place
// of an alias, and only they let the limits bite before memory is spent. The document owns its nodes by one
// list; an alias shares its anchor's node.
#define _GNU_SOURCE // stpcpy
#include "yaml_tree.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include <yaml.h>

#include "cleanup.h"
#include "bounds.h"

struct owned_node {
    struct yaml_node node;
    struct owned_node *next;
    char *anchor;  // owned, or NULL
    bool complete; // false while its children are being read
    int height;    // lists and maps from here down, this one included
    size_t weight; // nodes in it, itself included, aliases followed
};

struct yaml_doc {
    char *file;
    struct owned_node *nodes; // the latest first, so that a redefined anchor hides the older one
    struct yaml_node *root;
};

struct reader {
    yaml_parser_t parser;
    struct yaml_doc *doc;
    const char *text;
    size_t len;
    struct diags *d;
};

void yaml_doc_free(struct yaml_doc *doc)
{
    if (!doc)
        return;
    while (doc->nodes) {
        struct owned_node *n = doc->nodes;
        doc->nodes = n->next;
        free(n->anchor);
        free(n->node.text);
        free(n->node.items);
        free(n->node.keys);
        free(n);
    }
    free(doc->file);
    free(doc);
}

DEFINE_CLEANUP(struct yaml_doc, yaml_doc_free)

static void mistake(struct reader *r, const yaml_mark_t *at, const char *text)
{
    diag_add(r->d, false, r->doc->file, (int)at->line + 1, (int)at->column + 1, "%s", text);
}

// Bytes that are no text have an offset only: finds the place by counting.
static yaml_mark_t mark_of_offset(const char *text, size_t len, size_t offset)
{
    yaml_mark_t at = {0};
    for (size_t i = 0; i < offset && i < len; i++) {
        if (text[i] == '\n') {
            at.line++;
            at.column = 0;
        } else if (((unsigned char)text[i] & 0xc0) != 0x80) {
            at.column++;
        }
    }
    return at;
}

// libyaml's words for what is wrong, and what would most likely be right.
static const struct {
    const char *problem, *advice;
} advices[] = {
    {"found character that cannot start any token",
     "indent with spaces, not tabs, and quote a text that begins with @, % or `"},
    {"mapping values are not allowed in this context",
     "check the indentation, and quote a text that contains ': '"},
    {"could not find expected ':'", "write 'key: value', with a space after the colon"},
    {"did not find expected key", "check the indentation, and the quotes and brackets above"},
    {"did not find expected '-' indicator", "begin each item of the list with '- ', one below the other"},
    {"did not find expected ',' or ']'", "separate the items with ',' and close the list with ']'"},
    {"did not find expected ',' or '}'", "separate the entries with ',' and close the map with '}'"},
    {"control characters are not allowed", "remove it, or write it as an escape in double quotes"},
};

static void parser_mistake(struct reader *r)
{
    const yaml_parser_t *p = &r->parser;
    const char *problem = p->problem ? p->problem : "not YAML";
    const char *advice =
        p->error == YAML_READER_ERROR ? "save the file as UTF-8 text" : "check quotes, brackets and indentation";
    for (size_t i = 0; i < sizeof(advices) / sizeof(advices[0]); i++)
        if (strcmp(problem, advices[i].problem) == 0)
            advice = advices[i].advice;
    yaml_mark_t at =
        p->error == YAML_READER_ERROR ? mark_of_offset(r->text, r->len, p->problem_offset) : p->problem_mark;
    int line = (int)at.line + 1, column = (int)at.column + 1;
    if (p->context && p->error != YAML_READER_ERROR)
        diag_add(r->d, false, r->doc->file, line, column, "%s, %s from line %d; %s", problem, p->context,
                 (int)p->context_mark.line + 1, advice);
    else
        diag_add(r->d, false, r->doc->file, line, column, "%s; %s", problem, advice);
}

// 0: the caller deletes *ret. 1: the mistake is reported, nothing more can be read. Negative: no memory.
static int next_event(struct reader *r, yaml_event_t *ret)
{
    if (yaml_parser_parse(&r->parser, ret))
        return 0;
    if (r->parser.error == YAML_MEMORY_ERROR)
        return ERR_NOMEM;
    parser_mistake(r);
    return 1;
}

static struct owned_node *add_node(struct reader *r, enum yaml_kind kind, const yaml_event_t *e,
                                   const yaml_char_t *anchor)
{
    struct owned_node *n = calloc(1, sizeof(*n));
    if (!n)
        return NULL;
    n->next = r->doc->nodes;
    r->doc->nodes = n;
    n->node.kind = kind;
    n->node.line = (int)e->start_mark.line + 1;
    n->node.column = (int)e->start_mark.column + 1;
    n->height = kind != YAML_SCALAR;
    n->weight = 1;
    if (anchor && !(n->anchor = strdup((const char *)anchor)))
        return NULL;
    return n;
}

static int read_scalar(struct reader *r, const yaml_event_t *e, struct owned_node **ret)
{
    struct owned_node *n = add_node(r, YAML_SCALAR, e, e->data.scalar.anchor);
    if (!n)
        return ERR_NOMEM;
    const char *text = (const char *)e->data.scalar.value;
    if (e->data.scalar.tag)
        mistake(r, &e->start_mark, "tags such as !!str mean nothing here; quote what is to be a text");
    if (memchr(text, '\0', e->data.scalar.length))
        mistake(r, &e->start_mark, "a text cannot contain \\0; remove it");
    n->node.plain = e->data.scalar.style == YAML_PLAIN_SCALAR_STYLE;
    n->node.text = strdup(text);
    if (!n->node.text)
        return ERR_NOMEM;
    n->complete = true;
    *ret = n;
    return 0;
}

static int read_alias(struct reader *r, const yaml_event_t *e, struct owned_node **ret)
{
    const char *name = (const char *)e->data.alias.anchor;
    struct owned_node *n = r->doc->nodes;
    while (n && (!n->anchor || strcmp(n->anchor, name) != 0))
        n = n->next;
    if (!n) {
        mistake(r, &e->start_mark, "this alias has no anchor; define it above with '&'");
        return 1;
    }
    if (!n->complete) {
        mistake(r, &e->start_mark, "this alias contains itself; refer to an anchor that ends above");
        return 1;
    }
    *ret = n;
    return 0;
}

static int read_node(struct reader *r, const yaml_event_t *e, int depth, struct owned_node **ret);

static void delete_event(yaml_event_t *e)
{
    yaml_event_delete(e);
}

// The next node; *ret is NULL when the list or map that is being read ends instead.
static int read_next(struct reader *r, int depth, struct owned_node **ret)
{
    _cleanup_(delete_event) yaml_event_t e = {0};
    int k = next_event(r, &e);
    if (k != 0)
        return k;
    if (e.type == YAML_SEQUENCE_END_EVENT || e.type == YAML_MAPPING_END_EVENT) {
        *ret = NULL;
        return 0;
    }
    return read_node(r, &e, depth, ret);
}

// Counts a child into its parent before anything refers to it: with aliases, a small file can stand for more
// nodes than memory holds, and those who walk the tree follow them all.
static int take_child(struct reader *r, struct owned_node *parent, struct owned_node *child, int depth)
{
    parent->weight += child->weight;
    if (child->height + 1 > parent->height)
        parent->height = child->height + 1;
    const yaml_mark_t at = {.line = (size_t)parent->node.line - 1, .column = (size_t)parent->node.column - 1};
    if (parent->weight > YAML_NODES_MAX) {
        mistake(r, &at, "too much in here, aliases included; write it smaller");
        return 1;
    }
    if (depth + parent->height > YAML_DEPTH_MAX) {
        mistake(r, &at, "too deeply nested; write it flatter");
        return 1;
    }
    return 0;
}

// Room for one more in an array that grows at each power of two.
static int grow(struct yaml_node ***array, size_t n)
{
    if (n & (n - 1)) // no power of two, nor 0
        return 0;
    struct yaml_node **larger = realloc(*array, (n ? 2 * n : 1) * sizeof(*larger));
    if (!larger)
        return ERR_NOMEM;
    *array = larger;
    return 0;
}

static int read_list(struct reader *r, struct owned_node *list, int depth)
{
    for (;;) {
        struct owned_node *item;
        int k = read_next(r, depth + 1, &item);
        if (k != 0 || !item)
            return k;
        k = take_child(r, list, item, depth);
        if (k == 0)
            k = grow(&list->node.items, list->node.n);
        if (k != 0)
            return k;
        list->node.items[list->node.n++] = &item->node;
    }
}

static int compare_keys(const void *a, const void *b)
{
    const struct yaml_node *x = *(struct yaml_node *const *)a, *y = *(struct yaml_node *const *)b;
    int c = strcmp(x->text, y->text);
    if (c)
        return c;
    return x->line != y->line ? x->line - y->line : x->column - y->column;
}

static int check_duplicates(struct reader *r, const struct yaml_node *map)
{
    if (map->n < 2)
        return 0;
    _cleanup_free_ struct yaml_node **keys = malloc(map->n * sizeof(*keys));
    if (!keys)
        return ERR_NOMEM;
    memcpy(keys, map->keys, map->n * sizeof(*keys));
    qsort(keys, map->n, sizeof(*keys), compare_keys);
    for (size_t i = 1; i < map->n; i++)
        if (strcmp(keys[i]->text, keys[i - 1]->text) == 0)
            diag_add(r->d, false, r->doc->file, keys[i]->line, keys[i]->column,
                     "the key '%.64s' is already on line %d; keep one of them", keys[i]->text, keys[i - 1]->line);
    return 0;
}

static bool good_key(struct reader *r, const struct yaml_node *key)
{
    const yaml_mark_t at = {.line = (size_t)key->line - 1, .column = (size_t)key->column - 1};
    if (key->kind != YAML_SCALAR) {
        mistake(r, &at, "a key is a list or a map; write a name before the ':'");
        return false;
    }
    if (key->plain && strcmp(key->text, "<<") == 0) {
        mistake(r, &at, "merge keys do not work here; write the keys out");
        return false;
    }
    return true;
}

static int read_map(struct reader *r, struct owned_node *map, int depth)
{
    struct yaml_node *m = &map->node;
    for (;;) {
        struct owned_node *key, *value;
        int k = read_next(r, depth + 1, &key);
        if (k != 0)
            return k;
        if (!key)
            return check_duplicates(r, m);
        k = take_child(r, map, key, depth);
        if (k == 0)
            k = read_next(r, depth + 1, &value);
        if (k == 0)
            k = take_child(r, map, value, depth);
        if (k == 0)
            k = grow(&m->keys, m->n);
        if (k == 0)
            k = grow(&m->items, m->n);
        if (k != 0)
            return k;
        if (!good_key(r, &key->node))
            continue;
        m->keys[m->n] = &key->node;
        m->items[m->n++] = &value->node;
    }
}

static int read_node(struct reader *r, const yaml_event_t *e, int depth, struct owned_node **ret)
{
    if (e->type == YAML_SCALAR_EVENT)
        return read_scalar(r, e, ret);
    if (e->type == YAML_ALIAS_EVENT)
        return read_alias(r, e, ret);

    bool list = e->type == YAML_SEQUENCE_START_EVENT;
    assert(list || e->type == YAML_MAPPING_START_EVENT);
    if (depth >= YAML_DEPTH_MAX) {
        mistake(r, &e->start_mark, "too deeply nested; write it flatter");
        return 1;
    }
    if (list ? e->data.sequence_start.tag : e->data.mapping_start.tag)
        mistake(r, &e->start_mark, "tags mean nothing here; remove it");
    struct owned_node *n = list ? add_node(r, YAML_LIST, e, e->data.sequence_start.anchor)
                                : add_node(r, YAML_MAP, e, e->data.mapping_start.anchor);
    if (!n)
        return ERR_NOMEM;
    int k = list ? read_list(r, n, depth) : read_map(r, n, depth);
    if (k != 0)
        return k;
    n->complete = true;
    *ret = n;
    return 0;
}

// The root of the only document, NULL when there is none.
static int read_stream(struct reader *r, struct owned_node **ret)
{
    *ret = NULL;
    for (int documents = 0;;) {
        _cleanup_(delete_event) yaml_event_t e = {0};
        int k = next_event(r, &e);
        if (k != 0 || e.type == YAML_STREAM_END_EVENT)
            return k;
        if (e.type == YAML_STREAM_START_EVENT || e.type == YAML_DOCUMENT_END_EVENT)
            continue;
        if (e.type != YAML_DOCUMENT_START_EVENT) {
            k = read_node(r, &e, 0, ret);
            if (k != 0)
                return k;
        } else if (documents++ > 0) {
            mistake(r, &e.start_mark, "a second document begins here; one file holds one");
            return 1;
        }
    }
}

static int check_root(struct reader *r, struct owned_node *root)
{
    if (root && root->node.kind == YAML_MAP) {
        r->doc->root = &root->node;
        return 0;
    }
    if (root && !yaml_is_null(&root->node)) {
        diag_add(r->d, false, r->doc->file, root->node.line, root->node.column,
                 "the file is no map; it must begin with 'key: value'");
        return 1;
    }
    const yaml_event_t start = {0};
    root = add_node(r, YAML_MAP, &start, NULL);
    if (!root)
        return ERR_NOMEM;
    r->doc->root = &root->node;
    return 0;
}

int yaml_parse(const char *file, const char *text, size_t len, struct yaml_doc **ret_doc, struct diags *d)
{
    if (len > YAML_BYTES_MAX) {
        diag_add(d, false, file, 0, 0, "has %zu bytes; a file has at most %d", len, YAML_BYTES_MAX);
        return 1;
    }
    _cleanup_(yaml_doc_free_p) struct yaml_doc *doc = calloc(1, sizeof(*doc));
    if (!doc || !(doc->file = strdup(file)))
        return ERR_NOMEM;
    size_t errors = d->errors;
    struct reader r = {.doc = doc, .text = text, .len = len, .d = d};
    if (!yaml_parser_initialize(&r.parser))
        return ERR_NOMEM;
    yaml_parser_set_encoding(&r.parser, YAML_UTF8_ENCODING);
    yaml_parser_set_input_string(&r.parser, (const unsigned char *)text, len);

    struct owned_node *root;
    int k = read_stream(&r, &root);
    yaml_parser_delete(&r.parser);
    if (k == 0)
        k = check_root(&r, root);
    if (k < 0)
        return k;
    if (k > 0 || d->errors > errors)
        return 1;
    *ret_doc = doc;
    doc = NULL;
    return 0;
}

const struct yaml_node *yaml_root(const struct yaml_doc *doc)
{
    return doc->root;
}

const char *yaml_file(const struct yaml_doc *doc)
{
    return doc->file;
}

const struct yaml_node *yaml_get(const struct yaml_node *map, const char *key)
{
    assert(map->kind == YAML_MAP);
    for (size_t i = 0; i < map->n; i++)
        if (strcmp(map->keys[i]->text, key) == 0)
            return map->items[i];
    return NULL;
}

bool yaml_is_null(const struct yaml_node *n)
{
    static const char *const nulls[] = {"", "~", "null", "Null", "NULL"};
    if (n->kind != YAML_SCALAR || !n->plain)
        return false;
    for (size_t i = 0; i < sizeof(nulls) / sizeof(nulls[0]); i++)
        if (strcmp(n->text, nulls[i]) == 0)
            return true;
    return false;
}

static char *join(const char *const *names, size_t n)
{
    size_t size = 1;
    for (size_t i = 0; i < n; i++)
        size += strlen(names[i]) + 2;
    char *text = malloc(size), *end = text;
    if (!text)
        return NULL;
    *end = '\0';
    for (size_t i = 0; i < n; i++) {
        if (i > 0)
            end = stpcpy(end, ", ");
        end = stpcpy(end, names[i]);
    }
    return text;
}

void yaml_check_keys(const char *file, const struct yaml_node *map, const char *const *known, const char *what,
                     struct diags *d)
{
    size_t nknown = 0;
    while (known[nknown])
        nknown++;
    for (size_t i = 0; i < map->n; i++) {
        const struct yaml_node *key = map->keys[i];
        bool found = false;
        for (size_t k = 0; k < nknown && !found; k++)
            found = strcmp(key->text, known[k]) == 0;
        if (found)
            continue;
        const char *nearest = name_nearest(key->text, known, nknown);
        if (nearest) {
            diag_add(d, false, file, key->line, key->column, "%s has no key '%.64s'; did you mean '%s'?", what,
                     key->text, nearest);
            continue;
        }
        _cleanup_free_ char *list = join(known, nknown);
        diag_add(d, false, file, key->line, key->column, "%s has no key '%.64s'; it can have %s", what, key->text,
                 list ? list : "others");
    }
}
