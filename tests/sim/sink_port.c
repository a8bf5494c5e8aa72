// The transactional producer as the daemon drives it: a transaction is committed, undone, fenced, or of unknown
// outcome; and after any sign that an order to end one may have been doubled or be late, the producer is replaced.
#include <stdlib.h>
#include <string.h>

#include "checks.h"
#include "worker.h"

enum { TRIES = 3, RETRY_US = 20 * MS, SETTLE_US = 4 * SECOND, OFFSETS_EVERY_US = 10 * SECOND };

struct sink_call {
    struct call call;
    int slot, epoch, result;
    bool commit, torn;
    struct wire *wire;
    size_t n;
    struct metadata metadata;
    struct commit_offset *offsets;
};

static struct sink_call *sink_call(struct worker *w, void (*run)(struct call *c))
{
    struct sink_call *c = sim_alloc(sizeof *c);
    *c = (struct sink_call){
        .call = {.run = run, .server = KAFKA, .writes = true}, .slot = w->slot, .epoch = w->sink.epoch};
    return c;
}

static bool keeps_producer(void)
{
    return sim.plan.mutation == MUTATE_PRODUCER_KEPT;
}

// ---- the producer

static void run_init(struct call *c)
{
    struct sink_call *s = (struct sink_call *)c;
    s->result = kafka_init(s->slot, &s->epoch);
}

int sink_prepare(struct worker *w, struct why *ret_why)
{
    struct sink_port *s = &w->sink;
    if (s->ready && (!s->doubtful || keeps_producer()))
        return PORT_OK;
    s->ready = false;
    for (int64_t since = sim.now; sim.now - since < SETTLE_US;) {
        struct sink_call *c = sink_call(w, run_init);
        if (!call(w, &c->call))
            break;
        if (c->result == K_OK) {
            s->epoch = c->epoch;
            s->ready = true;
            s->doubtful = false;
            act(w->number, s->epoch, "worker %d: producer %d of epoch %d", w->number, w->slot, s->epoch);
            return PORT_OK;
        }
        pause_until(w, sim.now + RETRY_US);
    }
    return why_not(ret_why, PORT_AWAY, "no producer of transactions");
}

static void run_end(struct call *c)
{
    struct sink_call *s = (struct sink_call *)c;
    if (s->torn && kafka_is_member(s->slot, &s->metadata))
        kafka_tear(s->slot, s->epoch);
    else
        s->torn = false;
    s->result = kafka_end(s->slot, s->epoch, s->torn || s->commit);
}

static int undo(struct worker *w, int result)
{
    struct sink_port *s = &w->sink;
    if (!s->open)
        return result;
    s->open = false;
    s->undone = true;
    struct sink_call *c = sink_call(w, run_end);
    c->metadata = s->metadata;
    c->torn = fault(sim.plan.torn); // an earlier order to commit, late, hits the beginning of this one
    if (!call(w, &c->call) || result != PORT_OK)
        s->doubtful = true;
    if (c->call.answered && c->result == K_FENCED)
        s->ready = false;
    return result;
}

// ---- records

static void run_produce(struct call *c)
{
    struct sink_call *s = (struct sink_call *)c;
    s->result = kafka_produce(s->slot, s->epoch, s->wire, s->n);
}

// A broker that does not take a record: too large for its topic, with the value that it has.
static bool too_large(const struct wire *r)
{
    if (r->log->topic == T_DEAD)
        return sim.plan.small_dead_letters && r->rec->value.n > 5;
    return r->log->topic == T_TRANSITIONS && checks_poisoned(r->rec->key);
}

static bool poisoned(const struct sink_port *s)
{
    for (size_t i = s->sent; i < s->n; i++)
        if (too_large(&s->wire[i]))
            return true;
    return false;
}

// Sends what is waiting. PORT_OK, or why the transaction is undone.
static int send_records(struct worker *w, struct why *ret_why)
{
    struct sink_port *s = &w->sink;
    if (poisoned(s))
        return undo(w, why_not(ret_why, PORT_ABORTED, "a record is too large for its topic"));
    for (int64_t since = sim.now; s->sent < s->n;) {
        struct sink_call *c = sink_call(w, run_produce);
        c->n = s->n - s->sent;
        c->wire = sim_copy(s->wire + s->sent, c->n * sizeof *c->wire);
        if (!call(w, &c->call))
            return undo(w, why_not(ret_why, PORT_AWAY, "records are not acknowledged"));
        if (c->result == K_OK) {
            memcpy(s->wire + s->sent, c->wire, c->n * sizeof *c->wire);
            s->sent = s->n;
        } else if (c->result == K_FENCED || sim.now - since > SETTLE_US) {
            return undo(w, why_not(ret_why, c->result == K_FENCED ? PORT_FENCED : PORT_AWAY, "records refused"));
        } else {
            pause_until(w, sim.now + RETRY_US / 10);
        }
    }
    return PORT_OK;
}

static struct span span_copy(struct span s)
{
    return s.p ? (struct span){sim_copy(s.p, s.n), s.n} : s;
}

static struct rec *rec_of(const struct out_record *r)
{
    struct rec *to = sim_alloc(sizeof *to);
    *to = (struct rec){.key = span_copy(r->key),
                       .value = span_copy(r->value),
                       .timestamp = r->timestamp,
                       .nheaders = r->nheaders,
                       .headers = sim_alloc((r->nheaders + 1) * sizeof *to->headers)};
    for (size_t i = 0; i < r->nheaders; i++) {
        struct span name = {r->headers[i].name, strlen(r->headers[i].name)};
        to->headers[i] = (struct record_header){span_copy(name), span_copy(r->headers[i].value)};
    }
    return to;
}

// ---- at least once

static void run_plain(struct call *c)
{
    struct sink_call *s = (struct sink_call *)c;
    for (size_t i = 0; i < s->n; i++) {
        s->wire[i].offset = kafka_append(s->wire[i].log, NULL, s->wire[i].rec);
        act(s->wire[i].offset, s->wire[i].log->topic, "kafka: %s/%d %d: plain record of worker %d",
            topic_names[s->wire[i].log->topic], s->wire[i].log->partition, (int)s->wire[i].offset, c->worker->number);
        checks_plain(s->wire[i].log, s->wire[i].offset);
    }
}

// One request a topic's partition, as their leaders are different brokers: later ones can be there, and earlier ones
// not.
static int flush_plain(struct worker *w, struct why *ret_why)
{
    struct sink_port *s = &w->sink;
    while (s->plain_sent < s->nplain) {
        struct sink_call *c = sink_call(w, run_plain);
        struct plog *to = s->plain[s->plain_sent + below(s->nplain - s->plain_sent)].log;
        c->wire = sim_alloc(s->nplain * sizeof *c->wire);
        for (size_t i = s->plain_sent; i < s->nplain; i++)
            if (s->plain[i].log == to && too_large(&s->plain[i]))
                return why_not(ret_why, PORT_ABORTED, "a record is too large for its topic");
            else if (s->plain[i].log == to)
                c->wire[c->n++] = s->plain[i];
        if (!call(w, &c->call))
            return why_not(ret_why, PORT_AWAY, "records are not acknowledged");
        size_t kept = s->plain_sent + c->n; // what is there comes first from now on
        for (size_t i = s->nplain, at = s->nplain; i-- > s->plain_sent;)
            if (s->plain[i].log != to)
                s->plain[--at] = s->plain[i];
        memcpy(s->plain + s->plain_sent, c->wire, c->n * sizeof *c->wire);
        s->plain_sent = kept;
    }
    return PORT_OK;
}

static void add(struct wire **v, size_t *n, size_t *cap, const struct out_record *r)
{
    if (*n == *cap) {
        *cap = *cap ? *cap * 2 : 16;
        *v = realloc(*v, *cap * sizeof **v);
    }
    (*v)[(*n)++] = (struct wire){.log = kafka_log(topic_of(r->topic), r->partition), .rec = rec_of(r)};
}

// ---- the port

static int open_transaction(struct worker *w, struct why *ret_why)
{
    struct sink_port *s = &w->sink;
    int r = sink_prepare(w, ret_why);
    if (r != PORT_OK)
        return r;
    s->open = true;
    s->n = s->sent = 0;
    return PORT_OK;
}

static int sink_begin(void *ctx, struct why *ret_why)
{
    struct worker *w = ctx;
    struct sink_port *s = &w->sink;
    undo(w, PORT_OK);
    s->undone = false;
    s->n = s->sent = s->nplain = s->plain_sent = 0;
    s->loose = sim.plan.at_least_once;
    return s->loose ? PORT_OK : open_transaction(w, ret_why);
}

static bool is_header(const struct out_record *r, const char *name, const char *value)
{
    for (size_t i = 0; i < r->nheaders; i++)
        if (!strcmp(r->headers[i].name, name))
            return r->headers[i].value.n == strlen(value) && !memcmp(r->headers[i].value.p, value, strlen(value));
    return false;
}

static int sink_produce(void *ctx, const struct out_record *r, struct why *ret_why)
{
    struct worker *w = ctx;
    struct sink_port *s = &w->sink;
    if (w->dead || s->undone || (!s->open && !s->loose))
        return why_not(ret_why, PORT_ABORTED, "the batch is over");
    if (sim.plan.mutation == MUTATE_WALL_UNJOURNALED && is_header(r, "engaged-kind", "wall"))
        return PORT_OK;
    if (!s->open && topic_of(r->topic) != T_JOURNAL) {
        add(&s->plain, &s->nplain, &s->plain_cap, r);
        return PORT_OK;
    }
    if (!s->open) { // decisions go in a transaction, and so does what follows them
        int result = flush_plain(w, ret_why);
        if (result != PORT_OK || (result = open_transaction(w, ret_why)) != PORT_OK)
            return result;
    }
    add(&s->wire, &s->n, &s->cap, r);
    return chance(1000) ? send_records(w, ret_why) : PORT_OK;
}

// ---- commit

static void run_offsets(struct call *c)
{
    struct sink_call *s = (struct sink_call *)c;
    s->result = kafka_send_offsets(s->slot, s->epoch, &s->metadata, s->offsets, s->n);
}

static struct metadata shown(const struct worker *w)
{
    if (sim.plan.mutation != MUTATE_METADATA_LATE)
        return w->sink.metadata;
    if (kafka_membership(w->slot, w->log.member, w->log.generation).gone)
        return (struct metadata){-1, 0};
    return (struct metadata){w->log.generation, w->log.member};
}

static int send_offsets(struct worker *w, const struct commit_offset *offsets, size_t n, struct why *ret_why)
{
    for (int64_t since = sim.now; n > 0;) {
        struct sink_call *c = sink_call(w, run_offsets);
        c->metadata = shown(w);
        c->offsets = sim_copy(offsets, n * sizeof *offsets);
        c->n = n;
        for (size_t i = 0; i < n; i++)
            c->offsets[i].source.topic = topic_names[T_EVENTS];
        if (!call(w, &c->call))
            return undo(w, why_not(ret_why, PORT_AWAY, "offsets were not taken"));
        if (c->result == K_OK)
            return PORT_OK;
        if (c->result != K_WAIT || sim.now - since > SETTLE_US)
            return undo(w, why_not(ret_why, c->result == K_WAIT ? PORT_AWAY : PORT_FENCED, "offsets refused"));
        pause_until(w, sim.now + RETRY_US / 10);
    }
    return PORT_OK;
}

static int end_transaction(struct worker *w, struct why *ret_why)
{
    struct sink_port *s = &w->sink;
    bool torn = fault(sim.plan.torn), doubled = fault(sim.plan.end_doubled);
    for (int i = 0; i < TRIES; i++) { // the client repeats the order by itself
        struct sink_call *c = sink_call(w, run_end);
        c->commit = true;
        c->metadata = s->metadata;
        c->torn = torn;
        if (doubled || i > 0)
            s->doubtful = true; // it shows: a repeated request, a connection that broke
        if (doubled && i == 0) {
            struct sink_call *early = sink_call(w, run_end); // sent before, and heard who knows when
            early->commit = true;
            early->call.worker = w;
            sim_at(sim.now + between(0, 6 * SECOND), (void (*)(void *))run_end, early);
        }
        bool answered = call(w, &c->call);
        if (torn || !answered)
            s->doubtful = true;
        if (torn)
            break;
        if (!answered)
            continue;
        s->open = false;
        if (c->result == K_OK)
            return PORT_OK;
        s->doubtful = true;
        if (c->result == K_FENCED && i == 0 && !doubled)
            return why_not(ret_why, PORT_FENCED, "another producer has this transactional id");
        break;
    }
    s->open = false;
    why_not(ret_why, PORT_UNKNOWN, "nobody knows whether the transaction is committed");
    struct why ignored;
    if (chance(5000))
        sink_prepare(w, &ignored);
    return PORT_UNKNOWN;
}

static void run_late(void *arg)
{
    struct sink_call *c = arg;
    run_offsets(&c->call);
    c->commit = true;
    run_end(&c->call);
}

// Says that it is committed, and has it committed some time later.
static int pretend(struct worker *w, const struct commit_offset *offsets, size_t n)
{
    struct sink_call *c = sink_call(w, NULL);
    c->metadata = w->sink.metadata;
    c->offsets = sim_copy(offsets, n * sizeof *offsets);
    c->n = n;
    sim_at(sim.now + between(0, SECOND), run_late, c);
    w->sink.open = false;
    return PORT_OK;
}

// marker: that of their transaction takes the next offset, or another app's record that comes before it. At least once,
// plain records of ours may.
static void gather(struct sink_port *s, const struct wire *v, size_t nv, bool marker, size_t *n)
{
    for (size_t i = 0; i < nv; i++) {
        const struct plog *l = v[i].log;
        size_t k = 0;
        while (k < *n &&
               (strcmp(s->produced[k].topic, topic_names[l->topic]) != 0 || s->produced[k].partition != l->partition))
            k++;
        *n += k == *n;
        s->produced[k] = (struct produced){topic_names[l->topic], l->partition, v[i].offset + 1 + marker};
    }
}

// Offsets of plain batches: they matter to monitors, unless they show that this is no member any more.
static int commit_loose(struct worker *w, const struct commit_offset *offsets, size_t n, struct why *ret_why)
{
    struct sink_port *s = &w->sink;
    if (n == 0 || (s->nplain > 0 && sim.now - s->offsets_at < OFFSETS_EVERY_US))
        return PORT_OK;
    s->offsets_at = sim.now;
    int r = open_transaction(w, ret_why);
    if (r == PORT_OK)
        r = send_offsets(w, offsets, n, ret_why);
    if (r == PORT_OK)
        r = end_transaction(w, ret_why);
    return r == PORT_FENCED || s->nplain == 0 ? r : PORT_OK;
}

static int sink_commit(void *ctx, const struct commit_offset *offsets, size_t n, const struct produced **ret,
                       size_t *ret_n, struct why *ret_why)
{
    struct worker *w = ctx;
    struct sink_port *s = &w->sink;
    if (w->dead || s->undone || (!s->open && !s->loose))
        return why_not(ret_why, PORT_ABORTED, "the transaction is over");
    int r = flush_plain(w, ret_why);
    if (r != PORT_OK)
        return undo(w, r);
    if (!s->open) {
        if ((r = commit_loose(w, offsets, n, ret_why)) != PORT_OK)
            return r;
        *ret_n = 0;
        gather(s, s->plain, s->nplain, false, ret_n);
        *ret = s->produced;
        return PORT_OK;
    }
    r = send_records(w, ret_why);
    if (r == PORT_OK && sim.plan.mutation == MUTATE_STATES_FIRST)
        return *ret_n = 0, pretend(w, offsets, n);
    if (r == PORT_OK && fault(sim.plan.kafka_abort))
        r = undo(w, why_not(ret_why, PORT_AWAY, "the coordinator has moved"));
    if (r == PORT_OK)
        r = send_offsets(w, offsets, n, ret_why);
    if (r == PORT_OK && s->n == 0 && n == 0)
        s->open = false; // nobody has heard of it
    else if (r == PORT_OK)
        r = end_transaction(w, ret_why);
    if (r != PORT_OK)
        return r;
    if (sim.plan.mutation == MUTATE_PLAIN_COMMITS)
        for (size_t i = 0; i < n; i++)
            kafka_commit_plain(offsets[i].source.partition, offsets[i].offset - (int64_t)below(3));
    *ret = s->produced;
    *ret_n = 0;
    gather(s, s->plain, s->nplain, false, ret_n);
    gather(s, s->wire, s->n, !sim.plan.at_least_once, ret_n);
    return PORT_OK;
}

static int sink_abort(void *ctx, struct why *ret_why)
{
    (void)ret_why;
    ((struct worker *)ctx)->sink.loose = false;
    return undo(ctx, PORT_OK);
}

const struct sink_ops sim_sink_ops = {
    .begin = sink_begin,
    .produce = sink_produce,
    .commit = sink_commit,
    .abort = sink_abort,
};
