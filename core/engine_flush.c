// The one atomic write: changed states, deadlines, statistics and the cursor that says how far they go. Buckets grow
// by linear hashing: as customers come, the next bucket in turn is split, inside the same write.
#include "engine_private.h"
#include <assert.h>
#include <inttypes.h>

struct plan { // the parts of one flush; freed by plan_clear
    struct flush_split *splits;
    struct load_field **moved;
    struct load_item *sources;
    size_t nsplits;
    struct place *places;
    struct flush_write *writes;
    size_t nwrites;
    struct flush_due *dues;
    size_t ndues;
    struct flush_stat *stats;
    size_t nstats;
};

static void plan_clear(struct plan *f)
{
    for (size_t i = 0; f->moved && i < f->nsplits; i++)
        free(f->moved[i]);
    free(f->moved);
    free(f->splits);
    free(f->sources);
    free(f->places);
    free(f->writes);
    free(f->dues);
    free(f->stats);
}

// ---- places

enum { BUCKET_BITS = 56 };
_Static_assert(MODELS_MAX <= 1 << (64 - BUCKET_BITS), "a place's key has room for every model");

struct place place_of(const struct part *p, struct entry *x)
{
    return (struct place){(uint64_t)x->model << BUCKET_BITS | bucket_of(x->hash, p->buckets[x->model]), x};
}

uint64_t place_bucket(const struct place *at)
{
    return at->key & ((UINT64_C(1) << BUCKET_BITS) - 1);
}

static int by_key(const void *a, const void *b)
{
    const struct place *x = a, *y = b;
    return (x->key > y->key) - (x->key < y->key);
}

void places_sort(struct place *v, size_t n)
{
    qsort(v, n, sizeof *v, by_key);
}

// ---- splits

static size_t splits_wanted(const struct engine *e, const struct part *p, int model)
{
    uint64_t want = p->customers[model] / e->config.bucket_customers, have = p->buckets[model];
    uint64_t room = have - 2 * bucket_from(have); // up to the end of this level no bucket is split twice
    uint64_t n = want > have ? want - have : 0;
    return n < room ? n : room;
}

static struct span copy(struct span s, char **to)
{
    memcpy(*to, s.p, s.n);
    *to += s.n;
    return (struct span){*to - s.n, s.n};
}

// Picks what moves, and copies it: what the store has read lives only until its next call, the flush.
static int split_moves(struct plan *f, size_t i, uint64_t buckets)
{
    struct flush_split *s = &f->splits[i];
    const struct load_item *from = &f->sources[i];
    size_t bytes = (from->nfields + 1) * sizeof **f->moved;
    for (size_t k = 0; k < from->nfields; k++)
        bytes += from->fields[k].customer.n + from->fields[k].state.n;
    if (!(f->moved[i] = malloc(bytes)))
        return ERR_NOMEM;
    char *to = (char *)&f->moved[i][from->nfields + 1];
    for (size_t k = 0; k < from->nfields; k++)
        if (bucket_of(cache_hash(from->fields[k].customer), buckets) == s->to)
            f->moved[i][s->nmoved++] = (struct load_field){copy(from->fields[k].customer, &to),
                                                           copy(from->fields[k].state, &to)};
    s->expected = from->nfields;
    s->moved = f->moved[i];
    return 0;
}

// Reads the buckets to be split.
static int plan_splits(struct engine *e, struct part *p, struct plan *f, struct why *why)
{
    size_t n = 0, per[MODELS_MAX];
    for (int m = 0; m < e->config.program->nmodels; m++)
        n += per[m] = splits_wanted(e, p, m);
    if (n == 0)
        return PORT_OK;
    f->splits = calloc(n, sizeof *f->splits);
    f->moved = calloc(n, sizeof *f->moved);
    f->sources = calloc(n, sizeof *f->sources);
    if (!f->splits || !f->moved || !f->sources)
        return ERR_NOMEM;
    for (int m = 0; m < e->config.program->nmodels; m++)
        for (size_t i = 0; i < per[m]; i++, f->nsplits++) {
            uint64_t to = p->buckets[m] + i, from = bucket_from(to);
            f->splits[f->nsplits] = (struct flush_split){.model = (int16_t)m, .from = from, .to = to};
            f->sources[f->nsplits] = (struct load_item){.model = (int16_t)m, .bucket = from};
        }
    int r = e->ports.store->load(e->ports.store_ctx, &p->key, &p->owner, p->cursor.n, f->sources, n, why);
    for (size_t i = 0; r == PORT_OK && i < n; i++)
        r = split_moves(f, i, f->splits[i].to + 1);
    for (int m = 0; r == PORT_OK && m < e->config.program->nmodels; m++) {
        p->buckets[m] += per[m];
        if (buckets_grow(&p->known[m], p->buckets[m]))
            return ERR_NOMEM;
        for (uint64_t to = p->buckets[m] - per[m]; to < p->buckets[m]; to++)
            p->known[m].v[to].bound = p->known[m].v[bucket_from(to)].bound;
    }
    return r;
}

// ---- writes

static int plan_writes(struct engine *e, struct part *p, struct plan *f)
{
    struct cache *k = &p->cache;
    if (!(f->places = malloc((k->ndirty + 1) * sizeof *f->places)) ||
        !(f->writes = malloc((k->ndirty + 1) * sizeof *f->writes)) ||
        !(f->dues = malloc((k->ndirty + p->nexact + 1) * sizeof *f->dues)))
        return ERR_NOMEM;
    for (size_t i = 0; i < p->nexact; i++) {
        p->known[p->exact[i].model].v[p->exact[i].bucket].bound = p->exact[i].at;
        f->dues[f->ndues++] = p->exact[i];
    }
    e->states.n = 0;
    size_t bytes = 1; // even without states there is a buffer
    for (size_t i = 0; i < k->ndirty; i++) {
        bytes += customer_state_max(engine_model(e, k->dirty[i]->model));
        f->places[i] = place_of(p, k->dirty[i]);
    }
    places_sort(f->places, k->ndirty);
    if (!buffer_reserve(&e->states, bytes)) // once: what is encoded must not move
        return ERR_NOMEM;
    for (size_t i = 0; i < k->ndirty; i++) {
        const struct entry *x = f->places[i].entry;
        uint64_t bucket = place_bucket(&f->places[i]);
        char *to = e->states.p + e->states.n;
        size_t n = customer_encode(engine_model(e, x->model), x->c, (uint8_t *)to);
        e->states.n += n;
        f->writes[f->nwrites++] = (struct flush_write){.model = x->model, .bucket = bucket,
                                                       .customer = {x->id, x->id_bytes}, .state = {to, n}};
        bucket_touch(&p->known[x->model], bucket, x->c->due);
        struct bucket *known = &p->known[x->model].v[bucket];
        if (x->c->due < known->bound) { // the score is written only to go lower
            known->bound = x->c->due;
            f->dues[f->ndues++] = (struct flush_due){.model = x->model, .bucket = bucket, .at = x->c->due};
        }
        if (x->c->due < p->stored_next)
            p->stored_next = x->c->due;
    }
    return 0;
}

static int plan_stats(const struct engine *e, const struct part *p, struct plan *f)
{
    if (!(f->stats = malloc((e->nstats + 1) * sizeof *f->stats)))
        return ERR_NOMEM;
    for (size_t i = 0; i < e->nstats; i++)
        if (p->stats[i] != p->stats_stored[i])
            f->stats[f->nstats++] = (struct flush_stat){.field = e->stat_names[i], .value = p->stats[i]};
    return 0;
}

// ---- the cursor

static void cursor_next(const struct engine *e, const struct part *p, struct cursor *c)
{
    *c = p->cursor;
    c->exists = true;
    c->offset = p->position;
    c->clock = p->advancing ? p->clock_before : p->clock;
    c->swept = p->swept < c->clock ? p->swept : c->clock;
    memcpy(c->program, e->config.program->digest, sizeof c->program);
    memcpy(c->buckets, p->buckets, sizeof c->buckets);
    memcpy(c->customers, p->customers, sizeof c->customers);
    if (p->state == PART_REPLAYING)
        return; // a second crash must read the same again
    c->ntails = 0;
    for (int i = 0; i < e->ntopics; i++)
        if (p->tails[i] >= 0)
            c->tails[c->ntails++] = (struct tail){.topic = e->topics[i], .offset = p->tails[i]};
}

static void flushed(struct engine *e, struct part *p, const struct cursor *c, const struct plan *f)
{
    p->cursor = *c;
    p->cursor.n++;
    memcpy(p->stats_stored, p->stats, e->nstats * sizeof *p->stats);
    cache_flushed(&p->cache);
    p->nexact = 0;
    p->seen_more &= p->state == PART_REPLAYING; // else the tails account for all
    p->dirty_since = 0;
    p->backoff_ms = BACKOFF_MS_MIN;
    count_add(&e->counters->flushes, 1);
    count_add(&e->counters->states_written, f->nwrites);
}

static int buckets_init(const struct engine *e, struct part *p, int model)
{
    if (p->buckets[model] == 0) // nothing is stored yet: as many buckets as the first customers want
        p->buckets[model] = buckets_for(p->customers[model], e->config.bucket_customers);
    return buckets_grow(&p->known[model], p->buckets[model]);
}

int part_flush(struct engine *e, struct part *p)
{
    assert(p->outputs == 0 && p->unknown == 0); // the one rule: what these states say is published
    struct why why = {0};
    struct plan f = {0};
    struct cursor c;
    int64_t since = e->ports.world->mono_ms(e->ports.world_ctx);
    int r = PORT_OK;
    for (int m = 0; r == PORT_OK && m < e->config.program->nmodels; m++)
        r = buckets_init(e, p, m);
    if (r == PORT_OK)
        r = plan_splits(e, p, &f, &why);
    if (r == PORT_OK)
        r = plan_writes(e, p, &f);
    if (r == PORT_OK)
        r = plan_stats(e, p, &f);
    if (r == PORT_OK) {
        cursor_next(e, p, &c);
        struct flush flush = {.cursor = &c, .splits = f.splits, .nsplits = f.nsplits, .writes = f.writes,
                              .nwrites = f.nwrites, .dues = f.dues, .ndues = f.ndues, .stats = f.stats,
                              .nstats = f.nstats};
        r = e->ports.store->flush(e->ports.store_ctx, &p->key, &p->owner, &flush, &why);
    }
    if (r == PORT_OK) {
        histogram_add(&e->counters->flush_seconds, (e->ports.world->mono_ms(e->ports.world_ctx) - since) * 1000);
        flushed(e, p, &c, &f);
    }
    plan_clear(&f);
    if (r > 0)
        part_doubt(e, p, r, "flushing", why.text);
    return r < 0 ? r : 0;
}
