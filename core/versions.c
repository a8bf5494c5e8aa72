// A state says which version of its model wrote it. To be read by the present one it goes through all versions that
// were at work in between, in their order: each knows only what it removed from the one before.
#include "versions.h"

#include "cleanup.h"
#include "error.h"
#include "migrate.h"

#include <stdlib.h>
#include <string.h>

void versions_clear(struct versions *v)
{
    for (size_t i = 0; i < v->n; i++) {
        model_free(v->v[i].model);
        free(v->v[i].name);
        free(v->v[i].text);
    }
    free(v->v);
    *v = (struct versions){0};
}

int versions_add(void *versions, const struct model_text *t)
{
    struct versions *v = versions;
    struct version *to = realloc(v->v, (v->n + 1) * sizeof *to);
    if (!to)
        return ERR_NOMEM;
    v->v = to;
    to += v->n++;
    *to = (struct version){.number = t->version, .order = t->order, .clock = t->clock, .text_bytes = t->text.n,
                           .name = strndup(t->name.p, t->name.n), .text = malloc(t->text.n + 1)};
    if (!to->name || !to->text)
        return ERR_NOMEM;
    memcpy(to->text, t->text.p, t->text.n);
    return 0;
}

static int by_order(const void *a, const void *b)
{
    const struct version *x = a, *y = b;
    return (x->order > y->order) - (x->order < y->order);
}

void versions_sort(struct versions *v)
{
    if (v->n > 0)
        qsort(v->v, v->n, sizeof *v->v, by_order);
}

struct version *versions_find(const struct versions *v, const char *name, uint32_t number)
{
    for (size_t i = 0; i < v->n; i++)
        if (v->v[i].number == number && !strcmp(v->v[i].name, name))
            return &v->v[i];
    return NULL;
}

struct version *versions_latest(const struct versions *v, const char *name)
{
    struct version *latest = NULL;
    for (size_t i = 0; i < v->n; i++)
        if (!strcmp(v->v[i].name, name))
            latest = &v->v[i];
    return latest;
}

int version_compile(struct version *v)
{
    struct diags d = {0};
    int r = v->model ? 0 : model_load(v->name, v->text, v->text_bytes, &v->model, &d);
    diags_clear(&d);
    return r;
}

// One version on: 0, or 1: it has no place there.
static int step_on(const struct model *from, struct customer *old, const struct model *to, int64_t clock,
                   struct customer **ret)
{
    if (migrate_stage(from, old->stage, to) == NONE)
        return 1;
    if (!(*ret = malloc(customer_bytes(to))))
        return ERR_NOMEM;
    migrate_customer(from, old, to, *ret, clock);
    return 0;
}

int versions_read(struct versions *versions, const struct model *m, struct span state, struct customer *c)
{
    uint32_t number;
    if (!customer_decode(m, (const uint8_t *)state.p, state.n, c))
        return 0;
    struct version *v;
    if (customer_version((const uint8_t *)state.p, state.n, &number) || number == m->version ||
        !(v = versions_find(versions, m->name, number)))
        return 1;
    int r = version_compile(v);
    if (r)
        return r;
    _cleanup_free_ struct customer *at = malloc(customer_bytes(v->model));
    if (!at)
        return ERR_NOMEM;
    if (customer_decode(v->model, (const uint8_t *)state.p, state.n, at))
        return 1;
    const struct model *from = v->model;
    for (; v < versions->v + versions->n && from != m; v++) {
        if (strcmp(v->name, m->name) != 0 || v->number == from->version)
            continue;
        if ((r = version_compile(v)))
            return r;
        const struct model *to = v->number == m->version ? m : v->model;
        struct customer *next;
        if ((r = step_on(from, at, to, v->clock, &next)))
            return r;
        free(at);
        at = next;
        from = to;
    }
    if (from != m)
        return 1;
    memcpy(c, at, customer_bytes(m));
    return 0;
}
