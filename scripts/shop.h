// What the parts of the demo's shop share. A tool of one run: what it allocates it keeps until it ends.
#pragma once
#include <inttypes.h>
#include <librdkafka/rdkafka.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

enum {
    PARTITIONS = 4,
    OUTPUT_TOPICS = 2,
};

#define SOURCE_TOPIC "shop.events"
extern const char *const output_topics[OUTPUT_TOPICS];

#define NUMBER_BYTES 32

// Prints what failed, and ends with status 1.
_Noreturn void fail(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

// n objects of that size, zeroed; never NULL.
void *need(size_t n, size_t size);

// Grows an array by doubling, so that one more than n fits: `v` or what takes its place.
void *grow(void *v, size_t n, size_t *cap, size_t size);

// n with a comma between each three digits, written into buf and returned.
const char *number(int64_t n, char buf[static NUMBER_BYTES]);

// A consumer of every partition of the output topics from their beginning, committed records only.
rd_kafka_t *outputs_open(const char *brokers, rd_kafka_queue_t **ret_queue);

// The commands: generate CUSTOMERS SEED, feed BROKERS REDIS DIR, report BROKERS DIR CUSTOMERS.
int shop_generate(char **args);
int shop_feed(char **args);
int shop_report(char **args);
