// What the tests of the Kafka ports share: a worker (log and sink) with names of its own in a Kafka that may be shared
// by many runs, topics to be filled, and waiting for conditions. Anything unexpected fails the test on the spot.
#pragma once
#include <check.h>

#include "kafka_log.h"
#include "kafka_query.h"
#include "kafka_sink.h"
#include "kafka_topics.h"

enum { PATIENCE_MS = 30000 }; // for what must happen

extern const char *brokers; // of a real Kafka; NULL: there is none

struct worker {
    struct kafka_options options;
    struct kafka_log *log;
    struct kafka_sink *sink;
    int assignments, revocations;
    int assigned;                       // partitions now
    bool lost;                          // the last revocation
    bool seek_at_once;                  // seek to 0 in the callback of the assignment
    void (*revoking)(struct worker *w); // called while partitions are still ours
    char app[64], source[64], journal[64], output[64];
};

// A name that no other test has.
void unique(char *ret, size_t size, const char *what);
void topic_create(const char *name, int partitions, const char *config, const char *value);
// Appends n plain records whose values are the numbers from `first` on, spread over keys k-0 … k-9.
void topic_fill(const char *name, int32_t partition, int n, int first);
// Removes the records before `offset`.
void topic_cut(const char *name, int32_t partition, int64_t offset);

// Names and options only; the source and the output have `partitions` each, the journal too.
void worker_prepare(struct worker *w, int partitions);
// As another worker of the same app, with index `worker`, or another instance.
void worker_join(struct worker *w, const struct worker *other, const char *instance, int worker);
void worker_open(struct worker *w);
void worker_close(struct worker *w);
// Polls until it has that many partitions; all else that comes is an error.
void worker_await(struct worker *w, int partitions);
// One poll that must succeed; returns how many records came.
size_t worker_poll(struct worker *w, int wait_ms, size_t max, const struct record **ret);

void expect(int result, int expected, const struct why *why, const char *file, int line);
#define EXPECT(expected, call) \
    do { \
        why = (struct why){""}; \
        expect(call, expected, &why, __FILE__, __LINE__); \
    } while (0)

struct part_key source_of(const struct worker *w, int32_t partition);
int64_t number_of(const struct record *r); // the value, written as a decimal
// Produces to the worker's output; returns what the sink does.
int put(struct worker *w, int32_t partition, const char *key, const char *value, struct why *why);
// Begins, puts one record, commits it with the offset (-1: none).
int publish(struct worker *w, int32_t partition, const char *value, int64_t offset, int64_t clock, struct why *why);
// Reads a partition of the worker's output from `from` to its present end, and counts records.
int count_committed(struct worker *w, const char *topic, int32_t partition, int64_t from, int *ret, struct why *why);
