// A model's text becomes tables here: the sections in the order in which they depend on each other, the small
// readers that all sections share, and the storage. The YAML tree stays alive as part of the model, so that
// names need no copies.
#include "model_private.h"

#include <stddef.h>
#include <xxhash.h>

struct chunk {
    struct chunk *next;
    max_align_t bytes[];
};

void *take(struct compiler *k, size_t n, size_t size)
{
    if (n == 0 || k->failed)
        return NULL;
    assert(n <= YAML_NODES_MAX && size <= YAML_BYTES_MAX); // no overflow
    struct chunk *c = calloc(1, sizeof(*c) + n * size);
    if (!c) {
        k->failed = true;
        return NULL;
    }
    c->next = k->arena->chunks;
    k->arena->chunks = c;
    return c->bytes;
}

// ---- readers

static const char *kind_name(const struct yaml_node *n)
{
    if (n->kind == YAML_LIST)
        return "a list";
    return n->kind == YAML_MAP ? "a map" : "a single value";
}

bool read_map(struct compiler *k, const struct yaml_node *n, const char *what, const char *const *known)
{
    if (n->kind != YAML_MAP) {
        mistake(k, n, "%s is %s; it should be a map, such as {key: value}", what, kind_name(n));
        return false;
    }
    yaml_check_keys(k->file, n, known, what, k->d);
    return true;
}

const char *read_text(struct compiler *k, const struct yaml_node *n, const char *what)
{
    if (!n)
        return NULL;
    if (n->kind != YAML_SCALAR)
        mistake(k, n, "%s is %s; it should be one text", what, kind_name(n));
    else if (!*n->text || yaml_is_null(n))
        mistake(k, n, "%s is empty; give it a value or remove it", what);
    else
        return n->text;
    return NULL;
}

void check_name(struct compiler *k, const struct yaml_node *n, const char *what)
{
    static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.";
    size_t len = strlen(n->text);
    if (len == 0)
        mistake(k, n, "%s is empty; it should be a name", what);
    else if (n->text[strspn(n->text, allowed)])
        mistake(k, n, "%s '%.80s' has other characters than letters, digits, '-', '_' and '.'; use only these", what,
                n->text);
    else if (len > NAME_BYTES_MAX)
        mistake(k, n, "%s has %zu characters; at most %d are allowed", what, len, NAME_BYTES_MAX);
}

const char *read_name(struct compiler *k, const struct yaml_node *n, const struct yaml_node *owner, const char *what)
{
    if (!n) {
        mistake(k, owner, "%s is missing; add it", what);
        return NULL;
    }
    const char *name = read_text(k, n, what);
    if (name)
        check_name(k, n, what);
    return name;
}

struct name_list read_texts(struct compiler *k, const struct yaml_node *n, const char *what)
{
    struct name_list ret = {0};
    if (!n)
        return ret;
    if (n->kind == YAML_MAP) {
        mistake(k, n, "%s is a map; it should be a text or a list of texts", what);
        return ret;
    }
    size_t count = n->kind == YAML_LIST ? n->n : 1;
    const char **v = take(k, count, sizeof(*v));
    if (!v)
        return ret;
    for (size_t i = 0; i < count; i++) {
        v[ret.n] = read_text(k, n->kind == YAML_LIST ? n->items[i] : n, what);
        ret.n += v[ret.n] != NULL;
    }
    ret.v = v;
    return ret;
}

bool read_duration(struct compiler *k, const struct yaml_node *n, const char *what, int64_t *ret)
{
    if (!n)
        return false;
    const char *text = read_text(k, n, what);
    if (!text)
        return false;
    size_t len = strlen(text);
    if (parse_duration(text, len, ret) == 0)
        return true;
    if (strspn(text, "0123456789") == len && len <= 9)
        mistake(k, n, "%s '%s' has no unit; write '%sd' for days (units: ms, s, m, h, d, w)", what, text, text);
    else
        mistake(k, n,
                "%s '%.80s' is no duration; write a whole number and a unit (ms, s, m, h, d, w), at most 100 "
                "years",
                what, text);
    return false;
}

bool read_whole(struct compiler *k, const struct yaml_node *n, const char *what, int64_t min, int64_t max, int64_t *ret)
{
    if (!n)
        return false;
    const char *text = n->kind == YAML_SCALAR ? n->text : "";
    size_t len = strlen(text);
    int64_t v = -1;
    if (len > 0 && len <= 18 && strspn(text, "0123456789") == len)
        v = strtoll(text, NULL, 10);
    if (v < min || v > max) {
        mistake(k, n, "%s is no whole number from %lld to %lld; write one, such as %lld", what, (long long)min,
                (long long)max, (long long)min);
        return false;
    }
    *ret = v;
    return true;
}

// ---- names of stages and signals

void unknown_name(struct compiler *k, int line, int column, const char *what, const char *name,
                  const char *const *candidates, size_t n)
{
    const char *nearest = name_nearest(name, candidates, n);
    if (nearest)
        diag_add(k->d, false, k->file, line, column, "unknown %s '%.80s'; did you mean '%s'?", what, name, nearest);
    else
        diag_add(k->d, false, k->file, line, column, "unknown %s '%.80s'; use one of the model's %ss", what, name,
                 what);
}

void unknown_stage(struct compiler *k, int line, int column, const char *name)
{
    const char *names[STAGES_MAX];
    for (int i = 0; i < k->m->nstages; i++)
        names[i] = k->m->stages[i].name;
    unknown_name(k, line, column, "stage", name, names, (size_t)k->m->nstages);
}

void unknown_signal(struct compiler *k, int line, int column, const char *name)
{
    const char *names[SIGNALS_MAX];
    for (int i = 0; i < k->m->nsignals; i++)
        names[i] = k->m->signals[i].name;
    unknown_name(k, line, column, "signal", name, names, (size_t)k->m->nsignals);
}

int read_stage(struct compiler *k, const struct yaml_node *n)
{
    const char *name = read_text(k, n, "the stage");
    if (!name)
        return NONE;
    int i = model_stage(k->m, name, strlen(name));
    if (i == NONE)
        unknown_stage(k, n->line, n->column, name);
    return i;
}

int read_signal(struct compiler *k, const struct yaml_node *n)
{
    const char *name = read_text(k, n, "the signal");
    if (!name)
        return NONE;
    int i = model_signal(k->m, name, strlen(name));
    if (i == NONE)
        unknown_signal(k, n->line, n->column, name);
    return i;
}

static uint64_t read_set(struct compiler *k, const struct yaml_node *n,
                         int (*read)(struct compiler *k, const struct yaml_node *n))
{
    if (!n)
        return 0;
    if (n->kind == YAML_LIST && n->n == 0)
        mistake(k, n, "the list is empty; name at least one");
    size_t count = n->kind == YAML_LIST ? n->n : 1;
    uint64_t ret = 0;
    for (size_t i = 0; i < count; i++) {
        int one = read(k, n->kind == YAML_LIST ? n->items[i] : n);
        if (one != NONE)
            ret |= UINT64_C(1) << one;
    }
    return ret;
}

uint64_t read_stages(struct compiler *k, const struct yaml_node *n)
{
    return read_set(k, n, read_stage);
}

uint64_t read_signals(struct compiler *k, const struct yaml_node *n)
{
    return read_set(k, n, read_signal);
}

int model_stage(const struct model *m, const char *name, size_t n)
{
    for (int i = 0; i < m->nstages; i++)
        if (strlen(m->stages[i].name) == n && memcmp(m->stages[i].name, name, n) == 0)
            return i;
    return NONE;
}

int model_signal(const struct model *m, const char *name, size_t n)
{
    for (int i = 0; i < m->nsignals; i++)
        if (strlen(m->signals[i].name) == n && memcmp(m->signals[i].name, name, n) == 0)
            return i;
    return NONE;
}

// ---- the whole

static const struct yaml_node *section(const struct yaml_node *root, const char *key)
{
    const struct yaml_node *n = yaml_get(root, key);
    return n && yaml_is_null(n) ? NULL : n; // a heading whose entries are all commented out
}

static void compile_head(struct compiler *k, const struct yaml_node *root)
{
    if (section(root, "model"))
        k->m->name = read_name(k, section(root, "model"), root, "the model's name");
    else
        mistake(k, root, "the model has no name; add 'model: NAME'");
    const struct yaml_node *version = section(root, "version");
    int64_t v = 0;
    if (!version)
        mistake(k, root, "the model has no version; add 'version: 1'");
    else if (read_whole(k, version, "the version", 1, UINT32_MAX, &v))
        k->m->version = (uint32_t)v;
}

static void compile(struct compiler *k, const struct yaml_node *root)
{
    static const char *const sections[] = {"model",       "version",  "signals", "report",  "score", "stages",
                                           "transitions", "triggers", "caps",    "migrate", NULL};
    size_t errors = k->d->errors;
    yaml_check_keys(k->file, root, sections, "a model", k->d);
    compile_head(k, root);
    if (section(root, "signals"))
        compile_signals(k, section(root, "signals"));
    else
        mistake(k, root, "the model has no signals; add 'signals:' with at least one, such as 'purchase: [order]'");
    if (section(root, "stages"))
        compile_stages(k, section(root, "stages"));
    else
        mistake(k, root, "the model has no stages; add 'stages:' with at least one");
    if (section(root, "score"))
        compile_score(k, section(root, "score"));
    if (section(root, "transitions"))
        compile_rules(k, section(root, "transitions"));
    if (section(root, "triggers"))
        compile_triggers(k, section(root, "triggers"));
    k->m->cap_all = NONE;
    if (section(root, "caps"))
        compile_caps(k, section(root, "caps"));
    if (section(root, "report"))
        compile_report(k, section(root, "report"));
    if (section(root, "migrate"))
        compile_migrations(k, section(root, "migrate"));
    lay_out_slots(k);
    if (k->failed)
        return;
    index_stages(k);
    check_cycles(k);
    if (k->d->errors == errors)
        check_warnings(k);
}

// What the model keeps of its source, and its nodes, moved out of the compiler.
static void keep(struct compiler *k)
{
    struct model *m = k->m;
    char *text = take(k, k->len + 1, 1);
    char *file = take(k, strlen(k->file) + 1, 1);
    struct node *nodes = take(k, (size_t)m->nnodes, sizeof(*nodes));
    if (k->failed)
        return;
    m->text = memcpy(text, k->text, k->len);
    m->text_bytes = k->len;
    m->file = memcpy(file, k->file, strlen(k->file));
    if (nodes)
        memcpy(nodes, k->nodes, (size_t)m->nnodes * sizeof(*nodes));
    m->nodes = nodes;
    snprintf(m->digest, sizeof(m->digest), "%016llx", (unsigned long long)XXH3_64bits(text, k->len));
}

struct model *model_free(struct model *m)
{
    if (!m)
        return NULL;
    struct arena *a = m->arena;
    while (a && a->chunks) {
        struct chunk *c = a->chunks;
        a->chunks = c->next;
        free(c);
    }
    if (a)
        yaml_doc_free(a->doc);
    free(a);
    free(m);
    return NULL;
}

DEFINE_CLEANUP(struct model, model_free)

int model_load(const char *file, const char *text, size_t len, struct model **ret_model, struct diags *d)
{
    _cleanup_(model_free_p) struct model *m = calloc(1, sizeof(*m));
    _cleanup_free_ struct compiler *k = calloc(1, sizeof(*k));
    if (!m || !k || !(m->arena = calloc(1, sizeof(struct arena))))
        return ERR_NOMEM;
    k->file = file;
    k->text = text;
    k->len = len;
    k->m = m;
    k->arena = m->arena;
    k->d = d;
    int r = yaml_parse(file, text, len, &k->arena->doc, d);
    if (r != 0)
        return r;
    size_t errors = d->errors;
    m->nodes = k->nodes;
    compile(k, yaml_root(k->arena->doc));
    if (!k->failed)
        keep(k);
    if (k->failed)
        return ERR_NOMEM;
    if (d->errors > errors)
        return 1;
    *ret_model = m;
    m = NULL;
    return 0;
}
