// What the engine counts while it works, one set a worker, read by other threads without a lock. The names are the
// metrics' names (prefix engaged_, counters with _total); the texts their help.
#pragma once
#include <stdatomic.h>
#include <stdint.h>

#define COUNTERS(X) \
    X(events, "Events read, with bad ones") \
    X(events_matched, "Events that matched a signal of a model") \
    X(events_late, "Events older than their customer's clock") \
    X(events_bad, "Events sent to the dead-letter topic") \
    X(values_bad, "Event values that are no value (not a number, or 10^12 and beyond)") \
    X(transitions, "Transitions published") \
    X(triggers, "Triggers published") \
    X(triggers_capped, "Triggers suppressed by a frequency cap") \
    X(triggers_stale, "Triggers suppressed because older than outputs.max_age") \
    X(triggers_silenced, "Triggers silenced by their unless") \
    X(outputs_skipped, "Outputs skipped in a replay because already published") \
    X(rests, "Customers whose deadline rules came to rest after too many moves in silence") \
    X(customers_created, "Customers created") \
    X(states_loaded, "States loaded from Redis") \
    X(states_written, "States written to Redis") \
    X(flushes, "Flushes done") \
    X(commits, "Kafka transactions committed") \
    X(takes, "Partitions taken (assignment, or after a doubt)") \
    X(doubts, "Times a partition was dropped and taken again: aborted, fenced, unknown outcome, store away")

#define HISTOGRAMS(X) \
    X(flush_seconds, "Duration of a flush to Redis") \
    X(load_seconds, "Duration of a load from Redis") \
    X(commit_seconds, "Duration of a Kafka transaction, from begin to commit") \
    X(deadline_lateness_seconds, "How long after its deadline a transition or trigger was stepped, in wall time") \
    X(recovery_seconds, "From taking a partition to the end of its replay")

enum { HISTOGRAM_BUCKETS = 16 }; // upper bounds 1 ms * 2^i; the last is without bound

struct histogram {
    _Atomic uint64_t bucket[HISTOGRAM_BUCKETS];
    _Atomic uint64_t sum_us;
};

struct counters {
#define X(name, help) _Atomic uint64_t name;
    COUNTERS(X)
#undef X
#define X(name, help) struct histogram name;
    HISTOGRAMS(X)
#undef X
};

static inline void count_add(_Atomic uint64_t *c, uint64_t n)
{
    // one writer: a plain load and store suffice, and cost no bus lock
    atomic_store_explicit(c, atomic_load_explicit(c, memory_order_relaxed) + n, memory_order_relaxed);
}

static inline void histogram_add(struct histogram *h, int64_t us)
{
    int i = 0;
    while (i < HISTOGRAM_BUCKETS - 1 && us > (INT64_C(1000) << i))
        i++;
    count_add(&h->bucket[i], 1);
    count_add(&h->sum_us, us > 0 ? (uint64_t)us : 0);
}
