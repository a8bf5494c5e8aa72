// Deadlines of one partition: of customers in memory, in the order in which they are due, and of those in the store, by
// its index of buckets. Wall time, where the program goes by it, moves the clock only when there is nothing to read.
#include "engine_private.h"
#include <inttypes.h>

// A bucket that is being swept: what is due fires, and what is due soon is kept, so that the bucket need not be read
// for each of its deadlines.
struct sweep {
    int model;
    int64_t upto;  // ms UTC: what is due before fires
    int64_t soon;  // ms UTC
    int64_t min;   // ms UTC: the earliest deadline of all
    int64_t until; // ms UTC: at most `soon`; whoever is due before is in memory
    int64_t dues[COVER_CUSTOMERS];
    size_t ndues; // of those in memory
};

static int sweep_new(struct engine *e, struct part *p, struct sweep *s, uint64_t hash, const struct load_field *f,
                     struct entry **ret)
{
    const struct model *m = engine_model(e, s->model);
    struct customer *c = e->spare;
    int r = state_read(e, p, s->model, f->state, c);
    if (r > 0)
        part_unreadable(e, p, s->model, f->customer, f->state);
    if (r)
        return r < 0 ? r : 0;
    step_due(m, c);
    if (c->due >= s->upto && (c->due >= s->soon || s->ndues == COVER_CUSTOMERS)) {
        s->min = c->due < s->min ? c->due : s->min;
        s->until = c->due < s->until ? c->due : s->until;
        return 0;
    }
    struct entry *entry = cache_add(&p->cache, m, hash, s->model, f->customer);
    if (!entry)
        return ERR_NOMEM;
    memcpy(entry->c, c, customer_bytes(m));
    entry->state = ENTRY_KNOWN;
    entry->stored = true;
    *ret = entry;
    return cache_arm(&p->cache, entry);
}

static int sweep_field(struct engine *e, struct part *p, struct sweep *s, const struct load_field *f)
{
    uint64_t hash = cache_hash(f->customer);
    struct entry *entry = cache_find(&p->cache, hash, s->model, f->customer);
    int r = entry ? 0 : sweep_new(e, p, s, hash, f, &entry);
    if (r || !entry || !part_running(p))
        return r;
    r = part_fire(e, p, entry, s->upto, p->position, p->clock);
    if (r || !part_running(p))
        return r;
    int64_t due = entry->c->due;
    s->min = due < s->min ? due : s->min;
    if (due < s->soon && s->ndues < COVER_CUSTOMERS)
        s->dues[s->ndues++] = due;
    else
        s->until = due < s->until ? due : s->until;
    return 0;
}

static int sweep_bucket(struct engine *e, struct part *p, const struct load_item *item, int64_t upto)
{
    size_t room = e->config.cache_bytes / e->nparts;
    int64_t soon = p->cache.bytes <= room + room / 4 ? upto + p->cover_ms : upto; // rounds end with evicting
    struct sweep s = {.model = item->model, .upto = upto, .soon = soon, .min = NEVER, .until = soon};
    for (size_t i = 0; i < item->nfields && part_running(p); i++) {
        int r = sweep_field(e, p, &s, &item->fields[i]);
        if (r)
            return r;
    }
    if (!part_running(p))
        return 0;
    p->exact[p->nexact++] =
        (struct flush_due){.model = item->model, .bucket = item->bucket, .at = s.min, .exact = true};
    int r = bucket_cover(&p->known[item->model], item->bucket, s.until, s.dues, s.ndues);
    if (p->known[item->model].v[item->bucket].cover && s.until > p->covered)
        p->covered = s.until;
    return r;
}

// All in memory who are due before `upto` have fired.
static int sweep_stored(struct engine *e, struct part *p, int64_t upto, bool *ret_more)
{
    struct due_bucket due[SWEEP_BUCKETS];
    struct load_item items[SWEEP_BUCKETS];
    size_t n = 0;
    int64_t next = NEVER;
    struct why why = {0};
    int r = e->ports.store->due(e->ports.store_ctx, &p->key, upto, SWEEP_BUCKETS, due, &n, &next, &why);
    if (r == PORT_OK && n == 0) {
        p->stored_next = next;
        return 0;
    }
    size_t nitems = 0;
    const struct due_bucket *unknown = NULL;
    for (size_t i = 0; i < n; i++) {
        if (due[i].bucket >= p->buckets[due[i].model]) {
            unknown = &due[i]; // another owner has made it, which the load will say, or somebody else
            continue;
        }
        int64_t at = bucket_next(&p->known[due[i].model], due[i].bucket, upto);
        if (at == INT64_MIN)
            items[nitems++] = (struct load_item){.model = due[i].model, .bucket = due[i].bucket};
        else
            p->exact[p->nexact++] = (struct flush_due){.model = due[i].model, .bucket = due[i].bucket, .at = at,
                                                       .exact = true};
    }
    if (r == PORT_OK && (nitems > 0 || unknown))
        r = e->ports.store->load(e->ports.store_ctx, &p->key, &p->owner, p->cursor.n, items, nitems, &why);
    if (r < 0)
        return r;
    if (r != PORT_OK) {
        part_doubt(e, p, r, "looking for deadlines", why.text);
        return 0;
    }
    if (unknown)
        part_halt(e, p,
                  "the deadlines of model %s name bucket %" PRIu64 ", and there are %" PRIu64
                  ": something else has written to Redis; restore it from a backup, or run engagectl rebuild",
                  engine_model(e, unknown->model)->name, unknown->bucket, p->buckets[unknown->model]);
    for (size_t i = 0; i < nitems && part_running(p); i++)
        if ((r = sweep_bucket(e, p, &items[i], upto)) < 0)
            return r;
    *ret_more = true; // these buckets' new scores must be stored before the next ones are asked for
    return 0;
}

int part_sweep(struct engine *e, struct part *p, bool backlog, bool *ret_more)
{
    *ret_more = false;
    struct entry *entry;
    int64_t upto = p->clock;
    while ((entry = cache_due(&p->cache, upto))) {
        if (p->cache.ndirty >= e->config.flush_customers || p->cache.ndirty >= SWEEP_CUSTOMERS) {
            upto = entry->c->due; // those in Redis that are due before are not kept waiting for all that are in memory
            *ret_more = true;
            break;
        }
        int r = part_fire(e, p, entry, p->clock, p->position, p->clock);
        if (r || !part_running(p))
            return r;
    }
    bool all = p->stored_next >= upto || part_complete(e, p);
    if (!all && backlog && e->mono - p->swept_at < SWEEP_BACKLOG_MS)
        return 0;
    int r = all ? 0 : sweep_stored(e, p, upto, ret_more);
    if (r || !part_running(p) || *ret_more)
        return r;
    p->swept = p->clock;
    if (!all)
        p->swept_at = e->mono;
    return 0;
}

// Wall time counts only when the reader has everything that was there at that time: silence on the wire proves nothing.
static bool caught_up(struct engine *e, struct part *p)
{
    int64_t start, high, stable;
    struct why why = {0};
    int r = e->ports.log->ends(e->ports.log_ctx, &p->key, &start, &high, &stable, &why);
    e->away |= r == PORT_AWAY;
    if (r != PORT_OK)
        return false; // unreachable brokers: the clock waits
    int64_t reached = e->ports.log->reached(e->ports.log_ctx, &p->key);
    if (reached > p->position)
        p->position = reached;
    return p->position >= stable;
}

int part_wall(struct engine *e, struct part *p)
{
    int64_t target = e->ports.world->wall_ms(e->ports.world_ctx) - e->config.program->grace_ms;
    int64_t next = cache_next(&p->cache);
    if (!part_complete(e, p) && p->stored_next < next)
        next = p->stored_next;
    if (p->clock == INT64_MIN || target <= p->clock || next >= target || e->mono - p->wall_checked_at < WALL_CHECK_MS)
        return 0;
    p->wall_checked_at = e->mono;
    if (!caught_up(e, p))
        return 0;
    p->clock_before = p->clock;
    p->clock = target;
    p->advancing = true;
    int64_t until = e->ports.world->mono_ms(e->ports.world_ctx) + SWEEP_MS_MAX;
    bool more = true;
    while (part_running(p) && more && e->ports.world->mono_ms(e->ports.world_ctx) < until) {
        int r = part_sweep(e, p, false, &more);
        if (r < 0)
            return r;
        if (more && part_running(p)) {
            publish_commit(e, false);
            if (part_running(p) && (r = part_flush(e, p)) < 0)
                return r;
        }
    }
    if (part_running(p) && p->advancing) { // nothing fired: an advance that nobody saw never happened
        p->clock = p->clock_before;
        p->advancing = false;
    }
    return 0;
}
