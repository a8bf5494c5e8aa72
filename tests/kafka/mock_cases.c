// librdkafka's mock brokers fail when told to. Each row: which request fails how, and what the sink makes of it.
#include "cases.h"

#include "config.h"

#include <librdkafka/rdkafka_mock.h>
#include <stdio.h>
#include <string.h>

enum {
    PRODUCE = 0,
    FETCH = 1,
    LIST_OFFSETS = 2,
    INIT_PRODUCER_ID = 22,
    ADD_PARTITIONS = 24,
    ADD_OFFSETS = 25,
    END_TXN = 26,
    OFFSET_COMMIT = 28,
};
#define ERR(name) RD_KAFKA_RESP_ERR_##name

struct cluster {
    rd_kafka_t *rk;
    rd_kafka_mock_cluster_t *mock;
    struct worker w;
};

static void cluster_open(struct cluster *c, int timeout_ms)
{
    char text[200];
    *c = (struct cluster){0};
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    rd_kafka_conf_set(conf, "log_level", "0", text, sizeof(text));
    c->rk = rd_kafka_new(RD_KAFKA_PRODUCER, conf, text, sizeof(text));
    c->mock = rd_kafka_mock_cluster_new(c->rk, 1);
    rd_kafka_mock_group_initial_rebalance_delay_ms(c->mock, 0);
    struct worker *w = &c->w;
    worker_join(w, &(struct worker){.app = "app", .source = "in", .output = "out", .journal = "app.journal"}, "h", 0);
    ck_assert_int_eq(rd_kafka_mock_topic_create(c->mock, "in", 2, 1), 0);
    ck_assert_int_eq(rd_kafka_mock_topic_create(c->mock, "out", 2, 1), 0);
    w->options.brokers = rd_kafka_mock_cluster_bootstraps(c->mock);
    w->options.transaction_timeout_ms = timeout_ms;
    worker_open(w);
    worker_await(w, 2);
    rd_kafka_mock_start_request_tracking(c->mock);
}

static void cluster_close(struct cluster *c)
{
    worker_close(&c->w);
    rd_kafka_mock_cluster_destroy(c->mock);
    rd_kafka_destroy(c->rk);
}

static int requests(struct cluster *c, int16_t api)
{
    size_t n;
    int found = 0;
    rd_kafka_mock_request_t **v = rd_kafka_mock_get_requests(c->mock, &n);
    for (size_t i = 0; i < n; i++)
        found += rd_kafka_mock_request_api_key(v[i]) == api;
    rd_kafka_mock_request_destroy_array(v, n);
    return found;
}

static const struct {
    int16_t api;
    rd_kafka_resp_err_t err;
    int times;
    int expected;
    bool replaced; // by a new producer
    unsigned takeovers;
} failures[] = {
    {PRODUCE, ERR(MSG_SIZE_TOO_LARGE), 1, PORT_ABORTED, true, 0},
    {PRODUCE, ERR(TOPIC_AUTHORIZATION_FAILED), 1, PORT_ABORTED, true, 0},
    {PRODUCE, ERR(NOT_LEADER_FOR_PARTITION), 2, PORT_OK, false, 0},
    {PRODUCE, RD_KAFKA_RESP_ERR__TRANSPORT, 1, PORT_OK, true, 0},
    {PRODUCE, ERR(INVALID_PRODUCER_EPOCH), 1, PORT_FENCED, true, 1},
    {ADD_PARTITIONS, ERR(CONCURRENT_TRANSACTIONS), 3, PORT_OK, false, 0},
    {ADD_PARTITIONS, ERR(TOPIC_AUTHORIZATION_FAILED), 1, PORT_ABORTED, true, 0},
    {ADD_PARTITIONS, ERR(PRODUCER_FENCED), 1, PORT_FENCED, true, 1},
    {ADD_OFFSETS, ERR(COORDINATOR_LOAD_IN_PROGRESS), 1, PORT_OK, false, 0},
    {ADD_OFFSETS, RD_KAFKA_RESP_ERR__TRANSPORT, 1, PORT_OK, true, 0},
    {ADD_OFFSETS, ERR(GROUP_AUTHORIZATION_FAILED), 1, PORT_ABORTED, true, 0},
    {ADD_OFFSETS, ERR(INVALID_PRODUCER_EPOCH), 1, PORT_FENCED, true, 1},
    {OFFSET_COMMIT, ERR(NOT_COORDINATOR), 1, PORT_OK, false, 0},
    {OFFSET_COMMIT, ERR(ILLEGAL_GENERATION), 1, PORT_FENCED, true, 0},
    {OFFSET_COMMIT, ERR(UNKNOWN_MEMBER_ID), 1, PORT_FENCED, true, 0},
    {OFFSET_COMMIT, ERR(FENCED_INSTANCE_ID), 1, PORT_FENCED, true, 0},
    {OFFSET_COMMIT, ERR(GROUP_AUTHORIZATION_FAILED), 1, PORT_ABORTED, true, 0},
    {END_TXN, ERR(CONCURRENT_TRANSACTIONS), 1, PORT_OK, true, 0}, // told twice to commit: not to be trusted again
    {END_TXN, ERR(NOT_COORDINATOR), 1, PORT_OK, true, 0},
    {END_TXN, RD_KAFKA_RESP_ERR__TRANSPORT, 1, PORT_OK, true, 0},
    {END_TXN, ERR(PRODUCER_FENCED), 1, PORT_FENCED, true, 1},
    {END_TXN, ERR(INVALID_TXN_STATE), 1, PORT_UNKNOWN, true, 0},
    {END_TXN, ERR(INVALID_PRODUCER_ID_MAPPING), 1, PORT_UNKNOWN, true, 0},
    {END_TXN, ERR(UNKNOWN), 1, PORT_UNKNOWN, true, 0},
};

START_TEST(failure)
{
    struct cluster c;
    struct why why = {""};
    cluster_open(&c, KAFKA_TRANSACTION_TIMEOUT_MS);
    struct worker *w = &c.w;
    EXPECT(PORT_OK, publish(w, 0, "before", 1, 0, &why));
    int before = requests(&c, INIT_PRODUCER_ID);

    rd_kafka_resp_err_t errs[8];
    for (int i = 0; i < failures[_i].times; i++)
        errs[i] = failures[_i].err;
    rd_kafka_mock_push_request_errors_array(c.mock, failures[_i].api, (size_t)failures[_i].times, errs);
    int r = publish(w, 0, "x", 2, 0, &why);
    expect(r, failures[_i].expected, &why, __FILE__, __LINE__);
    ck_assert(r == PORT_OK || why.text[0]);
    ck_assert_uint_eq(kafka_sink_takeovers(w->sink), failures[_i].takeovers);

    // Whatever it was, the next one is good, with a new producer exactly if the old one is not to be trusted.
    EXPECT(PORT_OK, publish(w, 0, "after", 3, 0, &why));
    ck_assert_int_eq(requests(&c, INIT_PRODUCER_ID) > before, failures[_i].replaced);
    cluster_close(&c);
}
END_TEST

// The order to commit goes out and is not answered in time. The broker may have heard it.
START_TEST(commit_without_answer)
{
    struct cluster c;
    struct why why;
    cluster_open(&c, 1500);
    EXPECT(PORT_OK, publish(&c.w, 0, "before", 1, 0, &why));
    rd_kafka_mock_broker_push_request_error_rtts(c.mock, 1, END_TXN, 1, ERR(NO_ERROR), 4000);
    EXPECT(PORT_UNKNOWN, publish(&c.w, 0, "x", 2, 0, &why));
    EXPECT(PORT_OK, publish(&c.w, 0, "after", 3, 0, &why));
    cluster_close(&c);
}
END_TEST

// Brokers that do not take records in time: nothing is visible, and the same may succeed later.
START_TEST(records_without_answer)
{
    struct cluster c;
    struct why why;
    cluster_open(&c, 1500);
    EXPECT(PORT_OK, publish(&c.w, 0, "before", 1, 0, &why));
    rd_kafka_mock_broker_push_request_error_rtts(c.mock, 1, PRODUCE, 3, ERR(NO_ERROR), 4000, ERR(NO_ERROR), 4000,
                                                 ERR(NO_ERROR), 4000);
    EXPECT(PORT_AWAY, publish(&c.w, 0, "x", 2, 0, &why));
    int64_t end = now_ms() + PATIENCE_MS;
    int r;
    do
        r = publish(&c.w, 0, "after", 3, 0, &why);
    while (r == PORT_AWAY && now_ms() < end);
    expect(r, PORT_OK, &why, __FILE__, __LINE__);
    cluster_close(&c);
}
END_TEST

START_TEST(init_fails)
{
    struct cluster c;
    struct why why;
    cluster_open(&c, KAFKA_TRANSACTION_TIMEOUT_MS);
    rd_kafka_mock_push_request_errors(c.mock, INIT_PRODUCER_ID, 1, ERR(TRANSACTIONAL_ID_AUTHORIZATION_FAILED));
    EXPECT(PORT_REFUSED, kafka_sink_prepare(c.w.sink, &why));
    ck_assert_msg(strstr(why.text, "uthorization") || strstr(why.text, "uthoriz"), "%s", why.text);
    rd_kafka_mock_push_request_errors(c.mock, INIT_PRODUCER_ID, 2, ERR(COORDINATOR_LOAD_IN_PROGRESS),
                                      ERR(CONCURRENT_TRANSACTIONS));
    EXPECT(PORT_OK, publish(&c.w, 0, "after", 3, 0, &why));
    cluster_close(&c);
}
END_TEST

START_TEST(brokers_go_and_come)
{
    struct cluster c;
    struct why why;
    const struct record *r;
    size_t n;
    int result;
    cluster_open(&c, 1500);
    struct worker *w = &c.w;
    EXPECT(PORT_OK, publish(w, 0, "before", 1, 0, &why));
    EXPECT(PORT_OK, kafka_sink_ops.begin(w->sink, &why));
    rd_kafka_mock_broker_set_down(c.mock, 1);
    int64_t end = now_ms() + PATIENCE_MS, start, high, stable, offset, clock;
    int32_t partitions;
    struct part_key p = source_of(w, 0);
    while ((result = kafka_log_ops.poll(w->log, 50, 10, &r, &n, &why)) == PORT_OK)
        ck_assert(now_ms() < end);
    expect(result, PORT_AWAY, &why, __FILE__, __LINE__);
    EXPECT(PORT_OK, put(w, 0, "c-1", "x", &why));
    EXPECT(PORT_AWAY, kafka_sink_ops.commit(w->sink, NULL, 0, &(const struct produced *){NULL}, &n, &why));
    EXPECT(PORT_AWAY, kafka_sink_ops.begin(w->sink, &why));
    for (int i = 0; i < 3; i++) // the answer that there is none differs from time to time
        EXPECT(PORT_AWAY, kafka_log_ops.ends(w->log, &p, &start, &high, &stable, &why));
    EXPECT(PORT_AWAY, kafka_log_ops.committed(w->log, &p, &offset, &clock, &why));
    EXPECT(PORT_AWAY, kafka_log_ops.partitions(w->log, "in", &partitions, &why));
    EXPECT(PORT_AWAY, kafka_log_ops.read(w->log, &p, 0, 1, NULL, NULL, &why));

    rd_kafka_mock_broker_set_up(c.mock, 1);
    end = now_ms() + PATIENCE_MS;
    while ((result = kafka_log_ops.poll(w->log, 50, 10, &r, &n, &why)) == PORT_AWAY)
        ck_assert(now_ms() < end);
    expect(result, PORT_OK, &why, __FILE__, __LINE__);
    while ((result = publish(w, 0, "after", 3, 0, &why)) == PORT_AWAY)
        ck_assert(now_ms() < end);
    expect(result, PORT_OK, &why, __FILE__, __LINE__);
    EXPECT(PORT_OK, kafka_log_ops.partitions(w->log, "in", &partitions, &why));
    ck_assert_int_eq(partitions, 2);
    cluster_close(&c);
}
END_TEST

// What librdkafka may have asked before a seek and is told after it must not move the partition.
START_TEST(late_answers_move_nothing)
{
    enum { N = 20 };
    struct cluster c;
    struct why why;
    const struct record *r;
    cluster_open(&c, KAFKA_TRANSACTION_TIMEOUT_MS);
    struct worker *w = &c.w;
    memcpy(w->output, "in", 3);
    for (int i = 0; i < N; i++)
        EXPECT(PORT_OK, publish(w, 0, "x", -1, 0, &why));
    worker_close(w);
    memcpy(w->app, "app2", 5); // the mock knows no static members, and would wait for the first one's session to end
    w->assigned = 0;
    rd_kafka_mock_broker_push_request_error_rtts(c.mock, 1, LIST_OFFSETS, 2, ERR(NO_ERROR), 600, ERR(NO_ERROR), 600);
    rd_kafka_mock_broker_push_request_error_rtts(c.mock, 1, FETCH, 2, ERR(NO_ERROR), 1200, ERR(NO_ERROR), 1200);
    worker_open(w);
    worker_await(w, 2);
    struct part_key p = source_of(w, 0);
    EXPECT(PORT_OK, kafka_log_ops.seek(w->log, &p, 0, &why));
    int64_t next = 0, end = now_ms() + PATIENCE_MS;
    while (next < N) {
        ck_assert_msg(now_ms() < end, "offset %d does not come", (int)next);
        size_t n = worker_poll(w, 50, 100, &r);
        for (size_t i = 0; i < n; i++)
            ck_assert_int_eq(r[i].offset, next++);
    }
    cluster_close(&c);
}
END_TEST

// A member that waits for others to join is not without brokers.
START_TEST(waiting_is_not_away)
{
    struct cluster c;
    const struct record *r;
    struct worker late;
    cluster_open(&c, KAFKA_TRANSACTION_TIMEOUT_MS);
    worker_join(&late, &c.w, "h", 1);
    late.options.brokers = c.w.options.brokers;
    worker_open(&late);
    for (int64_t end = now_ms() + 12000; now_ms() < end;) // the first one does not poll meanwhile
        worker_poll(&late, 100, 10, &r);
    ck_assert_int_eq(late.assigned, 0);
    worker_close(&late);
    cluster_close(&c);
}
END_TEST

START_TEST(wrong_property)
{
    const struct config_property wrong[] = {{"no.such.property", "1"}};
    struct worker w;
    struct why why;
    worker_join(&w, &(struct worker){.app = "app", .source = "in", .journal = "app.journal"}, "h", 0);
    w.options.brokers = "127.0.0.1:1";
    w.options.properties = wrong;
    w.options.nproperties = 1;
    EXPECT(PORT_REFUSED, kafka_log_new(&w.options, &w.log, &why));
    ck_assert_ptr_nonnull(strstr(why.text, "no.such.property"));
    ck_assert_ptr_null(w.log);
}
END_TEST

void add_mock_cases(TCase *t)
{
    tcase_add_loop_test(t, failure, 0, sizeof(failures) / sizeof(failures[0]));
    tcase_add_test(t, commit_without_answer);
    tcase_add_test(t, records_without_answer);
    tcase_add_test(t, init_fails);
    tcase_add_test(t, brokers_go_and_come);
    tcase_add_test(t, late_answers_move_nothing);
    tcase_add_test(t, waiting_is_not_away);
    tcase_add_test(t, wrong_property);
}
