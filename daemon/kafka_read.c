// The last stable offset shows in two ways: a record that is delivered lies before it, and the partition's end, as a
// read_committed consumer is told it, is it. So the position after either tells how far it has passed. An open
// transaction stops it: then the end is told, lies before `upto`, and stays.
#include "kafka_read.h"

#include <inttypes.h>

enum { BATCH = 1000, SLICE_MS = 100, QUIET_MS = 2000 };

static const struct kafka_setting defaults[] = {
    {"fetch.wait.max.ms", "5"}, // the end is told only when a fetch returns with nothing
    {"fetch.queue.backoff.ms", "5"},
    {"queued.min.messages", "10000"},
    {"queued.max.messages.kbytes", "16384"},
    {NULL, NULL},
};
static const struct kafka_setting required[] = {
    {"isolation.level", "read_committed"},
    {"enable.partition.eof", "true"},
    {"auto.offset.reset", "error"},
    {"enable.auto.commit", "false"},
    {"enable.auto.offset.store", "false"},
    {NULL, NULL},
};

static int refused(struct kafka_reader *r, const struct part_key *p, const rd_kafka_message_t *m, int64_t from,
                   struct why *ret_why)
{
    switch (m->err) {
    case RD_KAFKA_RESP_ERR__AUTO_OFFSET_RESET:
    case RD_KAFKA_RESP_ERR_OFFSET_OUT_OF_RANGE:
        return kafka_why(ret_why, PORT_REFUSED, "partition %d of %s no longer has offset %" PRId64, (int)p->partition,
                         p->topic, from);
    case RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC:
    case RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION:
    case RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART:
    case RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED:
        return kafka_why(ret_why, PORT_REFUSED, "partition %d of %s cannot be read: %s", (int)p->partition, p->topic,
                         rd_kafka_message_errstr(m));
    default: // librdkafka tries again
        kafka_note(r->client.options, NOTE_WARNING, "kafka: partition %d of %s: %s", (int)p->partition, p->topic,
                   rd_kafka_message_errstr(m));
        return PORT_OK;
    }
}

// Hands on what was consumed, and moves *position. PORT_OK, PORT_REFUSED, or what each() stopped with.
static int hand_on(struct kafka_reader *r, const struct part_key *p, int64_t from,
                   int (*each)(void *arg, const struct record *r), void *arg, int64_t *position, struct why *ret_why)
{
    for (size_t i = 0; i < r->records.nmessages; i++) {
        const rd_kafka_message_t *m = r->records.messages[i];
        if (m->err == RD_KAFKA_RESP_ERR__PARTITION_EOF) {
            if (m->offset > *position)
                *position = m->offset;
            continue;
        }
        int err = m->err ? refused(r, p, m, from, ret_why) : kafka_records_add(&r->records, m);
        if (err != 0)
            return err;
        if (!m->err)
            *position = m->offset + 1;
    }
    kafka_records_settle(&r->records);
    for (size_t i = 0; i < r->records.n; i++) {
        int err = each(arg, &r->records.records[i]);
        if (err < 0)
            return err;
    }
    return PORT_OK;
}

static int read_on(struct kafka_reader *r, rd_kafka_queue_t *queue, const struct part_key *p, int64_t from,
                   int64_t upto, int (*each)(void *arg, const struct record *r), void *arg, struct why *ret_why)
{
    int64_t position = from, moved_ms = now_ms();
    while (position < upto) {
        int64_t before = position;
        rd_kafka_poll(r->client.rk, 0); // notes
        int err = kafka_records_consume(&r->records, queue, SLICE_MS, BATCH);
        if (err == 0)
            err = hand_on(r, p, from, each, arg, &position, ret_why);
        if (err != 0)
            return err;
        int64_t now = now_ms();
        if (position > before)
            moved_ms = now;
        else if (now - moved_ms >= QUIET_MS)
            return kafka_why(ret_why, PORT_AWAY,
                             "partition %d of %s: nothing committed between offset %" PRId64 " and %" PRId64
                             ": an open transaction, or brokers are away",
                             (int)p->partition, p->topic, position, upto);
    }
    return PORT_OK;
}

int kafka_read(struct kafka_reader *r, const struct kafka_options *o, const struct part_key *p, int64_t from,
               int64_t upto, int (*each)(void *arg, const struct record *r), void *arg, struct why *ret_why)
{
    if (from == upto)
        return PORT_OK;
    if (from > upto)
        return kafka_why(ret_why, PORT_REFUSED, "partition %d of %s ends at %" PRId64 ", before offset %" PRId64,
                         (int)p->partition, p->topic, upto, from);
    if (!r->client.rk) {
        int err = kafka_open(&r->client, o, RD_KAFKA_CONSUMER, defaults, required, NULL, r, ret_why);
        if (err != PORT_OK)
            return err;
    }
    _cleanup_(kafka_topic_destroy) rd_kafka_topic_t *topic = rd_kafka_topic_new(r->client.rk, p->topic, NULL);
    _cleanup_(kafka_queue_destroy) rd_kafka_queue_t *queue = rd_kafka_queue_new(r->client.rk);
    if (!topic || rd_kafka_consume_start_queue(topic, p->partition, from, queue) != 0)
        return kafka_why(ret_why, PORT_REFUSED, "partition %d of %s cannot be read: %s", (int)p->partition, p->topic,
                         rd_kafka_err2str(rd_kafka_last_error()));
    int err = read_on(r, queue, p, from, upto, each, arg, ret_why);
    kafka_records_release(&r->records);
    rd_kafka_consume_stop(topic, p->partition);
    return err;
}

void kafka_reader_close(struct kafka_reader *r)
{
    kafka_records_clear(&r->records);
    kafka_close(&r->client);
}
