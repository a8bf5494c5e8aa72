// The partition's log once more, in memory and with all its customers: the core steps what the daemon
// stepped, with the journal's decisions in place of a wall clock, and each effect is looked for among the
// published outputs.
#include "audit.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "migrate.h"

// ---- customers

// What the daemon counts, and how.
static int take_effects(struct audit *a, const struct entry *x, const struct event_source *source)
{
    const struct slot *s = &a->slots[x->model];
    for (size_t i = 0; i < a->effects.n; i++) {
        const struct effect *fx = &a->effects.v[i];
        if (effect_is_transition(fx))
            s->fired[fx->rule]++;
        else if (fx->kind == EFFECT_TRIGGER && !fx->capped)
            s->fired[s->model->nrules + fx->trigger]++;
    }
    return audit_expect(a, x, source);
}

static int fire_until(struct audit *a, int64_t before)
{
    struct entry *x;
    while ((x = cache_due(&a->cache, before))) {
        a->effects.n = 0;
        int r = step_time(a->slots[x->model].model, x->c, before, &a->effects);
        if (r == 0)
            r = cache_arm(&a->cache, x);
        if (r == 0)
            r = take_effects(a, x, NULL);
        if (r)
            return r;
    }
    return 0;
}

static int step_model(struct audit *a, int model, const struct event *e, uint64_t signals,
                      const struct event_source *source, int64_t clock_before)
{
    const struct model *m = audit_program(a)->models[model];
    int slot = a->slot_of[model], r = 0;
    uint64_t hash = cache_hash(e->customer);
    struct entry *x = cache_find(&a->cache, hash, slot, e->customer);
    bool created = !x, late;
    if (created && !(x = cache_add(&a->cache, m, hash, slot, e->customer)))
        return ERR_NOMEM;
    if (created)
        x->state = ENTRY_KNOWN;
    a->effects.n = 0;
    if (!created && (r = step_time(m, x->c, step_before(x->c, e->time, clock_before), &a->effects)) == 0)
        r = take_effects(a, x, NULL);
    if (r)
        return r;
    a->effects.n = 0;
    r = step_event(m, x->c, created, e->time, e->has_value ? &e->value_milli : NULL, signals, &a->effects, &late);
    if (r == 0)
        r = cache_arm(&a->cache, x);
    return r ? r : take_effects(a, x, source);
}

// ---- programs

static int slot_named(struct audit *a, const char *name)
{
    for (int i = 0; i < a->nslots; i++)
        if (!strcmp(a->slots[i].name, name))
            return i;
    struct slot *v = realloc(a->slots, (size_t)(a->nslots + 1) * sizeof *v);
    if (!v)
        return ERR_NOMEM;
    a->slots = v;
    v[a->nslots] = (struct slot){.name = name};
    return a->nslots++;
}

// Carries one customer over into the new cache. `to` NULL: its model is not at work, the state waits for its
// return.
static int carry(struct audit *a, const struct entry *x, const struct model *to, int64_t clock)
{
    const struct model *from = a->slots[x->model].model;
    struct entry *y = cache_add(&a->cache, to ? to : from, x->hash, x->model, (struct span){x->id, x->id_bytes});
    if (!y)
        return ERR_NOMEM;
    y->state = ENTRY_KNOWN;
    if (!to || to->version == from->version)
        memcpy(y->c, x->c, customer_bytes(from));
    else if (migrate_stage(from, x->c->stage, to) == NONE)
        return ERR_INTERNAL; // the daemon halts rather than to switch
    else
        migrate_customer(from, x->c, to, y->c, clock);
    if (!to)
        return 0;
    step_due(to, y->c);
    return cache_arm(&a->cache, y);
}

// The next version of a slot's model. Counts of rules and triggers go on under their names.
static int turn_slot(struct slot *s, const struct model *to)
{
    const struct model *from = s->model;
    int64_t *fired = calloc((size_t)(to->nrules + to->ntriggers) + 1, sizeof *fired);
    if (!fired)
        return ERR_NOMEM;
    for (int i = 0; from && i < to->nrules; i++)
        for (int k = 0; k < from->nrules; k++)
            if (!strcmp(to->rules[i].name, from->rules[k].name))
                fired[i] = s->fired[k];
    for (int i = 0; from && i < to->ntriggers; i++)
        for (int k = 0; k < from->ntriggers; k++)
            if (!strcmp(to->triggers[i].name, from->triggers[k].name))
                fired[to->nrules + i] = s->fired[from->nrules + k];
    free(s->fired);
    s->fired = fired;
    s->model = to;
    return 0;
}

// From here on program i of the history is at work.
static int turn_to(struct audit *a, size_t i)
{
    const struct history_program *h = &a->history.v[i];
    struct cache old = a->cache;
    int r = 0;
    a->cache = (struct cache){0};
    a->program = i;
    for (int m = 0; m < h->program.nmodels; m++)
        if ((a->slot_of[m] = slot_named(a, h->program.models[m]->name)) < 0)
            r = ERR_NOMEM;
    for (size_t k = 0; old.table && r == 0 && k <= old.mask; k++) {
        const struct model *to = NULL;
        for (int m = 0; old.table[k] && m < h->program.nmodels; m++)
            if (a->slot_of[m] == old.table[k]->model)
                to = h->program.models[m];
        r = old.table[k] ? carry(a, old.table[k], to, h->clock) : 0;
    }
    cache_clear(&old);
    for (int m = 0; m < h->program.nmodels && r == 0; m++)
        r = turn_slot(&a->slots[a->slot_of[m]], h->program.models[m]);
    return r;
}

// Going back to a version, the daemon reads states that were not touched meanwhile as if nothing had been.
static int check_versions(struct audit *a)
{
    for (size_t i = 1; i < a->history.n; i++) {
        const struct program *p = &a->history.v[i].program, *before = &a->history.v[i - 1].program;
        for (int m = 0; m < p->nmodels; m++)
            for (int k = 0; k < before->nmodels; k++)
                if (!strcmp(p->models[m]->name, before->models[k]->name) &&
                    p->models[m]->version < before->models[k]->version) {
                    snprintf(a->why.text, sizeof a->why.text,
                             "model %s went back from version %" PRIu32 " to %" PRIu32 " at offset %" PRId64
                             ", which cannot be followed",
                             p->models[m]->name, before->models[k]->version, p->models[m]->version,
                             a->history.v[i].offset);
                    return PORT_REFUSED;
                }
    }
    return 0;
}

// ---- the clock

static void advance(struct audit *a, int64_t offset, int64_t clock)
{
    struct published *p = &a->published;
    for (; p->next_advance < p->nadvances; p->next_advance++) {
        const struct decision *d = &p->advances[p->next_advance];
        if (d->offset > offset || (d->offset == offset && d->clock > clock))
            return;
        if (d->clock > a->at)
            a->at = d->clock;
    }
}

// Applies what was decided before the event at `offset`, and at that offset only up to `clock`.
static int decide(struct audit *a, int64_t offset, int64_t clock)
{
    while (a->program + 1 < a->history.n) {
        const struct history_program *h = &a->history.v[a->program + 1];
        if (h->offset > offset || (h->offset == offset && h->clock > clock))
            break;
        advance(a, h->offset, h->clock);
        if (h->clock > a->at)
            a->at = h->clock;
        int r = fire_until(a, a->at);
        if (r == 0)
            r = turn_to(a, a->program + 1);
        if (r)
            return r;
    }
    advance(a, offset, clock);
    return fire_until(a, a->at);
}

// ---- the log

static int step_record(void *arg, const struct record *r)
{
    struct audit *a = arg;
    struct event e;
    enum bad_reason reason = BAD_NONE;
    const char *detail;
    a->offset = r->offset;
    int result = decide(a, r->offset, INT64_MAX);
    if (result)
        return result;
    const struct program *p = audit_program(a);
    a->events++;
    result = event_parse(a->parser, &p->map, r, &e, &reason, &detail);
    if (result < 0)
        return result;
    if (result == 0 && published_rejects(&a->published, r->offset))
        reason = BAD_FUTURE;
    if (reason != BAD_NONE)
        return audit_expect_dead_letter(a, r, reason);
    int64_t before = a->at;
    if (e.time - p->grace_ms > a->at)
        a->at = e.time - p->grace_ms;
    struct event_source source = {
        .topic = r->topic, .partition = r->partition, .offset = r->offset, .type = e.type, .id = e.id};
    for (int m = 0; m < p->nmodels; m++) {
        uint64_t signals = model_match(p->models[m], &e);
        if (signals && (result = step_model(a, m, &e, signals, &source, before)))
            return result;
    }
    return fire_until(a, a->at);
}

int audit_step(struct audit *a)
{
    int64_t start, high, next = a->history.v[0].offset;
    int r = check_versions(a);
    if (r == PORT_OK)
        r = servers_ends(a->servers, &a->key, &start, &high, &a->why);
    if (r == PORT_OK && (start > next || high < a->upto)) {
        snprintf(a->why.text, sizeof a->why.text,
                 "the log %s/%d holds offsets %" PRId64 " to %" PRId64 ", but %" PRId64 " to %" PRId64 " were stepped",
                 a->key.topic, (int)a->key.partition, start, high, next, a->upto);
        return PORT_REFUSED;
    }
    a->at = INT64_MIN;
    if (r == PORT_OK)
        r = turn_to(a, 0);
    if (r == PORT_OK)
        r = servers_read(a->servers, &a->key, &next, a->upto, step_record, a, &a->why);
    a->offset = a->upto;
    if (r == PORT_OK)
        r = decide(a, a->upto, a->clock);
    if (r == PORT_OK && a->clock > a->at)
        a->at = a->clock;
    return r ? r : fire_until(a, a->at);
}
