// A worker's engine between ports in memory, driven call by call: one source topic whose partitions a test fills,
// outputs and journal that it can read or forge, a clock that it moves, and ports that fail or take their time when
// told to. Nothing happens here by itself or by chance: for that there is the simulation.
#pragma once
#include "engine.h"
#include "mem_store.h"

enum { PARTS = 32, LOG_MAX = 4096 };
enum { EVENTS, JOURNAL, MOVES, TRIGGERS, DEAD, TOPICS };
extern const char *const topic_names[TOPICS];

struct stored { // a record of a log; everything owned
    char *key, *value;
    struct out_header headers[24]; // names and values owned
    size_t nheaders;
};

struct world {
    struct program program;
    struct engine_config config;
    struct engine *engine;
    struct counters counters;
    struct log_events events;
    struct mem_store *store;
    struct mem_client *client;
    int64_t wall, mono;     // ms; calls of ports take no time, but for:
    int64_t away_ms;        // > 0: Kafka is away, and its calls give up after so long
    int64_t late_ms;        // what each load from the store takes
    int late_result;        // > 0: and what comes of it
    size_t buckets_read;    // whole ones
    bool fails_once[PARTS]; // the next record of this partition fails, and with it the transaction
    bool stuck[TOPICS];     // an open transaction keeps its records from being read
    struct stored *log[TOPICS][PARTS];
    size_t n[TOPICS][PARTS];
    int64_t next[PARTS]; // of the source: where it is read
    bool paused[PARTS];
    int64_t committed[PARTS], committed_clock[PARTS];
    struct {
        int topic;
        int32_t partition;
        struct stored record;
    } open[LOG_MAX]; // the transaction
    size_t nopen;
    struct record polled[LOG_MAX];
    struct produced produced[TOPICS * PARTS];
    char notes[1 << 16]; // warnings and errors, one a line
};

// A world with a model in YAML; the configuration can be changed before world_start.
struct world *world_new(const char *model);
void world_model(struct world *w, const char *model); // another one: before world_start
void world_start(struct world *w);                    // a new process of the daemon
void world_kill(struct world *w);                     // kill -9
void world_free(struct world *w);
void world_assign(struct world *w, int32_t from, int32_t to); // partitions [from, to)
void world_revoke(struct world *w, int32_t from, int32_t to);
// Appends an event to the source.
void world_event(struct world *w, int32_t partition, const char *customer, const char *type, int64_t time);
// Runs rounds until nothing is left to do in these partitions, at most `rounds`; each takes 20 ms.
void world_run(struct world *w, int rounds);
struct engine_part world_part(const struct world *w, int32_t partition);
// A copy of an output, published once more by somebody.
void world_forge(struct world *w, int topic, int32_t partition, size_t record, const char *id);
// A log loses what is at `end` and beyond.
void world_cut(struct world *w, int topic, int32_t partition, size_t end);

// A model of two stages, one and two: its customers move at their second event of type a.
#define MODEL(version, more) \
    "model: m\nversion: " version "\nsignals: {a: [a]}\nstages: {one: {}, two: {}}\n" \
    "transitions: [{name: r, from: one, to: two, when: a, if: \"count(a) >= 2\"}" more "]\n"

// Appends the two events of type a that move a customer.
void world_two_events(struct world *w, int32_t partition, const char *customer);
void world_begin(struct world *w, int32_t partitions);  // world_start, and partitions from 0 on
void world_restart(struct world *w, const char *model); // kill -9, and a start with this model, of one partition
struct world *world_moved_in(const char *model);        // with one partition, where x has moved and is flushed
struct world *world_that_moved(void);                   // in MODEL("1", "")
