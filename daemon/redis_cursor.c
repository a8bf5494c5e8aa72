// The plain numbers are rows of a table, used both ways, so that what is written is what is read.
#include "redis_cursor.h"

#include <errno.h>
#include <inttypes.h>
#include <stddef.h>

enum number_kind { I64, U64, I32, U32 };

static const struct row {
    const char *name;
    enum number_kind kind;
    size_t at; // offset in struct cursor
} rows[] = {
    {"n", U64, offsetof(struct cursor, n)},
    {"offset", I64, offsetof(struct cursor, offset)},
    {"clock", I64, offsetof(struct cursor, clock)},
    {"swept", I64, offsetof(struct cursor, swept)},
    {"start", I64, offsetof(struct cursor, start)},
    {"partitions", I32, offsetof(struct cursor, partitions)},
    {"format", U32, offsetof(struct cursor, format)},
};
enum { ROWS = sizeof(rows) / sizeof(rows[0]) };

// ---- writing

size_t redis_cursor_args(int nmodels)
{
    return 2 * (ROWS + 3 + 2 * (size_t)nmodels); // owner, program, tail
}

static void put_row(struct resp *r, const struct row *row, const struct cursor *c)
{
    const void *v = (const char *)c + row->at;
    resp_text(r, row->name);
    switch (row->kind) {
    case I64: resp_i64(r, *(const int64_t *)v); break;
    case U64: resp_u64(r, *(const uint64_t *)v); break;
    case I32: resp_i64(r, *(const int32_t *)v); break;
    case U32: resp_u64(r, *(const uint32_t *)v); break;
    }
}

static void put_tail(struct resp *r, const struct cursor *c)
{
    struct span parts[4 * TOPICS_MAX];
    char digits[TOPICS_MAX][U64_TEXT_MAX];
    size_t n = 0;
    for (int i = 0; i < c->ntails; i++) {
        parts[n++] = (struct span){" ", i > 0};
        parts[n++] = (struct span){c->tails[i].topic, strlen(c->tails[i].topic)};
        parts[n++] = (struct span){"=", 1};
        parts[n++] = (struct span){digits[i], u64_text((uint64_t)c->tails[i].offset, digits[i])};
    }
    resp_text(r, "tail");
    resp_parts(r, parts, n);
}

static void put_count(struct resp *r, const char *prefix, const char *model, uint64_t v)
{
    resp_parts(r, (struct span[]){{prefix, strlen(prefix)}, {model, strlen(model)}}, 2);
    resp_u64(r, v);
}

void redis_put_cursor(struct resp *r, const struct cursor *c, uint64_t n, const char *owner, const char *const *models,
                      int nmodels)
{
    resp_text(r, "owner");
    resp_text(r, owner);
    resp_text(r, "n");
    resp_u64(r, n);
    for (int i = 1; i < ROWS; i++)
        put_row(r, &rows[i], c);
    resp_text(r, "program");
    resp_text(r, c->program);
    put_tail(r, c);
    for (int i = 0; i < nmodels; i++) {
        put_count(r, "buckets:", models[i], c->buckets[i]);
        put_count(r, "customers:", models[i], c->customers[i]);
    }
}

// ---- reading

// Whole numbers from min to max. 0, or 1: it is none.
static int read_i64(const char *s, int64_t min, int64_t max, int64_t *ret)
{
    char *end;
    errno = 0;
    int64_t v = strtoimax(s, &end, 10);
    if (end == s || *end || errno || v < min || v > max)
        return 1;
    *ret = v;
    return 0;
}

static int read_u64(const char *s, uint64_t *ret)
{
    char *end;
    errno = 0;
    uint64_t v = strtoumax(s, &end, 10);
    if (*s < '0' || *s > '9' || *end || errno)
        return 1;
    *ret = v;
    return 0;
}

static int read_row(const struct row *row, const char *value, struct cursor *c)
{
    void *to = (char *)c + row->at;
    int64_t v;
    int r;
    switch (row->kind) {
    case I64: return read_i64(value, INT64_MIN, INT64_MAX, to);
    case U64: return read_u64(value, to);
    case I32:
        r = read_i64(value, INT32_MIN, INT32_MAX, &v);
        if (!r)
            *(int32_t *)to = (int32_t)v;
        return r;
    case U32:
        r = read_i64(value, 0, UINT32_MAX, &v);
        if (!r)
            *(uint32_t *)to = (uint32_t)v;
        return r;
    }
    return 1;
}

static int read_tail(char *text, struct cursor *c)
{
    c->ntails = 0;
    for (char *save, *item = strtok_r(text, " ", &save); item; item = strtok_r(NULL, " ", &save)) {
        char *equals = strrchr(item, '=');
        if (!equals || c->ntails == TOPICS_MAX)
            return 1;
        *equals = '\0';
        struct tail *t = &c->tails[c->ntails++];
        t->topic = item;
        if (read_i64(equals + 1, 0, INT64_MAX, &t->offset))
            return 1;
    }
    return 0;
}

// "buckets:MODEL" or "customers:MODEL"; those of models that the program does not have are passed over.
static int read_count(const char *name, const char *value, const char *const *models, int nmodels, struct cursor *c)
{
    bool buckets = !strncmp(name, "buckets:", 8);
    if (!buckets && strncmp(name, "customers:", 10) != 0)
        return 0;
    const char *model = name + (buckets ? 8 : 10);
    for (int i = 0; i < nmodels; i++)
        if (!strcmp(models[i], model))
            return read_u64(value, buckets ? &c->buckets[i] : &c->customers[i]);
    return 0;
}

int redis_read_cursor(redisReply *fields, const char *const *models, int nmodels, struct cursor *ret,
                      const char **ret_owner, struct why *ret_why)
{
    struct cursor c = {.exists = true};
    const char *owner = NULL;
    bool seen[ROWS] = {0}, program = false;
    for (size_t i = 0; i + 1 < fields->elements; i += 2) {
        const char *name = fields->element[i]->str;
        char *value = fields->element[i + 1]->str;
        int wrong = 0, row = 0;
        while (row < ROWS && strcmp(name, rows[row].name) != 0)
            row++;
        if (row < ROWS) {
            seen[row] = true;
            wrong = read_row(&rows[row], value, &c);
        } else if (!strcmp(name, "owner")) {
            owner = value;
        } else if (!strcmp(name, "program")) {
            program = true;
            wrong = snprintf(c.program, sizeof(c.program), "%s", value) >= (int)sizeof(c.program);
        } else if (!strcmp(name, "tail")) {
            wrong = read_tail(value, &c);
        } else {
            wrong = read_count(name, value, models, nmodels, &c);
        }
        if (wrong) {
            snprintf(ret_why->text, sizeof(ret_why->text), "the cursor's field %.60s is \"%.80s\"", name, value);
            return 1;
        }
    }
    for (int i = 0; i < ROWS; i++) {
        if (!seen[i] || !program || !owner) {
            snprintf(ret_why->text, sizeof(ret_why->text), "the cursor has no field %s",
                     !seen[i]  ? rows[i].name
                     : program ? "owner"
                               : "program");
            return 1;
        }
    }
    *ret = c;
    if (ret_owner)
        *ret_owner = owner;
    return 0;
}
