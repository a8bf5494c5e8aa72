// librdkafka fills a batch until the time to wait is over, even when something is there: so we ask for what is ready
// first, and wait for one message only when nothing is.
#include "kafka_records.h"

#include <stdlib.h>
#include <string.h>

#include "error.h"

static int reserve(struct kafka_records *r, size_t n)
{
    if (n <= r->cap)
        return 0;
    rd_kafka_message_t **messages = realloc(r->messages, n * sizeof(*messages));
    if (!messages)
        return ERR_NOMEM;
    r->messages = messages;
    struct record *records = realloc(r->records, n * sizeof(*records));
    if (!records)
        return ERR_NOMEM;
    r->records = records;
    r->cap = n;
    return 0;
}

static size_t take(struct kafka_records *r, rd_kafka_queue_t *queue, int wait_ms, size_t max)
{
    ssize_t n = rd_kafka_consume_batch_queue(queue, wait_ms, r->messages + r->nmessages, max);
    return n > 0 ? (size_t)n : 0;
}

int kafka_records_consume(struct kafka_records *r, rd_kafka_queue_t *queue, int wait_ms, size_t max)
{
    kafka_records_release(r);
    int err = reserve(r, max);
    if (err < 0)
        return err;
    r->nmessages = take(r, queue, 0, max);
    if (r->nmessages > 0 || wait_ms <= 0)
        return 0;
    r->nmessages = take(r, queue, wait_ms, 1);
    if (r->nmessages > 0 && max > 1)
        r->nmessages += take(r, queue, 0, max - 1);
    return 0;
}

// Another core has written the messages: their memory is asked for some messages ahead. Headers, behind the value, are
// what is read of it first.
static void fetch_ahead(const struct kafka_records *r)
{
    enum { AHEAD = 8 };
    if (r->n + AHEAD >= r->nmessages)
        return;
    const rd_kafka_message_t *m = r->messages[r->n + AHEAD];
    __builtin_prefetch((const char *)m->payload + m->len);
}

static int add_headers(struct kafka_records *r, const rd_kafka_message_t *m, size_t *ret_n)
{
    rd_kafka_headers_t *headers;
    *ret_n = 0;
    if (rd_kafka_message_headers(m, &headers) != RD_KAFKA_RESP_ERR_NO_ERROR)
        return 0;
    size_t n = rd_kafka_header_cnt(headers);
    if (r->headers_cap - r->nheaders < n) {
        size_t cap = r->headers_cap * 2 > r->nheaders + n ? r->headers_cap * 2 : r->nheaders + n + 64;
        struct record_header *v = realloc(r->headers, cap * sizeof(*v));
        if (!v)
            return ERR_NOMEM;
        r->headers = v;
        r->headers_cap = cap;
    }
    for (size_t i = 0; i < n; i++) {
        const char *name;
        const void *value;
        size_t size;
        if (rd_kafka_header_get_all(headers, i, &name, &value, &size) != RD_KAFKA_RESP_ERR_NO_ERROR)
            break;
        r->headers[r->nheaders++] = (struct record_header){
            .name = {name, strlen(name)},
            .value = {value, size},
        };
        ++*ret_n;
    }
    return 0;
}

int kafka_records_add(struct kafka_records *r, const rd_kafka_message_t *m)
{
    size_t nheaders;
    fetch_ahead(r);
    int err = add_headers(r, m, &nheaders);
    if (err < 0)
        return err;
    const char *topic = rd_kafka_topic_name(m->rkt);
    rd_kafka_timestamp_type_t type;
    int64_t timestamp = rd_kafka_message_timestamp(m, &type);
    r->records[r->n++] = (struct record){
        .topic = {topic, strlen(topic)},
        .partition = m->partition,
        .offset = m->offset,
        .timestamp = type == RD_KAFKA_TIMESTAMP_NOT_AVAILABLE ? -1 : timestamp,
        .key = {m->key, m->key ? m->key_len : 0},
        .value = {m->payload, m->payload ? m->len : 0},
        .nheaders = nheaders,
    };
    return 0;
}

void kafka_records_settle(struct kafka_records *r)
{
    // While records were added the array of headers could move; now it rests, in the order of the records.
    const struct record_header *next = r->headers;
    for (size_t i = 0; i < r->n; i++) {
        r->records[i].headers = next;
        next += r->records[i].nheaders;
    }
}

void kafka_records_release(struct kafka_records *r)
{
    for (size_t i = 0; i < r->nmessages; i++)
        rd_kafka_message_destroy(r->messages[i]);
    r->nmessages = r->n = r->nheaders = 0;
}

void kafka_records_clear(struct kafka_records *r)
{
    kafka_records_release(r);
    free(r->messages);
    free(r->records);
    free(r->headers);
    *r = (struct kafka_records){0};
}
