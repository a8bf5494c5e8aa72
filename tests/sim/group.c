// The consumer group: static members (one a worker's slot), eager rebalances with generations, and the offsets that
// transactions bring. Metadata of another generation is refused; a producer without a membership to show is not.
#include <string.h>

#include "checks.h"
#include "kafka.h"
#include "net.h"

enum { SESSION_US = 6 * SECOND, REBALANCE_US = 8 * SECOND, TICK_US = 300 * MS };

struct member {
    uint64_t id; // 0: none
    bool joined; // in the generation that is being made; valid while rebalancing
    unsigned parts;
    int64_t seen; // us, the last heartbeat
};

struct offset {
    int64_t offset, clock;
    uint64_t order;
};

static struct {
    struct member members[SLOTS_MAX];
    int generation;
    bool rebalancing;
    int64_t since;
    uint64_t last_id, last_order;
    struct offset offsets[PARTS_MAX];
    struct txn *pending[64];
    int npending;
} group;

void group_begin(void)
{
    memset(&group, 0, sizeof group);
    for (int i = 0; i < PARTS_MAX; i++)
        group.offsets[i] = (struct offset){-1, INT64_MIN, 0};
}

// ---- offsets

bool kafka_is_member(int slot, const struct metadata *m)
{
    return group.members[slot].id && group.members[slot].id == m->member && m->generation == group.generation;
}

int kafka_send_offsets(int slot, int epoch, const struct metadata *m, const struct commit_offset *v, size_t n)
{
    struct txn *t;
    int r = kafka_current(slot, epoch, &t);
    if (r != K_OK)
        return r;
    bool anybody = m->generation < 0 && !m->member;
    if (!anybody && !kafka_is_member(slot, m))
        return K_STRANGER;
    if (t->noffsets == 0)
        group.pending[group.npending++] = t;
    for (size_t i = 0; i < n; i++) {
        int k = 0;
        while (k < t->noffsets && t->offsets[k].partition != v[i].source.partition)
            k++;
        t->noffsets += k == t->noffsets;
        t->offsets[k].partition = v[i].source.partition;
        t->offsets[k].offset = v[i].offset;
        t->offsets[k].clock = v[i].clock;
        t->offsets[k].order = ++group.last_order;
        act(v[i].offset, v[i].clock, "kafka: producer %d would commit %d at %d, c=%lld", slot, v[i].source.partition,
            (int)v[i].offset, (long long)v[i].clock);
    }
    return K_OK;
}

void group_forget(struct txn *t)
{
    for (int i = 0; i < group.npending; i++)
        if (group.pending[i] == t)
            group.pending[i] = group.pending[--group.npending];
}

static void take(int partition, struct offset o)
{
    struct offset *to = &group.offsets[partition];
    if (o.order <= to->order)
        return; // a later one was written while the transaction was open
    checks_group_offset(partition, to->offset, o.offset, o.clock);
    *to = o;
    act(o.offset, partition, "kafka: group's offset of %d is %d", partition, (int)o.offset);
}

void group_settle(struct txn *t)
{
    group_forget(t);
    for (int i = 0; i < t->noffsets && t->state == TXN_COMMITTED; i++)
        take(t->offsets[i].partition, (struct offset){t->offsets[i].offset, t->offsets[i].clock, t->offsets[i].order});
}

void kafka_commit_plain(int partition, int64_t offset)
{
    take(partition, (struct offset){offset, INT64_MIN, ++group.last_order});
}

int kafka_committed(int partition, bool stable, int64_t *ret_offset, int64_t *ret_clock)
{
    for (int i = 0; stable && i < group.npending; i++)
        for (int k = 0; k < group.pending[i]->noffsets; k++)
            if (group.pending[i]->offsets[k].partition == partition)
                return K_WAIT;
    *ret_offset = group.offsets[partition].offset;
    *ret_clock = group.offsets[partition].clock;
    return K_OK;
}

void kafka_expire(int partition)
{
    group.offsets[partition] = (struct offset){-1, INT64_MIN, group.offsets[partition].order};
}

// ---- members

bool kafka_rebalancing(void)
{
    return group.rebalancing;
}

static void rebalance(void)
{
    if (group.rebalancing)
        return;
    group.rebalancing = true;
    group.since = sim.now;
    for (int i = 0; i < SLOTS_MAX; i++)
        group.members[i].joined = false;
}

// Partitions in ranges, in the order of the slots.
static void assign(void)
{
    int n = 0, at = 0;
    for (int i = 0; i < SLOTS_MAX; i++)
        n += group.members[i].id != 0;
    group.rebalancing = false;
    group.generation++;
    for (int i = 0, k = 0; i < SLOTS_MAX; i++) {
        struct member *m = &group.members[i];
        m->parts = 0;
        if (!m->id)
            continue;
        int share = sim.plan.partitions / n + (k++ < sim.plan.partitions % n);
        for (; share > 0; share--)
            m->parts |= 1u << at++;
    }
    act(group.generation, n, "group: generation %d with %d members", group.generation, n);
}

static void complete_if_all(void)
{
    bool any = false;
    for (int i = 0; i < SLOTS_MAX; i++) {
        any |= group.members[i].joined;
        if (group.members[i].id && !group.members[i].joined)
            return;
    }
    // The first of a new group waits for more.
    if (group.rebalancing && any && (group.generation > 0 || sim.now - group.since > SECOND))
        assign();
}

uint64_t kafka_join(int slot, uint64_t member)
{
    struct member *m = &group.members[slot];
    if (m->id && member && member != m->id)
        return 0; // replaced
    bool known = m->id != 0;
    if (!member || !known)
        m->id = ++group.last_id;
    m->seen = sim.now;
    if (!known || (member && !group.rebalancing))
        rebalance();
    if (group.rebalancing)
        m->joined = true;
    act(slot, m->id, "group: member %d of slot %d joins%s", (int)m->id, slot, group.rebalancing ? "" : ", taking over");
    complete_if_all();
    return m->id;
}

bool kafka_joined(int slot, uint64_t member, int *ret_generation, unsigned *ret_parts)
{
    const struct member *m = &group.members[slot];
    if (group.rebalancing || m->id != member)
        return false;
    *ret_generation = group.generation;
    *ret_parts = m->parts;
    return true;
}

bool kafka_must_join(int slot, uint64_t member)
{
    const struct member *m = &group.members[slot];
    return group.rebalancing && m->id == member && !m->joined;
}

struct membership kafka_membership(int slot, uint64_t member, int generation)
{
    const struct member *m = &group.members[slot];
    return (struct membership){.member = m->id,
                               .generation = group.generation,
                               .gone = m->id != member,
                               .replaced = m->id && m->id != member,
                               .rebalance = group.rebalancing || group.generation != generation,
                               .parts = m->parts};
}

void kafka_kick(int slot)
{
    struct member *m = &group.members[slot];
    if (!m->id)
        return;
    act(slot, m->id, "group: member %d of slot %d is thrown out", (int)m->id, slot);
    *m = (struct member){0};
    rebalance();
    complete_if_all();
}

static void tick(void *arg)
{
    (void)arg;
    bool down = kafka_down_until() > sim.now;
    for (int i = 0; i < SLOTS_MAX; i++) {
        struct member *m = &group.members[i];
        if (m->id && (down || kafka_alive(i, m->id)))
            m->seen = sim.now;
        else if (m->id && sim.now - m->seen > SESSION_US)
            kafka_kick(i);
    }
    for (int i = 0; group.rebalancing && sim.now - group.since > REBALANCE_US && i < SLOTS_MAX; i++)
        if (group.members[i].id && !group.members[i].joined)
            kafka_kick(i);
    if (group.rebalancing && !down)
        complete_if_all();
    sim_at(sim.now + TICK_US, tick, NULL);
}

void group_watch(void)
{
    tick(NULL);
}
