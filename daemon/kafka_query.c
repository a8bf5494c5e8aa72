// The three ends of a partition are three requests, sent together and answered in any order. Each has a queue for its
// answers, so that one that comes too late meets nobody.
#include "kafka_query.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum { HURRY_EVERY_MS = 50 };

static void options_destroy(rd_kafka_AdminOptions_t **o)
{
    if (*o)
        rd_kafka_AdminOptions_destroy(*o);
}

static int failed(struct why *ret_why, const struct part_key *p, rd_kafka_resp_err_t err, const char *text)
{
    return kafka_why(ret_why, kafka_unreachable(err) ? PORT_AWAY : PORT_REFUSED, "partition %d of %s: %s",
                     (int)p->partition, p->topic, text ? text : rd_kafka_err2str(err));
}

static void ask_end(rd_kafka_t *rk, const struct part_key *p, rd_kafka_OffsetSpec_t which,
                    rd_kafka_IsolationLevel_t isolation, int64_t *ret, rd_kafka_queue_t *answers)
{
    char text[128];
    _cleanup_(kafka_list_destroy) rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
    rd_kafka_topic_partition_list_add(list, p->topic, p->partition)->offset = which;
    _cleanup_(options_destroy) rd_kafka_AdminOptions_t *o =
        rd_kafka_AdminOptions_new(rk, RD_KAFKA_ADMIN_OP_LISTOFFSETS);
    rd_kafka_AdminOptions_set_request_timeout(o, KAFKA_CALL_MS, text, sizeof(text));
    rd_kafka_AdminOptions_set_opaque(o, ret);
    rd_kafka_error_t *error = rd_kafka_AdminOptions_set_isolation_level(o, isolation);
    kafka_error_destroy(&error);
    rd_kafka_ListOffsets(rk, list, o, answers);
}

static int take_end(const struct part_key *p, rd_kafka_queue_t *answers, struct why *ret_why)
{
    _cleanup_(kafka_event_destroy) rd_kafka_event_t *event = rd_kafka_queue_poll(answers, KAFKA_CALL_MS);
    if (!event)
        return failed(ret_why, p, RD_KAFKA_RESP_ERR__TIMED_OUT, "brokers do not tell its end");
    if (rd_kafka_event_error(event))
        return failed(ret_why, p, rd_kafka_event_error(event), rd_kafka_event_error_string(event));
    size_t n;
    const rd_kafka_ListOffsetsResultInfo_t **infos =
        rd_kafka_ListOffsets_result_infos(rd_kafka_event_ListOffsets_result(event), &n);
    if (n != 1)
        return failed(ret_why, p, RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART, NULL);
    const rd_kafka_topic_partition_t *t = rd_kafka_ListOffsetsResultInfo_topic_partition(infos[0]);
    if (t->err)
        return failed(ret_why, p, t->err, NULL);
    if (t->offset < 0) // a request that failed leaves no error, only no offset
        return failed(ret_why, p, RD_KAFKA_RESP_ERR__TIMED_OUT, "brokers do not tell its end");
    *(int64_t *)rd_kafka_event_opaque(event) = t->offset;
    return PORT_OK;
}

int kafka_ends(void *ctx, const struct part_key *p, int64_t *ret_start, int64_t *ret_high, int64_t *ret_stable,
               struct why *ret_why)
{
    const struct kafka_client *c = ctx;
    if (!c->rk)
        return failed(ret_why, p, RD_KAFKA_RESP_ERR__TRANSPORT, NULL);
    int64_t start = -1, high = -1, stable = -1;
    _cleanup_(kafka_queue_destroy) rd_kafka_queue_t *answers = rd_kafka_queue_new(c->rk);
    ask_end(c->rk, p, RD_KAFKA_OFFSET_SPEC_EARLIEST, RD_KAFKA_ISOLATION_LEVEL_READ_UNCOMMITTED, &start, answers);
    ask_end(c->rk, p, RD_KAFKA_OFFSET_SPEC_LATEST, RD_KAFKA_ISOLATION_LEVEL_READ_UNCOMMITTED, &high, answers);
    ask_end(c->rk, p, RD_KAFKA_OFFSET_SPEC_LATEST, RD_KAFKA_ISOLATION_LEVEL_READ_COMMITTED, &stable, answers);
    for (int i = 0; i < 3; i++) {
        int r = take_end(p, answers, ret_why);
        if (r != PORT_OK)
            return r;
    }
    *ret_start = start;
    *ret_high = high;
    *ret_stable = stable;
    return PORT_OK;
}

void kafka_nudge(struct kafka_client *c, const struct part_key *p)
{
    _cleanup_(kafka_queue_destroy) rd_kafka_queue_t *nobody = rd_kafka_queue_new(c->rk);
    ask_end(c->rk, p, RD_KAFKA_OFFSET_SPEC_EARLIEST, RD_KAFKA_ISOLATION_LEVEL_READ_UNCOMMITTED, NULL, nobody);
}

void kafka_hurry(struct kafka_client *c)
{
    int64_t now = now_ms();
    if (now - c->hurried_ms < HURRY_EVERY_MS)
        return;
    c->hurried_ms = now;
    rd_kafka_topic_partition_list_t *topics = NULL;
    if (!rd_kafka_subscription(c->rk, &topics)) // any question does
        rd_kafka_topic_partition_list_destroy(topics);
}

static int64_t parse_clock(const char *text, size_t n)
{
    char copy[32], *end;
    if (n < 3 || n >= sizeof(copy) || memcmp(text, "c=", 2) != 0)
        return INT64_MIN;
    memcpy(copy, text + 2, n - 2);
    copy[n - 2] = '\0';
    int64_t clock = strtoll(copy, &end, 10);
    return *end ? INT64_MIN : clock;
}

int kafka_committed(void *ctx, const struct part_key *p, int64_t *ret_offset, int64_t *ret_clock, struct why *ret_why)
{
    const struct kafka_client *c = ctx;
    if (!c->rk)
        return failed(ret_why, p, RD_KAFKA_RESP_ERR__TRANSPORT, NULL);
    _cleanup_(kafka_list_destroy) rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
    const rd_kafka_topic_partition_t *t = rd_kafka_topic_partition_list_add(list, p->topic, p->partition);
    // A consumer that is read_committed asks for stable offsets, and librdkafka asks again until they are.
    rd_kafka_resp_err_t err = rd_kafka_committed(c->rk, list, KAFKA_CALL_MS);
    if (!err)
        err = t->err;
    if (err == RD_KAFKA_RESP_ERR_UNSTABLE_OFFSET_COMMIT || err == RD_KAFKA_RESP_ERR__TIMED_OUT)
        return failed(ret_why, p, err, "no offset of the group's in time; perhaps an open transaction holds it");
    if (err)
        return failed(ret_why, p, err, NULL);
    *ret_offset = t->offset >= 0 ? t->offset : -1;
    *ret_clock = t->offset >= 0 ? parse_clock(t->metadata, t->metadata_size) : INT64_MIN;
    return PORT_OK;
}

static void metadata_destroy(const struct rd_kafka_metadata **m)
{
    if (*m)
        rd_kafka_metadata_destroy(*m);
}

int kafka_partitions_if_any(void *ctx, const char *topic, int32_t *ret_n, struct why *ret_why)
{
    const struct kafka_client *c = ctx;
    _cleanup_(kafka_topic_destroy) rd_kafka_topic_t *t = c->rk ? rd_kafka_topic_new(c->rk, topic, NULL) : NULL;
    _cleanup_(metadata_destroy) const struct rd_kafka_metadata *m = NULL;
    rd_kafka_resp_err_t err = RD_KAFKA_RESP_ERR__TRANSPORT;
    if (t)
        err = rd_kafka_metadata(c->rk, 0, t, &m, KAFKA_CALL_MS);
    else if (c->rk)
        err = rd_kafka_last_error();
    if (!err && m->topic_cnt == 1)
        err = m->topics[0].err;
    if (err && err != RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART)
        return kafka_why(ret_why, kafka_unreachable(err) ? PORT_AWAY : PORT_REFUSED, "topic %s: %s", topic,
                         rd_kafka_err2str(err));
    *ret_n = !err && m->topic_cnt == 1 ? m->topics[0].partition_cnt : 0;
    return PORT_OK;
}

int kafka_partitions(void *ctx, const char *topic, int32_t *ret_n, struct why *ret_why)
{
    int32_t n = 0;
    int r = kafka_partitions_if_any(ctx, topic, &n, ret_why);
    if (r == PORT_OK && n == 0)
        r = kafka_why(ret_why, PORT_REFUSED, "topic %s does not exist: create it, or name another in sources", topic);
    if (r == PORT_OK)
        *ret_n = n;
    return r;
}
