// Buckets are dense arrays by number, as linear hashing makes them; a bucket that is asked for exists.
#include "mem_data.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

void *mem_grow(void *p, size_t n, size_t size)
{
    void *q = realloc(p, (n ? n : 1) * size);
    if (!q)
        abort();
    return q;
}

struct span mem_copy(struct span s)
{
    char *p = mem_grow(NULL, s.n, 1);
    if (s.n)
        memcpy(p, s.p, s.n);
    return (struct span){p, s.n};
}

char *mem_copy_text(const char *s)
{
    return (char *)mem_copy((struct span){s, strlen(s) + 1}).p;
}

static bool same(struct span a, struct span b)
{
    return a.n == b.n && (a.n == 0 || !memcmp(a.p, b.p, a.n));
}

struct mem_bucket *mem_bucket(struct mem_part *p, int model, uint64_t bucket)
{
    assert(model >= 0 && model < MODELS_MAX && bucket < MEM_BUCKETS_MAX);
    size_t n = p->nbuckets[model];
    if (bucket >= n) {
        p->buckets[model] = mem_grow(p->buckets[model], bucket + 1, sizeof(struct mem_bucket));
        for (; n <= bucket; n++)
            p->buckets[model][n] = (struct mem_bucket){.due = NEVER};
        p->nbuckets[model] = n;
    }
    return &p->buckets[model][bucket];
}

struct mem_field *mem_field(const struct mem_bucket *b, struct span customer)
{
    for (size_t i = 0; i < b->n; i++)
        if (same(b->v[i].customer, customer))
            return &b->v[i];
    return NULL;
}

static void field_free(struct mem_field *f)
{
    free((char *)f->customer.p);
    free((char *)f->state.p);
}

void mem_bucket_put(struct mem_bucket *b, struct span customer, struct span state)
{
    struct mem_field *f = mem_field(b, customer);
    if (f) {
        free((char *)f->state.p);
        f->state = mem_copy(state);
        return;
    }
    b->v = mem_grow(b->v, b->n + 1, sizeof(*b->v));
    b->v[b->n++] = (struct mem_field){mem_copy(customer), mem_copy(state)};
}

void mem_bucket_remove(struct mem_bucket *b, struct span customer)
{
    struct mem_field *f = mem_field(b, customer);
    if (!f)
        return;
    field_free(f);
    *f = b->v[--b->n];
}

void mem_stat_put(struct mem_part *p, const char *field, int64_t value)
{
    size_t i = 0;
    while (i < p->nstats && strcmp(p->stats[i].field, field) != 0)
        i++;
    if (i == p->nstats) {
        p->stats = mem_grow(p->stats, i + 1, sizeof(*p->stats));
        p->stats[p->nstats++].field = mem_copy_text(field);
    }
    p->stats[i].value = value;
}

void mem_model_put(struct mem_part *p, const struct model_text *t)
{
    size_t i = 0;
    while (i < p->nmodels && (p->models[i].version != t->version || !same(p->models[i].name, t->name)))
        i++;
    if (i == p->nmodels) {
        p->models = mem_grow(p->models, i + 1, sizeof(*p->models));
        p->nmodels++;
    } else {
        free((char *)p->models[i].name.p);
        free((char *)p->models[i].text.p);
    }
    p->models[i] = *t;
    p->models[i].name = mem_copy(t->name);
    p->models[i].text = mem_copy(t->text);
}

void mem_cursor_clear(struct mem_part *p)
{
    for (int i = 0; i < p->cursor.ntails; i++)
        free((char *)p->cursor.tails[i].topic);
    p->cursor = (struct cursor){0};
    p->owner = (struct owner){0};
    p->dues_left = p->stats_left = -1;
}

int64_t mem_dues(const struct mem_part *p)
{
    int64_t n = 0;
    for (int m = 0; m < MODELS_MAX; m++)
        for (size_t b = 0; b < p->nbuckets[m]; b++)
            n += p->buckets[m][b].due != NEVER;
    return n;
}

void mem_cursor_put(struct mem_part *p, const struct cursor *c, const struct owner *owner, uint64_t n)
{
    struct cursor next = *c;
    next.exists = true;
    next.n = n;
    for (int i = 0; i < c->ntails; i++)
        next.tails[i].topic = mem_copy_text(c->tails[i].topic);
    struct owner next_owner = *owner;
    mem_cursor_clear(p);
    p->cursor = next;
    p->owner = next_owner;
}

bool mem_bucket_clear(struct mem_bucket *b)
{
    bool any = b->n > 0;
    while (b->n > 0)
        field_free(&b->v[--b->n]);
    free(b->v);
    b->v = NULL;
    return any;
}

bool mem_stats_clear(struct mem_part *p)
{
    bool any = p->nstats > 0;
    while (p->nstats > 0)
        free(p->stats[--p->nstats].field);
    free(p->stats);
    p->stats = NULL;
    return any;
}

bool mem_models_clear(struct mem_part *p)
{
    bool any = p->nmodels > 0;
    for (; p->nmodels > 0; p->nmodels--) {
        free((char *)p->models[p->nmodels - 1].name.p);
        free((char *)p->models[p->nmodels - 1].text.p);
    }
    free(p->models);
    p->models = NULL;
    return any;
}

void mem_part_clear(struct mem_part *p)
{
    mem_cursor_clear(p);
    for (int m = 0; m < MODELS_MAX; m++) {
        for (size_t b = 0; b < p->nbuckets[m]; b++)
            mem_bucket_clear(&p->buckets[m][b]);
        free(p->buckets[m]);
        p->buckets[m] = NULL;
        p->nbuckets[m] = 0;
    }
    mem_stats_clear(p);
    mem_models_clear(p);
}

void mem_part_copy(struct mem_part *to, const struct mem_part *from)
{
    if (from->cursor.exists)
        mem_cursor_put(to, &from->cursor, &from->owner, from->cursor.n);
    to->dues_left = from->dues_left;
    to->stats_left = from->stats_left;
    for (size_t i = 0; i < from->nstats; i++)
        mem_stat_put(to, from->stats[i].field, from->stats[i].value);
    for (size_t i = 0; i < from->nmodels; i++)
        mem_model_put(to, &from->models[i]);
    for (int m = 0; m < MODELS_MAX; m++) {
        for (size_t b = 0; b < from->nbuckets[m]; b++) {
            const struct mem_bucket *old = &from->buckets[m][b];
            struct mem_bucket *new = mem_bucket(to, m, b);
            new->due = old->due;
            for (size_t i = 0; i < old->n; i++)
                mem_bucket_put(new, old->v[i].customer, old->v[i].state);
        }
    }
}

enum { FIRST_BUCKETS = 4 }; // where the real store looks for a partition that lost its cursor

bool mem_any_sign(const struct mem_part *p)
{
    if (p->cursor.exists || p->nstats > 0)
        return true;
    for (int m = 0; m < MODELS_MAX; m++)
        for (size_t b = 0; b < p->nbuckets[m]; b++)
            if (p->buckets[m][b].due != NEVER || (b < FIRST_BUCKETS && p->buckets[m][b].n > 0))
                return true;
    return false;
}
