// First the partitions of all topics, creating what is missing and looking again until it is there: several workers
// and daemons may be at it at the same time. Then the topics' configuration, in one request.
#include "kafka_topics.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "error.h"
#include "kafka_query.h"

enum { SOURCE = 0, JOURNAL = 1, CHECKED_MAX = TOPICS_MAX + 2, READY_MS = 20000, LOOK_AGAIN_MS = 50,
       SOURCE_WAIT_MS = 5000, SOURCE_LOOK_MS = 100 };

struct check {
    struct kafka_client client;
    rd_kafka_queue_t *answers;
    const char *topics[CHECKED_MAX]; // each once
    int32_t partitions[CHECKED_MAX]; // 0: missing
    size_t n;
    int64_t give_up_ms; // monotonic
};

static const struct kafka_setting no_defaults[] = {{NULL, NULL}};
static const struct kafka_setting required[] = {{"allow.auto.create.topics", "false"}, {NULL, NULL}};

static void check_end(struct check *c)
{
    kafka_queue_destroy(&c->answers);
    kafka_close(&c->client);
}

static bool check_add(struct check *c, const char *topic)
{
    for (size_t i = 0; i < c->n; i++)
        if (strcmp(c->topics[i], topic) == 0)
            return true;
    if (c->n == CHECKED_MAX)
        return false;
    c->topics[c->n++] = topic;
    return true;
}

// The answer to an administrator's request, or NULL: *ret_err and *ret_why tell.
static rd_kafka_event_t *take_answer(struct check *c, const char *what, int *ret_result, struct why *ret_why)
{
    rd_kafka_event_t *event = rd_kafka_queue_poll(c->answers, 2 * KAFKA_CALL_MS);
    rd_kafka_resp_err_t err = event ? rd_kafka_event_error(event) : RD_KAFKA_RESP_ERR__TIMED_OUT;
    if (!err)
        return event;
    *ret_result = kafka_why(ret_why, kafka_unreachable(err) ? PORT_AWAY : PORT_REFUSED, "%s: %s", what,
                            event ? rd_kafka_event_error_string(event) : rd_kafka_err2str(err));
    if (err == RD_KAFKA_RESP_ERR__UNSUPPORTED_FEATURE) { // no Apache Kafka that knows transactions is like that
        kafka_note(c->client.options, NOTE_WARNING, "kafka: %s: brokers have no such request", what);
        *ret_result = PORT_OK;
    }
    kafka_event_destroy(&event);
    return NULL;
}

static rd_kafka_AdminOptions_t *admin_options(struct check *c, rd_kafka_admin_op_t op)
{
    char text[128];
    rd_kafka_AdminOptions_t *o = rd_kafka_AdminOptions_new(c->client.rk, op);
    rd_kafka_AdminOptions_set_request_timeout(o, KAFKA_CALL_MS, text, sizeof(text));
    return o;
}

// Any broker knows the topics' configuration. librdkafka would ask the controller, which its own mock cluster lacks.
static void ask_any_broker(struct check *c, rd_kafka_AdminOptions_t *o)
{
    char text[128];
    const struct rd_kafka_metadata *m;
    if (rd_kafka_metadata(c->client.rk, 0, NULL, &m, KAFKA_CALL_MS))
        return;
    if (m->broker_cnt > 0)
        rd_kafka_AdminOptions_set_broker(o, m->brokers[0].id, text, sizeof(text));
    rd_kafka_metadata_destroy(m);
}

// ---- Partitions

static int look(struct check *c, size_t *ret_missing, struct why *ret_why)
{
    *ret_missing = 0;
    for (size_t i = 0; i < c->n; i++) {
        if (c->partitions[i] == 0) {
            int r = kafka_partitions_if_any(&c->client, c->topics[i], &c->partitions[i], ret_why);
            if (r != PORT_OK)
                return r;
        }
        *ret_missing += c->partitions[i] == 0;
    }
    return PORT_OK;
}

static int created(struct check *c, struct why *ret_why)
{
    int r = PORT_OK;
    _cleanup_(kafka_event_destroy) rd_kafka_event_t *event = take_answer(c, "topics cannot be created", &r, ret_why);
    if (!event)
        return r;
    size_t n;
    const rd_kafka_topic_result_t **results =
        rd_kafka_CreateTopics_result_topics(rd_kafka_event_CreateTopics_result(event), &n);
    for (size_t i = 0; i < n; i++) {
        rd_kafka_resp_err_t err = rd_kafka_topic_result_error(results[i]);
        const char *text = rd_kafka_topic_result_error_string(results[i]);
        if (err && err != RD_KAFKA_RESP_ERR_TOPIC_ALREADY_EXISTS)
            return kafka_why(ret_why, kafka_unreachable(err) ? PORT_AWAY : PORT_REFUSED,
                             "topic %s cannot be created: %s", rd_kafka_topic_result_name(results[i]),
                             text ? text : rd_kafka_err2str(err));
    }
    return PORT_OK;
}

static int create_missing(struct check *c, struct why *ret_why)
{
    rd_kafka_NewTopic_t *topics[CHECKED_MAX];
    size_t n = 0;
    char text[128];
    for (size_t i = 0; i < c->n; i++) {
        if (c->partitions[i])
            continue;
        // -1: as many replicas as the brokers have set as their default
        rd_kafka_NewTopic_t *t = rd_kafka_NewTopic_new(c->topics[i], c->partitions[SOURCE], -1, text, sizeof(text));
        if (!t) {
            rd_kafka_NewTopic_destroy_array(topics, n);
            return kafka_why(ret_why, PORT_REFUSED, "topic %s cannot be created: %s", c->topics[i], text);
        }
        rd_kafka_NewTopic_set_config(t, "cleanup.policy", "delete");
        if (i == JOURNAL) {
            rd_kafka_NewTopic_set_config(t, "retention.ms", "-1");
            rd_kafka_NewTopic_set_config(t, "retention.bytes", "-1");
        }
        kafka_note(c->client.options, NOTE_INFO, "creating topic %s with %d partitions", c->topics[i],
                   (int)c->partitions[SOURCE]);
        topics[n++] = t;
    }
    rd_kafka_AdminOptions_t *o = admin_options(c, RD_KAFKA_ADMIN_OP_CREATETOPICS);
    rd_kafka_CreateTopics(c->client.rk, topics, n, o, c->answers);
    rd_kafka_AdminOptions_destroy(o);
    rd_kafka_NewTopic_destroy_array(topics, n);
    return created(c, ret_why);
}

static int check_partitions(struct check *c, bool create, struct why *ret_why)
{
    size_t missing;
    int r = look(c, &missing, ret_why);
    // A topic made a moment ago is not known to every broker yet.
    for (int64_t end = now_ms() + SOURCE_WAIT_MS; r == PORT_OK && c->partitions[SOURCE] == 0 && now_ms() < end;) {
        nanosleep(&(struct timespec){.tv_nsec = SOURCE_LOOK_MS * 1000000L}, NULL);
        r = look(c, &missing, ret_why);
    }
    if (r == PORT_OK && c->partitions[SOURCE] == 0)
        r = kafka_why(ret_why, PORT_REFUSED, "source topic %s does not exist: create it, or name another in sources",
                      c->topics[SOURCE]);
    for (size_t i = 0; r == PORT_OK && missing && !create && i < c->n; i++)
        if (c->partitions[i] == 0)
            r = kafka_why(ret_why, PORT_REFUSED,
                          "topic %s does not exist: create it with %d partitions, or set "
                          "outputs.create",
                          c->topics[i], (int)c->partitions[SOURCE]);
    if (r == PORT_OK && missing)
        r = create_missing(c, ret_why);
    while (r == PORT_OK && missing) {
        if (now_ms() >= c->give_up_ms)
            return kafka_why(ret_why, PORT_AWAY, "%zu topics just created do not show yet", missing);
        rd_kafka_poll(c->client.rk, LOOK_AGAIN_MS);
        r = look(c, &missing, ret_why);
    }
    for (size_t i = 0; r == PORT_OK && i < c->n; i++)
        if (c->partitions[i] != c->partitions[SOURCE])
            r = kafka_why(ret_why, PORT_REFUSED,
                          "topic %s has %d partitions and its source %s has %d: they must be as "
                          "many; name another topic, or delete this one",
                          c->topics[i], (int)c->partitions[i], c->topics[SOURCE], (int)c->partitions[SOURCE]);
    return r;
}

// ---- Configuration

static int check_entry(const struct check *c, const char *topic, const char *name, const char *value,
                       struct why *ret_why)
{
    if (strcmp(name, "cleanup.policy") == 0 && strstr(value, "compact"))
        return kafka_why(ret_why, PORT_REFUSED,
                         "topic %s is compacted (cleanup.policy=%s), which loses records: set "
                         "cleanup.policy=delete, or name another topic",
                         topic, value);
    if (strcmp(topic, c->topics[JOURNAL]) == 0 &&
        (strcmp(name, "retention.ms") == 0 || strcmp(name, "retention.bytes") == 0) && strcmp(value, "-1") != 0)
        return kafka_why(ret_why, PORT_REFUSED,
                         "the journal %s would lose entries (%s=%s): set retention.ms=-1 and "
                         "retention.bytes=-1",
                         topic, name, value);
    return PORT_OK;
}

static int check_resource(const struct check *c, const rd_kafka_ConfigResource_t *resource, bool *ret_again,
                          struct why *ret_why)
{
    const char *topic = rd_kafka_ConfigResource_name(resource);
    rd_kafka_resp_err_t err = rd_kafka_ConfigResource_error(resource);
    const char *text = rd_kafka_ConfigResource_error_string(resource);
    *ret_again = err == RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART; // this broker has not heard of it yet
    if (err)
        return kafka_why(ret_why, *ret_again || kafka_unreachable(err) ? PORT_AWAY : PORT_REFUSED,
                         "the configuration of topic %s cannot be checked: %s", topic,
                         text ? text : rd_kafka_err2str(err));
    size_t n;
    const rd_kafka_ConfigEntry_t **entries = rd_kafka_ConfigResource_configs(resource, &n);
    for (size_t i = 0; i < n; i++) {
        const char *value = rd_kafka_ConfigEntry_value(entries[i]);
        int r = check_entry(c, topic, rd_kafka_ConfigEntry_name(entries[i]), value ? value : "", ret_why);
        if (r != PORT_OK)
            return r;
    }
    return PORT_OK;
}

static int check_configuration_once(struct check *c, bool *ret_again, struct why *ret_why)
{
    rd_kafka_ConfigResource_t *asked[CHECKED_MAX];
    for (size_t i = 0; i < c->n; i++)
        asked[i] = rd_kafka_ConfigResource_new(RD_KAFKA_RESOURCE_TOPIC, c->topics[i]);
    rd_kafka_AdminOptions_t *o = admin_options(c, RD_KAFKA_ADMIN_OP_DESCRIBECONFIGS);
    ask_any_broker(c, o);
    rd_kafka_DescribeConfigs(c->client.rk, asked, c->n, o, c->answers);
    rd_kafka_AdminOptions_destroy(o);
    rd_kafka_ConfigResource_destroy_array(asked, c->n);

    int r = PORT_OK;
    _cleanup_(kafka_event_destroy) rd_kafka_event_t *event =
        take_answer(c, "the configuration of topics cannot be checked", &r, ret_why);
    if (!event)
        return r;
    size_t n;
    const rd_kafka_ConfigResource_t **resources =
        rd_kafka_DescribeConfigs_result_resources(rd_kafka_event_DescribeConfigs_result(event), &n);
    if (n != c->n)
        return kafka_why(ret_why, PORT_AWAY, "brokers told the configuration of %zu topics of %zu", n, c->n);
    for (size_t i = 0; i < n && r == PORT_OK; i++)
        r = check_resource(c, resources[i], ret_again, ret_why);
    return r;
}

static int check_configuration(struct check *c, struct why *ret_why)
{
    for (;;) {
        bool again = false;
        int r = check_configuration_once(c, &again, ret_why);
        if (!again || now_ms() >= c->give_up_ms)
            return r;
        rd_kafka_poll(c->client.rk, LOOK_AGAIN_MS);
    }
}

int kafka_ensure_topics(const struct kafka_options *o, const char *const *outputs, size_t noutputs, bool create,
                        int32_t *ret_partitions, struct why *ret_why)
{
    _cleanup_(check_end) struct check c = {.give_up_ms = now_ms() + READY_MS};
    check_add(&c, o->source);
    check_add(&c, o->journal);
    bool same = c.n == 1;
    for (size_t i = 0; i < noutputs; i++) {
        same = same || strcmp(outputs[i], o->source) == 0;
        if (!check_add(&c, outputs[i]))
            return kafka_why(ret_why, PORT_REFUSED, "more than %d output topics", TOPICS_MAX);
    }
    if (same)
        return kafka_why(ret_why, PORT_REFUSED, "topic %s is both source and output", o->source);
    int r = kafka_open(&c.client, o, RD_KAFKA_CONSUMER, no_defaults, required, NULL, NULL, ret_why);
    if (r != PORT_OK)
        return r;
    c.answers = rd_kafka_queue_new(c.client.rk);
    r = check_partitions(&c, create, ret_why);
    if (r == PORT_OK)
        r = check_configuration(&c, ret_why);
    if (r == PORT_OK)
        *ret_partitions = c.partitions[SOURCE];
    return r;
}
