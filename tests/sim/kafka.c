// Logs and transactions. A transaction is decided in one instant, at its coordinator; its markers then reach each
// partition, and the group's offsets, at their own times: that is how offsets can be seen before outputs.
#include "kafka.h"

#include <string.h>

#include "checks.h"
#include "net.h"

enum { TIMEOUT_US = 10 * SECOND };

struct producer { // of one transactional id
    int epoch;
    struct txn *txn; // until all its markers are written
    bool committed;  // how the last one ended
    bool ended;      // there was one in this epoch
};

const char *const topic_names[TOPICS] = {"events", "app.journal", "transitions", "triggers", "dead-letters", "special"};
static struct plog logs[TOPICS][PARTS_MAX];
static struct producer producers[SLOTS_MAX];

int topic_of(const char *name)
{
    for (int i = 0; i < TOPICS; i++)
        if (!strcmp(name, topic_names[i]))
            return i;
    sim_fail("topic %s does not exist", name);
}

// ---- logs

struct plog *kafka_log(int topic, int partition)
{
    return &logs[topic][partition];
}

int64_t kafka_high(const struct plog *l)
{
    return (int64_t)l->n;
}

int64_t kafka_stable(const struct plog *l)
{
    int64_t stable = kafka_high(l);
    for (size_t i = 0; i < l->nopen; i++)
        stable = l->first[i] < stable ? l->first[i] : stable;
    return stable;
}

bool kafka_visible(const struct plog *l, int64_t offset)
{
    const struct logged *e = &l->v[offset];
    return e->rec && (!e->txn || e->txn->state == TXN_COMMITTED);
}

static void *grown(void *v, size_t n, size_t *cap, size_t size)
{
    if (n < *cap)
        return v;
    void *to = sim_alloc((*cap ? *cap * 2 : 16) * size);
    if (n)
        memcpy(to, v, n * size);
    *cap = *cap ? *cap * 2 : 16;
    return to;
}

static void open_here(struct plog *l, struct txn *t)
{
    for (size_t i = 0; i < l->nopen; i++)
        if (l->open[i] == t)
            return;
    size_t cap = l->open_cap;
    l->open = grown(l->open, l->nopen, &l->open_cap, sizeof *l->open);
    l->first = grown(l->first, l->nopen, &cap, sizeof *l->first);
    l->open[l->nopen] = t;
    l->first[l->nopen++] = kafka_high(l);
    t->logs[t->nlogs++] = l;
    t->unmarked++;
}

int kafka_append(struct plog *l, struct txn *t, struct rec *r)
{
    if (t && r) {
        open_here(l, t);
        t->entries = grown(t->entries, t->nentries, &t->entries_cap, sizeof *t->entries);
        t->entries[t->nentries++] = (struct entry_at){l, kafka_high(l)};
    }
    l->v = grown(l->v, l->n, &l->cap, sizeof *l->v);
    l->v[l->n++] = (struct logged){.rec = r, .txn = t, .at = sim.now};
    if (r)
        checks_appended(l, kafka_high(l) - 1);
    return (int)l->n - 1;
}

// ---- the end of a transaction

struct marker {
    struct txn *txn;
    struct plog *log; // NULL: the group's offsets
};

static void mark(void *arg)
{
    struct marker *m = arg;
    struct txn *t = m->txn;
    if (kafka_down_until() > sim.now) {
        sim_at(kafka_down_until() + between(0, 20 * MS), mark, m);
        return;
    }
    if (m->log) {
        struct plog *l = m->log;
        for (size_t i = 0; i < l->nopen; i++)
            if (l->open[i] == t) {
                l->nopen--;
                l->open[i] = l->open[l->nopen];
                l->first[i] = l->first[l->nopen];
            }
        kafka_append(l, t, NULL);
        act(l->topic, l->partition, "kafka: %s/%d %zu: marker, %s", topic_names[l->topic], l->partition, l->n - 1,
            t->state == TXN_COMMITTED ? "committed" : "aborted");
        if (l->topic == T_EVENTS)
            workers_notice(l->partition);
    } else {
        group_settle(t);
    }
    if (--t->unmarked == 0 && t->slot >= 0 && producers[t->slot].txn == t)
        producers[t->slot].txn = NULL;
}

static void mark_later(struct txn *t, struct plog *l)
{
    struct marker *m = sim_alloc(sizeof *m);
    *m = (struct marker){t, l};
    sim_at(sim.now + between(0, chance(8000) ? 2 * MS : sim.plan.markers_us), mark, m);
}

void kafka_decide(struct txn *t, bool commit)
{
    t->state = commit ? TXN_COMMITTED : TXN_ABORTED;
    act(t->slot, commit, "kafka: transaction of producer %d with %zu records: %s", t->slot, t->nentries,
        commit ? "committed" : "aborted");
    if (commit && t->slot >= 0)
        checks_committed(t);
    t->unmarked++; // itself, so that it does not end below
    for (int i = 0; i < t->nlogs; i++)
        mark_later(t, t->logs[i]);
    if (t->noffsets) {
        t->unmarked++;
        mark_later(t, NULL);
    }
    if (--t->unmarked == 0 && t->slot >= 0)
        producers[t->slot].txn = NULL;
}

struct txn *kafka_txn(int slot)
{
    struct txn *t = sim_alloc(sizeof *t);
    t->slot = slot;
    return t;
}

static void expire(void *arg)
{
    struct txn *t = arg;
    if (t->state != TXN_OPEN)
        return;
    if (kafka_down_until() > sim.now) {
        sim_at(kafka_down_until() + SECOND, expire, t);
        return;
    }
    act(t->slot, 0, "kafka: transaction of producer %d takes too long", t->slot);
    producers[t->slot].epoch++;
    kafka_decide(t, false);
}

// ---- what producers ask for

int kafka_init(int slot, int *ret_epoch)
{
    struct producer *p = &producers[slot];
    *ret_epoch = ++p->epoch; // fences those before, whatever else
    p->ended = false;
    if (p->txn && p->txn->state == TXN_OPEN)
        kafka_decide(p->txn, false);
    return p->txn ? K_WAIT : K_OK;
}

// The transaction that belongs to what comes now: pre KIP-890, any message of the right epoch is taken for the current
// one's.
static int current(int slot, int epoch, struct txn **ret)
{
    struct producer *p = &producers[slot];
    if (epoch != p->epoch)
        return K_FENCED;
    if (p->txn && p->txn->state != TXN_OPEN)
        return K_WAIT;
    if (!p->txn) {
        p->txn = kafka_txn(slot);
        sim_at(sim.now + TIMEOUT_US, expire, p->txn);
    }
    *ret = p->txn;
    return K_OK;
}

int kafka_produce(int slot, int epoch, struct wire *v, size_t n)
{
    struct txn *t;
    int r = current(slot, epoch, &t);
    for (size_t i = 0; r == K_OK && i < n; i++) {
        v[i].offset = kafka_append(v[i].log, t, v[i].rec);
        act(v[i].offset, v[i].log->topic, "kafka: %s/%d %d: record of producer %d", topic_names[v[i].log->topic],
            v[i].log->partition, (int)v[i].offset, slot);
    }
    return r;
}

int kafka_end(int slot, int epoch, bool commit)
{
    struct producer *p = &producers[slot];
    if (epoch != p->epoch)
        return K_FENCED;
    if (p->txn && p->txn->state == TXN_OPEN) {
        p->committed = commit;
        p->ended = true;
        kafka_decide(p->txn, commit);
        return K_OK;
    }
    if (p->txn || p->ended)
        return p->committed == commit ? K_OK : K_INVALID;
    return commit ? K_INVALID : K_OK;
}

int kafka_current(int slot, int epoch, struct txn **ret)
{
    return current(slot, epoch, ret);
}

void kafka_tear(int slot, int epoch)
{
    struct txn *t = producers[slot].txn;
    if (epoch != producers[slot].epoch || !t || t->state != TXN_OPEN || t->nentries == 0)
        return;
    struct txn *rest = kafka_txn(slot);
    rest->slot = -1;
    size_t kept = below(t->nentries + 1); // the first of the records; or, without offsets, all
    bool offsets_only = t->noffsets && chance(4000);
    act(kept, offsets_only, "kafka: transaction of producer %d torn: %s, %zu of %zu records", slot,
        offsets_only ? "only its offsets" : "no offsets", offsets_only ? 0 : kept, t->nentries);
    if (offsets_only)
        kept = 0;
    else
        t->noffsets = 0, group_forget(t);
    for (size_t i = kept; i < t->nentries; i++) {
        struct logged *e = &t->entries[i].log->v[t->entries[i].offset];
        e->txn = rest;
    }
    t->nentries = kept;
    rest->state = TXN_ABORTED;
}

void kafka_hang(struct plog *l)
{
    struct rec *r = sim_alloc(sizeof *r);
    int64_t from = kafka_high(l) - 1;
    while (from > 0 && !l->v[from].rec)
        from--;
    if (!l->v[from].rec)
        return;
    *r = *l->v[from].rec;
    kafka_append(l, kafka_txn(-1), r);
}

void kafka_begin(void)
{
    memset(logs, 0, sizeof logs);
    memset(producers, 0, sizeof producers);
    for (int i = 0; i < TOPICS; i++)
        for (int k = 0; k < PARTS_MAX; k++)
            logs[i][k] = (struct plog){.topic = i, .partition = k};
    group_begin();
}
