#include "fixture.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

const char *brokers;

static void say(void *arg, enum note_level level, const char *text)
{
    (void)arg;
    if (getenv("KAFKA_TEST_NOTES"))
        fprintf(stderr, "note %d: %s\n", level, text);
}

void expect(int result, int expected, const struct why *why, const char *file, int line)
{
    static const char *const names[] = {"OK", "AWAY", "UNKNOWN", "FENCED", "REFUSED", "ABORTED"};
    if (result != expected)
        ck_abort_msg("%s:%d: %s (%d) instead of %s: %s", file, line, result >= 0 ? names[result] : "error", result,
                     names[expected], why->text);
}

void unique(char *ret, size_t size, const char *what)
{
    static int n;
    snprintf(ret, size, "%s-%d-%" PRId64 "-%d", what, (int)getpid(), now_ms() % 1000000, n++);
}

// ---- Topics

static rd_kafka_t *plain_client(void)
{
    char text[200];
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    ck_assert_int_eq(rd_kafka_conf_set(conf, "bootstrap.servers", brokers, text, sizeof(text)), RD_KAFKA_CONF_OK);
    rd_kafka_t *rk = rd_kafka_new(RD_KAFKA_PRODUCER, conf, text, sizeof(text));
    ck_assert_msg(rk != NULL, "%s", text);
    return rk;
}

void topic_create(const char *name, int partitions, const char *config, const char *value)
{
    char text[200];
    rd_kafka_t *rk = plain_client();
    rd_kafka_queue_t *q = rd_kafka_queue_new(rk);
    rd_kafka_NewTopic_t *t = rd_kafka_NewTopic_new(name, partitions, -1, text, sizeof(text));
    if (config)
        rd_kafka_NewTopic_set_config(t, config, value);
    rd_kafka_CreateTopics(rk, &t, 1, NULL, q);
    rd_kafka_event_t *e = rd_kafka_queue_poll(q, PATIENCE_MS);
    ck_assert_msg(e && !rd_kafka_event_error(e), "%s", e ? rd_kafka_event_error_string(e) : "no answer");
    size_t n;
    const rd_kafka_topic_result_t **r = rd_kafka_CreateTopics_result_topics(rd_kafka_event_CreateTopics_result(e), &n);
    ck_assert_msg(n == 1 && !rd_kafka_topic_result_error(r[0]), "%s", rd_kafka_topic_result_error_string(r[0]));
    rd_kafka_event_destroy(e);
    rd_kafka_NewTopic_destroy(t);
    rd_kafka_queue_destroy(q);
    int32_t shown = 0; // brokers learn of it a little later
    struct why why;
    int64_t end = now_ms() + PATIENCE_MS;
    while (kafka_partitions_if_any(&(struct kafka_client){.rk = rk}, name, &shown, &why) != PORT_OK || !shown)
        ck_assert_msg(now_ms() < end, "%s: %s", name, why.text);
    rd_kafka_destroy(rk);
}

void topic_fill(const char *name, int32_t partition, int n, int first)
{
    rd_kafka_t *rk = plain_client();
    for (int i = 0; i < n; i++) {
        char value[24], key[8];
        snprintf(value, sizeof(value), "%d", first + i);
        snprintf(key, sizeof(key), "k-%d", i % 10);
        rd_kafka_resp_err_t err;
        do {
            err = rd_kafka_producev(rk, RD_KAFKA_V_TOPIC(name), RD_KAFKA_V_PARTITION(partition),
                                    RD_KAFKA_V_KEY(key, strlen(key)), RD_KAFKA_V_VALUE(value, strlen(value)),
                                    RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY), RD_KAFKA_V_END);
            rd_kafka_poll(rk, err ? 10 : 0);
        } while (err == RD_KAFKA_RESP_ERR__QUEUE_FULL);
        ck_assert_msg(!err, "%s", rd_kafka_err2str(err));
    }
    ck_assert_int_eq(rd_kafka_flush(rk, PATIENCE_MS), 0);
    rd_kafka_destroy(rk);
}

void topic_cut(const char *name, int32_t partition, int64_t offset)
{
    rd_kafka_t *rk = plain_client();
    rd_kafka_queue_t *q = rd_kafka_queue_new(rk);
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
    rd_kafka_topic_partition_list_add(list, name, partition)->offset = offset;
    rd_kafka_DeleteRecords_t *d = rd_kafka_DeleteRecords_new(list);
    rd_kafka_DeleteRecords(rk, &d, 1, NULL, q);
    rd_kafka_event_t *e = rd_kafka_queue_poll(q, PATIENCE_MS);
    ck_assert_msg(e && !rd_kafka_event_error(e), "%s", e ? rd_kafka_event_error_string(e) : "no answer");
    rd_kafka_event_destroy(e);
    rd_kafka_DeleteRecords_destroy(d);
    rd_kafka_topic_partition_list_destroy(list);
    rd_kafka_queue_destroy(q);
    rd_kafka_destroy(rk);
}

// ---- Workers

static void on_assigned(void *arg, const struct part_key *p, size_t n)
{
    struct worker *w = arg;
    struct why why = {""};
    w->assignments++;
    w->assigned += (int)n;
    for (size_t i = 0; w->seek_at_once && i < n; i++)
        EXPECT(PORT_OK, kafka_log_ops.seek(w->log, &p[i], 0, &why));
}

static void on_revoked(void *arg, const struct part_key *p, size_t n, bool lost)
{
    struct worker *w = arg;
    (void)p;
    w->revocations++;
    w->assigned -= (int)n;
    w->lost = lost;
    if (w->revoking)
        w->revoking(w);
}

static void options_set(struct worker *w, const char *instance, int worker)
{
    w->options = (struct kafka_options){
        .brokers = brokers,
        .app = w->app,
        .instance = instance,
        .worker = worker,
        .source = w->source,
        .journal = w->journal,
        .exactly_once = true,
        .transaction_timeout_ms = KAFKA_TRANSACTION_TIMEOUT_MS,
        .note = say,
    };
}

void worker_prepare(struct worker *w, int partitions)
{
    *w = (struct worker){0};
    unique(w->app, sizeof(w->app), "app");
    unique(w->source, sizeof(w->source), "source");
    unique(w->output, sizeof(w->output), "output");
    snprintf(w->journal, sizeof(w->journal), "%.50s.journal", w->app);
    options_set(w, "host", 0);
    topic_create(w->source, partitions, NULL, NULL);
    topic_create(w->output, partitions, NULL, NULL);
    topic_create(w->journal, partitions, NULL, NULL);
}

void worker_join(struct worker *w, const struct worker *other, const char *instance, int worker)
{
    *w = (struct worker){0};
    memcpy(w->app, other->app, sizeof(w->app));
    memcpy(w->source, other->source, sizeof(w->source));
    memcpy(w->output, other->output, sizeof(w->output));
    memcpy(w->journal, other->journal, sizeof(w->journal));
    options_set(w, instance, worker);
}

void worker_open(struct worker *w)
{
    struct why why;
    EXPECT(PORT_OK, kafka_log_new(&w->options, &w->log, &why));
    kafka_log_listen(w->log, &(struct log_events){on_assigned, on_revoked, w});
    EXPECT(PORT_OK, kafka_sink_new(&w->options, kafka_log_group(w->log), &w->sink));
}

void worker_close(struct worker *w)
{
    w->sink = kafka_sink_free(w->sink);
    w->log = kafka_log_free(w->log);
}

size_t worker_poll(struct worker *w, int wait_ms, size_t max, const struct record **ret)
{
    struct why why;
    size_t n = 0;
    EXPECT(PORT_OK, kafka_log_ops.poll(w->log, wait_ms, max, ret, &n, &why));
    return n;
}

void worker_await(struct worker *w, int partitions)
{
    const struct record *records;
    int64_t end = now_ms() + PATIENCE_MS;
    while (w->assigned != partitions) {
        ck_assert_msg(now_ms() < end, "has %d partitions, not %d", w->assigned, partitions);
        ck_assert_uint_eq(worker_poll(w, 50, 100, &records), 0);
    }
}

struct part_key source_of(const struct worker *w, int32_t partition)
{
    return (struct part_key){w->source, partition};
}

int64_t number_of(const struct record *r)
{
    char text[24];
    ck_assert_uint_lt(r->value.n, sizeof(text));
    memcpy(text, r->value.p, r->value.n);
    text[r->value.n] = '\0';
    return strtoll(text, NULL, 10);
}

int put(struct worker *w, int32_t partition, const char *key, const char *value, struct why *why)
{
    struct out_header headers[] = {{"engaged-id", {key, strlen(key)}}, {"none", {"", 0}}};
    return kafka_sink_ops.produce(w->sink,
                                  &(struct out_record){
                                      .topic = w->output,
                                      .partition = partition,
                                      .key = {key, strlen(key)},
                                      .value = {value, value ? strlen(value) : 0},
                                      .timestamp = 1700000000123,
                                      .headers = headers,
                                      .nheaders = 2,
                                  },
                                  why);
}

int publish(struct worker *w, int32_t partition, const char *value, int64_t offset, int64_t clock, struct why *why)
{
    const struct produced *produced;
    size_t n;
    struct commit_offset o = {source_of(w, partition), offset, clock};
    int r = kafka_sink_ops.begin(w->sink, why);
    if (r == PORT_OK)
        r = put(w, partition, "c-1", value, why);
    if (r == PORT_OK)
        r = kafka_sink_ops.commit(w->sink, &o, offset >= 0, &produced, &n, why);
    return r;
}

static int count_each(void *arg, const struct record *r)
{
    (void)r;
    ++*(int *)arg;
    return 0;
}

int count_committed(struct worker *w, const char *topic, int32_t partition, int64_t from, int *ret, struct why *why)
{
    struct part_key p = {topic, partition};
    int64_t start, high, stable;
    int n = 0;
    int r = kafka_log_ops.ends(w->log, &p, &start, &high, &stable, why);
    if (r == PORT_OK)
        r = kafka_log_ops.read(w->log, &p, from, high, count_each, &n, why);
    *ret = n;
    return r;
}
