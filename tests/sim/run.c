// One run: the seed's world, its misfortunes, and, in a liveness seed, the calm after them.
#include "run.h"

#include <inttypes.h>
#include <stdio.h>

#include "checks.h"
#include "faults.h"
#include "reference.h"
#include "worker.h"

enum { DRAIN_US = 240 * SECOND, REST_US = 12 * SECOND };

static bool partition_drained(int p)
{
    struct part_key key = {topic_names[T_EVENTS], p};
    struct cursor c = mem_store_cursor(redis, &key);
    const struct plog *l = kafka_log(T_EVENTS, p);
    return c.exists && c.offset == kafka_high(l) && kafka_stable(l) == kafka_high(l);
}

static const struct engine_part *part_in(const struct worker *w, int p)
{
    static struct engine_part parts[PARTS_MAX];
    size_t n = w->ended || w->dead ? 0 : engine_parts(w->engine, parts, PARTS_MAX);
    for (size_t i = 0; i < n; i++)
        if (parts[i].partition == p)
            return &parts[i];
    return NULL;
}

// Live in exactly one worker, or halted where that may be.
static bool settled(int p, bool *ret_halted)
{
    int live = 0, all = 0, halted = 0;
    for (const struct worker *w = workers_first(); w; w = w->next) {
        const struct engine_part *e = part_in(w, p);
        live += e && e->state == PART_LIVE;
        halted += e && e->state == PART_HALTED;
        all += e != NULL;
    }
    *ret_halted = halted > 0;
    return live + halted == 1 && all == 1;
}

static bool drained(int p, bool *ret_halted)
{
    return settled(p, ret_halted) && (*ret_halted || partition_drained(p));
}

static void tell_state(int p)
{
    struct part_key key = {topic_names[T_EVENTS], p};
    struct cursor c = mem_store_cursor(redis, &key);
    fprintf(stderr, "partition %d: log %" PRId64 " to %" PRId64 " (stable %" PRId64 "), cursor %" PRId64 "\n", p,
            kafka_log(T_EVENTS, p)->start, kafka_high(kafka_log(T_EVENTS, p)), kafka_stable(kafka_log(T_EVENTS, p)),
            c.exists ? c.offset : -1);
    for (const struct worker *w = workers_first(); w; w = w->next) {
        const struct engine_part *e = part_in(w, p);
        if (e)
            fprintf(stderr, "    worker %d: state %d, position %" PRId64 ", clock %" PRId64 ": %s\n", w->number,
                    e->state, e->position, e->clock, e->reason);
    }
}

// Everything is at rest: all workers run, the group is complete, and each partition is drained.
static bool at_rest(void)
{
    bool halted, rest = workload_over() && !kafka_rebalancing();
    for (int i = 0; i < slots(); i++)
        rest = rest && worker_of(i);
    for (int p = 0; p < sim.plan.partitions; p++)
        rest = rest && drained(p, &halted);
    return rest;
}

static void drain(void)
{
    int64_t begun = sim.now, since = sim.now;
    while (sim.now - since < REST_US) { // deadlines that wall time fires, and the last flush
        int64_t next = sim.now + 500 * MS;
        while (sim_next(next)) {
        }
        if (at_rest())
            continue;
        since = sim.now;
        if (sim.now - begun < DRAIN_US)
            continue;
        for (int p = 0; p < sim.plan.partitions; p++)
            tell_state(p);
        sim_fail("I4: not everything is published %d s after the last fault", DRAIN_US / SECOND);
    }
}

static void stop_all(void)
{
    supervise(false);
    for (struct worker *w = workers_first(); w; w = w->next)
        if (!w->ended)
            worker_stop(w);
    int64_t until = sim.now + 60 * SECOND;
    while (!workers_gone() && sim_next(until)) {
    }
    if (!workers_gone())
        sim_fail("a worker does not stop");
}

// Whether the states tell of all that was begun: a stop has little time, and a late claim may fence its last flush.
static bool finished(void)
{
    for (int p = 0; p < sim.plan.partitions; p++) {
        struct cursor c = mem_store_cursor(redis, &(struct part_key){topic_names[T_EVENTS], p});
        if (c.exists && (c.swept < c.clock || (!checks_may_halt(p) && checks_done_beyond(p, c.offset, c.clock))))
            return false;
    }
    return true;
}

// What an operator does when programs got mixed up: the former one finishes what it has begun, then comes the next.
static void calm(void)
{
    faults_stop();
    bool lost = false;
    for (int p = 0; p < sim.plan.partitions; p++)
        lost |= checks_has_lost(p);
    if (lost && !sim.plan.upgrade) { // what is lost must be seen when a partition is taken
        stop_all();
        supervise(true);
    }
    for (int program = sim.plan.upgrade ? 0 : PROGRAMS; program < PROGRAMS; program++) {
        stop_all();
        for (int again = 0; again < 20 && program > 0 && !finished(); again++) {
            supervise(true);
            drain();
            stop_all();
        }
        sim.upgraded = program > 0;
        for (int d = 0; d < sim.plan.daemons; d++)
            daemon_install(d, program);
        supervise(true);
        drain();
    }
    if (!sim.plan.upgrade)
        drain();
}

uint64_t run_seed(uint64_t seed, enum mutation mutation, bool trace)
{
    struct plan plan;
    plan_make(&plan, seed, mutation);
    sim_begin(seed, &plan, trace);
    workload_begin();
    kafka_begin();
    net_begin();
    ref_begin();
    checks_begin();
    workers_begin();
    faults_begin();
    sim_at(between(0, 2 * SECOND), workload_start, NULL);
    while (sim_next(plan.active_us)) {
    }
    bool halted[PARTS_MAX] = {0};
    if (plan.liveness) {
        calm();
        for (int p = 0; p < plan.partitions; p++)
            settled(p, &halted[p]);
        stop_all();
    }
    for (int p = 0; p < plan.partitions; p++)
        checks_final(p, plan.liveness && !halted[p]);
    workers_end();
    faults_end();
    ref_end();
    workload_end();
    uint64_t hash = sim.hash;
    sim_end();
    return hash;
}
