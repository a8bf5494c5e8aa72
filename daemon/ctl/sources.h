// What the commands about a running app look at: its configuration, its states in Redis, its topics in Kafka.
// Reads only; daemons may be at work on all of it, or none.
#pragma once
#include "config.h"
#include "kafka_read.h"
#include "lookup.h"
#include "options.h"
#include "redis_store.h"

struct sources {
    const char *command; // "engagectl why", for messages
    struct config *config;
    const char *models[MODELS_MAX]; // names
    struct redis_options redis;
    struct redis_store *store;
    struct kafka_options kafka;
    struct kafka_reader reader; // open after sources_kafka
};

// Reads the configuration; connects to nothing yet. 0: *ret must not move and is the caller's
// (sources_close), also after a failure; else an exit status (printed), or negative.
int sources_open(const char *command, const char *config, const struct option_list *overrides, struct sources *ret);
void sources_close(struct sources *s);
// Opens the client of Kafka, once. As a result of ports.h.
int sources_kafka(struct sources *s, struct why *ret_why);
// Tells of a failure of Kafka's, already in *why, where Kafka was looked for, and what may be wrong. The same result.
int sources_kafka_why(const struct sources *s, int result, struct why *why);
// The end of a topic's partition (high watermark).
int sources_end(struct sources *s, const struct part_key *p, int64_t *ret_end, struct why *ret_why);
// The source's number of partitions: as Redis knows it, else as Kafka does.
int sources_partitions(struct sources *s, int32_t *ret_n, struct why *ret_why);

// Calls found() for each model's state of the customer. 0, an exit status (printed; EX_DATAERR: there is
// none), or negative.
int sources_customer(struct sources *s, const char *id, void (*found)(void *arg, const struct lookup_found *f),
                     void *arg);
// The same as HTTP has it, one JSON object.
int sources_customer_json(struct sources *s, const char *id, struct buffer *ret);
// How the customer came into the stage, in words, from the transitions topic: "second-purchase, from
// first-time-buyer: purchase e-9 (clickstream/0, offset 991)"; or why that is not known. 0, or negative.
int sources_entry(struct sources *s, const struct lookup_found *f, struct buffer *words);
