#include "cases.h"

#include "config.h"

#include <string.h>

static const struct sink_ops *const sink = &kafka_sink_ops;
static const struct log_ops *const from = &kafka_log_ops;

static void await_one(struct worker *w, int partitions)
{
    worker_prepare(w, partitions);
    worker_open(w);
    worker_await(w, partitions);
}

static int64_t high_of(struct worker *w, const char *topic, int32_t partition)
{
    int64_t start, high, stable;
    struct why why;
    EXPECT(PORT_OK, from->ends(w->log, &(struct part_key){topic, partition}, &start, &high, &stable, &why));
    return high;
}

// Waits until records that were only produced have arrived.
static void await_high(struct worker *w, const char *topic, int64_t high)
{
    int64_t end = now_ms() + PATIENCE_MS;
    while (high_of(w, topic, 0) < high)
        ck_assert(now_ms() < end);
}

START_TEST(visible_when_committed)
{
    struct worker w;
    struct why why;
    const struct produced *produced;
    size_t n;
    int count;
    await_one(&w, 2);
    EXPECT(PORT_OK, sink->begin(w.sink, &why));
    for (int i = 0; i < 3; i++)
        EXPECT(PORT_OK, put(&w, 0, "c-1", "a", &why));
    EXPECT(PORT_OK, put(&w, 1, "c-2", "b", &why));
    await_high(&w, w.output, 3);
    // There, but open: read gives up waiting, and delivers nothing.
    EXPECT(PORT_AWAY, count_committed(&w, w.output, 0, 0, &count, &why));
    ck_assert_int_eq(count, 0);
    ck_assert_ptr_nonnull(strstr(why.text, "an open transaction"));

    struct commit_offset o[] = {{source_of(&w, 0), 11, 1700000000000}, {source_of(&w, 1), 22, INT64_MIN}};
    EXPECT(PORT_OK, sink->commit(w.sink, o, 2, &produced, &n, &why));
    ck_assert_uint_eq(n, 2);
    for (size_t i = 0; i < n; i++) {
        ck_assert_str_eq(produced[i].topic, w.output);
        ck_assert_int_eq(produced[i].next, produced[i].partition == 0 ? 4 : 2); // with the marker
    }
    EXPECT(PORT_OK, count_committed(&w, w.output, 0, 0, &count, &why));
    ck_assert_int_eq(count, 3);

    int64_t offset, clock;
    struct part_key p0 = source_of(&w, 0), p1 = source_of(&w, 1);
    EXPECT(PORT_OK, from->committed(w.log, &p0, &offset, &clock, &why));
    ck_assert_int_eq(offset, 11);
    ck_assert_int_eq(clock, 1700000000000);
    EXPECT(PORT_OK, from->committed(w.log, &p1, &offset, &clock, &why));
    ck_assert_int_eq(offset, 22);
    ck_assert(clock == INT64_MIN);
    // The next transaction reports its own records only, and a negative clock survives, too.
    EXPECT(PORT_OK, publish(&w, 1, "c", 23, -5, &why));
    EXPECT(PORT_OK, from->committed(w.log, &p1, &offset, &clock, &why));
    ck_assert_int_eq(clock, -5);
    ck_assert_uint_eq(kafka_sink_takeovers(w.sink), 0);
    worker_close(&w);
}
END_TEST

START_TEST(aborted_is_never_seen)
{
    struct worker w;
    struct why why;
    int count;
    await_one(&w, 1);
    EXPECT(PORT_OK, sink->begin(w.sink, &why));
    EXPECT(PORT_OK, put(&w, 0, "c-1", "undone", &why));
    await_high(&w, w.output, 1);
    EXPECT(PORT_OK, sink->abort(w.sink, &why));
    EXPECT(PORT_OK, count_committed(&w, w.output, 0, 0, &count, &why));
    ck_assert_int_eq(count, 0);
    EXPECT(PORT_OK, sink->abort(w.sink, &why)); // nothing is open
    EXPECT(PORT_OK, publish(&w, 0, "done", 1, 0, &why));
    EXPECT(PORT_OK, count_committed(&w, w.output, 0, 0, &count, &why));
    ck_assert_int_eq(count, 1);
    worker_close(&w);
}
END_TEST

START_TEST(open_offsets_are_waited_out)
{
    struct worker w;
    struct why why;
    int64_t offset, clock;
    await_one(&w, 1);
    struct part_key p = source_of(&w, 0);
    EXPECT(PORT_OK, publish(&w, 0, "a", 1, 1, &why));
    // A transaction that has sent its offsets and does not end: by hand, as the sink always ends one.
    char text[200];
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    rd_kafka_conf_set(conf, "bootstrap.servers", brokers, text, sizeof(text));
    rd_kafka_conf_set(conf, "transactional.id", w.app, text, sizeof(text));
    rd_kafka_t *rk = rd_kafka_new(RD_KAFKA_PRODUCER, conf, text, sizeof(text));
    ck_assert_ptr_null(rd_kafka_init_transactions(rk, PATIENCE_MS));
    ck_assert_ptr_null(rd_kafka_begin_transaction(rk));
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
    rd_kafka_topic_partition_list_add(list, w.source, 0)->offset = 9;
    ck_assert_ptr_null(rd_kafka_send_offsets_to_transaction(rk, list, kafka_log_group(w.log)->metadata, PATIENCE_MS));
    EXPECT(PORT_AWAY, from->committed(w.log, &p, &offset, &clock, &why));
    ck_assert_ptr_nonnull(strstr(why.text, "partition 0"));
    ck_assert_ptr_nonnull(strstr(why.text, "an open transaction"));
    ck_assert_ptr_null(rd_kafka_abort_transaction(rk, PATIENCE_MS));
    EXPECT(PORT_OK, from->committed(w.log, &p, &offset, &clock, &why));
    ck_assert_int_eq(offset, 1);
    rd_kafka_topic_partition_list_destroy(list);
    rd_kafka_destroy(rk);
    worker_close(&w);
}
END_TEST

// Another process with the same transactional id takes over; each fences the other as soon as it begins.
START_TEST(same_id_fences)
{
    struct worker w, other;
    struct why why;
    int count;
    await_one(&w, 1);
    worker_join(&other, &w, "host", 0);
    EXPECT(PORT_OK, kafka_sink_new(&other.options, kafka_log_group(w.log), &other.sink));
    EXPECT(PORT_OK, publish(&w, 0, "a", 1, 0, &why));
    EXPECT(PORT_OK, sink->begin(w.sink, &why));
    EXPECT(PORT_OK, put(&w, 0, "c-1", "fenced", &why));
    await_high(&w, w.output, 3); // a, its marker, and the open one
    EXPECT(PORT_OK, publish(&other, 0, "b", 2, 0, &why));
    EXPECT(PORT_FENCED, sink->commit(w.sink, NULL, 0, &(const struct produced *){NULL}, &(size_t){0}, &why));
    ck_assert_uint_eq(kafka_sink_takeovers(w.sink), 1);
    EXPECT(PORT_OK, publish(&w, 0, "c", 3, 0, &why));
    EXPECT(PORT_FENCED, publish(&other, 0, "fenced", 4, 0, &why));
    ck_assert_uint_eq(kafka_sink_takeovers(other.sink), 1);
    EXPECT(PORT_OK, count_committed(&w, w.output, 0, 0, &count, &why));
    ck_assert_int_eq(count, 3);
    kafka_sink_free(other.sink);
    worker_close(&w);
}
END_TEST

// A crash leaves a transaction open; the next run of the same worker ends it before it does anything else.
START_TEST(restart_fences_its_past)
{
    struct worker w, again;
    struct why why;
    int count;
    await_one(&w, 1);
    EXPECT(PORT_OK, sink->begin(w.sink, &why));
    EXPECT(PORT_OK, put(&w, 0, "c-1", "left open", &why));
    await_high(&w, w.output, 1);
    worker_join(&again, &w, "host", 0);
    EXPECT(PORT_OK, kafka_sink_new(&again.options, kafka_log_group(w.log), &again.sink));
    EXPECT(PORT_OK, kafka_sink_prepare(again.sink, &why));
    EXPECT(PORT_OK, count_committed(&w, w.output, 0, 0, &count, &why));
    ck_assert_int_eq(count, 0);
    kafka_sink_free(again.sink);
    worker_close(&w);
}
END_TEST

// The group moves on while a worker does not look (stopped, or slow): its transactions no longer pass, although its
// producer is good and it has not heard of the new generation.
START_TEST(former_member_is_fenced)
{
    const struct config_property quick[] = {
        {"session.timeout.ms", "2000"}, {"heartbeat.interval.ms", "300"}, {"max.poll.interval.ms", "2500"}};
    struct worker a, b;
    struct why why;
    int count;
    worker_prepare(&a, 2);
    a.options.properties = quick;
    a.options.nproperties = 3;
    worker_open(&a);
    worker_await(&a, 2);
    EXPECT(PORT_OK, publish(&a, 0, "ours", 1, 0, &why));
    worker_join(&b, &a, "host", 1);
    b.options.properties = quick;
    b.options.nproperties = 3;
    worker_open(&b);
    worker_await(&b, 2); // a does not poll: its partitions go, too
    EXPECT(PORT_FENCED, publish(&a, 0, "theirs", 2, 0, &why));
    ck_assert_ptr_nonnull(strstr(why.text, "the group has moved on"));
    ck_assert_uint_eq(kafka_sink_takeovers(a.sink), 0);
    EXPECT(PORT_OK, publish(&b, 0, "b's", 2, 0, &why));
    EXPECT(PORT_OK, count_committed(&b, b.output, 0, 0, &count, &why));
    ck_assert_int_eq(count, 2);
    worker_close(&b);
    worker_close(&a);
}
END_TEST

static void publish_last(struct worker *w)
{
    struct why why;
    EXPECT(PORT_OK, publish(w, 0, "last", 5, 0, &why));
}

// What the engine has to publish when a partition goes still passes within the callback.
START_TEST(revoked_may_publish)
{
    struct worker a, b;
    const struct record *r;
    struct why why;
    int count;
    await_one(&a, 2);
    a.revoking = publish_last;
    worker_join(&b, &a, "host", 1);
    worker_open(&b);
    int64_t end = now_ms() + PATIENCE_MS;
    while (a.assigned != 1 || b.assigned != 1) {
        ck_assert(now_ms() < end);
        worker_poll(&a, 20, 10, &r);
        worker_poll(&b, 20, 10, &r);
    }
    EXPECT(PORT_OK, count_committed(&b, b.output, 0, 0, &count, &why));
    ck_assert_int_eq(count, 1);
    worker_close(&b);
    worker_close(&a);
}
END_TEST

// Two consumers with one membership: the former is told at its next poll, and joins again if it is asked to.
START_TEST(same_membership_fences)
{
    struct worker a, b;
    struct why why;
    const struct record *r;
    size_t n;
    int result;
    await_one(&a, 1);
    worker_join(&b, &a, "host", 0);
    worker_open(&b);
    int64_t end = now_ms() + PATIENCE_MS;
    while (b.assigned != 1 && now_ms() < end)
        worker_poll(&b, 50, 10, &r);
    while ((result = kafka_log_ops.poll(a.log, 100, 10, &r, &n, &why)) == PORT_OK)
        ck_assert(now_ms() < end);
    expect(result, PORT_FENCED, &why, __FILE__, __LINE__);
    ck_assert_uint_eq(kafka_log_takeovers(a.log), 1);
    ck_assert_int_eq(a.assigned, 0);
    ck_assert(a.lost);
    int64_t start, high, stable;
    EXPECT(PORT_AWAY, from->ends(a.log, &(struct part_key){a.source, 0}, &start, &high, &stable, &why));
    worker_await(&a, 1);
    worker_close(&b);
    worker_close(&a);
}
END_TEST

START_TEST(too_large_is_refused)
{
    struct worker w;
    struct why why;
    const struct produced *produced;
    size_t n;
    int count;
    await_one(&w, 1);
    static char large[2000000];
    memset(large, 'x', sizeof(large) - 1);
    EXPECT(PORT_OK, publish(&w, 0, "first", -1, 0, &why));
    EXPECT(PORT_OK, sink->begin(w.sink, &why));
    EXPECT(PORT_OK, put(&w, 0, "c-1", "small", &why));
    EXPECT(PORT_REFUSED, put(&w, 0, "c-1", large, &why));
    ck_assert_ptr_nonnull(strstr(why.text, w.output));
    EXPECT(PORT_REFUSED, put(&w, 5, "c-1", "no such partition", &why));
    EXPECT(PORT_OK, sink->commit(w.sink, NULL, 0, &produced, &n, &why));
    ck_assert_int_eq(produced[0].next, 4);

    // A topic with a limit of its own is heard of only from the broker.
    char strict[64];
    unique(strict, sizeof(strict), "strict");
    topic_create(strict, 1, "max.message.bytes", "1000");
    memcpy(w.output, strict, sizeof(strict));
    for (size_t i = 0; i < 5000; i++) // so that it cannot be compressed away
        large[i] = (char)('!' + (i * i * 2654435761u >> 7) % 90);
    large[5000] = '\0';
    EXPECT(PORT_ABORTED, publish(&w, 0, large, 1, 0, &why));
    ck_assert_ptr_nonnull(strstr(why.text, strict));
    ck_assert_ptr_nonnull(strstr(why.text, "max.message.bytes"));
    EXPECT(PORT_OK, publish(&w, 0, "small", 1, 0, &why));
    EXPECT(PORT_OK, count_committed(&w, strict, 0, 0, &count, &why));
    ck_assert_int_eq(count, 1);
    worker_close(&w);
}
END_TEST

// A coordinator ends transactions that take too long, which is nobody's takeover.
START_TEST(slow_transaction_is_undone)
{
    struct worker w;
    struct why why;
    int count;
    worker_prepare(&w, 1);
    w.options.transaction_timeout_ms = 1000;
    worker_open(&w);
    worker_await(&w, 1);
    EXPECT(PORT_OK, sink->begin(w.sink, &why));
    EXPECT(PORT_OK, put(&w, 0, "c-1", "slow", &why));
    await_high(&w, w.output, 2); // the record and the coordinator's marker
    struct commit_offset o = {source_of(&w, 0), 1, 0};
    int r = sink->commit(w.sink, &o, 1, &(const struct produced *){NULL}, &(size_t){0}, &why);
    ck_assert_msg(r == PORT_FENCED || r == PORT_ABORTED, "%d: %s", r, why.text);
    ck_assert_uint_eq(kafka_sink_takeovers(w.sink), 0);
    EXPECT(PORT_OK, publish(&w, 0, "quick", 1, 0, &why));
    EXPECT(PORT_OK, count_committed(&w, w.output, 0, 0, &count, &why));
    ck_assert_int_eq(count, 1);
    worker_close(&w);
}
END_TEST

START_TEST(at_least_once)
{
    struct worker w;
    struct why why;
    const struct produced *produced;
    size_t n;
    int count;
    int64_t offset, clock;
    worker_prepare(&w, 1);
    w.options.exactly_once = false;
    worker_open(&w);
    worker_await(&w, 1);
    struct part_key p = source_of(&w, 0);
    // The first batch brings the offsets, the next one leaves them: they are sent now and then.
    EXPECT(PORT_OK, publish(&w, 0, "a", 1, 5, &why));
    EXPECT(PORT_OK, publish(&w, 0, "b", 2, 6, &why));
    EXPECT(PORT_OK, from->committed(w.log, &p, &offset, &clock, &why));
    ck_assert_int_eq(high_of(&w, w.output, 0), 2); // plain: no markers
    int64_t early = offset;
    ck_assert_msg(early == -1 || early == 1, "%d", (int)early);
    // Offsets alone are a transaction.
    EXPECT(PORT_OK, sink->begin(w.sink, &why));
    EXPECT(PORT_OK, sink->commit(w.sink, &(struct commit_offset){p, 3, 7}, 1, &produced, &n, &why));
    ck_assert_uint_eq(n, 0);
    EXPECT(PORT_OK, from->committed(w.log, &p, &offset, &clock, &why));
    ck_assert_int_eq(offset, 3);
    // From a journal entry on the batch is a transaction, too.
    EXPECT(PORT_OK, sink->begin(w.sink, &why));
    EXPECT(PORT_OK, put(&w, 0, "c-1", "c", &why));
    EXPECT(PORT_OK, sink->produce(w.sink, &(struct out_record){.topic = w.journal, .value = {"{}", 2}}, &why));
    EXPECT(PORT_OK, put(&w, 0, "c-1", "d", &why));
    EXPECT(PORT_OK, sink->commit(w.sink, &(struct commit_offset){p, 4, 8}, 1, &produced, &n, &why));
    EXPECT(PORT_OK, from->committed(w.log, &p, &offset, &clock, &why));
    ck_assert_int_eq(offset, 4);
    await_high(&w, w.output, 5); // c, d, and a marker
    await_high(&w, w.journal, 2);
    EXPECT(PORT_OK, count_committed(&w, w.output, 0, 0, &count, &why));
    ck_assert_int_eq(count, 4);
    ck_assert_uint_eq(n, 2);
    int64_t last = produced[strcmp(produced[0].topic, w.output) == 0 ? 0 : 1].next;
    ck_assert_int_eq(last, 4);
    worker_close(&w);
}
END_TEST

void add_sink_cases(TCase *t)
{
    tcase_add_test(t, visible_when_committed);
    tcase_add_test(t, aborted_is_never_seen);
    tcase_add_test(t, open_offsets_are_waited_out);
    tcase_add_test(t, same_id_fences);
    tcase_add_test(t, restart_fences_its_past);
    tcase_add_test(t, former_member_is_fenced);
    tcase_add_test(t, revoked_may_publish);
    tcase_add_test(t, same_membership_fences);
    tcase_add_test(t, too_large_is_refused);
    tcase_add_test(t, slow_transaction_is_undone);
    tcase_add_test(t, at_least_once);
}
