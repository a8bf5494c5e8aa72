// A worker's round, and the life of its partitions: assigned, taken, stepped, and dropped again at any doubt. Whatever
// goes wrong has one remedy: forget what is in memory and take the partition from its cursor.
#include "engine_private.h"
#include <inttypes.h>

void note(const struct engine *e, enum note_level level, const struct part *p, const char *fmt, ...)
{
    char text[512];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    e->ports.world->note(e->ports.world_ctx, level, p ? &p->key : NULL, text);
}

const struct model *engine_model(const struct engine *e, int model)
{
    return e->config.program->models[model];
}

static int64_t mono(const struct engine *e)
{
    return e->ports.world->mono_ms(e->ports.world_ctx);
}

// ---- partitions

static void part_drop(struct engine *e, struct part *p)
{
    cache_clear(&p->cache);
    published_clear(&p->published);
    versions_clear(&p->versions);
    for (int m = 0; m < e->config.program->nmodels; m++)
        buckets_clear(&p->known[m]);
    p->outputs = p->unknown = p->nexact = 0;
    p->advancing = false;
    p->dirty_since = 0;
    if (e->deferred_part == p)
        e->ndeferred = e->nloads = e->arena_n = 0;
}

struct part *part_free(struct engine *e, struct part *p)
{
    if (p) {
        part_drop(e, p);
        free(p->stats);
        free(p->topic);
        free(p);
    }
    return NULL;
}

static struct part *part_new(const struct engine *e, const struct part_key *key)
{
    struct part *p = calloc(1, sizeof *p);
    if (!p)
        return NULL;
    p->topic = strdup(key->topic);
    p->stats = calloc(2 * e->nstats + 1, sizeof *p->stats);
    if (!p->topic || !p->stats) {
        free(p->topic);
        free(p->stats);
        free(p);
        return NULL;
    }
    p->stats_stored = p->stats + e->nstats;
    p->key = (struct part_key){.topic = p->topic, .partition = key->partition};
    p->position = p->committed = p->sent = -1;
    p->clock = INT64_MIN;
    p->backoff_ms = BACKOFF_MS_MIN;
    p->taking_since = mono(e);
    return p;
}

void part_doubt(struct engine *e, struct part *p, int result, const char *what, const char *why)
{
    p->fenced |= result == PORT_FENCED;
    e->away |= result == PORT_AWAY || result == PORT_UNKNOWN;
    if (p->outputs > 0)
        publish_abort(e, what); // also doubts all that share the transaction
    if (p->state == PART_HALTED)
        return;
    if (p->state != PART_TAKING) {
        count_add(&e->counters->doubts, 1);
        p->taking_since = mono(e);
    }
    part_drop(e, p);
    p->state = PART_TAKING;
    snprintf(p->reason, sizeof p->reason, "%s: %s", what, why);
    int64_t jitter = (int64_t)(e->ports.world->random(e->ports.world_ctx) % (uint64_t)(p->backoff_ms / 2 + 1));
    p->retry_at = mono(e) + p->backoff_ms / 2 + jitter;
    note(e, NOTE_WARNING, p, "%s: %s; taking the partition again in %" PRId64 " ms", what, why, p->retry_at - mono(e));
    if (result != PORT_ABORTED) // half the batch at once is what mends that
        p->backoff_ms = p->backoff_ms * 2 < BACKOFF_MS_MAX ? p->backoff_ms * 2 : BACKOFF_MS_MAX;
    e->ports.log->pause(e->ports.log_ctx, &p->key);
}

void part_halt(struct engine *e, struct part *p, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    char reason[sizeof p->reason];
    vsnprintf(reason, sizeof reason, fmt, ap);
    va_end(ap);
    if (p->outputs > 0)
        publish_abort(e, "halted");
    part_drop(e, p);
    memcpy(p->reason, reason, sizeof reason);
    p->state = PART_HALTED;
    e->ports.log->pause(e->ports.log_ctx, &p->key);
    note(e, NOTE_ERROR, p, "partition halted: %s", p->reason);
}

int part_contradicts(struct engine *e, struct part *p, const struct why *why)
{
    if (!p->contradicted) {
        p->contradicted = true;
        return PORT_FENCED;
    }
    part_halt(e, p, "%s", why->text);
    return PORT_OK;
}

void part_contradiction(struct engine *e, struct part *p, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    struct why why;
    vsnprintf(why.text, sizeof why.text, fmt, ap);
    va_end(ap);
    if (part_contradicts(e, p, &why) == PORT_FENCED)
        part_doubt(e, p, PORT_FENCED, "a contradiction", why.text);
}

static void on_assigned(void *arg, const struct part_key *keys, size_t n)
{
    struct engine *e = arg;
    if (n == 0)
        return; // a group of more members than partitions
    struct part **parts = realloc(e->parts, (e->nparts + n) * sizeof *parts);
    if (parts)
        e->parts = parts;
    for (size_t i = 0; i < n; i++) {
        struct part *p = parts ? part_new(e, &keys[i]) : NULL;
        if (!p) {
            note(e, NOTE_ERROR, NULL, "no memory for partition %s/%d", keys[i].topic, keys[i].partition);
            continue;
        }
        e->parts[e->nparts++] = p;
        note(e, NOTE_INFO, p, "assigned");
    }
}

static void on_revoked(void *arg, const struct part_key *keys, size_t n, bool lost)
{
    struct engine *e = arg;
    if (!lost)
        publish_commit(e, false);
    else if (e->in_transaction)
        publish_abort(e, "partitions lost");
    for (size_t i = 0; i < n; i++)
        for (size_t k = 0; k < e->nparts; k++) {
            struct part *p = e->parts[k];
            if (p->key.partition != keys[i].partition || strcmp(p->topic, keys[i].topic) != 0)
                continue;
            if (!lost && part_running(p) && p->cache.ndirty > 0)
                part_flush(e, p); // the next owner replays what could not be flushed
            note(e, NOTE_INFO, p, lost ? "lost" : "revoked");
            part_free(e, p);
            e->parts[k] = e->parts[--e->nparts];
            break;
        }
}

struct log_events engine_events(struct engine *e)
{
    return (struct log_events){.assigned = on_assigned, .revoked = on_revoked, .arg = e};
}

// ---- a round

// A port did not answer in this round, which takes long already: each further partition would wait as long for it, and
// together they would keep the worker from its group and look as if it had stopped.
static bool is_late(const struct engine *e)
{
    return e->away && mono(e) - e->mono >= LATE_MS;
}

static struct part *part_of(const struct engine *e, const struct record *r, struct part *last)
{
    if (last && last->key.partition == r->partition)
        return last;
    for (size_t i = 0; i < e->nparts; i++)
        if (e->parts[i]->key.partition == r->partition)
            return e->parts[i];
    return NULL;
}

// Publishes everything and flushes this partition, so that it can go on with room for more customers.
static int part_make_room(struct engine *e, struct part *p)
{
    publish_commit(e, false);
    return part_running(p) && (p->cache.ndirty > 0 || p->nexact > 0) ? part_flush(e, p) : 0;
}

static int step_records(struct engine *e, const struct record *records, size_t n)
{
    struct part *p = NULL;
    for (size_t i = 0; i < n; i++) {
        struct part *next = part_of(e, &records[i], p);
        if (p && next != p && part_running(p)) {
            int r = part_deferred(e, p);
            if (r < 0)
                return r;
            if (e->alone)
                publish_commit(e, false);
        }
        if (next && next != p && part_running(next) && is_late(e))
            part_doubt(e, next, PORT_AWAY, "stepping", "put off, as Kafka or Redis did not answer others");
        p = next;
        if (!p || !part_running(p) || records[i].offset < p->position)
            continue; // dropped in this round, or stepped before
        int r = 0;
        if (p->cache.ndirty + e->ndeferred >= e->config.flush_customers) {
            r = part_deferred(e, p);
            if (r == 0 && part_running(p))
                r = part_make_room(e, p);
        }
        if (r == 0 && part_running(p))
            r = part_event(e, p, &records[i]);
        if (r < 0)
            return r;
    }
    return p && part_running(p) ? part_deferred(e, p) : 0;
}

// Fires what the partition's clock has passed, for about ms at most: the rest follows in the next rounds, since what is
// due when is exact in any batching.
static int sweep_part(struct engine *e, struct part *p, bool backlog, int64_t ms)
{
    int64_t until = mono(e) + ms;
    bool more = true;
    while (part_running(p) && more && mono(e) < until) {
        int r = part_sweep(e, p, backlog, &more);
        if (r < 0)
            return r;
        if (more && part_running(p) && (r = part_make_room(e, p)) < 0)
            return r;
    }
    e->sweeping |= part_running(p) && more;
    return 0;
}

static int sweep_parts(struct engine *e, bool backlog)
{
    int r = 0;
    e->sweeping = false;
    for (size_t i = 0; r == 0 && i < e->nparts && !is_late(e); i++) {
        struct part *p = e->parts[i];
        if (e->alone)
            publish_commit(e, false);
        r = sweep_part(e, p, backlog, SWEEP_MS_MAX);
        if (r == 0 && p->state == PART_LIVE && e->config.program->wall && !backlog)
            r = part_wall(e, p);
    }
    return r;
}

// An idle partition looks now and then whether its states are still there and its own.
static void look(struct engine *e, struct part *p)
{
    struct why why = {0};
    p->looked_at = e->mono;
    int r = e->ports.store->load(e->ports.store_ctx, &p->key, &p->owner, p->cursor.n, NULL, 0, &why);
    if (r != PORT_OK)
        part_doubt(e, p, r, "looking at the store", why.text);
}

// Customers who are due soon stay, unless they alone take more than there is: then sweeps keep less.
static void evict(struct engine *e, struct part *p)
{
    const struct model *const *models = (const struct model *const *)e->config.program->models;
    size_t limit = e->config.cache_bytes / e->nparts, covers = 0;
    for (int m = 0; m < e->config.program->nmodels; m++)
        covers += p->known[m].bytes;
    cache_evict(&p->cache, models, limit > covers ? limit - covers : 0, p->covered);
    if (p->covered == INT64_MIN)
        return;
    bool fits = p->cache.bytes + covers <= limit;
    if (fits && (p->cover_ms == COVER_MS_MAX || e->mono - p->cover_set_at < COVER_MS_MAX))
        return;
    int64_t ms = fits ? p->cover_ms * 2 : p->cover_ms / 2;
    p->cover_ms = ms < COVER_MS_MIN ? COVER_MS_MIN : ms > COVER_MS_MAX ? COVER_MS_MAX : ms;
    p->cover_set_at = e->mono;
    if (fits)
        return;
    for (int m = 0; m < e->config.program->nmodels; m++)
        buckets_uncover(&p->known[m]);
    p->covered = INT64_MIN;
    cache_evict(&p->cache, models, limit, INT64_MIN);
}

static int flush_parts(struct engine *e, bool all)
{
    for (size_t i = 0; i < e->nparts; i++) {
        struct part *p = e->parts[i];
        bool swept = p->cursor.swept < p->cursor.clock && p->swept >= p->cursor.clock; // a sweep is over
        if (part_running(p) && p->cache.ndirty == 0 && (swept || p->position > p->cursor.offset) && !all)
            p->dirty_since = p->dirty_since ? p->dirty_since : e->mono; // the cursor alone moves now and then
        int64_t reached = part_running(p) ? e->ports.log->reached(e->ports.log_ctx, &p->key) : -1;
        if (reached > p->position) { // only transaction markers lie between
            p->position = reached;
            part_advance(p, reached); // a replay repeats what was decided there before the cursor passes it
        }
        bool old = p->dirty_since && e->mono - p->dirty_since >= e->config.flush_every_ms;
        if (part_running(p) && !p->dirty_since && e->mono - p->looked_at >= OFFSETS_EVERY_MS && !is_late(e))
            look(e, p);
        bool any = p->cache.ndirty > 0 || p->position != p->cursor.offset || p->clock != p->cursor.clock || swept;
        if (part_running(p) && any && all && is_late(e))
            part_doubt(e, p, PORT_AWAY, "stopping", "left unflushed, as Kafka or Redis did not answer others");
        bool due = all || old || p->cache.ndirty >= e->config.flush_customers;
        if (part_running(p) && any && due && !is_late(e)) {
            if (p->outputs > 0)
                publish_commit(e, false);
            int r = part_running(p) ? part_flush(e, p) : 0;
            if (r < 0)
                return r;
        }
        if (part_running(p))
            evict(e, p);
    }
    return 0;
}

static struct part *next_to_take(const struct engine *e)
{
    struct part *next = NULL;
    for (size_t i = 0; i < e->nparts; i++) {
        struct part *p = e->parts[i];
        if (p->state == PART_TAKING && p->retry_at <= e->mono && (!next || p->retry_at < next->retry_at))
            next = p;
    }
    return next;
}

// Those that wait longest first, for about a second: the others follow in the next rounds.
static void take_parts(struct engine *e)
{
    struct part *p;
    for (size_t i = 0; i < e->nparts && mono(e) - e->mono < TAKE_MS_MAX && (p = next_to_take(e)); i++)
        part_take(e, p);
}

// Whether the transaction stays open for the next batch. Behind by more than a batch nobody waits for these outputs in
// particular, and a commit costs brokers as much as some thousand events: several batches share one.
static bool held(const struct engine *e, bool backlog)
{
    bool live = true;
    for (size_t i = 0; i < e->nparts; i++)
        live &= e->parts[i]->state == PART_LIVE || e->parts[i]->state == PART_HALTED;
    return backlog && live && e->in_transaction && !e->alone && mono(e) - e->transaction_since < HOLD_MS;
}

static void round_begin(struct engine *e)
{
    e->wall = e->ports.world->wall_ms(e->ports.world_ctx);
    e->mono = mono(e);
    e->away = false;
}

// Steps the next records, at most `max`.
static int step_some(struct engine *e, int wait_ms, size_t max, size_t *ret_n)
{
    const struct record *records;
    struct why why = {0};
    *ret_n = 0;
    int r = e->ports.log->poll(e->ports.log_ctx, wait_ms, max, &records, ret_n, &why);
    if (r < 0)
        return r;
    e->reads = r == PORT_OK;
    if (r != PORT_OK)
        note(e, NOTE_WARNING, NULL, "reading the log: %s", why.text);
    for (size_t i = 0; r == PORT_REFUSED && i < e->nparts; i++) { // whose events are gone?
        struct part *p = e->parts[i];
        int stored = part_running(p) ? part_make_room(e, p) : 0; // what was stepped could not be stepped again
        if (stored < 0)
            return stored;
        if (part_running(p) && part_log_reaches(e, p, p->position, &why) == PORT_FENCED)
            part_doubt(e, p, PORT_FENCED, "reading the log", why.text);
    }
    round_begin(e);
    return step_records(e, records, *ret_n);
}

// Steps a batch, some records at a time: those are still in the processor's cache when they are stepped, and given back
// before the next come.
static int step_batch(struct engine *e, int wait_ms, size_t *ret_n)
{
    size_t n, max;
    int r;
    *ret_n = 0;
    do {
        max = e->batch - *ret_n;
        max = max > POLL_EVENTS && !e->alone ? POLL_EVENTS : max;
        r = step_some(e, wait_ms, max, &n);
        *ret_n += n;
        wait_ms = 0;
    } while (r == 0 && n == max && *ret_n < e->batch && !e->away);
    return r;
}

int engine_run(struct engine *e, int wait_ms)
{
    size_t n;
    round_begin(e);
    take_parts(e);
    if (e->sweeping || e->in_transaction)
        wait_ms = 0;
    for (size_t i = 0; i < e->nparts; i++)
        if (e->parts[i]->dirty_since && wait_ms > e->config.flush_every_ms)
            wait_ms = (int)e->config.flush_every_ms;
    size_t batch = e->batch; // an abort halves it
    int r = step_batch(e, wait_ms, &n);
    bool backlog = n >= batch / 2 && n > 1;
    if (r < 0 || (r = sweep_parts(e, backlog)) < 0)
        return r;
    if (!held(e, backlog))
        publish_commit(e, e->mono - e->offsets_at >= OFFSETS_EVERY_MS);
    for (size_t i = 0; i < e->nparts; i++)
        if (e->parts[i]->state == PART_REPLAYING && (r = part_replay_end(e, e->parts[i])) < 0)
            return r;
    return flush_parts(e, false);
}

int engine_stop(struct engine *e)
{
    int r = 0;
    round_begin(e);
    for (size_t i = 0; r == 0 && i < e->nparts; i++)
        r = sweep_part(e, e->parts[i], false, STOP_MS_MAX / (int64_t)e->nparts);
    publish_commit(e, true);
    publish_commit(e, true); // offsets that did not go with outputs: at least once
    return r ? r : flush_parts(e, true);
}

// ---- what others may see

bool engine_reads(const struct engine *e)
{
    return e->reads;
}

const char *engine_stat_name(const struct engine *e, size_t i)
{
    return i < e->nstats ? e->stat_names[i] : NULL;
}

size_t engine_parts(const struct engine *e, struct engine_part *ret, size_t max)
{
    for (size_t i = 0; i < e->nparts && i < max; i++) {
        const struct part *p = e->parts[i];
        ret[i] = (struct engine_part){.partition = p->key.partition, .state = p->state, .position = p->position,
                                      .cursor = p->cursor.offset, .clock = p->clock, .n = p->cursor.n,
                                      .reached = e->ports.log->reached(e->ports.log_ctx, &p->key),
                                      .reason = p->reason, .stats = p->stats};
        memcpy(ret[i].owner, p->owner.text, sizeof ret[i].owner);
        memcpy(ret[i].customers, p->customers, sizeof ret[i].customers);
    }
    return e->nparts;
}
