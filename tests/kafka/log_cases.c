#include "cases.h"
#include "config.h"

#include <stdio.h>
#include <string.h>

// Reads from the worker until partition 0 has delivered `n` records in a row from offset `from`.
static void expect_run(struct worker *w, int64_t from, int64_t n, size_t max)
{
    int64_t next = from, end = now_ms() + PATIENCE_MS;
    while (next < from + n) {
        const struct record *r;
        size_t got = worker_poll(w, 100, max, &r);
        for (size_t i = 0; i < got; i++, next++) {
            ck_assert_int_eq(r[i].offset, next);
            ck_assert_int_eq(number_of(&r[i]), next);
        }
        ck_assert_msg(now_ms() < end, "offset %d does not come", (int)next);
    }
}

START_TEST(record_has_all)
{
    struct worker w;
    struct why why;
    worker_prepare(&w, 1);
    worker_open(&w);
    worker_await(&w, 1);
    struct part_key p = source_of(&w, 0);
    // A record with headers, one with neither key nor value, and an empty value: written by our own sink.
    EXPECT(PORT_OK, kafka_sink_ops.begin(w.sink, &why));
    memcpy(w.output, w.source, sizeof(w.output));
    EXPECT(PORT_OK, put(&w, 0, "c-1", "one", &why));
    EXPECT(PORT_OK, put(&w, 0, "c-2", NULL, &why));
    EXPECT(PORT_OK, put(&w, 0, "c-3", "", &why));
    EXPECT(PORT_OK, kafka_sink_ops.produce(w.sink, &(struct out_record){.topic = w.source, .timestamp = 5}, &why));
    const struct produced *produced;
    size_t n = 0, got = 0;
    EXPECT(PORT_OK, kafka_sink_ops.commit(w.sink, NULL, 0, &produced, &n, &why));
    ck_assert_uint_eq(n, 1);
    ck_assert_str_eq(produced[0].topic, w.source);
    ck_assert_int_eq(produced[0].next, 5); // with the marker

    EXPECT(PORT_OK, kafka_log_ops.seek(w.log, &p, 0, &why));
    const struct record *r;
    while ((got = worker_poll(&w, 1000, 100, &r)) == 0)
        ;
    ck_assert_uint_eq(got, 4);
    ck_assert_mem_eq(r[0].topic.p, w.source, r[0].topic.n + 1);
    ck_assert_int_eq(r[0].timestamp, 1700000000123);
    ck_assert_uint_eq(r[0].key.n, 3);
    ck_assert_mem_eq(r[0].key.p, "c-1", 3);
    ck_assert_mem_eq(r[0].value.p, "one", 3);
    ck_assert_uint_eq(r[0].nheaders, 2);
    ck_assert_mem_eq(r[0].headers[0].name.p, "engaged-id", 10);
    ck_assert_mem_eq(r[2].headers[0].value.p, "c-3", 3);
    ck_assert_uint_eq(r[0].headers[1].value.n, 0);
    ck_assert_ptr_null(r[1].value.p);
    ck_assert_ptr_nonnull(r[2].value.p);
    ck_assert_uint_eq(r[2].value.n, 0);
    ck_assert_ptr_null(r[3].key.p);
    ck_assert_uint_eq(r[3].nheaders, 0);
    ck_assert_int_eq(r[3].timestamp, 5);
    worker_close(&w);
}
END_TEST

START_TEST(starts_paused)
{
    struct worker w;
    const struct record *r;
    worker_prepare(&w, 2);
    topic_fill(w.source, 0, 1000, 0);
    worker_open(&w);
    worker_await(&w, 2);
    for (int i = 0; i < 10; i++)
        ck_assert_uint_eq(worker_poll(&w, 50, 100, &r), 0);
    struct why why;
    struct part_key p = source_of(&w, 0);
    EXPECT(PORT_OK, kafka_log_ops.seek(w.log, &p, 10, &why));
    expect_run(&w, 10, 990, 64);
    EXPECT(PORT_FENCED, kafka_log_ops.seek(w.log, &(struct part_key){w.source, 7}, 0, &why));
    worker_close(&w);
}
END_TEST

// 50,000 messages are on their way while we jump about: what comes is always what follows the last seek.
START_TEST(seeks_deliver_nothing_stale)
{
    enum { N = 50000, SEEKS = 200 };
    const struct config_property quick = {"fetch.wait.max.ms", "5"};
    struct worker w;
    struct why why;
    worker_prepare(&w, 1);
    w.options.properties = &quick;
    w.options.nproperties = 1;
    topic_fill(w.source, 0, N, 0);
    worker_open(&w);
    worker_await(&w, 1);
    struct part_key p = source_of(&w, 0);
    unsigned seed = 1;
    for (int i = 0; i < SEEKS; i++) {
        seed = seed * 1103515245 + 12345;
        int64_t to = (seed >> 8) % (N - 3000);
        if (i % 3 == 1)
            EXPECT(PORT_OK, kafka_log_ops.pause(w.log, &p));
        EXPECT(PORT_OK, kafka_log_ops.seek(w.log, &p, to, &why));
        if (i % 5 == 2)
            EXPECT(PORT_OK, kafka_log_ops.seek(w.log, &p, to /= 2, &why));
        expect_run(&w, to, 1 + (seed >> 4) % 2500, i % 2 ? 10000 : 100);
    }
    worker_close(&w);
}
END_TEST

START_TEST(pause_holds)
{
    struct worker w;
    struct why why;
    worker_prepare(&w, 2);
    topic_fill(w.source, 0, 5000, 0);
    topic_fill(w.source, 1, 5000, 0);
    worker_open(&w);
    worker_await(&w, 2);
    struct part_key p0 = source_of(&w, 0), p1 = source_of(&w, 1);
    EXPECT(PORT_OK, kafka_log_ops.seek(w.log, &p0, 0, &why));
    EXPECT(PORT_OK, kafka_log_ops.seek(w.log, &p1, 0, &why));
    const struct record *r;
    while (worker_poll(&w, 100, 10, &r) == 0)
        ;
    EXPECT(PORT_OK, kafka_log_ops.pause(w.log, &p1));
    size_t got, after = 0;
    while ((got = worker_poll(&w, 300, 1000, &r)) > 0) {
        for (size_t i = 0; i < got; i++)
            ck_assert_int_eq(r[i].partition, 0);
        after += got;
    }
    ck_assert_uint_ge(after, 4990);
    ck_assert_int_eq(kafka_log_ops.reached(w.log, &p0), 5000);
    ck_assert_int_eq(kafka_log_ops.reached(w.log, &p1), -1);
    EXPECT(PORT_OK, kafka_log_ops.pause(w.log, &p0));
    EXPECT(PORT_OK, kafka_log_ops.seek(w.log, &p1, 7, &why));
    expect_run(&w, 7, 4993, 1000);
    worker_close(&w);
}
END_TEST

// Transaction markers take offsets, too: the end that is reached lies behind them.
START_TEST(reached_is_the_end)
{
    struct worker w;
    struct why why;
    worker_prepare(&w, 1);
    worker_open(&w);
    worker_await(&w, 1);
    memcpy(w.output, w.source, sizeof(w.output));
    struct part_key p = source_of(&w, 0);
    EXPECT(PORT_OK, kafka_log_ops.seek(w.log, &p, 0, &why));
    const struct record *r;
    for (int64_t end = 2; end <= 8; end += 2) {
        EXPECT(PORT_OK, publish(&w, 0, "x", -1, 0, &why));
        int64_t give_up = now_ms() + PATIENCE_MS;
        while (kafka_log_ops.reached(w.log, &p) != end) {
            ck_assert_msg(now_ms() < give_up, "reached is %d", (int)kafka_log_ops.reached(w.log, &p));
            worker_poll(&w, 50, 100, &r);
        }
    }
    // An undone transaction has nothing to deliver, and yet moves the end.
    EXPECT(PORT_OK, kafka_sink_ops.begin(w.sink, &why));
    EXPECT(PORT_OK, put(&w, 0, "c-1", "undone", &why));
    struct worker other;
    worker_join(&other, &w, "host", 0);
    EXPECT(PORT_OK, kafka_sink_new(&other.options, kafka_log_group(w.log), &other.sink));
    int64_t start, high, stable, give_up = now_ms() + PATIENCE_MS;
    do { // it has to arrive before it can be undone
        EXPECT(PORT_OK, kafka_log_ops.ends(w.log, &p, &start, &high, &stable, &why));
        ck_assert(now_ms() < give_up);
    } while (high != 9);
    ck_assert_int_eq(stable, 8);
    EXPECT(PORT_OK, kafka_sink_prepare(other.sink, &why));
    while (kafka_log_ops.reached(w.log, &p) != 10) {
        ck_assert(now_ms() < give_up);
        ck_assert_uint_eq(worker_poll(&w, 50, 100, &r), 0);
    }
    EXPECT(PORT_OK, kafka_log_ops.ends(w.log, &p, &start, &high, &stable, &why));
    ck_assert_int_eq(start, 0);
    ck_assert_int_eq(high, 10);
    ck_assert_int_eq(stable, 10);
    kafka_sink_free(other.sink);
    worker_close(&w);
}
END_TEST

START_TEST(gone_is_refused)
{
    struct worker w;
    struct why why;
    worker_prepare(&w, 2);
    topic_fill(w.source, 0, 100, 0);
    topic_fill(w.source, 1, 100, 0);
    topic_cut(w.source, 0, 50);
    worker_open(&w);
    worker_await(&w, 2);
    struct part_key p0 = source_of(&w, 0), p1 = source_of(&w, 1);
    EXPECT(PORT_OK, kafka_log_ops.seek(w.log, &p0, 20, &why));
    const struct record *r;
    size_t n;
    int result;
    do
        result = kafka_log_ops.poll(w.log, 100, 100, &r, &n, &why);
    while (result == PORT_OK && n == 0);
    expect(result, PORT_REFUSED, &why, __FILE__, __LINE__);
    ck_assert_ptr_nonnull(strstr(why.text, "holds only 50 to 100"));
    do // said until somebody does something about it
        result = kafka_log_ops.poll(w.log, 100, 100, &r, &n, &why);
    while (result == PORT_OK);
    expect(result, PORT_REFUSED, &why, __FILE__, __LINE__);
    EXPECT(PORT_OK, kafka_log_ops.pause(w.log, &p0));
    // The other partition goes on, and this one too, from where there is something.
    EXPECT(PORT_OK, kafka_log_ops.seek(w.log, &p1, 0, &why));
    expect_run(&w, 0, 100, 100);
    EXPECT(PORT_OK, kafka_log_ops.pause(w.log, &p1));
    EXPECT(PORT_OK, kafka_log_ops.seek(w.log, &p0, 50, &why));
    expect_run(&w, 50, 50, 100);

    int count;
    EXPECT(PORT_REFUSED, count_committed(&w, w.source, 0, 20, &count, &why));
    ck_assert_ptr_nonnull(strstr(why.text, "no longer has offset 20"));
    EXPECT(PORT_REFUSED, count_committed(&w, w.source, 0, 101, &count, &why));
    worker_close(&w);
}
END_TEST

START_TEST(questions)
{
    struct worker w;
    struct why why;
    worker_prepare(&w, 3);
    topic_fill(w.source, 1, 10, 0);
    topic_cut(w.source, 1, 4);
    worker_open(&w);
    int64_t start, high, stable, offset = 7, clock = 7;
    int32_t n;
    struct part_key p = source_of(&w, 1), none = {"there-is-no-such-topic", 0};
    EXPECT(PORT_OK, kafka_log_ops.ends(w.log, &p, &start, &high, &stable, &why));
    ck_assert_int_eq(start, 4);
    ck_assert_int_eq(high, 10);
    ck_assert_int_eq(stable, 10);
    EXPECT(PORT_OK, kafka_log_ops.committed(w.log, &p, &offset, &clock, &why));
    ck_assert_int_eq(offset, -1);
    ck_assert(clock == INT64_MIN);
    EXPECT(PORT_OK, kafka_log_ops.partitions(w.log, w.source, &n, &why));
    ck_assert_int_eq(n, 3);
    EXPECT(PORT_REFUSED, kafka_log_ops.partitions(w.log, none.topic, &n, &why));
    EXPECT(PORT_REFUSED, kafka_log_ops.ends(w.log, &none, &start, &high, &stable, &why));
    worker_close(&w);
}
END_TEST

// A second worker joins and takes half; the first one's batch at that moment must neither lose nor repeat anything.
START_TEST(rebalance_keeps_the_run)
{
    struct worker a, b;
    const struct record *r;
    worker_prepare(&a, 2);
    topic_fill(a.source, 0, 20000, 0);
    topic_fill(a.source, 1, 20000, 0);
    a.seek_at_once = true;
    worker_open(&a);
    worker_join(&b, &a, "host", 1);
    b.seek_at_once = true;
    int64_t next[2][2] = {{0}}, give_up = now_ms() + PATIENCE_MS;
    struct worker *workers[2] = {&a, &b};
    int assignments[2] = {0, 0};
    while (a.assigned != 1 || b.assigned != 1 || next[0][0] + next[0][1] < 20000 || next[1][0] + next[1][1] < 20000) {
        ck_assert(now_ms() < give_up);
        for (int k = 0; k < 2; k++) {
            struct worker *w = workers[k];
            size_t n = w->log ? worker_poll(w, 20, 97, &r) : 0;
            if (w->assignments != assignments[k])
                memset(next[k], 0, sizeof(next[k]));
            assignments[k] = w->assignments;
            for (size_t i = 0; i < n; i++)
                ck_assert_int_eq(r[i].offset, next[k][r[i].partition]++);
        }
        if (!b.log && next[0][0] + next[0][1] > 4000)
            worker_open(&b);
    }
    ck_assert_int_eq(a.revocations, 1);
    ck_assert(!a.lost);
    worker_close(&b);
    worker_close(&a);
}
END_TEST

void add_log_cases(TCase *t)
{
    tcase_add_test(t, record_has_all);
    tcase_add_test(t, starts_paused);
    tcase_add_test(t, seeks_deliver_nothing_stale);
    tcase_add_test(t, pause_holds);
    tcase_add_test(t, reached_is_the_end);
    tcase_add_test(t, gone_is_refused);
    tcase_add_test(t, questions);
    tcase_add_test(t, rebalance_keeps_the_run);
}
