// Taking a partition: claim it, find out what its former owner said in public, and step from the cursor with that as a
// filter. The same at every start, after every doubt; there is no other recovery.
#include "cleanup.h"
#include "engine_private.h"
#include <inttypes.h>

static void owner_new(const struct engine *e, struct owner *o)
{
    uint64_t a = e->ports.world->random(e->ports.world_ctx), b = e->ports.world->random(e->ports.world_ctx);
    snprintf(o->text, sizeof o->text, "%016" PRIx64 "%08" PRIx64, a, b & UINT32_MAX);
}

static int64_t later(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

// A worker that was fenced proves to the group that it is still a member before it claims again.
static int prove_membership(struct engine *e, struct part *p, struct why *why)
{
    if (!p->fenced || e->in_transaction)
        return PORT_OK;
    int r = e->ports.log->committed(e->ports.log_ctx, &p->key, &p->committed, &p->committed_clock, why);
    if (r != PORT_OK)
        return r;
    struct commit_offset offset = {.source = p->key, .offset = p->committed, .clock = p->committed_clock};
    const struct produced *produced;
    size_t n;
    if (offset.offset < 0 && !p->seen_cursor)
        return PORT_OK; // nothing was ever begun
    if (offset.offset < 0)
        offset.offset = p->cursor.start;
    r = e->ports.sink->begin(e->ports.sink_ctx, why);
    if (r == PORT_OK)
        r = e->ports.sink->commit(e->ports.sink_ctx, &offset, 1, &produced, &n, why);
    if (r == PORT_OK)
        p->fenced = false;
    return r;
}

// ---- a first start

static int journal_end(struct engine *e, struct part *p, int64_t *ret_high, struct why *why)
{
    struct part_key journal = {.topic = e->config.journal, .partition = p->key.partition};
    int64_t start, stable;
    return e->ports.log->ends(e->ports.log_ctx, &journal, &start, ret_high, &stable, why);
}

static int first_cursor(struct engine *e, struct part *p, struct cursor *c, struct why *why)
{
    int64_t start, high, stable;
    int r = e->ports.log->ends(e->ports.log_ctx, &p->key, &start, &high, &stable, why);
    if (r != PORT_OK)
        return r;
    *c = (struct cursor){.exists = true,
                         .offset = e->config.reset_latest ? stable : start,
                         .clock = INT64_MIN,
                         .swept = INT64_MIN,
                         .partitions = e->config.partitions,
                         .format = CURSOR_FORMAT};
    c->start = c->offset;
    memcpy(c->program, e->config.program->digest, sizeof c->program);
    for (int i = 0; i < e->ntopics; i++) {
        struct part_key out = {.topic = e->topics[i], .partition = p->key.partition};
        if ((r = e->ports.log->ends(e->ports.log_ctx, &out, &start, &high, &stable, why)) != PORT_OK)
            return r;
        c->tails[c->ntails++] = (struct tail){.topic = e->topics[i], .offset = high};
    }
    if ((r = journal_end(e, p, &high, why)) != PORT_OK)
        return r;
    if (high > 0) { // looked at last: so nobody had published anything when these tails were read
        snprintf(why->text, sizeof why->text, "another worker has begun the partition meanwhile");
        return PORT_FENCED;
    }
    return e->ports.store->create(e->ports.store_ctx, &p->key, &p->owner, c, why);
}

// No cursor: the very first start, or Redis has lost everything; the group and the journal tell which.
static int without_cursor(struct engine *e, struct part *p, bool empty, bool begun, struct why *why)
{
    if (!empty || begun || p->seen_cursor) {
        part_halt(e, p,
                  "Redis has %s, but %s: its data is lost; restore it, or run engagectl rebuild to step the log "
                  "again from the start",
                  empty ? "nothing of this partition" : "states of this partition and no cursor",
                  begun            ? "the consumer group has offsets, or the journal entries"
                  : p->seen_cursor ? "had a cursor before"
                                   : "should have one");
        return PORT_OK;
    }
    return first_cursor(e, p, &p->cursor, why);
}

// ---- what is published

struct reading {
    struct engine *e;
    struct part *p;
    bool journal;
};

static int read_one(void *arg, const struct record *r)
{
    struct reading *x = arg;
    int result =
        published_add(&x->p->published, x->e->config.app, &x->p->key, x->journal, x->e->config.exactly_once, r);
    if (result > 0) {
        note(x->e, NOTE_WARNING, x->p, "%.*s/%d offset %" PRId64 ": a record of this app without its headers, ignored",
             (int)r->topic.n, r->topic.p, r->partition, r->offset);
        return 0;
    }
    return result;
}

// *ret_gap: says that records beyond the tail are gone.
static int read_topic(struct engine *e, struct part *p, int topic, int64_t tail, struct why *ret_gap, struct why *why)
{
    struct part_key key = {.topic = e->topics[topic], .partition = p->key.partition};
    int64_t start, high, stable;
    int r = e->ports.log->ends(e->ports.log_ctx, &key, &start, &high, &stable, why);
    if (r != PORT_OK)
        return r;
    // Tails count markers, which may not be there yet; at least once, a marker may be the first beyond.
    bool short_of = tail > high + 1, gap = tail >= 0 && start > tail + !e->config.exactly_once;
    if (short_of || gap)
        snprintf(ret_gap->text, sizeof ret_gap->text,
                 "%s/%d holds offsets %" PRId64 " to %" PRId64 ", but the states account for it up to %" PRId64
                 ": published outputs are gone, so a replay could not tell what it said; engagectl rebuild starts over",
                 key.topic, key.partition, start, high, tail);
    if (short_of) {
        *why = *ret_gap;
        return part_contradicts(e, p, why);
    }
    int64_t from = tail > start ? tail : start;
    struct reading x = {.e = e, .p = p, .journal = !strcmp(key.topic, e->config.journal)};
    if (from < high) {
        r = e->ports.log->read(e->ports.log_ctx, &key, from, high, read_one, &x, why);
        p->blocked = r == PORT_AWAY && stable < high; // else brokers are away
    } else if (from > high) { // what is published before that marker comes would lie below the tail
        snprintf(why->text, sizeof why->text, "the marker of a transaction in %s/%d is still to come", key.topic,
                 key.partition);
        r = PORT_AWAY;
        p->blocked = true;
    }
    int64_t now = e->ports.world->mono_ms(e->ports.world_ctx);
    if (p->blocked && p->blocked_since && now - p->blocked_since > HANGING_MS)
        part_halt(e, p,
                  "%s: a transaction in %s/%d stays open below offset %" PRId64 ": abort it with "
                  "kafka-transactions.sh",
                  why->text, key.topic, key.partition, high);
    p->tails[topic] = high > from ? high : from;
    return r;
}

// Whether something was said in public that the states do not know yet.
static bool replay_wanted(const struct part *p)
{
    const struct cursor *c = &p->cursor;
    const struct published *s = &p->published;
    return s->n > 0 || c->offset < p->committed || c->clock < p->committed_clock ||
           (s->any && (c->offset < s->offset || c->clock < s->clock));
}

static int read_published(struct engine *e, struct part *p, struct why *why)
{
    struct why gap = {0};
    published_clear(&p->published);
    for (int i = 0; i < TOPICS_MAX; i++)
        p->tails[i] = -1;
    for (int i = 0; i < p->cursor.ntails; i++) {
        int topic = engine_topic(e, p->cursor.tails[i].topic);
        if (topic < 0)
            return ERR_NOMEM;
        p->tails[topic] = p->cursor.tails[i].offset;
        p->cursor.tails[i].topic = e->topics[topic];
    }
    for (int i = 0; i < e->ntopics; i++) {
        int r = read_topic(e, p, i, p->tails[i], &gap, why);
        if (r != PORT_OK || p->state == PART_HALTED)
            return r;
    }
    published_sort(&p->published);
    p->seen_more |= replay_wanted(p);
    // Where nothing says that more was published than the states know (the group's offset and clock, if they were not
    // forgotten, the other topics, what was there before), retention took only what they account for.
    bool known = p->committed_clock != INT64_MIN && p->cursor.swept >= p->cursor.clock;
    if (!gap.text[0] || (e->config.exactly_once && known && !p->seen_more))
        return PORT_OK;
    *why = gap;
    return part_contradicts(e, p, why); // a former owner's states may be older than what is deleted
}

// ---- checks

static bool cursor_fits(struct engine *e, struct part *p)
{
    const struct cursor *c = &p->cursor;
    if (c->format != CURSOR_FORMAT)
        part_halt(e, p, "the states in Redis have format %" PRIu32 ", this engaged reads %d", c->format, CURSOR_FORMAT);
    else if (c->partitions != e->config.partitions)
        part_halt(e, p,
                  "the topic had %" PRId32 " partitions when its states were begun and has %" PRId32 " now: "
                  "customers would move between partitions; use a new topic and a new app, or run engagectl rebuild",
                  c->partitions, e->config.partitions);
    return p->state != PART_HALTED;
}

static int lost(struct engine *e, struct part *p, struct why *why)
{
    size_t n = strlen(why->text);
    snprintf(why->text + n, sizeof why->text - n, ": keys were lost or changed; restore it, or run engagectl rebuild");
    return part_contradicts(e, p, why); // a former owner may have counted while the real one wrote
}

// The same, for what was read after the claim: if the store is another one since, or somebody else's, it says nothing.
static int lost_since(struct engine *e, struct part *p, struct why *why)
{
    struct why ours = {0};
    int r = e->ports.store->load(e->ports.store_ctx, &p->key, &p->owner, p->cursor.n, NULL, 0, &ours);
    if (r == PORT_OK)
        return lost(e, p, why);
    *why = ours;
    return r;
}

// Losing the store's latest writes is harmless, losing single keys is not: what the cursor counts makes it visible.
// Deadlines could be computed anew from the states, but where their index was lost nobody knows what else was.
static int all_there(struct engine *e, struct part *p, struct why *why)
{
    const struct cursor *c = &p->cursor;
    if (c->lost_dues || c->lost_stats) {
        snprintf(why->text, sizeof why->text,
                 "Redis lacks %" PRId64 " entries of :due and %" PRId64 " of :stat that the last flush left",
                 c->lost_dues, c->lost_stats);
        return lost(e, p, why);
    }
    for (int m = 0; m < e->config.program->nmodels; m++) {
        uint64_t there = 0, want = c->customers[m];
        int r = e->ports.store->count(e->ports.store_ctx, &p->key, m, c->buckets[m], &there, why);
        if (r != PORT_OK)
            return r;
        if (there == want)
            continue;
        snprintf(why->text, sizeof why->text,
                 "Redis holds %" PRIu64 " customers of model %s, the cursor counts %" PRIu64, there,
                 engine_model(e, m)->name, want);
        return lost_since(e, p, why);
    }
    return PORT_OK;
}

int part_log_reaches(struct engine *e, struct part *p, int64_t offset, struct why *why)
{
    int64_t start, high, stable;
    int r = e->ports.log->ends(e->ports.log_ctx, &p->key, &start, &high, &stable, why);
    if (r != PORT_OK || (offset >= start && offset <= high))
        return r;
    snprintf(why->text, sizeof why->text,
             "the log holds offsets %" PRId64 " to %" PRId64 ", the next event is to be %" PRId64
             ": the events in between are gone; restore them, or run engagectl rebuild",
             start, high, offset);
    return part_contradicts(e, p, why);
}

static void take_stat(void *arg, struct span field, int64_t value)
{
    struct reading *x = arg;
    for (size_t i = 0; i < x->e->nstats; i++)
        if (strlen(x->e->stat_names[i]) == field.n && !memcmp(x->e->stat_names[i], field.p, field.n))
            x->p->stats[i] = x->p->stats_stored[i] = value;
}

static int take_stats(struct engine *e, struct part *p, struct why *why)
{
    struct reading x = {.e = e, .p = p};
    memset(p->stats, 0, 2 * e->nstats * sizeof *p->stats);
    int r = e->ports.store->stats(e->ports.store_ctx, &p->key, take_stat, &x, why);
    for (int m = 0; r == PORT_OK && m < e->config.program->nmodels; m++) {
        int64_t n = 0, want = (int64_t)p->cursor.customers[m]; // each is in one stage
        for (int i = 0; i < engine_model(e, m)->nstages; i++)
            n += p->stats[e->stat_stage[m] + i];
        if (n == want)
            continue;
        snprintf(why->text, sizeof why->text,
                 "Redis counts %" PRId64 " customers in the stages of model %s (:stat), the cursor %" PRId64, n,
                 engine_model(e, m)->name, want);
        return lost_since(e, p, why);
    }
    return r;
}

// ---- the taking

// *ret_begun: the group or the journal knew of the partition before the claim. The cursor comes first of all, so if
// there is none after that, it was lost.
static int claim(struct engine *e, struct part *p, bool *ret_empty, bool *ret_begun, struct why *why)
{
    int64_t journal_high;
    int r = prove_membership(e, p, why);
    if (r == PORT_OK)
        r = e->ports.log->committed(e->ports.log_ctx, &p->key, &p->committed, &p->committed_clock, why);
    if (r == PORT_OK)
        r = journal_end(e, p, &journal_high, why);
    if (r != PORT_OK)
        return r;
    *ret_begun = p->committed >= 0 || journal_high > 0;
    owner_new(e, &p->owner);
    if ((r = e->ports.store->claim(e->ports.store_ctx, &p->key, &p->owner, &p->cursor, ret_empty, why)) != PORT_OK)
        return r;
    for (int i = 0; i < p->cursor.ntails; i++) { // the store's text lives only until its next call
        int topic = engine_topic(e, p->cursor.tails[i].topic);
        if (topic < 0)
            return ERR_NOMEM;
        p->cursor.tails[i].topic = e->topics[topic];
    }
    p->seen_cursor |= p->cursor.exists;
    return e->ports.log->committed(e->ports.log_ctx, &p->key, &p->committed, &p->committed_clock, why);
}

static int begin_stepping(struct engine *e, struct part *p, struct why *why)
{
    int r = take_stats(e, p, why);
    if (r != PORT_OK || p->state != PART_TAKING)
        return r;
    const struct cursor *c = &p->cursor;
    memcpy(p->buckets, c->buckets, sizeof p->buckets);
    memcpy(p->customers, c->customers, sizeof p->customers);
    for (int m = 0; m < e->config.program->nmodels; m++)
        if (buckets_grow(&p->known[m], p->buckets[m]))
            return ERR_NOMEM;
    p->position = c->offset;
    p->clock = c->clock;
    p->swept = c->swept;
    p->stored_next = p->covered = INT64_MIN;
    p->cover_ms = COVER_MS_MAX;
    p->cover_set_at = 0;
    p->sent = p->committed;
    p->swept_at = p->wall_checked_at = 0;
    p->decided = p->committed;
    if (p->published.any)
        p->decided = later(p->decided, p->published.offset);
    bool replay = replay_wanted(p);
    // What was stepped once must be there to be stepped again.
    if (p->decided > p->position &&
        ((r = part_log_reaches(e, p, p->decided, why)) != PORT_OK || p->state == PART_HALTED))
        return r;
    if ((r = e->ports.log->seek(e->ports.log_ctx, &p->key, p->position, why)) != PORT_OK)
        return r;
    p->state = replay ? PART_REPLAYING : PART_LIVE;
    p->contradicted &= replay;
    p->fenced = false;
    p->reason[0] = '\0';
    note(e, NOTE_INFO, p, "taken at offset %" PRId64 " by owner %s, %s", p->position, p->owner.text,
         replay ? "replaying" : "live");
    if (replay)
        note(e, NOTE_INFO, p, "replay: %zu outputs are published beyond the states, committed offset %" PRId64,
             p->published.n, p->committed);
    return PORT_OK;
}

// A first cursor that was written late, in place of one that was lost, may begin elsewhere than the journal says.
static int starts_as_said(struct engine *e, struct part *p, struct why *why)
{
    if (p->published.start < 0 || p->published.start == p->cursor.start)
        return PORT_OK;
    snprintf(why->text, sizeof why->text,
             "the states in Redis begin at offset %" PRId64 ", the journal at %" PRId64
             ": they are not this partition's; restore Redis, or run engagectl rebuild",
             p->cursor.start, p->published.start);
    return part_contradicts(e, p, why);
}

// With the partition claimed and its cursor at hand.
static int take_up(struct engine *e, struct part *p, struct why *why)
{
    p->seen_cursor = true;
    int r = part_log_reaches(e, p, p->cursor.offset, why);
    if (r == PORT_OK && p->state == PART_TAKING)
        r = all_there(e, p, why);
    if (r == PORT_OK && p->state == PART_TAKING)
        r = read_published(e, p, why);
    if (r == PORT_OK && p->state == PART_TAKING)
        r = starts_as_said(e, p, why);
    if (r == PORT_OK && p->state == PART_TAKING)
        r = versions_recall(e, p, why);
    // An attempt to write the start may have been undone, and then it is not among what was read.
    if (r == PORT_OK && p->state == PART_TAKING && p->cursor.n == 0 && !p->published.started)
        r = publish_program(e, p, "start", p->cursor.start, INT64_MIN, why);
    if (r == PORT_OK && p->state == PART_TAKING)
        r = part_check_program(e, p, replay_wanted(p), why);
    if (r == PORT_OK && p->state == PART_TAKING)
        r = begin_stepping(e, p, why);
    return r;
}

void part_take(struct engine *e, struct part *p)
{
    struct why why = {0};
    bool empty = false, begun = false;
    p->blocked = false;
    count_add(&e->counters->takes, 1);
    int r = claim(e, p, &empty, &begun, &why);
    if (r == PORT_OK && !p->cursor.exists)
        r = without_cursor(e, p, empty, begun, &why);
    if (r == PORT_OK && p->state == PART_TAKING && cursor_fits(e, p))
        r = take_up(e, p, &why);
    if (r != PORT_OK && p->state == PART_TAKING)
        part_doubt(e, p, r, "taking the partition", why.text[0] ? why.text : "no memory");
    if (!p->blocked)
        p->blocked_since = 0;
    else if (!p->blocked_since)
        p->blocked_since = e->ports.world->mono_ms(e->ports.world_ctx);
}
