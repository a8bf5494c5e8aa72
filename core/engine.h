// The engine of one worker: reads batches from the log, steps customers, publishes, flushes; and takes partitions by
// replaying from the cursor. The one rule: states in the store never run ahead of outputs in the log. Everything it
// needs from the world comes through ports.h; one thread calls it. core/README.md has the protocol.
#pragma once
#include "counters.h"
#include "output.h"
#include "ports.h"

enum output_format { OUTPUT_JSON, OUTPUT_MSGPACK };

struct campaign_topic {
    const char *campaign, *topic; // topic NULL: none
};

struct engine_config { // everything in it outlives the engine
    const struct program *program;
    const char *app;
    const char *source;                 // topic
    int32_t partitions;                 // of it
    bool reset_latest;                  // where a first start begins
    const char *transitions, *triggers; // topics; NULL: none
    const char *dead_letters, *journal;
    const struct campaign_topic *campaigns;
    size_t ncampaigns;
    enum output_format format;
    bool binary;        // CloudEvents binary mode: attributes as headers, `data` as the value
    int64_t max_age_ms; // NEVER: publish all
    bool exactly_once;
    size_t batch_events;
    size_t flush_customers;
    size_t bucket_customers; // on average, in a bucket of the store; 0: as many as suit Redis
    int64_t flush_every_ms;
    size_t cache_bytes; // of this worker
};

struct engine;

// NULL: no memory. Ports are used from the first engine_run on.
struct engine *engine_new(const struct engine_config *config, const struct ports *ports, struct counters *counters);
struct engine *engine_free(struct engine *e);
// For the log: what to call at assignments and revocations.
struct log_events engine_events(struct engine *e);
// One round: polls (waiting at most wait_ms), steps, publishes, flushes what is due, fires deadlines, takes partitions.
// 0, or negative: no memory or a broken invariant; the worker ends.
int engine_run(struct engine *e, int wait_ms);
// Publishes and flushes everything, and commits offsets: an orderly end.
int engine_stop(struct engine *e);

enum part_state { PART_TAKING, PART_REPLAYING, PART_LIVE, PART_HALTED };

struct engine_part { // a snapshot of one partition
    int32_t partition;
    enum part_state state;
    char owner[25];
    int64_t position; // next event to step
    int64_t cursor;   // next event whose effect is not in the store
    int64_t clock;    // ms UTC; INT64_MIN: none
    int64_t reached;  // the partition's end if all before it is read, else -1
    uint64_t n;       // flushes
    uint64_t customers[MODELS_MAX];
    const char *reason;   // halted or taking: why; valid until the next call into the engine
    const int64_t *stats; // by index of engine_stat_name; valid likewise
};

// Fills at most max snapshots and returns how many partitions there are.
size_t engine_parts(const struct engine *e, struct engine_part *ret, size_t max);
// Whether the last poll of the log reached it.
bool engine_reads(const struct engine *e);
// Names of the exact statistics ("lifecycle:stage:active"), the same for all engines of a program. NULL past the end.
const char *engine_stat_name(const struct engine *e, size_t i);
