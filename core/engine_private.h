// What the rooms of the engine share. engine_new.c: what is configured; engine.c: rounds and assignments;
// engine_take.c: taking a partition; engine_replay.c: the end of a replay; engine_step.c: events; engine_sweep.c:
// deadlines; engine_publish.c: outputs, transactions, decisions; engine_flush.c: the atomic write; engine_switch.c:
// another program. Their functions return 0, or negative (fatal). A port that fails leaves its partition in doubt: it
// is dropped on the spot by part_doubt (or part_halt), so after each call part_running tells whether to go on.
#pragma once
#include "buckets.h"
#include "cache.h"
#include "engine.h"
#include "published.h"
#include "versions.h"

enum {
    SWEEP_BUCKETS = 256,       // loaded at a time
    SWEEP_CUSTOMERS = 2000,    // changed before a flush: Redis has other partitions' deadlines, too
    POLL_EVENTS = 1024,        // taken from the log at a time
    HOLD_MS = 100,             // a transaction is open for more batches at most
    BACKOFF_MS_MIN = 100,
    BACKOFF_MS_MAX = 10000,
    OFFSETS_EVERY_MS = 10000,  // offsets-only transactions, for lag monitors
    HANGING_MS = 40000,        // transaction.timeout.ms + 30 s: an open transaction that long hangs
    BATCH_SUCCESSES = 8,       // transactions in a row before a halved batch grows again
    WALL_CHECK_MS = 50,        // between two looks whether wall time fires something
    SWEEP_MS_MAX = 50,         // of one partition's deadlines at a time, so that they never stall another's
    STOP_MS_MAX = 2000,        // for deadlines still due at an orderly stop
    TAKE_MS_MAX = 1000,        // of taking partitions at a time
    LATE_MS = 5000,            // after which a round tries nothing more that has failed in it
    SWEEP_BACKLOG_MS = 500,    // between two sweeps of stored buckets while there is more to read
    COVER_MS_MIN = 1000,       // of the partition clock: how far a sweep keeps in memory what it meets on its way,
    COVER_MS_MAX = 60000,      // as much as the cache allows,
    COVER_CUSTOMERS = 32,      // and how many of a bucket
};

struct former_stats { // as the former program named them; while switching
    struct former_stat {
        char *field;
        int64_t value;
    } *v;
    size_t n;
};

struct part {
    char *topic; // owned
    struct part_key key;
    enum part_state state;
    bool fenced;       // the last doubt was another owner: prove membership before claiming
    bool contradicted; // it looked as if it had to halt: looks again after proving membership, and then does
    bool blocked;      // what is published could not be read for an open transaction
    bool seen_cursor;  // this worker has seen a cursor of it: an empty store is a lost one
    bool seen_more;    // and that more is published than the states in the store know
    struct owner owner;
    struct cursor cursor;      // as stored; tails by engine topic
    int64_t tails[TOPICS_MAX]; // by engine topic: accounted for by what is published; -1: never used
    int64_t position;          // next offset to step
    int64_t clock;             // ms UTC; INT64_MIN: no event yet
    int64_t swept;             // ms UTC: every deadline before it has fired; can be beyond the clock
    int64_t committed;         // the group's offset: what is sent is never below; -1: none
    int64_t committed_clock;
    int64_t sent;    // offset last sent in a transaction
    int64_t decided; // events before this offset were decided before: journal, not wall clock
    struct cache cache;
    struct published published;
    struct versions versions;
    struct former_stats former;
    uint64_t buckets[MODELS_MAX], customers[MODELS_MAX]; // with what is unflushed
    struct buckets known[MODELS_MAX];
    int64_t covered;  // ms UTC: customers in memory that are due before stay there; INT64_MIN: no bucket relies on it
    int64_t cover_ms; // of the partition clock
    size_t unknown;   // entries of the cache that are not loaded yet
    struct flush_due exact[SWEEP_BUCKETS]; // scores of swept buckets, for the next flush
    size_t nexact;
    bool advancing;       // wall time moved the clock, and nothing has fired yet: it may not have happened
    int64_t clock_before; // valid if advancing
    int64_t stored_next;  // ms UTC: lower bound of the deadlines of customers that are not in the cache
    int64_t *stats, *stats_stored;
    size_t outputs;      // in the open transaction
    bool valueless;      // dead letters leave their values out: the last one was too large for its topic
    int64_t dirty_since; // mono ms of the first unflushed change; valid if anything is unflushed
    int64_t swept_at, wall_checked_at, looked_at; // mono ms
    int64_t cover_set_at;                         // mono ms: when cover_ms was halved or doubled
    int64_t retry_at, backoff_ms, taking_since;   // mono ms
    int64_t blocked_since;                        // mono ms; 0: it is not blocked
    char reason[256];
};

struct deferred {               // an event whose customer must be loaded first
    struct entry *entry;        // evicting waits for the end of the round, and spares what is not loaded
    struct event_source source; // spans in the engine's arena
    int64_t t, value_milli;     // own time; value_milli valid if has_value
    bool has_value;
    uint64_t signals;
    int64_t clock_before, clock; // of the partition, before and after the event
};

struct place {    // where the store has an entry: what loads and writes are sorted by
    uint64_t key; // its model, then its bucket
    struct entry *entry;
};

struct engine {
    struct engine_config config;
    struct ports ports;
    struct counters *counters;
    struct part **parts;
    size_t nparts;
    char *topics[TOPICS_MAX]; // owned: outputs, dead letters, journal, each once
    int ntopics;
    struct event_parser *parser;
    struct effects effects;
    struct buffer id, body, scratch, states;
    struct deferred *deferred;
    size_t ndeferred, deferred_cap;
    struct part *deferred_part;
    struct place *loads; // those that the deferred events wait for
    size_t nloads, loads_cap;
    struct load_item *items;
    size_t items_cap;
    struct customer *spare; // room for one customer of any model
    char *arena;            // texts of deferred events; a batch's worth
    size_t arena_n, arena_cap;
    char **stat_names;
    size_t nstats;
    int stat_stage[MODELS_MAX], stat_rule[MODELS_MAX], stat_trigger[MODELS_MAX]; // first index of each
    bool in_transaction;
    bool sweeping;             // deadlines are left for the next round
    bool away;                 // a port did not answer in this round
    bool reads;                // the last poll reached the log
    int64_t transaction_since; // mono ms
    size_t batch;              // events a round: halved after an abort, doubled after some successes
    unsigned successes;        // since the last abort
    bool alone;                // after an abort: one partition a transaction, until the batch is whole again
    int64_t wall, mono;        // ms, at the start of the round
    int64_t offsets_at;        // mono ms of the last transaction
};

// engine.c
void note(const struct engine *e, enum note_level level, const struct part *p, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));
void part_doubt(struct engine *e, struct part *p, int result, const char *what, const char *why);
void part_halt(struct engine *e, struct part *p, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
// What was read contradicts what is published or stored, or is needed and not there. A former owner may see such things
// while the real one writes: so the first time it is a doubt, and the second time, with membership proven in between, a
// halt. PORT_FENCED: the first time, *why says it; PORT_OK: halted.
int part_contradicts(struct engine *e, struct part *p, const struct why *why);
// The same for a partition at work, put in doubt on the spot.
void part_contradiction(struct engine *e, struct part *p, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
struct part *part_free(struct engine *e, struct part *p);
int engine_topic(struct engine *e, const char *name); // its index, added when new; -1: too many, or no memory
const struct model *engine_model(const struct engine *e, int model);
static inline bool part_running(const struct part *p)
{
    return p->state == PART_LIVE || p->state == PART_REPLAYING;
}

// engine_take.c
void part_take(struct engine *e, struct part *p);
// Whether the log still holds the offset. PORT_FENCED: it does not, says *why, for the first time; the second time the
// partition is halted. Else a port_result.
int part_log_reaches(struct engine *e, struct part *p, int64_t offset, struct why *why);

// engine_replay.c
int part_replay_end(struct engine *e, struct part *p); // goes live if the replay is over

// engine_switch.c
int versions_recall(struct engine *e, struct part *p, struct why *why);
int versions_remember(struct engine *e, struct part *p, int64_t clock, struct why *why); // those not at work yet
// Turns the states over to the configured program if they are another one's and nothing is left to replay; what cannot
// be done halts the partition. The program at work is the one of the journal's last entry: the store may lag behind it,
// as with all else. A port_result.
int part_check_program(struct engine *e, struct part *p, bool replay_wanted, struct why *why);
// A state of this or any former version. 0; 1: it cannot be read; negative: no memory.
int state_read(struct engine *e, struct part *p, int model, struct span state, struct customer *c);

// engine_step.c
int part_event(struct engine *e, struct part *p, const struct record *r);
int part_deferred(struct engine *e, struct part *p); // loads and steps what part_event put off
// Steps what the customer was due for before `before`; next, clock: of the partition, for headers.
int part_fire(struct engine *e, struct part *p, struct entry *entry, int64_t before, int64_t next, int64_t clock);
void part_unreadable(struct engine *e, struct part *p, int model, struct span id, struct span state); // halts it
void part_advance(struct part *p, int64_t offset);                // applies decisions made before the event at offset
bool part_complete(const struct engine *e, const struct part *p); // every customer is in the cache

// engine_sweep.c
int part_sweep(struct engine *e, struct part *p, bool backlog, bool *ret_more);
int part_wall(struct engine *e, struct part *p);

// engine_publish.c
int publish_effects(struct engine *e, struct part *p, const struct entry *entry, const struct event_source *source,
                    int64_t next, int64_t clock);
int publish_dead_letter(struct engine *e, struct part *p, const struct record *r, enum bad_reason reason,
                        const char *detail);
int publish_decision(struct engine *e, struct part *p, const char *kind, int64_t offset, int64_t clock);
// Journals the whole program, in a transaction of its own with the group's offset. A port_result.
int publish_program(struct engine *e, struct part *p, const char *kind, int64_t offset, int64_t clock, struct why *why);
void publish_commit(struct engine *e, bool offsets_only); // doubts the partitions that it failed for
void publish_abort(struct engine *e, const char *why);

// engine_flush.c
struct place place_of(const struct part *p, struct entry *x);
uint64_t place_bucket(const struct place *at);
void places_sort(struct place *v, size_t n); // by model, then bucket
int part_flush(struct engine *e, struct part *p);
