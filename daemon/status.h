// What the workers are at, for those who ask: metrics, the HTTP interface, systemd. A worker puts a copy of
// what it knows on the board now and then; whoever reads takes the latest copies and keeps nobody waiting.
#pragma once
#include "buffer.h"
#include "engine.h"

struct status_stat {
    const char *field;    // as the store keeps it: "lifecycle:stage:active", "lifecycle:rule:lapse",
                          // "lifecycle:trigger:onboarding.welcome"
    const char *campaign; // of a trigger; else NULL
    int64_t value;        // stage: customers now; rule, trigger: how many ever
};

struct status_part {
    const char *topic;
    int32_t partition;
    int worker; // set by the board
    enum part_state state;
    const char *owner;               // this worker's mark in the cursor; "" if none
    const char *reason;              // halted or taking: why; else ""
    int64_t offset;                  // the cursor: next event whose effect is not in Redis
    int64_t end;                     // of the log; -1: not known
    int64_t clock;                   // ms UTC; INT64_MIN: no event yet
    uint64_t n;                      // flushes
    uint64_t customers;              // of all models together
    const struct status_stat *stats; // in the same order each time, as far as the program is the same
    size_t nstats;
};

struct status_worker {
    int worker;          // index
    bool kafka, redis;   // reachable at the last attempt
    const char *trouble; // what is wrong with them, or ""
    const struct status_part *parts;
    size_t nparts;
};

// All workers together. Texts live until status_clear.
struct status {
    const char *app, *instance;
    int64_t started_ms;        // ms UTC
    int nworkers, nreporting;  // reporting: have put anything on the board
    bool kafka, redis;         // reachable by every worker; false before all report
    const char *trouble;       // of the first worker that has any, or ""
    struct status_part *parts; // by topic and partition
    size_t nparts;
    struct status_stat *populations; // stages, summed over the partitions
    size_t npopulations;
    struct status_stat *counts; // rules and triggers since the start of this process: these never fall, also when
    size_t ncounts;             // a partition goes to another daemon with all that it ever counted
    void *held;
};

struct status_board;

// NULL: no memory. Texts are copied.
struct status_board *status_board_new(const char *app, const char *instance, int nworkers, int64_t now_ms);
struct status_board *status_board_free(struct status_board *b);
// Replaces what the worker said before by a copy of *w. A partition being taken keeps its former stats: it
// knows no new ones yet. 0, or negative: no memory, and nothing changed.
int status_publish(struct status_board *b, const struct status_worker *w);
// 0: *ret is the caller's (status_clear). Negative: no memory.
int status_take(struct status_board *b, struct status *ret);
void status_clear(struct status *s);

// A worker has done something at mono_ms (monotonic): cheap, for each round.
void status_progress(struct status_board *b, int worker, int64_t mono_ms);
// The first worker without progress since limit_ms; -1: none.
int status_stalled(struct status_board *b, int64_t mono_ms, int64_t limit_ms);

// Takes "model:kind:name" apart; false: it is none.
bool status_field(const char *field, struct span *ret_model, struct span *ret_kind, struct span *ret_name);
// "taking", "replaying", "live", "halted"
const char *status_state_name(enum part_state state);
// How far the partition's cursor is behind the log's end, in events; -1: not known.
int64_t status_lag(const struct status_part *p);
// One line for systemctl status: partitions, lag, population of each stage.
void status_line(const struct status *s, struct buffer *out);
