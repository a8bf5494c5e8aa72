// Kafka as the bench's tool needs it: topics, ends, and reading a topic as fast as librdkafka can.
#include "load.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { CALL_MS = 15000, BATCH = 4096, TRIES = 100, TRY_US = 100000 };

static char why[512];

static void on_delivery(rd_kafka_t *rk, const rd_kafka_message_t *m, void *arg)
{
    (void)rk, (void)arg;
    if (m->err)
        fail("an event was not delivered: %s", rd_kafka_err2str(m->err));
}

rd_kafka_t *client_new(rd_kafka_type_t type, const char *brokers, const char *const *settings)
{
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    const char *const common[] = {"bootstrap.servers", brokers, "log_level", "3", NULL};
    const char *const *lists[] = {common, settings};
    for (size_t i = 0; i < 2; i++)
        for (const char *const *s = lists[i]; s && *s; s += 2)
            if (rd_kafka_conf_set(conf, s[0], s[1], why, sizeof why))
                fail("%s: %s", s[0], why);
    if (type == RD_KAFKA_PRODUCER)
        rd_kafka_conf_set_dr_msg_cb(conf, on_delivery);
    rd_kafka_t *rk = rd_kafka_new(type, conf, why, sizeof why);
    if (!rk)
        fail("no client of Kafka: %s", why);
    if (type == RD_KAFKA_CONSUMER)
        rd_kafka_poll_set_consumer(rk);
    return rk;
}

rd_kafka_t *reader_new(const char *brokers)
{
    const char *const settings[] = {"group.id", "bench", "enable.auto.commit", "false", "enable.partition.eof", "true",
                                    "isolation.level", "read_committed", "auto.offset.reset", "error",
                                    "fetch.wait.max.ms", "10", "fetch.queue.backoff.ms", "5",
                                    "queued.min.messages", "1000000", "queued.max.messages.kbytes", "131072", NULL};
    return client_new(RD_KAFKA_CONSUMER, brokers, settings);
}

int32_t partitions_of(rd_kafka_t *rk, const char *topic)
{
    rd_kafka_topic_t *t = rd_kafka_topic_new(rk, topic, NULL);
    int32_t n = 0;
    for (int i = 0; n == 0 && i < TRIES; i++) {
        const struct rd_kafka_metadata *m;
        if (rd_kafka_metadata(rk, 0, t, &m, CALL_MS) == RD_KAFKA_RESP_ERR_NO_ERROR) {
            if (m->topic_cnt == 1 && !m->topics[0].err)
                n = m->topics[0].partition_cnt;
            rd_kafka_metadata_destroy(m);
        }
        if (n == 0)
            usleep(TRY_US); // a new topic is known to the broker a moment later
    }
    rd_kafka_topic_destroy(t);
    if (n == 0 || n > PARTITIONS_MAX)
        fail("topic %s has %d partitions", topic, n);
    return n;
}

void topic_create(const char *brokers, const char *topic, int partitions)
{
    rd_kafka_t *rk = client_new(RD_KAFKA_PRODUCER, brokers, NULL);
    rd_kafka_queue_t *q = rd_kafka_queue_new(rk);
    rd_kafka_NewTopic_t *t = rd_kafka_NewTopic_new(topic, partitions, 1, why, sizeof why);
    if (!t)
        fail("topic %s: %s", topic, why);
    rd_kafka_NewTopic_set_config(t, "retention.ms", "-1");
    rd_kafka_CreateTopics(rk, &t, 1, NULL, q);
    rd_kafka_event_t *e = rd_kafka_queue_poll(q, CALL_MS);
    size_t n = 0;
    const rd_kafka_topic_result_t **r =
        e ? rd_kafka_CreateTopics_result_topics(rd_kafka_event_CreateTopics_result(e), &n) : NULL;
    if (n != 1 || rd_kafka_topic_result_error(r[0]))
        fail("topic %s was not created: %s", topic, n == 1 ? rd_kafka_topic_result_error_string(r[0]) : "no answer");
    rd_kafka_event_destroy(e);
    rd_kafka_NewTopic_destroy(t);
    partitions_of(rk, topic);
    rd_kafka_queue_destroy(q);
    rd_kafka_destroy(rk);
}

void ends_of(rd_kafka_t *rk, const char *topic, int32_t n, int64_t *ret)
{
    for (int32_t p = 0; p < n; p++) {
        int64_t low;
        rd_kafka_resp_err_t err = rd_kafka_query_watermark_offsets(rk, topic, p, &low, &ret[p], CALL_MS);
        if (err)
            fail("the end of partition %d of %s: %s", p, topic, rd_kafka_err2str(err));
    }
}

int64_t group_lag(const char *brokers, const char *group, const char *topic)
{
    rd_kafka_t *rk = client_new(RD_KAFKA_CONSUMER, brokers,
                                (const char *[]){"group.id", group, "isolation.level", "read_committed", NULL});
    int64_t ends[PARTITIONS_MAX], lag = 0;
    int32_t n = partitions_of(rk, topic);
    ends_of(rk, topic, n, ends);
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(n);
    for (int32_t p = 0; p < n; p++)
        rd_kafka_topic_partition_list_add(list, topic, p);
    rd_kafka_resp_err_t err = rd_kafka_committed(rk, list, CALL_MS);
    for (int32_t p = 0; !err && p < n; p++)
        err = list->elems[p].err;
    if (err)
        fail("offsets of group %s: %s", group, rd_kafka_err2str(err));
    for (int32_t p = 0; p < n; p++)
        lag += ends[p] - (list->elems[p].offset > 0 ? list->elems[p].offset : 0);
    rd_kafka_topic_partition_list_destroy(list);
    rd_kafka_destroy(rk);
    return lag;
}

rd_kafka_queue_t *reader_start(rd_kafka_t *rk, const char *topic, int32_t n, const int64_t *from)
{
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(n);
    for (int32_t p = 0; p < n; p++)
        rd_kafka_topic_partition_list_add(list, topic, p)->offset = from ? from[p] : RD_KAFKA_OFFSET_BEGINNING;
    rd_kafka_resp_err_t err = rd_kafka_assign(rk, list);
    if (err)
        fail("reading %s: %s", topic, rd_kafka_err2str(err));
    rd_kafka_topic_partition_list_destroy(list);
    return rd_kafka_queue_get_consumer(rk);
}

void read_topic(const char *brokers, const char *topic, void (*each)(void *arg, const rd_kafka_message_t *m), void *arg)
{
    rd_kafka_t *rk = reader_new(brokers);
    int32_t n = partitions_of(rk, topic), ended = 0;
    rd_kafka_queue_t *q = reader_start(rk, topic, n, NULL);
    rd_kafka_message_t *messages[BATCH];
    while (ended < n) {
        ssize_t got = rd_kafka_consume_batch_queue(q, 100, messages, BATCH);
        for (ssize_t i = 0; i < got; i++) {
            if (messages[i]->err == RD_KAFKA_RESP_ERR__PARTITION_EOF)
                ended++;
            else if (messages[i]->err)
                fail("reading %s: %s", topic, rd_kafka_message_errstr(messages[i]));
            else
                each(arg, messages[i]);
            rd_kafka_message_destroy(messages[i]);
        }
    }
    rd_kafka_queue_destroy(q);
    rd_kafka_destroy(rk);
}
