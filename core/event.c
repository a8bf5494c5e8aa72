// What the parts of a record mean: the same rules for JSON, msgpack and headers, so that the same fact is the
// same event however it was written. A part is what the first of its paths leads to that is there and not
// null; a bad one does not make way for the next, or a producer's mistake would silently become another
// customer's event.
#include "event_private.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "error.h"

struct event_parser {
    struct json_memory json;
    // Texts of numbers: those of the event itself, and of what is read on the way.
    char customer[NUMBER_TEXT_BYTES], type[NUMBER_TEXT_BYTES], id[NUMBER_TEXT_BYTES];
    char other[NUMBER_TEXT_BYTES];
    char detail[DETAIL_BYTES];
};

struct reading { // of one record
    struct event_parser *p;
    const struct field_map *m;
    const struct record *r;
    const struct reader *reader; // of the value, or NULL: it is not looked at
    const void *root;
    bool binary; // a CloudEvent with its attributes in headers: the value is what /data is elsewhere
    enum bad_reason reason;
};

struct event_parser *event_parser_new(void)
{
    return calloc(1, sizeof(struct event_parser));
}

struct event_parser *event_parser_free(struct event_parser *p)
{
    if (p)
        free(p->json.p);
    free(p);
    return NULL;
}

const char *bad_reason_name(enum bad_reason r)
{
    static const char *const names[BAD_REASONS] = {
        [BAD_NONE] = "none",         [BAD_EMPTY] = "empty", [BAD_SYNTAX] = "syntax",
        [BAD_CUSTOMER] = "customer", [BAD_TYPE] = "type",   [BAD_TIME] = "time",
        [BAD_FUTURE] = "future",     [BAD_KEY] = "key",     [BAD_TOO_LARGE] = "too-large",
    };
    return names[r];
}

__attribute__((format(printf, 3, 4))) static int bad(struct reading *g, enum bad_reason reason, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    vsnprintf(g->p->detail, sizeof(g->p->detail), fmt, args);
    va_end(args);
    g->reason = reason;
    return 1;
}

static bool equal_ignoring_case(const char *a, const char *b, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        char c = a[i] >= 'A' && a[i] <= 'Z' ? (char)(a[i] + ('a' - 'A')) : a[i];
        if (c != b[i])
            return false;
    }
    return true;
}

// The value of a header by its name in small letters; p NULL: none, or null.
static struct span find_header(const struct record *r, const char *name)
{
    size_t n = strlen(name);
    for (size_t i = 0; i < r->nheaders; i++)
        if (r->headers[i].name.n == n && equal_ignoring_case(r->headers[i].name.p, name, n))
            return r->headers[i].value;
    return (struct span){0};
}

static bool begins(struct span s, const char *with)
{
    size_t n = strlen(with);
    return s.n >= n && equal_ignoring_case(s.p, with, n);
}

static bool ends(struct span s, const char *with)
{
    size_t n = strlen(with);
    return s.n >= n && equal_ignoring_case(s.p + s.n - n, with, n);
}

// "application/json; charset=utf-8" without its parameters.
static struct span media_type(struct span content_type)
{
    size_t n = 0;
    while (n < content_type.n && content_type.p[n] != ';')
        n++;
    while (n > 0 && content_type.p[n - 1] == ' ')
        n--;
    return (struct span){content_type.p, n};
}

static enum event_format format_by_media_type(struct span type)
{
    if (ends(type, "/json") || ends(type, "+json"))
        return FORMAT_JSON;
    if (ends(type, "msgpack")) // application/msgpack, x-msgpack, vnd.msgpack, …+msgpack
        return FORMAT_MSGPACK;
    return FORMAT_AUTO;
}

static enum event_format format_by_first_byte(struct span value)
{
    unsigned char c = (unsigned char)value.p[0];
    if (c == '{' || c == ' ' || c == '\t' || c == '\n' || c == '\r')
        return FORMAT_JSON;
    return (c & 0xf0) == 0x80 || c == 0xde || c == 0xdf ? FORMAT_MSGPACK : FORMAT_AUTO; // a map
}

// Opens the record's value as a document.
static int open_value(struct reading *g, struct span content_type)
{
    struct span value = g->r->value, media = media_type(content_type);
    if (!value.p || value.n == 0)
        return g->binary ? 0 : bad(g, BAD_EMPTY, "the record has no value");
    if (value.n > EVENT_BYTES_MAX)
        return bad(g, BAD_TOO_LARGE, "the value has %zu bytes, more than %d", value.n, EVENT_BYTES_MAX);

    enum event_format format = g->m->format;
    if (format == FORMAT_AUTO)
        format = format_by_media_type(media);
    if (format == FORMAT_AUTO && g->binary && media.n > 0)
        return 0; // a CloudEvent may carry anything, an image even; then it has no value and no properties
    if (format == FORMAT_AUTO)
        format = format_by_first_byte(value);
    if (format == FORMAT_AUTO)
        return bad(g, BAD_SYNTAX, "the value begins neither a JSON object nor a msgpack map (byte 0x%02x)",
                   (unsigned char)value.p[0]);

    int k;
    if (format == FORMAT_JSON)
        k = json_open(&g->p->json, value, &g->root, g->p->detail);
    else
        k = msgpack_open(value, &g->root, g->p->detail);
    if (k > 0)
        g->reason = BAD_SYNTAX;
    g->reader = format == FORMAT_JSON ? &json_reader : &msgpack_reader;
    return k;
}

// The node at the end of a path, NULL: there is none, or it is null.
static const void *find_path(const struct reading *g, const struct path *path, char *digits, struct found *ret)
{
    ret->kind = FOUND_NONE;
    if (!g->reader)
        return NULL;
    const void *node = g->root;
    for (int k = g->binary; node && k < path->n; k++)
        node = g->reader->step(node, path->steps[k], path->index[k]);
    if (node)
        g->reader->look(node, digits, ret);
    return ret->kind == FOUND_NONE ? NULL : node;
}

static const void *find(const struct reading *g, const struct paths *paths, char *digits, struct found *ret)
{
    const void *node = NULL;
    ret->kind = FOUND_NONE;
    for (int i = 0; !node && i < paths->n; i++)
        node = find_path(g, &paths->v[i], digits, ret);
    return node;
}

// A part that a binary CloudEvent has in a header.
static void find_attribute(const struct reading *g, const struct paths *paths, const char *header, char *digits,
                           struct found *ret)
{
    if (!g->binary) {
        find(g, paths, digits, ret);
        return;
    }
    ret->text = find_header(g->r, header);
    ret->kind = ret->text.p ? FOUND_STRING : FOUND_NONE;
}

// "customer" and what is wrong with it, with the places that were looked at.
static int bad_part(struct reading *g, enum bad_reason reason, const struct paths *paths, const char *header,
                    const char *problem)
{
    char at[DETAIL_BYTES / 2];
    size_t n = 0;
    if (g->binary)
        n = (size_t)snprintf(at, sizeof(at), "header %s", header);
    for (int i = 0; !g->binary && i < paths->n; i++) {
        for (int k = 0; k < paths->v[i].n && n < sizeof(at); k++) {
            struct span step = paths->v[i].steps[k];
            n += (size_t)snprintf(at + n, sizeof(at) - n, "%s/%.*s", i > 0 && k == 0 ? ", " : "", (int)step.n, step.p);
        }
    }
    return bad(g, reason, "the %s (%s) %s", bad_reason_name(reason), n > 0 ? at : "nowhere", problem);
}

static bool is_whole(struct span digits)
{
    size_t i = digits.n > 0 && digits.p[0] == '-';
    for (; i < digits.n; i++)
        if (digits.p[i] < '0' || digits.p[i] > '9')
            return false;
    return true;
}

// What keeps it from being a name of something; NULL: nothing.
static const char *name_problem(const struct found *f)
{
    switch (f->kind) {
    case FOUND_NONE: return "is missing";
    case FOUND_STRING:
        if (f->text.n == 0)
            return "is empty";
        return utf8_valid(f->text.p, f->text.n) ? NULL : "is no UTF-8 text, or has a NUL in it";
    case FOUND_NUMBER: return is_whole(f->text) ? NULL : "is a number, but no whole one";
    default: return "is neither a text nor a whole number";
    }
}

static int read_customer(struct reading *g, struct span *ret)
{
    struct found f;
    find_attribute(g, &g->m->customer, "ce_subject", g->p->customer, &f);
    const char *problem = name_problem(&f);
    if (!problem && f.text.n > CUSTOMER_BYTES_MAX)
        problem = "is longer than 1024 bytes";
    if (problem)
        return bad_part(g, BAD_CUSTOMER, &g->m->customer, "ce_subject", problem);

    const struct span *key = &g->r->key;
    if (g->m->key_is_customer && !key->p)
        return bad(g, BAD_KEY, "the record has no key; it must be the customer (or set 'key: any')");
    if (g->m->key_is_customer && (key->n != f.text.n || memcmp(key->p, f.text.p, key->n) != 0))
        return bad(g, BAD_KEY, "the record's key is not its customer; it must be (or set 'key: any')");
    *ret = f.text;
    return 0;
}

// Segment's and RudderStack's calls: what was tracked, or which other call it is.
static void find_call(const struct reading *g, struct found *ret)
{
    const struct path *event = &g->m->type.v[0], *call = &g->m->type.v[1];
    find_path(g, call, g->p->type, ret);
    if (ret->kind == FOUND_STRING && ret->text.n == 5 && memcmp(ret->text.p, "track", 5) == 0)
        find_path(g, event, g->p->type, ret);
}

static int read_type(struct reading *g, struct span *ret)
{
    struct found f;
    if (g->m->preset == PRESET_SEGMENT || g->m->preset == PRESET_RUDDERSTACK)
        find_call(g, &f);
    else
        find_attribute(g, &g->m->type, "ce_type", g->p->type, &f);
    const char *problem = name_problem(&f);
    if (problem)
        return bad_part(g, BAD_TYPE, &g->m->type, "ce_type", problem);
    *ret = f.text;
    return 0;
}

static int read_time(struct reading *g, int64_t *ret)
{
    if (g->m->time.n == 0) {
        if (g->r->timestamp < 0 || g->r->timestamp > TIME_MS_MAX)
            return bad(g, BAD_TIME, "the record's timestamp is missing, or not from 1970 to 9999");
        *ret = g->r->timestamp;
        return 0;
    }
    struct found f;
    int64_t t = -1;
    find_attribute(g, &g->m->time, "ce_time", g->p->other, &f);
    const char *problem = "is no time (RFC 3339, or whole milliseconds) from 1970 to 9999";
    if (f.kind == FOUND_NONE)
        problem = "is missing";
    else if (f.kind == FOUND_TIME)
        t = f.time;
    else if (f.kind == FOUND_STRING && parse_time(f.text.p, f.text.n, &t) != 0)
        t = -1;
    else if (f.kind == FOUND_NUMBER && parse_whole(f.text.p, f.text.n, &t) != 0)
        t = -1;
    if (t < 0 || t > TIME_MS_MAX)
        return bad_part(g, BAD_TIME, &g->m->time, "ce_time", problem);
    *ret = t;
    return 0;
}

static void read_id(const struct reading *g, struct span *ret)
{
    struct found f;
    find_attribute(g, &g->m->id, "ce_id", g->p->id, &f);
    *ret = name_problem(&f) ? (struct span){0} : f.text;
}

static void read_value(const struct reading *g, struct event *e)
{
    struct found f;
    find(g, &g->m->value, g->p->other, &f);
    bool number = f.kind == FOUND_NUMBER || f.kind == FOUND_STRING;
    e->has_value = number && parse_decimal(f.text.p, f.text.n, &e->value_milli) == 0;
    e->bad_value = f.kind != FOUND_NONE && !e->has_value;
}

static struct scalar scalar_of(const struct found *f)
{
    struct scalar s = {0};
    if (f->kind == FOUND_STRING) {
        s.kind = SCALAR_STRING;
        s.text = f->text;
    } else if (f->kind == FOUND_BOOL) {
        s.kind = SCALAR_BOOL;
        s.milli = f->yes;
    } else if (f->kind == FOUND_NUMBER && parse_decimal(f->text.p, f->text.n, &s.milli) == 0) {
        s.kind = SCALAR_NUMBER;
    }
    return s;
}

static void read_props(const struct reading *g, struct scalar *ret)
{
    if (g->m->nprops == 0)
        return;
    struct found f;
    const void *properties = find(g, &g->m->properties, g->p->other, &f);
    for (int i = 0; i < g->m->nprops; i++) {
        struct span name = {g->m->props[i], strlen(g->m->props[i])};
        const void *node = properties ? g->reader->step(properties, name, -1) : NULL;
        f.kind = FOUND_NONE;
        if (node)
            g->reader->look(node, g->p->other, &f);
        ret[i] = scalar_of(&f);
    }
}

static bool has_attribute_headers(const struct record *r)
{
    for (size_t i = 0; i < r->nheaders; i++)
        if (begins(r->headers[i].name, "ce_"))
            return true;
    return false;
}

int event_parse(struct event_parser *p, const struct field_map *m, const struct record *r, struct event *ret,
                enum bad_reason *ret_reason, const char **ret_detail)
{
    struct reading g = {.p = p, .m = m, .r = r};
    struct span content_type = find_header(r, "content-type");
    if (m->preset == PRESET_CLOUDEVENTS && !begins(content_type, "application/cloudevents"))
        g.binary = has_attribute_headers(r);

    struct span customer, type;
    int64_t time = 0;
    int k = open_value(&g, content_type);
    if (k == 0)
        k = read_customer(&g, &customer);
    if (k == 0)
        k = read_type(&g, &type);
    if (k == 0)
        k = read_time(&g, &time);
    if (k < 0)
        return k;
    if (k > 0) {
        *ret_reason = g.reason;
        *ret_detail = p->detail;
        return 1;
    }
    ret->customer = customer;
    ret->type = type;
    ret->time = time;
    read_id(&g, &ret->id);
    read_value(&g, ret);
    read_props(&g, ret->props);
    return 0;
}
