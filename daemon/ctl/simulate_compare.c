// Two models side by side. They need not have the same stages or triggers: what has the same name is
// compared, and what only one of them has counts nothing in the other. Counts become rows first, for both
// forms of the report.
#include "simulate.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "cleanup.h"
#include "json_write.h"

enum { A, B, BOTH, SAMPLES = 5, NAME_WIDTH_MAX = 60 };

enum section { POPULATION, FLOWS, TRIGGERS, CAPPED, SECTIONS };
static const struct {
    const char *title, *key, *first, *second; // of the table; of the JSON object, and in its rows
} sections[] = {
    [POPULATION] = {"population", "population", "stage", NULL},
    [FLOWS] = {"flows", "flows", "from", "to"},
    [TRIGGERS] = {"triggers", "triggers", "trigger", "campaign"},
    [CAPPED] = {"over a cap", "over_a_cap", "trigger", "campaign"},
};

struct row {
    enum section section;
    const char *first, *second;
    uint64_t n[BOTH];
};

struct group { // customers in one stage in A, in another one in B; NULL: in none
    const char *stage[BOTH];
    uint64_t n;
    const struct entry *sample; // the first by id, so that the same run shows the same customer
};

struct comparison {
    struct row *rows; // of a section those of A in its order, then those that only B has
    size_t nrows, rows_cap;
    struct group *groups; // largest first
    size_t ngroups, groups_cap;
    uint64_t differ; // customers in all groups
};

// Room for one more element; NULL: no memory.
static void *grow(void *v, size_t n, size_t *cap, size_t size)
{
    if (n < *cap)
        return v;
    size_t to = *cap ? 2 * *cap : 64;
    void *p = realloc(v, to * size);
    *cap = p ? to : *cap;
    return p;
}

// ---- counts

static struct row *row_of(struct comparison *c, enum section section, const char *first, const char *second)
{
    for (size_t i = 0; i < c->nrows; i++) {
        struct row *r = &c->rows[i];
        if (r->section == section && !strcmp(r->first, first) && (!second || !strcmp(r->second, second)))
            return r;
    }
    struct row *rows = grow(c->rows, c->nrows, &c->rows_cap, sizeof *rows);
    if (!rows)
        return NULL;
    c->rows = rows;
    c->rows[c->nrows] = (struct row){.section = section, .first = first, .second = second};
    return &c->rows[c->nrows++];
}

static int add(struct comparison *c, enum section section, const char *first, const char *second, int which, uint64_t n)
{
    if (n == 0 && section != POPULATION)
        return 0;
    struct row *r = row_of(c, section, first, second);
    if (!r)
        return ERR_NOMEM;
    r->n[which] += n;
    return 0;
}

static int add_model(struct comparison *c, const struct model *m, const struct tally *t, int which)
{
    int failed = 0;
    for (int i = 0; i < m->nstages; i++) {
        failed |= add(c, POPULATION, m->stages[i].name, NULL, which, t->population[i]);
        for (int k = 0; k < m->nstages; k++)
            failed |= add(c, FLOWS, m->stages[i].name, m->stages[k].name, which, t->flows[i * m->nstages + k]);
    }
    for (int i = 0; i < m->ntriggers + 2; i++) {
        const char *name = tally_trigger(m, i), *campaign = tally_campaign(m, i);
        failed |= add(c, TRIGGERS, name, campaign, which, t->triggers[i]);
        failed |= add(c, CAPPED, name, campaign, which, t->capped[i]);
    }
    return failed ? ERR_NOMEM : 0;
}

// ---- customers

static int by_id(const struct entry *x, const struct entry *y)
{
    size_t n = x->id_bytes < y->id_bytes ? x->id_bytes : y->id_bytes;
    int order = memcmp(x->id, y->id, n);
    return order ? order : (int)x->id_bytes - (int)y->id_bytes;
}

static int add_customer(struct comparison *c, const struct entry *e, const char *a, const char *b)
{
    size_t i = 0;
    while (i < c->ngroups && (c->groups[i].stage[A] != a || c->groups[i].stage[B] != b)) // names of the models
        i++;
    struct group *groups = grow(c->groups, i, &c->groups_cap, sizeof *groups);
    if (!groups)
        return ERR_NOMEM;
    c->groups = groups;
    if (i == c->ngroups)
        c->groups[c->ngroups++] = (struct group){.stage = {a, b}, .sample = e};
    c->groups[i].n++;
    c->differ++;
    if (by_id(e, c->groups[i].sample) < 0)
        c->groups[i].sample = e;
    return 0;
}

static int compare_customers(const struct simulation *s, struct comparison *c)
{
    for (size_t i = 0; s->cache.table && i <= s->cache.mask; i++) {
        const struct entry *x = s->cache.table[i];
        if (!x)
            continue;
        int other = x->model == A ? B : A;
        struct span id = {x->id, x->id_bytes};
        const struct entry *y = cache_find(&s->cache, cache_hash(id), other, id);
        if (y && x->model == B)
            continue; // came, or comes, with A's
        const char *stage[BOTH] = {NULL, NULL};
        stage[x->model] = s->program.models[x->model]->stages[x->c->stage].name;
        if (y)
            stage[other] = s->program.models[other]->stages[y->c->stage].name;
        if ((!y || strcmp(stage[A], stage[B]) != 0) && add_customer(c, x, stage[A], stage[B]))
            return ERR_NOMEM;
    }
    return 0;
}

static int larger_first(const void *a, const void *b)
{
    const struct group *x = a, *y = b;
    return x->n != y->n ? (x->n < y->n) - (x->n > y->n) : by_id(x->sample, y->sample);
}

static int compare(const struct simulation *s, struct comparison *c)
{
    for (int i = A; i < BOTH; i++)
        if (add_model(c, s->program.models[i], &s->tally[i], i))
            return ERR_NOMEM;
    if (compare_customers(s, c))
        return ERR_NOMEM;
    if (c->ngroups)
        qsort(c->groups, c->ngroups, sizeof *c->groups, larger_first);
    c->ngroups = c->ngroups < SAMPLES ? c->ngroups : SAMPLES;
    return 0;
}

static void comparison_clear(struct comparison *c)
{
    free(c->rows);
    free(c->groups);
}

// ---- as a table

static int row_name(const struct row *r, char *out, size_t size)
{
    return snprintf(out, size, "%s%s%s", r->first, r->section == FLOWS ? " -> " : "",
                    r->section == FLOWS ? r->second : "");
}

static int name_width(const struct comparison *c)
{
    int width = 0;
    for (size_t i = 0; i < c->nrows; i++) {
        int n = row_name(&c->rows[i], NULL, 0);
        width = n > width && n <= NAME_WIDTH_MAX ? n : width;
    }
    return width;
}

int simulation_compare(const struct simulation *s, struct buffer *b)
{
    _cleanup_(comparison_clear) struct comparison c = {0};
    if (compare(s, &c))
        return ERR_NOMEM;
    for (int i = A; i < BOTH; i++) {
        const struct model *m = s->program.models[i];
        buffer_printf(b, "%c  %s version %u (%s): %" PRIu64 " customers, %" PRIu64 " transitions\n", 'A' + i, m->name,
                      m->version, m->file, s->tally[i].customers, s->tally[i].transitions);
    }
    int width = name_width(&c);
    for (enum section section = 0; section < SECTIONS; section++) {
        bool titled = false;
        for (size_t i = 0; i < c.nrows; i++) {
            const struct row *r = &c.rows[i];
            char name[2 * NAME_BYTES_MAX + 8];
            if (r->section != section)
                continue;
            if (!titled)
                buffer_printf(b, "\n%-*s %12s %12s %12s\n", width + 2, sections[section].title, "A", "B", "B - A");
            titled = true;
            row_name(r, name, sizeof name);
            buffer_printf(b,
                          r->n[A] == r->n[B] ? "  %-*s %12" PRIu64 " %12" PRIu64 " %12" PRId64 "\n"
                                             : "  %-*s %12" PRIu64 " %12" PRIu64 " %+12" PRId64 "\n",
                          width, name, r->n[A], r->n[B], (int64_t)(r->n[B] - r->n[A]));
        }
    }
    buffer_printf(b, "\n%" PRIu64 " customers end in different stages%s\n", c.differ,
                  c.differ ? "; most of them, with one of each" : "");
    for (size_t i = 0; i < c.ngroups; i++) {
        const struct group *g = &c.groups[i];
        buffer_printf(b, "  %10" PRIu64 "  %s in A, %s in B: %.*s\n", g->n, g->stage[A] ? g->stage[A] : "nowhere",
                      g->stage[B] ? g->stage[B] : "nowhere", (int)g->sample->id_bytes, g->sample->id);
    }
    return 0;
}

// ---- as JSON

static void put_model(struct json_writer *j, const char *key, const struct model *m, const struct tally *t)
{
    json_key(j, key);
    json_object(j);
    json_key(j, "model"), json_text(j, m->name);
    json_key(j, "version"), json_int(j, m->version);
    json_key(j, "file"), json_text(j, m->file);
    json_key(j, "customers"), json_uint(j, t->customers);
    json_key(j, "transitions"), json_uint(j, t->transitions);
    json_object_end(j);
}

static void put_rows(struct json_writer *j, const struct comparison *c, enum section section)
{
    json_key(j, sections[section].key);
    json_array(j);
    for (size_t i = 0; i < c->nrows; i++) {
        const struct row *r = &c->rows[i];
        if (r->section != section)
            continue;
        json_object(j);
        json_key(j, sections[section].first), json_text(j, r->first);
        if (sections[section].second)
            json_key(j, sections[section].second), json_text(j, r->second);
        json_key(j, "a"), json_uint(j, r->n[A]);
        json_key(j, "b"), json_uint(j, r->n[B]);
        json_key(j, "difference"), json_int(j, (int64_t)(r->n[B] - r->n[A]));
        json_object_end(j);
    }
    json_array_end(j);
}

int simulation_compare_json(const struct simulation *s, struct buffer *b)
{
    _cleanup_(comparison_clear) struct comparison c = {0};
    if (compare(s, &c))
        return ERR_NOMEM;
    struct json_writer writer = json_writer_to(b), *j = &writer;
    json_object(j);
    json_key(j, "events"), json_uint(j, s->events);
    json_key(j, "bad"), json_uint(j, simulation_bad(s));
    put_model(j, "a", s->program.models[A], &s->tally[A]);
    put_model(j, "b", s->program.models[B], &s->tally[B]);
    for (enum section section = 0; section < SECTIONS; section++)
        put_rows(j, &c, section);
    json_key(j, "customers_in_different_stages"), json_uint(j, c.differ);
    json_key(j, "samples"), json_array(j);
    for (size_t i = 0; i < c.ngroups; i++) {
        const struct group *g = &c.groups[i];
        json_object(j);
        json_key(j, "customer"), json_span(j, (struct span){g->sample->id, g->sample->id_bytes});
        json_key(j, "a"), json_text(j, g->stage[A]);
        json_key(j, "b"), json_text(j, g->stage[B]);
        json_key(j, "customers"), json_uint(j, g->n);
        json_object_end(j);
    }
    json_array_end(j);
    json_object_end(j);
    buffer_byte(b, '\n');
    return 0;
}
