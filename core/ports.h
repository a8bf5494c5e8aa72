// What the engine needs from the world, as small tables of functions: the log it reads, the sink it publishes to, the
// store it keeps states in, and the clock (with chance and a voice). The daemon implements them over librdkafka and
// hiredis, the tests in memory; the engine cannot tell which. All calls are made by one thread and block, for a time
// that the implementation bounds.
#pragma once
#include "event.h"

// Conditions (positive); negative results are fatal errors of error.h.
enum port_result {
    PORT_OK = 0,
    PORT_AWAY = 1,    // cannot be reached or timed out, and nothing was changed by it: try again later
    PORT_UNKNOWN = 2, // it may have happened, or may still happen: take the partitions again
    PORT_FENCED = 3,  // somebody else owns the partition, or the group has moved on: drop what was stepped
    PORT_REFUSED = 4, // will not work as it is (too large, out of memory, wrong type): *ret_why says more
    PORT_ABORTED = 5, // the transaction is undone, nothing of it is visible
};

struct why { // the reason of a result that is not PORT_OK, in words for a log line
    char text[256];
};

enum { CURSOR_FORMAT = 1 }; // of the layout in the store
enum { TOPICS_MAX = 64 };   // output topics of one daemon, with dead letters and journal

// ---- store

struct tail {          // how far an output topic's partition is accounted for in the states
    const char *topic; // owned by whoever filled it; a cursor's live until the store's next call
    int64_t offset;    // after the last record accounted for
};

struct cursor {
    bool exists;
    int64_t offset;               // next event whose effect is not in the states
    int64_t clock;                // ms UTC: the partition clock at that offset; INT64_MIN: no event yet
    int64_t swept;                // ms UTC: every deadline before it has fired; at most clock
    int64_t start;                // the first offset ever stepped
    uint64_t n;                   // flushes so far
    int32_t partitions;           // of the source topic when the states were begun
    uint32_t format;              // CURSOR_FORMAT
    char program[17];             // digest
    uint64_t buckets[MODELS_MAX]; // by model index of the program, 0: the model is new here
    uint64_t customers[MODELS_MAX];
    struct tail tails[TOPICS_MAX];
    int ntails;
    int64_t lost_dues, lost_stats; // out of a claim: entries of the deadlines' index and of the statistics that the
                                   // last flush left and that are gone; negative: there are more
};

struct owner {
    char text[25]; // 16 random hex digits and more if the store likes; new at each claim
};

struct part_key { // a partition of the source
    const char *topic;
    int32_t partition;
};

struct load_item { // in: which state
    int16_t model;
    uint64_t bucket;
    struct span customer;            // p NULL: all customers of the bucket
    struct span state;               // out: p NULL: there is none (one customer)
    const struct load_field *fields; // out: whole bucket; valid until the store's next call
    size_t nfields;
};

struct load_field {
    struct span customer, state;
};

struct due_bucket {
    int16_t model;
    uint64_t bucket;
    int64_t at; // ms UTC: no deadline in the bucket is earlier
};

struct flush_write {
    int16_t model;
    uint64_t bucket;
    struct span customer, state;
};

struct flush_split { // linear hashing: fields move from one bucket to a new one, before any write of the same flush
    int16_t model;
    uint64_t from, to;
    size_t expected; // HLEN of `from` before; otherwise nothing of the flush is written and PORT_REFUSED results
    const struct load_field *moved;
    size_t nmoved;
};

struct flush_due {
    int16_t model;
    uint64_t bucket;
    int64_t at; // NEVER: remove
    bool exact; // set; else only lower
};

struct flush_stat {
    const char *field; // "lifecycle:stage:active"
    int64_t value;     // absolute
};

struct flush {                   // everything of one atomic write; all spans belong to the caller
    const struct cursor *cursor; // to be stored; n is that before this flush, stored as n + 1
    const struct flush_split *splits;
    size_t nsplits;
    const struct flush_write *writes; // sorted by model and bucket
    size_t nwrites;
    const struct flush_due *dues; // after a split the new bucket inherits the old one's score first
    size_t ndues;
    const struct flush_stat *stats;
    size_t nstats;
};

struct model_text { // a version of a model that states of the partition may have been written by
    struct span name, text;
    uint32_t version;
    uint64_t order; // 1, 2, 3 …: the largest is at work
    int64_t clock;  // ms UTC: the partition clock when it came; INT64_MIN: with the first event
};

struct store_ops {
    // Makes `owner` the partition's owner and returns the cursor as it stands, and its statistics. A missing cursor
    // is not created (`exists` false), *ret_empty then tells whether no other key of the partition's is there.
    int (*claim)(void *ctx, const struct part_key *p, const struct owner *owner, struct cursor *ret, bool *ret_empty,
                 struct why *ret_why);
    // The first cursor of a partition, owned by `owner`; PORT_FENCED if there is one, or any sign of one, already.
    int (*create)(void *ctx, const struct part_key *p, const struct owner *owner, const struct cursor *c,
                  struct why *ret_why);
    // Reads states in one round trip that ends with reading owner and n: not `owner`, or another n: PORT_FENCED. So it
    // is when deadlines or statistics are lost: the next claim says which.
    // Results live until the next call of the store.
    int (*load)(void *ctx, const struct part_key *p, const struct owner *owner, uint64_t n, struct load_item *items,
                size_t nitems, struct why *ret_why);
    // Buckets whose earliest deadline may be before `before`, earliest first; at most max of them.
    // *ret_next: the earliest score of those left out, or of all others; NEVER: none.
    int (*due)(void *ctx, const struct part_key *p, int64_t before, size_t max, struct due_bucket *ret, size_t *ret_n,
               int64_t *ret_next, struct why *ret_why);
    // One atomic write, done only if owner and cursor->n are still those in the store, and nothing is lost, as above;
    // else PORT_FENCED.
    int (*flush)(void *ctx, const struct part_key *p, const struct owner *owner, const struct flush *f,
                 struct why *ret_why);
    // All statistics of the partition, by callback.
    int (*stats)(void *ctx, const struct part_key *p, void (*each)(void *arg, struct span field, int64_t value),
                 void *arg, struct why *ret_why);
    // Customers in the buckets [0, buckets) of a model, by counting: what the cursor says must be there.
    int (*count)(void *ctx, const struct part_key *p, int model, uint64_t buckets, uint64_t *ret, struct why *ret_why);
    // Keeps texts of models beside the states; the same name and version replaces. Fenced as a flush is, and counted as
    // one: the cursor's n is n + 1 then.
    int (*remember)(void *ctx, const struct part_key *p, const struct owner *owner, uint64_t n,
                    const struct model_text *texts, size_t ntexts, struct why *ret_why);
    int (*recall)(void *ctx, const struct part_key *p, int (*each)(void *arg, const struct model_text *t), void *arg,
                  struct why *ret_why); // each() < 0 stops with that value
};

// ---- sink

struct out_header {
    const char *name;
    struct span value;
};

struct out_record { // copied by produce
    const char *topic;
    int32_t partition;
    struct span key, value; // value.p NULL: a null value
    int64_t timestamp;      // ms UTC
    const struct out_header *headers;
    size_t nheaders;
};

struct commit_offset {
    struct part_key source;
    int64_t offset;
    int64_t clock; // goes into the metadata as "c=<clock>"; INT64_MIN: none
};

struct produced { // by commit: where the records of the transaction went
    const char *topic;
    int32_t partition;
    int64_t next; // offset after the last one and, exactly once, the marker that follows it
};

struct sink_ops {
    int (*begin)(void *ctx, struct why *ret_why);
    // PORT_REFUSED: this record never will, the others stay; all other conditions: to be undone by `abort`.
    int (*produce)(void *ctx, const struct out_record *r, struct why *ret_why);
    // Waits for all records, sends the offsets with the group metadata taken at the last assignment, commits.
    // PORT_ABORTED: undone. PORT_UNKNOWN: may be visible; the sink has made itself a new producer, or will at begin.
    // *ret, *ret_n: valid until the next call.
    int (*commit)(void *ctx, const struct commit_offset *offsets, size_t n, const struct produced **ret, size_t *ret_n,
                  struct why *ret_why);
    int (*abort)(void *ctx, struct why *ret_why);
};

// ---- log

struct log_events { // called from within poll, between batches, on the same thread
    void (*assigned)(void *arg, const struct part_key *p, size_t n); // starts paused; group metadata has been taken
    void (*revoked)(void *arg, const struct part_key *p, size_t n, bool lost);
    void *arg;
};

struct log_ops {
    // What is ready, at most `max` records, waiting at most wait_ms for the first. Records live until the next poll.
    int (*poll)(void *ctx, int wait_ms, size_t max, const struct record **ret, size_t *ret_n, struct why *ret_why);
    // From where the partition is read next; also ends its pause.
    int (*seek)(void *ctx, const struct part_key *p, int64_t offset, struct why *ret_why);
    int (*pause)(void *ctx, const struct part_key *p);
    // The group's committed offset (-1: none) and the clock in its metadata (INT64_MIN: none), stable.
    int (*committed)(void *ctx, const struct part_key *p, int64_t *ret_offset, int64_t *ret_clock, struct why *ret_why);
    // First offset, end (high watermark) and last stable offset of any topic's partition, asked from the broker now.
    int (*ends)(void *ctx, const struct part_key *p, int64_t *ret_start, int64_t *ret_high, int64_t *ret_stable,
                struct why *ret_why);
    // Reads a partition read_committed from `from` until the last stable offset has passed `upto`; each record once.
    // PORT_AWAY: not passed within a second or two (an open transaction): call again, from `from`. PORT_REFUSED: `from`
    // is gone. each() < 0 stops with that value.
    int (*read)(void *ctx, const struct part_key *p, int64_t from, int64_t upto,
                int (*each)(void *arg, const struct record *r), void *arg, struct why *ret_why);
    // The end of the partition, if everything before it has been delivered by poll (it may lie beyond the last record:
    // transaction markers take offsets too); -1: there is more to come, or that is not known.
    int64_t (*reached)(void *ctx, const struct part_key *p);
    // The number of partitions of a topic.
    int (*partitions)(void *ctx, const char *topic, int32_t *ret_n, struct why *ret_why);
};

// ---- clock, chance, voice

enum note_level { NOTE_DEBUG, NOTE_INFO, NOTE_WARNING, NOTE_ERROR };

struct world_ops {
    int64_t (*wall_ms)(void *ctx); // ms UTC
    int64_t (*mono_ms)(void *ctx); // never goes back
    uint64_t (*random)(void *ctx);
    void (*note)(void *ctx, enum note_level level, const struct part_key *p, const char *text); // p may be NULL
};

struct ports {
    const struct log_ops *log;
    const struct sink_ops *sink;
    const struct store_ops *store;
    const struct world_ops *world;
    void *log_ctx, *sink_ctx, *store_ctx, *world_ctx;
};
