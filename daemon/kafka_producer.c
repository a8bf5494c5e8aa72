// Delivery reports are the only place where offsets of outputs are told, one callback a record: it finds its place by
// number. Places are kept as long as the producer is; there are as many as partitions it has ever written to.
#include "kafka_producer.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "error.h"

struct kafka_output {
    char *name; // owned
    rd_kafka_topic_t *topic;
    uint32_t *places; // by partition: index of its place + 1; 0: none yet
    int32_t partitions;
};

struct kafka_place {
    size_t output;
    int32_t partition;
    int64_t next; // offset after the last record delivered since mark; -1: none was
};

enum { REPORTS_EVERY = 1024, FULL_WAIT_MS = 10000 };

static const struct kafka_setting defaults[] = {
    // The first request of a transaction often comes before the last one has settled, and is told to come again.
    {"retry.backoff.ms", "2"},
    // Longer than a transaction is held open: its end flushes, and few large requests cost less. Besides, what has
    // lingered keeps librdkafka's thread polling without a pause until its partition is part of the transaction.
    {"linger.ms", "500"},
    {"compression.codec", "lz4"},
    {"queue.buffering.max.kbytes", "65536"},
    {NULL, NULL},
};

static void on_delivery(rd_kafka_t *rk, const rd_kafka_message_t *m, void *arg)
{
    (void)rk;
    struct kafka_client *client = arg;
    struct kafka_producer *p = client->owner;
    struct kafka_place *place = &p->places[(uintptr_t)m->_private];
    if (m->err == RD_KAFKA_RESP_ERR_NO_ERROR) {
        // An offset can be unknown (a retry that the broker knew already): then the records before it say how far.
        if (m->offset >= place->next)
            place->next = m->offset + 1;
        return;
    }
    bool purged = m->err == RD_KAFKA_RESP_ERR__PURGE_QUEUE || m->err == RD_KAFKA_RESP_ERR__PURGE_INFLIGHT;
    if (p->failed || purged)
        return;
    p->failed = m->err;
    kafka_why(&p->failure, 0, "a record of %zu bytes for partition %d of %s was not delivered: %s", m->len + m->key_len,
              (int)place->partition, p->outputs[place->output].name,
              m->err == RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE ? "it is larger than the topic's max.message.bytes allows"
                                                             : rd_kafka_err2str(m->err));
}

static void prepare(rd_kafka_conf_t *conf)
{
    rd_kafka_conf_set_dr_msg_cb(conf, on_delivery);
}

int kafka_producer_open(struct kafka_producer *p, const struct kafka_options *o, bool transactions, struct why *ret_why)
{
    kafka_producer_close(p);
    char id[KAFKA_ID_BYTES], timeout[16];
    kafka_worker_id(o, id);
    snprintf(timeout, sizeof(timeout), "%d", o->transaction_timeout_ms);
    const struct kafka_setting required[] = {
        {"acks", "all"},
        {"enable.idempotence", "true"},
        {transactions ? "transactional.id" : NULL, id},
        {"transaction.timeout.ms", timeout},
        {NULL, NULL},
    };
    int r = kafka_open(&p->client, o, RD_KAFKA_PRODUCER, defaults, required, prepare, p, ret_why);
    kafka_producer_mark(p);
    return r;
}

void kafka_producer_close(struct kafka_producer *p)
{
    for (size_t i = 0; i < p->noutputs; i++) {
        rd_kafka_topic_destroy(p->outputs[i].topic);
        free(p->outputs[i].name);
        free(p->outputs[i].places);
    }
    if (p->client.rk) // its open requests must not hold up the end
        rd_kafka_purge(p->client.rk, RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT);
    kafka_close(&p->client);
    free(p->outputs);
    free(p->places);
    *p = (struct kafka_producer){0};
}

void kafka_producer_mark(struct kafka_producer *p)
{
    for (size_t i = 0; i < p->nplaces; i++)
        p->places[i].next = -1;
    p->failed = RD_KAFKA_RESP_ERR_NO_ERROR;
    p->errors = p->client.errors;
    p->unanswered = atomic_load(&p->client.unanswered);
    p->endings = atomic_load(&p->client.endings);
}

static int output_add(struct kafka_producer *p, const char *name, size_t *ret)
{
    struct kafka_output *outputs = realloc(p->outputs, (p->noutputs + 1) * sizeof(*outputs));
    if (!outputs)
        return ERR_NOMEM;
    p->outputs = outputs;
    char *copy = strdup(name);
    if (!copy)
        return ERR_NOMEM;
    rd_kafka_topic_t *topic = rd_kafka_topic_new(p->client.rk, name, NULL);
    if (!topic) {
        free(copy);
        return ERR_NOMEM;
    }
    *ret = p->noutputs++;
    p->outputs[*ret] = (struct kafka_output){.name = copy, .topic = topic};
    return 0;
}

static int output_find(struct kafka_producer *p, const char *name, size_t *ret)
{
    for (size_t i = 0; i < p->noutputs; i++) {
        if (strcmp(p->outputs[i].name, name) == 0) {
            *ret = i;
            return 0;
        }
    }
    return output_add(p, name, ret);
}

// The number of a partition's place, which goes with the record to its delivery report.
static int place_find(struct kafka_producer *p, size_t output, int32_t partition, size_t *ret)
{
    struct kafka_output *o = &p->outputs[output];
    if (partition >= o->partitions) {
        int32_t n = partition + 16;
        uint32_t *places = realloc(o->places, (size_t)n * sizeof(*places));
        if (!places)
            return ERR_NOMEM;
        memset(places + o->partitions, 0, (size_t)(n - o->partitions) * sizeof(*places));
        o->places = places;
        o->partitions = n;
    }
    if (o->places[partition] == 0) {
        if (p->nplaces == p->places_cap) {
            size_t cap = p->places_cap * 2 + 16;
            struct kafka_place *places = realloc(p->places, cap * sizeof(*places));
            if (!places)
                return ERR_NOMEM;
            p->places = places;
            p->places_cap = cap;
        }
        p->places[p->nplaces++] = (struct kafka_place){output, partition, -1};
        o->places[partition] = (uint32_t)p->nplaces;
    }
    *ret = o->places[partition] - 1;
    return 0;
}

static rd_kafka_resp_err_t enqueue(struct kafka_producer *p, size_t place, const struct out_record *r)
{
    rd_kafka_headers_t *headers = rd_kafka_headers_new(r->nheaders);
    for (size_t i = 0; i < r->nheaders; i++)
        rd_kafka_header_add(headers, r->headers[i].name, -1, r->headers[i].value.p, (ssize_t)r->headers[i].value.n);
    rd_kafka_resp_err_t err = rd_kafka_producev(
        p->client.rk, RD_KAFKA_V_RKT(p->outputs[p->places[place].output].topic), RD_KAFKA_V_PARTITION(r->partition),
        RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY), RD_KAFKA_V_KEY(r->key.p, r->key.n),
        RD_KAFKA_V_VALUE((void *)(uintptr_t)r->value.p, r->value.n), RD_KAFKA_V_TIMESTAMP(r->timestamp),
        RD_KAFKA_V_HEADERS(headers), RD_KAFKA_V_OPAQUE((void *)(uintptr_t)place), RD_KAFKA_V_END);
    if (err)
        rd_kafka_headers_destroy(headers);
    return err;
}

int kafka_producer_send(struct kafka_producer *p, const struct out_record *r, struct why *ret_why)
{
    size_t output, place;
    int err = output_find(p, r->topic, &output);
    if (err == 0)
        err = place_find(p, output, r->partition, &place);
    if (err < 0)
        return err;
    if (++p->sent % REPORTS_EVERY == 0)
        rd_kafka_poll(p->client.rk, 0);

    int64_t give_up = 0;
    rd_kafka_resp_err_t failed;
    while ((failed = enqueue(p, place, r)) == RD_KAFKA_RESP_ERR__QUEUE_FULL) {
        int64_t now = now_ms();
        if (give_up == 0)
            give_up = now + FULL_WAIT_MS;
        if (now >= give_up)
            return kafka_why(ret_why, PORT_AWAY,
                             "brokers take no records for %s: the queue to them has been full "
                             "for %d s",
                             r->topic, FULL_WAIT_MS / 1000);
        rd_kafka_poll(p->client.rk, 10);
    }
    switch (failed) {
    case RD_KAFKA_RESP_ERR_NO_ERROR: return PORT_OK;
    case RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE:
        return kafka_why(ret_why, PORT_REFUSED,
                         "a record of %zu bytes for %s is larger than message.max.bytes in "
                         "kafka.properties allows",
                         r->key.n + r->value.n, r->topic);
    case RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION:
    case RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC:
        return kafka_why(ret_why, PORT_REFUSED,
                         "there is no partition %d of %s, which must have as many as the "
                         "source",
                         (int)r->partition, r->topic);
    default:
        return kafka_why(ret_why, PORT_ABORTED, "%s takes no record: %s", r->topic,
                         p->failed ? p->failure.text : rd_kafka_err2str(failed));
    }
}

int kafka_producer_flush(struct kafka_producer *p, int timeout_ms, struct why *ret_why)
{
    rd_kafka_resp_err_t err = rd_kafka_flush(p->client.rk, timeout_ms);
    if (p->failed)
        return kafka_why(ret_why, kafka_unreachable(p->failed) ? PORT_AWAY : PORT_ABORTED, "%s", p->failure.text);
    if (err)
        return kafka_why(ret_why, PORT_AWAY, "brokers have not acknowledged %d records within %d ms: %s",
                         rd_kafka_outq_len(p->client.rk), timeout_ms, rd_kafka_err2str(err));
    return PORT_OK;
}

void kafka_producer_delivered(const struct kafka_producer *p, bool marker, struct produced *ret, size_t max,
                              size_t *ret_n)
{
    size_t others = *ret_n;
    for (size_t i = 0; i < p->nplaces; i++) {
        const struct kafka_place *place = &p->places[i];
        const char *topic = p->outputs[place->output].name;
        size_t at = 0;
        while (at < others && (ret[at].partition != place->partition || strcmp(ret[at].topic, topic) != 0))
            at++;
        if (at == others)
            at = *ret_n;
        if (place->next < 0 || at == max)
            continue;
        ret[at] = (struct produced){topic, place->partition, place->next + marker};
        *ret_n += at == *ret_n;
    }
}

unsigned kafka_producer_endings(const struct kafka_producer *p)
{
    return atomic_load(&p->client.endings) - p->endings;
}

bool kafka_producer_doubtful(const struct kafka_producer *p)
{
    return p->client.errors != p->errors || atomic_load(&p->client.unanswered) != p->unanswered ||
           kafka_producer_endings(p) > 1;
}
