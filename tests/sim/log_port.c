// The consumer as the engine sees it: what a former poll handed out is destroyed at the next, assignments come and go
// within poll, questions are answered from what a broker knows at its own moment.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "worker.h"
#include "workload.h"

enum { HEARTBEAT_US = 1200 * MS, READ_PATIENCE_US = 1800 * MS, UNSTABLE_PATIENCE_US = 1000 * MS };

// ---- records handed out

static void records_free(struct log_port *l)
{
    if (l->bytes)
        memset(l->bytes, 0xee, 1);
    free(l->bytes);
    free(l->records);
    l->bytes = NULL;
    l->records = NULL;
    l->nrecords = 0;
}

static struct span put(char **to, struct span s)
{
    if (!s.p)
        return s;
    memcpy(*to, s.p, s.n);
    *to += s.n;
    return (struct span){*to - s.n, s.n};
}

static size_t rec_bytes(const struct rec *r)
{
    size_t n = r->key.n + r->value.n + r->nheaders * sizeof(struct record_header) + 16;
    for (size_t i = 0; i < r->nheaders; i++)
        n += r->headers[i].name.n + r->headers[i].value.n;
    return n;
}

// A copy whose bytes are all at *to, so that who keeps them too long is found.
static struct record copied(const struct plog *l, int64_t offset, char **to)
{
    const struct rec *r = l->v[offset].rec;
    *to += -(uintptr_t)*to & 15;
    struct record_header *headers = (struct record_header *)*to;
    *to += r->nheaders * sizeof *headers;
    for (size_t i = 0; i < r->nheaders; i++) {
        headers[i].name = put(to, r->headers[i].name);
        headers[i].value = put(to, r->headers[i].value);
    }
    return (struct record){.topic = {topic_names[l->topic], strlen(topic_names[l->topic])},
                           .partition = l->partition,
                           .offset = offset,
                           .timestamp = r->timestamp,
                           .key = put(to, r->key),
                           .value = put(to, r->value),
                           .headers = headers,
                           .nheaders = r->nheaders};
}

// ---- membership

static void give_back(struct worker *w, bool lost)
{
    struct log_port *l = &w->log;
    struct part_key keys[PARTS_MAX];
    size_t n = 0;
    for (int i = 0; i < PARTS_MAX; i++)
        if (l->parts >> i & 1)
            keys[n++] = (struct part_key){topic_names[T_EVENTS], i};
    act(w->number, l->parts, "worker %d: %s %x", w->number, lost ? "lost" : "revoked", l->parts);
    if (n > 0)
        l->events.revoked(l->events.arg, keys, n, lost);
    l->parts = 0;
    l->assigned = false;
}

static void take(struct worker *w, unsigned parts)
{
    struct log_port *l = &w->log;
    struct part_key keys[PARTS_MAX];
    size_t n = 0;
    for (int i = 0; i < PARTS_MAX; i++)
        if (parts >> i & 1) {
            keys[n++] = (struct part_key){topic_names[T_EVENTS], i};
            l->paused[i] = true;
            l->reached[i] = -1;
        }
    l->parts = parts;
    l->assigned = true;
    w->sink.metadata = (struct metadata){l->generation, l->member};
    act(w->number, parts, "worker %d: assigned %x in generation %d", w->number, parts, l->generation);
    if (n > 0)
        l->events.assigned(l->events.arg, keys, n);
}

struct group_call {
    struct call call;
    uint64_t member, joined;
};

static void run_join(struct call *c)
{
    struct group_call *g = (struct group_call *)c;
    g->joined = kafka_join(c->worker->slot, g->member);
}

static void join(struct worker *w)
{
    struct group_call *g = sim_alloc(sizeof *g);
    *g = (struct group_call){.call = {.run = run_join, .server = KAFKA}, .member = w->log.member};
    if (!call(w, &g->call))
        return;
    w->log.member = g->joined;
    w->log.joining = g->joined != 0;
    w->log.heard_at = sim.now + between(0, HEARTBEAT_US);
}

// What heartbeats in the background have brought is served. True: something changed.
static bool serve_group(struct worker *w)
{
    struct log_port *l = &w->log;
    if (!net_reaches(w, KAFKA))
        return false;
    if (!l->member) {
        join(w);
        return true;
    }
    unsigned parts;
    if (l->joining) {
        if (kafka_joined(w->slot, l->member, &l->generation, &parts)) {
            l->joining = false;
            take(w, parts);
            return true;
        }
        if (kafka_must_join(w->slot, l->member))
            join(w);
        if (!kafka_membership(w->slot, l->member, l->generation).gone)
            return false;
        l->joining = false;
        l->member = 0;
        return true;
    }
    if (sim.now < l->heard_at)
        return false;
    l->heard_at = sim.now + between(HEARTBEAT_US / 4, HEARTBEAT_US);
    struct membership m = kafka_membership(w->slot, l->member, l->generation);
    if (!m.gone && !m.rebalance)
        return false;
    give_back(w, m.gone);
    if (m.gone)
        l->member = 0;
    if (m.replaced) // two of one instance: the one that is fenced ends
        w->stopping = true;
    else
        join(w);
    return true;
}

bool kafka_alive(int slot, uint64_t member)
{
    for (const struct worker *w = workers_first(); w; w = w->next)
        if (w->slot == slot && w->log.member == member)
            return !w->dead && !w->ended && w->co.frozen_until <= sim.now && w->cut_until[KAFKA] <= sim.now;
    return false;
}

// ---- poll

static bool active(const struct log_port *l, int partition)
{
    return l->parts >> partition & 1 && !l->paused[partition];
}

static bool ready(const struct worker *w)
{
    for (int i = 0; i < sim.plan.partitions; i++)
        if (active(&w->log, i) && (w->log.next[i] < kafka_stable(kafka_log(T_EVENTS, i)) || w->log.reached[i] < 0))
            return true;
    return false;
}

static void gather(struct log_port *l, int partition, size_t max, const struct rec **recs, size_t *bytes)
{
    struct plog *log = kafka_log(T_EVENTS, partition);
    int64_t stable = kafka_stable(log), next = l->next[partition];
    size_t before = l->nrecords, room = chance(3000) ? 1 + below(max) : max;
    for (; next < stable && l->nrecords < max && l->nrecords - before < room; next++) {
        if (!kafka_visible(log, next))
            continue;
        recs[l->nrecords] = log->v[next].rec;
        *bytes += rec_bytes(log->v[next].rec);
        l->records[l->nrecords++] = (struct record){.partition = partition, .offset = next};
    }
    if (next != l->next[partition])
        l->reached[partition] = -1;
    l->next[partition] = next;
    if (next == stable && (l->nrecords == before || chance(5000)))
        l->reached[partition] = stable;
}

static int log_poll(void *ctx, int wait_ms, size_t max, const struct record **ret, size_t *ret_n, struct why *ret_why)
{
    struct worker *w = ctx;
    struct log_port *l = &w->log;
    records_free(l);
    *ret_n = 0;
    if (w->dead)
        return why_not(ret_why, PORT_AWAY, "dead");
    l->polled_at = sim.now;
    pause_until(w, sim.now + between(10, 300));
    if (w->dead || serve_group(w))
        return PORT_OK;
    if (!ready(w) || !net_reaches(w, KAFKA)) {
        l->waits = true;
        pause_until(w, sim.now + wait_ms * MS);
        l->waits = false;
    }
    if (w->dead || !net_reaches(w, KAFKA))
        return why_not(ret_why, PORT_AWAY, "no broker answers");
    for (int p = 0; p < sim.plan.partitions; p++)
        if (active(l, p) && l->next[p] < kafka_log(T_EVENTS, p)->start) {
            l->paused[p] = true;
            return why_not(ret_why, PORT_REFUSED, "the next events are gone");
        }
    const struct rec **recs = calloc(max + 1, sizeof *recs);
    l->records = calloc(max + 1, sizeof *l->records);
    size_t bytes = 1, first = below((uint64_t)sim.plan.partitions);
    for (int i = 0; i < sim.plan.partitions; i++) {
        int p = (int)((first + (size_t)i) % (size_t)sim.plan.partitions);
        if (active(l, p))
            gather(l, p, max, recs, &bytes);
    }
    char *to = l->bytes = malloc(bytes + 16);
    for (size_t i = 0; i < l->nrecords; i++)
        l->records[i] = copied(kafka_log(T_EVENTS, l->records[i].partition), l->records[i].offset, &to);
    free(recs);
    if (l->nrecords)
        act(w->number, l->nrecords, "worker %d: %zu events", w->number, l->nrecords);
    *ret = l->records;
    *ret_n = l->nrecords;
    return PORT_OK;
}

static int log_seek(void *ctx, const struct part_key *p, int64_t offset, struct why *ret_why)
{
    struct worker *w = ctx;
    if (w->dead)
        return why_not(ret_why, PORT_AWAY, "dead");
    if (!(w->log.parts >> p->partition & 1))
        return why_not(ret_why, PORT_FENCED, "not ours");
    if (!net_reaches(w, KAFKA))
        return why_not(ret_why, PORT_AWAY, "no broker answers");
    w->log.next[p->partition] = offset;
    w->log.paused[p->partition] = false;
    w->log.reached[p->partition] = -1;
    return PORT_OK;
}

static int log_pause(void *ctx, const struct part_key *p)
{
    struct worker *w = ctx;
    w->log.paused[p->partition] = true;
    w->log.reached[p->partition] = -1;
    return PORT_OK;
}

static int64_t log_reached(void *ctx, const struct part_key *p)
{
    struct worker *w = ctx;
    return active(&w->log, p->partition) ? w->log.reached[p->partition] : -1;
}

// ---- questions

struct question {
    struct call call;
    int topic, partition, what; // what: of the ends; -1: the committed offset
    int result;
    int64_t value, clock;
};

static void run_question(struct call *c)
{
    struct question *q = (struct question *)c;
    const struct plog *l = kafka_log(q->topic, q->partition);
    if (q->what < 0)
        q->result = kafka_committed(q->partition, sim.plan.mutation != MUTATE_UNSTABLE_OFFSETS, &q->value, &q->clock);
    else
        q->value = q->what == 0 ? l->start : q->what == 1 ? kafka_high(l) : kafka_stable(l);
}

static bool ask(struct worker *w, const struct part_key *p, int what, struct question **ret)
{
    struct question *q = *ret = sim_alloc(sizeof *q);
    *q = (struct question){.call = {.run = run_question, .server = KAFKA},
                           .topic = topic_of(p->topic),
                           .partition = p->partition,
                           .what = what};
    return call(w, &q->call);
}

// To a worker of another program everything looks as if it were in the store.
static bool switches_early(const struct worker *w, int partition)
{
    struct part_key key = {topic_names[T_EVENTS], partition};
    struct cursor c = mem_store_cursor(redis, &key);
    return sim.plan.mutation == MUTATE_SWITCH_EARLY && c.exists && strcmp(c.program, programs[w->program].digest) != 0;
}

static int log_committed(void *ctx, const struct part_key *p, int64_t *ret_offset, int64_t *ret_clock,
                         struct why *ret_why)
{
    struct worker *w = ctx;
    struct question *q;
    for (int64_t since = sim.now; sim.now - since < UNSTABLE_PATIENCE_US;) {
        if (!ask(w, p, -1, &q))
            return why_not(ret_why, PORT_AWAY, "no broker answers");
        if (q->result == K_OK) {
            *ret_offset = q->value;
            *ret_clock = q->clock;
            if (switches_early(w, p->partition)) {
                struct cursor c = mem_store_cursor(redis, &(struct part_key){topic_names[T_EVENTS], p->partition});
                *ret_offset = c.offset;
                *ret_clock = c.clock;
            }
            return PORT_OK;
        }
        pause_until(w, sim.now + 50 * MS);
    }
    return why_not(ret_why, PORT_AWAY, "an open transaction holds offsets of the group's");
}

static int log_ends(void *ctx, const struct part_key *p, int64_t *ret_start, int64_t *ret_high, int64_t *ret_stable,
                    struct why *ret_why)
{
    int64_t *ret[] = {ret_start, ret_high, ret_stable}, value[3];
    int first = (int)below(3); // three requests, answered in any order
    for (int i = 0; i < 3; i++) {
        struct question *q;
        int what = (first + i) % 3;
        if (!ask(ctx, p, what, &q))
            return why_not(ret_why, PORT_AWAY, "no broker answers");
        value[what] = q->value;
    }
    if (sim.plan.mutation == MUTATE_WALL_UNCHECKED && topic_of(p->topic) == T_EVENTS)
        value[2] = value[0]; // nothing to wait for, it seems
    for (int i = 0; i < 3; i++)
        *ret[i] = value[i];
    return PORT_OK;
}

// Hands on what is committed from *position on, as far as the last stable offset goes.
static int hand_on(const struct plog *l, int64_t *position, int (*each)(void *arg, const struct record *r), void *arg)
{
    int64_t stable = kafka_stable(l);
    for (; *position < stable; ++*position) {
        if (!kafka_visible(l, *position) || sim.plan.mutation == MUTATE_FILTER_EMPTY)
            continue;
        char *bytes = malloc(rec_bytes(l->v[*position].rec) + 16), *to = bytes;
        struct record r = copied(l, *position, &to);
        int result = each(arg, &r);
        free(bytes);
        if (result < 0)
            return result;
    }
    return 0;
}

static int log_read(void *ctx, const struct part_key *p, int64_t from, int64_t upto,
                    int (*each)(void *arg, const struct record *r), void *arg, struct why *ret_why)
{
    struct worker *w = ctx;
    const struct plog *l = kafka_log(topic_of(p->topic), p->partition);
    int64_t position = from;
    for (int64_t since = sim.now; sim.now - since < READ_PATIENCE_US;) {
        pause_until(w, sim.now + between(100, 5 * MS));
        if (w->dead || !net_reaches(w, KAFKA))
            break;
        if (from < l->start)
            return why_not(ret_why, PORT_REFUSED, "the offset is gone");
        int r = switches_early(w, p->partition) ? 0 : hand_on(l, &position, each, arg);
        if (r < 0)
            return r;
        if (switches_early(w, p->partition))
            return PORT_OK;
        if (position >= upto || sim.plan.mutation == MUTATE_STABLE_ONLY)
            return PORT_OK;
        pause_until(w, sim.now + 100 * MS);
    }
    return why_not(ret_why, PORT_AWAY, "nothing committed up to the high watermark");
}

static int log_partitions(void *ctx, const char *topic, int32_t *ret_n, struct why *ret_why)
{
    (void)ctx, (void)ret_why;
    topic_of(topic);
    *ret_n = sim.plan.partitions;
    return PORT_OK;
}

void log_close(struct worker *w)
{
    records_free(&w->log);
}

const struct log_ops sim_log_ops = {
    .poll = log_poll,
    .seek = log_seek,
    .pause = log_pause,
    .committed = log_committed,
    .ends = log_ends,
    .read = log_read,
    .reached = log_reached,
    .partitions = log_partitions,
};
