// A seed's world. Misfortunes come in bundles that a seed has or has not, so that many seeds know only one or two.
#include <string.h>

#include "sim.h"

static const struct {
    const char *name, *text;
} mutations[] = {{"", ""},
#define X(name, text) {#name, text},
                 MUTATIONS(X)
#undef X
};

const char *mutation_name(enum mutation m)
{
    return mutations[m].name;
}

const char *mutation_text(enum mutation m)
{
    return mutations[m].text;
}

static void make_shape(struct plan *p)
{
    p->partitions = (int)between(1, chance(5000) ? 2 : PARTS_MAX);
    p->daemons = (int)between(1, 3);
    p->workers = (int)between(1, p->daemons > 2 ? 2 : 3);
    p->model_set = (int)below(6);
    p->wall = chance(6000);
    p->reset_latest = chance(500);
    p->input_transactions = chance(3000);
    p->customers = (int)between(1, chance(6000) ? 12 : chance(8000) ? 60 : 400);
    p->events = (int)between(20, chance(8000) ? 150 : 500);
    p->active_us = between(6, 30) * SECOND;
    p->step_ms = p->active_us / MS / p->events * between(1, 10) / 8 + 1;
    p->late_ms = between(10, 6000);
    p->bad = chance(5000) ? (int)between(0, 800) : 0;
    p->future = chance(5000) ? (int)between(0, 800) : 0;
}

static void make_engine(struct plan *p)
{
    p->grace_ms = chance(3000) ? 0 : between(0, 2000);
    p->max_future_ms = between(200, 3000);
    p->max_age_ms = chance(1500) ? between(500, 8000) : INT64_MAX;
    p->flush_every_ms = chance(5000) ? between(50, 500) : between(500, 4000);
    p->batch_events = (int)between(1, chance(5000) ? 8 : 200);
    p->flush_customers = (int)between(1, chance(5000) ? 6 : 100);
    p->bucket_customers = chance(5000) ? 48 : (int)between(1, 3); // few: buckets are split soon
    p->cache_bytes = chance(4000) ? 1 << 20 : between(2000, 20000);
}

static void make_faults(struct plan *p)
{
    p->redis_us = between(100, chance(8000) ? 600 : 30 * MS);
    p->kafka_us = between(300, chance(8000) ? 3 * MS : 60 * MS);
    p->markers_us = chance(5000) ? 20 * MS : between(20 * MS, 4 * SECOND);
    if (chance(4000)) {
        p->redis_lost = (int)between(0, 100);
        p->redis_late = (int)between(0, 200);
        p->redis_mute = (int)between(0, 200);
    }
    if (chance(4000)) {
        p->kafka_lost = (int)between(0, 50);
        p->kafka_late = (int)between(0, 300);
        p->kafka_mute = (int)between(0, 300);
    }
    p->redis_oom = chance(1500) ? (int)between(50, 500) : 0;
    p->kafka_abort = chance(1500) ? (int)between(50, 800) : 0;
    p->end_doubled = chance(3000) ? (int)between(100, 2000) : 0;
    p->torn = chance(2000) ? (int)between(100, 1500) : 0;
    p->crash = chance(5000) ? (int)between(1, 8) : 0;
    p->stop = chance(3000) ? (int)between(2, 10) : 0;
    p->freeze = chance(3000) ? (int)between(2, 10) : 0;
    p->replace = chance(2000) ? (int)between(3, 12) : 0;
    p->kafka_down = chance(2000) ? (int)between(4, 15) : 0;
    p->redis_down = chance(2000) ? (int)between(4, 15) : 0;
    p->kafka_cut = chance(2000) ? (int)between(3, 12) : 0;
    p->redis_cut = chance(2000) ? (int)between(3, 12) : 0;
    p->failover = chance(3000) ? (int)between(2, 12) : 0;
    p->blind = chance(5000);
    p->clock_jump = chance(1500) ? (int)between(2, 12) : 0;
    p->bounce = chance(2500) ? (int)between(2, 10) : 0;
    p->expire = chance(1500) ? (int)between(4, 15) : 0;
    p->truncate_read = chance(1500) ? (int)between(3, 10) : 0;
    p->skew = chance(2000);
    p->small_dead_letters = chance(1500);
    p->poison = chance(800) ? (int)below((uint64_t)p->customers) : -1;
    p->lose_all = chance(400) ? (int)between(6, 20) : 0;
    p->lose_cursor = chance(400) ? (int)between(6, 20) : 0;
    p->truncate = chance(400) ? (int)between(6, 20) : 0;
    p->hang = chance(400) ? (int)between(6, 20) : 0;
}

static void make_upgrade(struct plan *p)
{
    p->upgrade = chance(2500) ? (int)between(1, 1 + p->active_us / SECOND / 2) : 0;
    p->next_models = chance(8000);
    p->next_grace_ms = p->next_models && chance(7000) ? p->grace_ms : p->grace_ms + between(1, 500);
}

// Whether something may be published by one who is given up already: only such doubles are allowed at least once.
bool plan_zombies(const struct plan *p)
{
    return p->crash || p->freeze || p->replace || p->kafka_down || p->kafka_cut || p->kafka_lost || p->kafka_late ||
           p->kafka_mute || p->bounce;
}

void plan_make(struct plan *p, uint64_t seed, enum mutation mutation)
{
    sim.random = seed * UINT64_C(0x2545f4914f6cdd1d) + 12345;
    *p = (struct plan){.mutation = mutation, .poison = -1, .liveness = chance(7000)};
    make_shape(p);
    make_engine(p);
    make_upgrade(p);
    if (!chance(300)) // some seeds have no misfortune at all
        make_faults(p);
    p->at_least_once = !p->upgrade && chance(1200);
    p->blind &= !p->at_least_once; // nothing else then fences one whom Redis takes for the owner again
    p->lose_key = seed % 24 == 5 ? 4 + (int)(seed % 11) : 0; // not by chance: other seeds stay what they were
    p->redis_us += 50;
    p->kafka_us += 50;
    p->markers_us += MS;
}
