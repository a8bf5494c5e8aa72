// librdkafka reports trouble in three ways that miss each other's cases: error callbacks (a repeated one is silent for
// half a minute), logs, and results. So a client also watches its requests themselves: which were answered, and which
// of those that publish were not. That is exact, at once, and tells when a producer must no longer be trusted.
#include "kafka_common.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <syslog.h>
#include <time.h>

#include "config.h"

enum { // of Kafka's protocol
    API_PRODUCE = 0,
    API_INIT_PRODUCER_ID = 22,
    API_ADD_PARTITIONS_TO_TXN = 24,
    API_ADD_OFFSETS_TO_TXN = 25,
    API_END_TXN = 26,
    API_TXN_OFFSET_COMMIT = 28,
};
enum {
    SILENT_MS = 10000, // a consumer is answered far more often: fetches, heartbeats, or what it is made to ask
};

int kafka_why(struct why *ret_why, int result, const char *fmt, ...)
{
    if (ret_why) {
        va_list args;
        va_start(args, fmt);
        vsnprintf(ret_why->text, sizeof(ret_why->text), fmt, args);
        va_end(args);
    }
    return result;
}

void kafka_note(const struct kafka_options *o, enum note_level level, const char *fmt, ...)
{
    if (!o->note)
        return;
    char text[1024];
    va_list args;
    va_start(args, fmt);
    vsnprintf(text, sizeof(text), fmt, args);
    va_end(args);
    o->note(o->note_arg, level, text);
}

void kafka_worker_id(const struct kafka_options *o, char ret[static KAFKA_ID_BYTES])
{
    snprintf(ret, KAFKA_ID_BYTES, "%s-%s-%d", o->app, o->instance, o->worker);
}

bool kafka_unreachable(rd_kafka_resp_err_t err)
{
    switch (err) {
    case RD_KAFKA_RESP_ERR__TRANSPORT:
    case RD_KAFKA_RESP_ERR__RESOLVE:
    case RD_KAFKA_RESP_ERR__TIMED_OUT:
    case RD_KAFKA_RESP_ERR__TIMED_OUT_QUEUE:
    case RD_KAFKA_RESP_ERR__MSG_TIMED_OUT:
    case RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN:
    case RD_KAFKA_RESP_ERR__WAIT_COORD:
    case RD_KAFKA_RESP_ERR__IN_PROGRESS:
    case RD_KAFKA_RESP_ERR_LEADER_NOT_AVAILABLE:
    case RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION:
    case RD_KAFKA_RESP_ERR_REQUEST_TIMED_OUT:
    case RD_KAFKA_RESP_ERR_BROKER_NOT_AVAILABLE:
    case RD_KAFKA_RESP_ERR_REPLICA_NOT_AVAILABLE:
    case RD_KAFKA_RESP_ERR_NETWORK_EXCEPTION:
    case RD_KAFKA_RESP_ERR_COORDINATOR_LOAD_IN_PROGRESS:
    case RD_KAFKA_RESP_ERR_COORDINATOR_NOT_AVAILABLE:
    case RD_KAFKA_RESP_ERR_NOT_COORDINATOR:
    case RD_KAFKA_RESP_ERR_NOT_ENOUGH_REPLICAS:
    case RD_KAFKA_RESP_ERR_NOT_ENOUGH_REPLICAS_AFTER_APPEND:
    case RD_KAFKA_RESP_ERR_NOT_CONTROLLER:
    case RD_KAFKA_RESP_ERR_KAFKA_STORAGE_ERROR:
    case RD_KAFKA_RESP_ERR_OFFSET_NOT_AVAILABLE:
    case RD_KAFKA_RESP_ERR_CONCURRENT_TRANSACTIONS:
    case RD_KAFKA_RESP_ERR_UNSTABLE_OFFSET_COMMIT:
    case RD_KAFKA_RESP_ERR_THROTTLING_QUOTA_EXCEEDED: return true;
    default: return false;
    }
}

int64_t kafka_silent_ms(const struct kafka_client *c)
{
    int64_t answered = atomic_load_explicit(&c->answered_ms, memory_order_relaxed);
    return now_ms() - (answered > c->opened_ms ? answered : c->opened_ms);
}

bool kafka_away(const struct kafka_client *c)
{
    return c->down_ms > atomic_load_explicit(&c->answered_ms, memory_order_relaxed) || kafka_silent_ms(c) > SILENT_MS;
}

// ---- What librdkafka tells us

static rd_kafka_resp_err_t on_request_sent(rd_kafka_t *rk, int sockfd, const char *broker, int32_t broker_id,
                                           int16_t api, int16_t version, int32_t id, size_t size, void *arg)
{
    (void)rk, (void)sockfd, (void)broker, (void)broker_id, (void)version, (void)id, (void)size;
    struct kafka_client *c = arg;
    if (api == API_END_TXN)
        atomic_fetch_add_explicit(&c->endings, 1, memory_order_relaxed);
    return RD_KAFKA_RESP_ERR_NO_ERROR;
}

static rd_kafka_resp_err_t on_response(rd_kafka_t *rk, int sockfd, const char *broker, int32_t broker_id, int16_t api,
                                       int16_t version, int32_t id, size_t size, int64_t rtt, rd_kafka_resp_err_t err,
                                       void *arg)
{
    (void)rk, (void)sockfd, (void)broker, (void)broker_id, (void)version, (void)id, (void)size, (void)rtt;
    struct kafka_client *c = arg;
    if (err == RD_KAFKA_RESP_ERR_NO_ERROR) {
        atomic_store_explicit(&c->answered_ms, now_ms(), memory_order_relaxed);
        return RD_KAFKA_RESP_ERR_NO_ERROR;
    }
    switch (api) {
    case API_PRODUCE:
    case API_INIT_PRODUCER_ID:
    case API_ADD_PARTITIONS_TO_TXN:
    case API_ADD_OFFSETS_TO_TXN:
    case API_END_TXN:
    case API_TXN_OFFSET_COMMIT: atomic_fetch_add_explicit(&c->unanswered, 1, memory_order_relaxed);
    }
    return RD_KAFKA_RESP_ERR_NO_ERROR;
}

static rd_kafka_resp_err_t on_new(rd_kafka_t *rk, const rd_kafka_conf_t *conf, void *arg, char *text, size_t size)
{
    (void)conf, (void)text, (void)size;
    rd_kafka_resp_err_t err = rd_kafka_interceptor_add_on_request_sent(rk, "engaged", on_request_sent, arg);
    return err ? err : rd_kafka_interceptor_add_on_response_received(rk, "engaged", on_response, arg);
}

static void on_error(rd_kafka_t *rk, int err, const char *reason, void *arg)
{
    (void)rk;
    struct kafka_client *c = arg;
    c->errors++;
    if (err == RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN)
        c->down_ms = now_ms();
    kafka_note(c->options, NOTE_WARNING, "kafka: %s", reason);
}

static void on_log(const rd_kafka_t *rk, int level, const char *facility, const char *text)
{
    const struct kafka_client *c = rd_kafka_opaque(rk);
    // One list of properties serves producers and consumers; and what FAIL says comes as an error, too.
    if (strstr(text, "property and will be ignored by") || strcmp(facility, "FAIL") == 0)
        return;
    kafka_note(c->options,
               level <= LOG_WARNING ? NOTE_WARNING
               : level < LOG_DEBUG  ? NOTE_INFO
                                    : NOTE_DEBUG,
               "kafka: %s: %s", facility, text);
}

// ---- Opening and closing

static const struct kafka_setting common_defaults[] = {
    {"socket.nagle.disable", "true"},
    {"socket.keepalive.enable", "true"},
    {"reconnect.backoff.max.ms", "1000"},
    {"enable.metrics.push", "false"}, // closing would wait a second to send the last ones
    {NULL, NULL},
};

static int set(rd_kafka_conf_t *conf, const char *name, const char *value, struct why *ret_why)
{
    char text[200];
    if (rd_kafka_conf_set(conf, name, value, text, sizeof(text)) != RD_KAFKA_CONF_OK)
        return kafka_why(ret_why, PORT_REFUSED, "kafka.properties: %s: %s: %s", name, value, text);
    return PORT_OK;
}

static int set_all(rd_kafka_conf_t *conf, const struct kafka_setting *list, struct why *ret_why)
{
    int r = PORT_OK;
    for (; r == PORT_OK && list->name; list++)
        r = set(conf, list->name, list->value, ret_why);
    return r;
}

static int configure(rd_kafka_conf_t *conf, struct kafka_client *c, const struct kafka_setting *defaults,
                     const struct kafka_setting *required, struct why *ret_why)
{
    const struct kafka_options *o = c->options;
    char id[KAFKA_ID_BYTES];
    kafka_worker_id(o, id);
    int r = set_all(conf, common_defaults, ret_why);
    if (r == PORT_OK)
        r = set(conf, "client.id", id, ret_why);
    if (r == PORT_OK)
        r = set_all(conf, defaults, ret_why);
    for (size_t i = 0; r == PORT_OK && i < o->nproperties; i++)
        r = set(conf, o->properties[i].name, o->properties[i].value, ret_why);
    if (r == PORT_OK)
        r = set_all(conf, required, ret_why);
    if (r == PORT_OK)
        r = set(conf, "bootstrap.servers", o->brokers, ret_why);
    if (r == PORT_OK) // so that logs wait for the worker's thread, like all callbacks
        r = set(conf, "log.queue", "true", ret_why);
    rd_kafka_conf_set_opaque(conf, c);
    rd_kafka_conf_set_log_cb(conf, on_log);
    rd_kafka_conf_set_error_cb(conf, on_error);
    rd_kafka_conf_interceptor_add_on_new(conf, "engaged", on_new, c);
    return r;
}

int kafka_open(struct kafka_client *c, const struct kafka_options *o, rd_kafka_type_t type,
               const struct kafka_setting *defaults, const struct kafka_setting *required,
               void (*prepare)(rd_kafka_conf_t *conf), void *owner, struct why *ret_why)
{
    *c = (struct kafka_client){.options = o, .owner = owner, .opened_ms = now_ms()};
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    int r = configure(conf, c, defaults, required, ret_why);
    if (r != PORT_OK) {
        rd_kafka_conf_destroy(conf);
        return r;
    }
    if (prepare)
        prepare(conf);
    char text[200];
    c->rk = rd_kafka_new(type, conf, text, sizeof(text));
    if (!c->rk) {
        rd_kafka_conf_destroy(conf);
        return kafka_why(ret_why, PORT_REFUSED,
                         "librdkafka takes the properties of kafka.properties one by one, "
                         "but not together: %s",
                         text);
    }
    if (type == RD_KAFKA_CONSUMER)
        rd_kafka_poll_set_consumer(c->rk);
    rd_kafka_set_log_queue(c->rk, NULL);
    return PORT_OK;
}

void kafka_close(struct kafka_client *c)
{
    if (!c->rk)
        return;
    // A static member that leaves would set off a rebalance; one that only goes away finds its partitions again.
    rd_kafka_destroy_flags(c->rk, RD_KAFKA_DESTROY_F_NO_CONSUMER_CLOSE);
    c->rk = NULL;
}
