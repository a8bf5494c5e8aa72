// Events of one partition, as they reach customers. An event whose customer is in memory is stepped at
// once; others wait until the batch's missing states are loaded in one round trip. That order does not matter:
// customers are independent, and each event remembers the partition clock before it.
#include "engine_private.h"
#include <assert.h>
#include <inttypes.h>

bool part_complete(const struct engine *e, const struct part *p)
{
    uint64_t customers = 0;
    for (int m = 0; m < e->config.program->nmodels; m++)
        customers += p->customers[m];
    return p->cache.n - p->unknown == customers;
}

// ---- stepping one customer

static void dirtied(struct engine *e, struct part *p)
{
    if (!p->dirty_since)
        p->dirty_since = e->mono;
}

int part_fire(struct engine *e, struct part *p, struct entry *entry, int64_t before, int64_t next, int64_t clock)
{
    if (entry->c->due >= before)
        return 0;
    if (p->advancing) { // now it fires something: it has happened
        p->advancing = false;
        int r = publish_decision(e, p, "wall", p->position, p->clock);
        if (r || !part_running(p))
            return r;
    }
    e->effects.n = 0;
    int r = step_time(engine_model(e, entry->model), entry->c, before, &e->effects);
    if (r || (r = cache_touch(&p->cache, entry)))
        return r;
    dirtied(e, p);
    return publish_effects(e, p, entry, NULL, next, clock);
}

static int customer_event(struct engine *e, struct part *p, struct entry *entry, int64_t t, const int64_t *value_milli,
                          uint64_t signals, const struct event_source *source, int64_t clock_before, int64_t clock)
{
    bool created = entry->state == ENTRY_ABSENT, late;
    int64_t next = source->offset + 1;
    int r = created ? 0 : part_fire(e, p, entry, step_before(entry->c, t, clock_before), next, clock);
    if (r || !part_running(p))
        return r;
    e->effects.n = 0;
    if ((r = step_event(engine_model(e, entry->model), entry->c, created, t, value_milli, signals, &e->effects, &late)))
        return r;
    if (created) {
        entry->state = ENTRY_KNOWN;
        p->unknown--;
        p->customers[entry->model]++;
        p->stats[e->stat_stage[entry->model]]++;
        count_add(&e->counters->customers_created, 1);
    }
    count_add(&e->counters->events_late, late);
    if (entry->c->due < p->swept) // behind the clock from the beginning: the next sweep fires it
        p->swept = entry->c->due;
    if ((r = cache_touch(&p->cache, entry)))
        return r;
    dirtied(e, p);
    return e->effects.n ? publish_effects(e, p, entry, source, next, clock) : 0;
}

// ---- events that wait for a load

static void keep(struct engine *e, struct span *s)
{
    if (!s->p || s->n == 0)
        return;
    char *to = e->arena + e->arena_n;
    memcpy(to, s->p, s->n);
    e->arena_n += s->n;
    s->p = to;
}

static int arena_room(struct engine *e, size_t bytes)
{
    if (e->arena_cap - e->arena_n >= bytes)
        return 0;
    size_t cap = (e->arena_cap + bytes) * 2;
    char *to = malloc(cap); // a new one: spans into the old one must follow
    if (!to)
        return ERR_NOMEM;
    if (e->arena_n)
        memcpy(to, e->arena, e->arena_n);
    for (size_t i = 0; i < e->ndeferred; i++) {
        struct span *spans[] = {&e->deferred[i].source.type, &e->deferred[i].source.id};
        for (size_t k = 0; k < 2; k++)
            if (spans[k]->p)
                spans[k]->p = to + (spans[k]->p - e->arena);
    }
    free(e->arena);
    e->arena = to;
    e->arena_cap = cap;
    return 0;
}

static int grow(void **v, size_t *cap, size_t n, size_t size)
{
    if (n < *cap)
        return 0;
    size_t to = *cap ? *cap * 2 : 256;
    void *p = realloc(*v, to * size);
    if (!p)
        return ERR_NOMEM;
    *v = p;
    *cap = to;
    return 0;
}

static int defer(struct engine *e, struct part *p, struct entry *entry, const struct event *ev, uint64_t signals,
                 const struct event_source *source, int64_t clock_before)
{
    if (grow((void **)&e->deferred, &e->deferred_cap, e->ndeferred, sizeof *e->deferred) ||
        arena_room(e, source->type.n + source->id.n))
        return ERR_NOMEM;
    struct deferred *d = &e->deferred[e->ndeferred];
    *d = (struct deferred){.entry = entry, .source = *source, .t = ev->time, .value_milli = ev->value_milli,
                           .has_value = ev->has_value, .signals = signals, .clock_before = clock_before,
                           .clock = p->clock};
    keep(e, &d->source.type);
    keep(e, &d->source.id);
    e->ndeferred++;
    e->deferred_part = p;
    return 0;
}

void part_unreadable(struct engine *e, struct part *p, int model, struct span id, struct span state)
{
    uint32_t version = 0;
    customer_version((const uint8_t *)state.p, state.n, &version);
    part_halt(e, p,
              "the state of customer %.*s in model %s (%zu bytes, version %" PRIu32 ") cannot be read: it is damaged, "
              "or the text of that version is lost; restore Redis from a backup, or run engagectl rebuild",
              (int)(id.n < 64 ? id.n : 64), id.p, engine_model(e, model)->name, state.n, version);
}

static int entry_fill(struct engine *e, struct part *p, struct entry *entry, struct span state)
{
    if (!state.p) {
        entry->state = ENTRY_ABSENT;
        return 0;
    }
    const struct model *m = engine_model(e, entry->model);
    int r = state_read(e, p, entry->model, state, entry->c);
    if (r > 0)
        part_unreadable(e, p, entry->model, (struct span){entry->id, entry->id_bytes}, state);
    if (r)
        return r < 0 ? r : 0;
    step_due(m, entry->c);
    entry->state = ENTRY_KNOWN;
    entry->stored = true;
    p->unknown--;
    count_add(&e->counters->states_loaded, 1);
    return cache_arm(&p->cache, entry);
}

static int load_pending(struct engine *e, struct part *p)
{
    size_t n = e->nloads;
    while (e->items_cap < n)
        if (grow((void **)&e->items, &e->items_cap, e->items_cap, sizeof *e->items))
            return ERR_NOMEM;
    for (size_t i = 0; i < n; i++)
        e->loads[i] = place_of(p, e->loads[i].entry);
    places_sort(e->loads, n);
    for (size_t i = 0; i < n; i++) {
        const struct entry *x = e->loads[i].entry;
        e->items[i] = (struct load_item){.model = x->model, .bucket = place_bucket(&e->loads[i]),
                                         .customer = {x->id, x->id_bytes}};
    }
    struct why why = {0};
    int64_t since = e->ports.world->mono_ms(e->ports.world_ctx);
    int r = e->ports.store->load(e->ports.store_ctx, &p->key, &p->owner, p->cursor.n, e->items, n, &why);
    if (r < 0)
        return r;
    histogram_add(&e->counters->load_seconds, (e->ports.world->mono_ms(e->ports.world_ctx) - since) * 1000);
    if (r != PORT_OK) {
        part_doubt(e, p, r, "loading states", why.text);
        return 0;
    }
    for (size_t i = 0; i < n && part_running(p); i++)
        if ((r = entry_fill(e, p, e->loads[i].entry, e->items[i].state)) < 0)
            return r;
    return 0;
}

int part_deferred(struct engine *e, struct part *p)
{
    if (e->ndeferred == 0)
        return 0;
    assert(e->deferred_part == p);
    int r = e->nloads ? load_pending(e, p) : 0;
    for (size_t i = 0; r == 0 && i < e->ndeferred && part_running(p); i++) {
        struct deferred *d = &e->deferred[i];
        r = customer_event(e, p, d->entry, d->t, d->has_value ? &d->value_milli : NULL, d->signals, &d->source,
                           d->clock_before, d->clock);
    }
    e->ndeferred = e->nloads = e->arena_n = 0;
    return r;
}

// ---- one record

void part_advance(struct part *p, int64_t offset)
{
    struct published *s = &p->published;
    for (; s->next_advance < s->nadvances && s->advances[s->next_advance].offset <= offset; s->next_advance++)
        if (s->advances[s->next_advance].clock > p->clock)
            p->clock = s->advances[s->next_advance].clock;
}

static bool too_far_ahead(const struct engine *e, const struct part *p, int64_t offset, int64_t t)
{
    if (offset < p->decided)
        return published_rejects(&p->published, offset);
    return t > e->wall + e->config.program->max_future_ms;
}

static int bad_event(struct engine *e, struct part *p, const struct record *r, enum bad_reason reason,
                     const char *detail)
{
    count_add(&e->counters->events_bad, 1);
    int result = 0;
    if (reason == BAD_FUTURE && r->offset >= p->decided)
        result = publish_decision(e, p, "reject", r->offset + 1, p->clock);
    if (result == 0 && part_running(p))
        result = publish_dead_letter(e, p, r, reason, detail);
    if (result == 0 && part_running(p))
        p->position = r->offset + 1;
    return result;
}

static int model_event(struct engine *e, struct part *p, int model, const struct event *ev, uint64_t signals,
                       const struct event_source *source, int64_t clock_before)
{
    uint64_t hash = cache_hash(ev->customer);
    struct entry *entry = cache_find(&p->cache, hash, model, ev->customer);
    if (!entry) {
        bool absent = part_complete(e, p);
        if (grow((void **)&e->loads, &e->loads_cap, e->nloads, sizeof *e->loads) ||
            !(entry = cache_add(&p->cache, engine_model(e, model), hash, model, ev->customer)))
            return ERR_NOMEM;
        p->unknown++;
        if (absent)
            entry->state = ENTRY_ABSENT;
        else
            e->loads[e->nloads++].entry = entry;
    }
    if (entry->state == ENTRY_PENDING)
        return defer(e, p, entry, ev, signals, source, clock_before);
    return customer_event(e, p, entry, ev->time, ev->has_value ? &ev->value_milli : NULL, signals, source, clock_before,
                          p->clock);
}

int part_event(struct engine *e, struct part *p, const struct record *r)
{
    const struct program *program = e->config.program;
    struct event ev;
    enum bad_reason reason = BAD_NONE;
    const char *detail = NULL;
    part_advance(p, r->offset);
    count_add(&e->counters->events, 1);
    int result = event_parse(e->parser, &program->map, r, &ev, &reason, &detail);
    if (result < 0)
        return result;
    if (result == 0 && too_far_ahead(e, p, r->offset, ev.time)) {
        reason = BAD_FUTURE;
        detail = "the time is later than the wall clock plus time.max_future";
    }
    if (reason != BAD_NONE)
        return bad_event(e, p, r, reason, detail);
    int64_t before = p->clock;
    if (ev.time - program->grace_ms > p->clock)
        p->clock = ev.time - program->grace_ms;
    count_add(&e->counters->values_bad, ev.bad_value);
    struct event_source source = {.topic = r->topic, .partition = r->partition, .offset = r->offset, .type = ev.type,
                            .id = ev.id};
    bool matched = false;
    for (int m = 0; m < program->nmodels && part_running(p); m++) {
        uint64_t signals = model_match(program->models[m], &ev);
        if (!signals)
            continue;
        matched = true;
        if ((result = model_event(e, p, m, &ev, signals, &source, before)) < 0)
            return result;
    }
    count_add(&e->counters->events_matched, matched);
    if (part_running(p))
        p->position = r->offset + 1;
    return 0;
}
