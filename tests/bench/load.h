// What the parts of the bench's tool share. It is a tool, not a daemon: whatever goes wrong ends it, with a sentence.
#pragma once
#include <librdkafka/rdkafka.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "load_model.h"

enum { PARTITIONS_MAX = 1024, ID_BYTES = 40 };

// ---- load.c

_Noreturn void fail(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void *need(void *memory); // ends the tool when it is NULL
int64_t wall_ms(void);    // ms UTC
double mono_s(void);      // never goes back

struct args { // NAME=VALUE words of the command line; names that nobody asked for are mistakes
    char **words;
    int n;
    uint64_t asked; // a bit for each word
};

int64_t arg_int(struct args *a, const char *name, int64_t otherwise);
const char *arg_text(struct args *a, const char *name, const char *otherwise);
void args_end(const struct args *a);

// ---- load_kafka.c

// A client with settings {name, value, …, NULL}. The caller destroys it, or leaves it to the end of the process.
rd_kafka_t *client_new(rd_kafka_type_t type, const char *brokers, const char *const *settings);
rd_kafka_t *reader_new(const char *brokers); // a consumer, read_committed, no group of its own
int32_t partitions_of(rd_kafka_t *rk, const char *topic);
void topic_create(const char *brokers, const char *topic, int partitions);
// The end of each partition: the last stable offset for a reader, else the high watermark.
void ends_of(rd_kafka_t *rk, const char *topic, int32_t n, int64_t *ret);
// How many events the group has not committed yet.
int64_t group_lag(const char *brokers, const char *group, const char *topic);
rd_kafka_queue_t *reader_start(rd_kafka_t *rk, const char *topic, int32_t n, const int64_t *from); // NULL: beginning
// Every record that a topic holds now, in the order of each partition.
void read_topic(const char *brokers, const char *topic, void (*each)(void *arg, const rd_kafka_message_t *m),
                void *arg);

// ---- load_lines.c: texts by id, for customers and for outputs

struct table {       // open addressing over entries of one size, which start with their id
    char *entries;   // owned
    uint32_t *slots; // index + 1
    size_t n, cap, mask, size;
};

// The entry of an id, made of zero bytes when it is new. It moves with the next new one.
void *table_get(struct table *t, const char *id, size_t n, bool create);
void table_init(struct table *t, size_t entry_bytes);

int64_t parse_ms(const char *s, size_t n); // RFC 3339 with milliseconds, UTC
void format_ms(int64_t ms, char ret[static 25]);

struct line {               // an output or an expected one: all of it but the score must be equal as text
    char id[ID_BYTES + 12]; // customer:ordinal
    char text[144];
    double score;
    int32_t ordinal;
    int64_t at; // ms UTC
    bool by_deadline;
};

void line_of_expected(const struct taken *t, const char *customer, int32_t partition, int64_t offset, struct line *ret);
void line_of_record(const rd_kafka_message_t *m, struct line *ret);

// ---- commands: each returns the exit status

int load_gen(const char *brokers, struct args *a);
int load_raw(const char *brokers, struct args *a);
int load_oracle(const char *brokers, struct args *a);
int load_watch(const char *brokers, struct args *a);
int load_check(const char *brokers, struct args *a);
