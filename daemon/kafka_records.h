// Messages of librdkafka's seen as records. Nothing is copied, and no record takes memory of its own from the heap:
// the arrays grow to the largest batch and stay.
#pragma once
#include <librdkafka/rdkafka.h>

#include "ports.h"

struct kafka_records {
    rd_kafka_message_t **messages; // what was consumed, errors among it
    size_t nmessages;
    struct record *records; // those messages that were added
    size_t n;
    size_t cap; // of messages and of records
    struct record_header *headers;
    size_t nheaders, headers_cap;
};

// Lets go of the messages before, and takes up to `max` that are ready from the queue, waiting at most wait_ms for the
// first. Callbacks of librdkafka's run within. 0, or ERR_NOMEM.
int kafka_records_consume(struct kafka_records *r, rd_kafka_queue_t *queue, int wait_ms, size_t max);
// Makes a record of a message. 0, or ERR_NOMEM. Its headers can be read after kafka_records_settle.
int kafka_records_add(struct kafka_records *r, const rd_kafka_message_t *m);
void kafka_records_settle(struct kafka_records *r);
// Lets go of messages and records.
void kafka_records_release(struct kafka_records *r);
void kafka_records_clear(struct kafka_records *r);
