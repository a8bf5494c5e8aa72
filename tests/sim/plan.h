// What a seed decides before anything runs: the shape of the world, and which misfortunes it has, how often. Each seed
// has only some of them, so that each gets seeds in which it is alone or in odd company.
#pragma once
#include <stdbool.h>
#include <stdint.h>

#include "mutations.h"

enum { TOPICS = 6, PARTS_MAX = 4, SLOTS_MAX = 8, CUSTOMERS_MAX = 2048, MODEL_COUNT_MAX = 3, PROGRAMS = 2 };

enum mutation { // one step of the protocol done wrong; mutations.h
    MUTATE_NOTHING,
#define X(name, text) MUTATE_##name,
    MUTATIONS(X)
#undef X
        MUTATION_COUNT
};

struct plan {
    // shape
    int partitions, daemons, workers; // workers a daemon
    int model_set, customers, events;
    bool wall, input_transactions, liveness, reset_latest;
    int64_t active_us;                                                    // events come and faults happen
    int64_t grace_ms, max_future_ms, max_age_ms, flush_every_ms, step_ms; // step_ms: between events, on average
    int64_t late_ms;                                                      // how late events come, at most
    int batch_events, flush_customers, bucket_customers, bad, future;     // per myriad of events
    int64_t cache_bytes;
    bool at_least_once;
    int upgrade;      // seconds until the next program comes, to one daemon after the other; 0: never
    bool next_models; // of the next program: other texts, or else only another grace
    int64_t next_grace_ms;
    int64_t redis_us, kafka_us, markers_us; // latencies, on average; of markers, at most
    // per myriad of calls
    int redis_lost, redis_late, redis_mute, redis_oom; // mute: executed, but nobody hears of it
    int kafka_lost, kafka_late, kafka_mute, kafka_abort, end_doubled, torn;
    // every so many seconds, on average; 0: never
    int crash, stop, freeze, replace, kafka_down, redis_down, kafka_cut, redis_cut, failover, clock_jump;
    int expire, truncate_read, bounce; // truncate_read: what nobody needs any more; bounce: a member goes
    // destructive: partitions may halt
    int lose_all, lose_cursor, lose_key, truncate, hang;
    bool skew, small_dead_letters;
    bool blind; // Redis does not show that another server answers
    int poison; // customer with transitions too large to publish; -1: none
    enum mutation mutation;
};

void plan_make(struct plan *p, uint64_t seed, enum mutation mutation);
bool plan_zombies(const struct plan *p);
const char *mutation_name(enum mutation m);
const char *mutation_text(enum mutation m);
