// Misfortunes that come by themselves: each kind in its own random rhythm, as often as the plan says.
#include <string.h>

#include "checks.h"
#include "faults.h"
#include "worker.h"

enum { SNAPSHOTS = 4 };

static struct mem_store *snapshots[SNAPSHOTS]; // what a replica had; of the past of what is there now, oldest first
static int nsnapshots;

static struct worker *someone(void)
{
    return worker_of((int)below((uint64_t)slots()));
}

static int some_partition(void)
{
    return (int)below((uint64_t)sim.plan.partitions);
}

// ---- processes

static void crash(void)
{
    int daemon = (int)below((uint64_t)sim.plan.daemons);
    bool whole = chance(7000);
    for (int i = 0; i < slots(); i++)
        if (worker_of(i) && worker_of(i)->daemon == daemon && (whole || chance(5000)))
            worker_kill(worker_of(i));
}

static void stop(void)
{
    struct worker *w = someone();
    if (w)
        worker_stop(w);
}

static void freeze(void)
{
    struct worker *w = someone();
    if (!w)
        return;
    w->co.frozen_until = sim.now + between(0, chance(5000) ? SECOND : 12 * SECOND);
    act(w->number, w->co.frozen_until, "worker %d is stopped until %.3f", w->number,
        (double)w->co.frozen_until / SECOND);
}

// Another process in its place, while it lives on somewhere, cut off or stopped for a while.
static void replace(void)
{
    struct worker *w = someone();
    if (!w)
        return;
    int64_t until = sim.now + between(0, 6 * SECOND);
    if (chance(5000))
        w->co.frozen_until = until;
    else
        w->cut_until[KAFKA] = until;
    worker_start(w->slot);
}

// ---- servers and networks

static void kafka_down(void)
{
    net_down(KAFKA, sim.now + between(0, 5 * SECOND));
    act(0, 0, "kafka is down until %.3f", (double)kafka_down_until() / SECOND);
}

static void redis_down(void)
{
    int64_t until = sim.now + between(0, 4 * SECOND);
    net_down(REDIS, until);
    act(until, 0, "redis is down until %.3f", (double)until / SECOND);
    if (chance(3000))
        mem_store_restart(redis);
}

static void cut(enum server s)
{
    struct worker *w = someone();
    if (!w)
        return;
    w->cut_until[s] = sim.now + between(0, 12 * SECOND);
    act(w->number, s, "worker %d is cut off from %s until %.3f", w->number, s == KAFKA ? "kafka" : "redis",
        (double)w->cut_until[s] / SECOND);
}

static void kafka_cut(void)
{
    cut(KAFKA);
}

static void redis_cut(void)
{
    cut(REDIS);
}

static void bounce(void)
{
    kafka_kick((int)below((uint64_t)slots()));
}

static void clock_jump(void)
{
    wall_jump((int)below((uint64_t)sim.plan.daemons), chance(3000) ? 0 : between(-8000, 8000));
}

// ---- Redis loses what it had acknowledged

static void snapshot(void *arg)
{
    (void)arg;
    if (nsnapshots == SNAPSHOTS) {
        size_t gone = below(SNAPSHOTS);
        mem_store_free(snapshots[gone]);
        memmove(&snapshots[gone], &snapshots[gone + 1], (SNAPSHOTS - 1 - gone) * sizeof *snapshots);
        nsnapshots--;
    }
    snapshots[nsnapshots] = mem_store_new();
    mem_store_restore(snapshots[nsnapshots++], redis);
    sim_at(sim.now + between(10 * MS, 2 * SECOND), snapshot, NULL);
}

static void failover(void)
{
    if (nsnapshots == 0)
        return;
    int from = (int)below((uint64_t)nsnapshots);
    mem_store_restore(redis, snapshots[from]);
    while (nsnapshots > from + 1) // what was lost does not come back
        mem_store_free(snapshots[--nsnapshots]);
    act(from, nsnapshots, "redis fails over, and loses its latest writes");
    for (int i = 0; i < sim.plan.partitions; i++) {
        checks_redis_changed(i);
        if (!mem_store_cursor(redis, &(struct part_key){topic_names[T_EVENTS], i}).exists)
            checks_damaged(i, "the replica knows nothing of it");
    }
}

static void lose(enum mem_loss loss)
{
    int p = some_partition();
    if (!mem_store_lose(redis, &(struct part_key){topic_names[T_EVENTS], p}, loss, 0))
        return;
    checks_damaged(p, loss == LOSE_ALL ? "redis loses all of it" : "redis loses its cursor");
    checks_redis_changed(p);
}

static void lose_all(void)
{
    lose(LOSE_ALL);
}

static void lose_cursor(void)
{
    lose(LOSE_CURSOR);
}

// Deadlines and statistics are missed by whoever reads or writes next, customers when the partition is taken: so they
// go while nobody is at work. Replicas lose what their master loses.
static void lose_key(void)
{
    static const enum mem_loss losses[] = {LOSE_BUCKET, LOSE_DUE, LOSE_DUES, LOSE_STATS};
    int p = some_partition();
    enum mem_loss loss = losses[below(4)];
    struct part_key key = {topic_names[T_EVENTS], p};
    if (!mem_store_cursor(redis, &key).exists || !mem_store_lose(redis, &key, loss, below(8)))
        return;
    while (nsnapshots > 0)
        mem_store_free(snapshots[--nsnapshots]);
    for (struct worker *w = workers_first(); w && loss == LOSE_BUCKET; w = w->next)
        if (!w->ended && !w->dead)
            worker_kill(w);
    checks_lost(p, loss == LOSE_BUCKET  ? "redis loses some of its customers"
                   : loss == LOSE_STATS ? "redis loses its statistics"
                                        : "redis loses some of its deadlines");
}

// ---- a new version: one daemon after the other, some of them much later, some in a crash

static void upgrade(void *arg)
{
    int daemon = (int)(intptr_t)arg;
    bool killed = chance(2000);
    if (!sim.faults)
        return;
    daemon_install(daemon, chance(1000) ? 0 : 1); // now and then back again
    for (int i = 0; i < slots(); i++)
        if (worker_of(i) && worker_of(i)->daemon == daemon && killed)
            worker_kill(worker_of(i));
        else if (worker_of(i) && worker_of(i)->daemon == daemon)
            worker_stop(worker_of(i));
    sim_at(sim.now + between(SECOND, 20 * SECOND), upgrade, arg);
}

static void upgrade_begin(void)
{
    for (int d = 0; sim.plan.upgrade && d < sim.plan.daemons; d++)
        sim_at(sim.plan.upgrade * (int64_t)SECOND + between(0, chance(5000) ? SECOND : 10 * SECOND), upgrade,
               (void *)(intptr_t)d);
}

// ---- Kafka forgets

static void expire(void)
{
    int p = some_partition();
    act(p, 0, "kafka forgets the group's offset of partition %d", p);
    kafka_expire(p);
    checks_offsets_expired(p);
}

static void cut_log(struct plog *l, int64_t start)
{
    if (start <= l->start || start > kafka_stable(l))
        return;
    l->start = start;
    act(start, l->topic, "kafka: %s/%d begins at %d now", topic_names[l->topic], l->partition, (int)start);
}

// Retention of what the states account for: harmless, as long as Redis does not go back.
static void truncate_read(void)
{
    struct part_key key = {topic_names[T_EVENTS], some_partition()};
    struct cursor c = mem_store_cursor(redis, &key);
    if (!c.exists || sim.plan.failover)
        return;
    cut_log(kafka_log(T_EVENTS, key.partition), between(0, c.offset));
    for (int i = 0; i < c.ntails; i++)
        cut_log(kafka_log(topic_of(c.tails[i].topic), key.partition), between(0, c.tails[i].offset));
}

static void truncate_any(void)
{
    int p = some_partition();
    struct plog *l = kafka_log((int)below(TOPICS), p);
    int64_t start = between(0, kafka_stable(l));
    checks_damaged(p, "kafka deletes what may be needed");
    cut_log(l, start);
}

static void hang(void)
{
    int p = some_partition();
    struct plog *l = kafka_log((int)between(T_TRANSITIONS, TOPICS - 1), p);
    if (kafka_high(l) == 0 || kafka_stable(l) != kafka_high(l))
        return;
    checks_damaged(p, "a transaction hangs");
    kafka_hang(l);
}

// ---- rhythm

struct kind {
    void (*happen)(void);
    int every; // seconds
};

static void again(void *arg)
{
    struct kind *k = arg;
    if (!sim.faults)
        return;
    k->happen();
    sim_at(sim.now + between(0, 2 * (int64_t)k->every * SECOND), again, k);
}

static void begin(void (*happen)(void), int every)
{
    if (every == 0)
        return;
    struct kind *k = sim_alloc(sizeof *k);
    *k = (struct kind){happen, every};
    sim_at(sim.now + between(0, 2 * (int64_t)every * SECOND), again, k);
}

void faults_begin(void)
{
    const struct plan *p = &sim.plan;
    nsnapshots = 0;
    memset(snapshots, 0, sizeof snapshots);
    begin(crash, p->crash);
    begin(stop, p->stop);
    begin(freeze, p->freeze);
    begin(replace, p->replace);
    begin(kafka_down, p->kafka_down);
    begin(redis_down, p->redis_down);
    begin(kafka_cut, p->kafka_cut);
    begin(redis_cut, p->redis_cut);
    begin(bounce, p->bounce);
    begin(clock_jump, p->clock_jump);
    begin(failover, p->failover);
    begin(lose_all, p->lose_all);
    begin(lose_cursor, p->lose_cursor);
    begin(lose_key, p->lose_key);
    begin(expire, p->expire);
    begin(truncate_read, p->truncate_read);
    begin(truncate_any, p->truncate);
    begin(hang, p->hang);
    if (p->failover)
        sim_at(sim.now + SECOND, snapshot, NULL);
    upgrade_begin();
    for (int d = 0; p->skew && d < p->daemons; d++)
        wall_jump(d, between(-3000, 3000));
}

void faults_stop(void)
{
    sim.faults = false;
    sim.plan.markers_us = 10 * MS;
    sim.plan.kafka_us = sim.plan.redis_us = 2 * MS;
    for (int d = 0; d < sim.plan.daemons; d++)
        wall_jump(d, 0);
}

void faults_end(void)
{
    for (int i = 0; i < nsnapshots; i++)
        mem_store_free(snapshots[i]);
}
