// What the parts of the demo's shop share. A tool of one run: what it allocates it keeps until it ends, and what it
// cannot do ends it.
#pragma once
#include <inttypes.h>
#include <librdkafka/rdkafka.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

enum { PARTITIONS = 4, OUTPUT_TOPICS = 2, NUMBER_BYTES = 32, PATH_BYTES = 4096 };

#define SOURCE_TOPIC "shop.events"
extern const char *const output_topics[OUTPUT_TOPICS];

// Prints what failed, and ends with status 1.
_Noreturn void fail(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

// `v`, or what takes its place, so that one more than the n elements of that size fits; *cap: how many do.
void *grow(void *v, size_t n, size_t *cap, size_t size);

// n with commas, 12,345: written into buf, and returned.
const char *number(int64_t n, char buf[static NUMBER_BYTES]);

// A file of the folder; n >= 0: the one of that partition, NAME-N.jsonl.
FILE *open_in(const char *dir, const char *name, int n, const char *mode);

// Waits for the output topics, and reads all their partitions from the beginning, committed records only. Each
// partition's end is told as RD_KAFKA_RESP_ERR__PARTITION_EOF.
rd_kafka_queue_t *outputs_open(const char *brokers);

// A client's configuration with these brokers; then name, value, …, NULL.
rd_kafka_conf_t *client_conf(const char *brokers, ...) __attribute__((sentinel));

// The commands. They return the exit status. Clients are left to the end of the process.
int shop_generate(char **args); // CUSTOMERS SEED
int shop_feed(char **args);     // BROKERS REDIS DIR END
int shop_report(char **args);   // BROKERS DIR CUSTOMERS
