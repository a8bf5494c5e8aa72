// Redis is asked first, and alone where that suffices: an operator asks when something is wrong, and that may
// be Kafka.
#include "sources.h"

#include <stdio.h>
#include <string.h>
#include <sysexits.h>

#include "ctl.h"
#include "kafka_query.h"
#include "redis_query.h"

// For kafka_read: what is not committed was never said.
static const struct kafka_setting defaults[] = {{"fetch.wait.max.ms", "5"}, {NULL, NULL}};
static const struct kafka_setting required[] = {
    {"isolation.level", "read_committed"},
    {"enable.partition.eof", "true"},
    {"auto.offset.reset", "error"},
    {"enable.auto.commit", "false"},
    {"enable.auto.offset.store", "false"},
    {"allow.auto.create.topics", "false"},
    {NULL, NULL},
};

int sources_open(const char *command, const char *config, const struct option_list *overrides, struct sources *ret)
{
    *ret = (struct sources){.command = command};
    int r = ctl_config(config, overrides, &ret->config);
    if (r)
        return r;
    const struct config *c = ret->config;
    for (int i = 0; i < c->program.nmodels; i++)
        ret->models[i] = c->program.models[i]->name;
    ret->redis = (struct redis_options){.app = c->app,
                                        .url = &c->redis.url,
                                        .timeout_ms = (int)c->redis.timeout_ms,
                                        .client = "engagectl",
                                        .models = ret->models,
                                        .nmodels = c->program.nmodels};
    ret->kafka = (struct kafka_options){.brokers = c->kafka.brokers,
                                        .app = c->app,
                                        .instance = "engagectl",
                                        .worker = 0,
                                        .properties = c->kafka.properties,
                                        .nproperties = c->kafka.nproperties,
                                        .source = c->source.topic,
                                        .journal = c->outputs.journal};
    ret->store = redis_store_new(&ret->redis);
    return ret->store ? 0 : ERR_NOMEM;
}

void sources_close(struct sources *s)
{
    kafka_reader_close(&s->reader);
    redis_store_free(s->store);
    config_free(s->config);
    *s = (struct sources){0};
}

int sources_kafka(struct sources *s, struct why *ret_why)
{
    if (s->reader.client.rk)
        return PORT_OK;
    return kafka_open(&s->reader.client, &s->kafka, RD_KAFKA_CONSUMER, defaults, required, NULL, s, ret_why);
}

int sources_kafka_why(const struct sources *s, int result, struct why *why)
{
    struct why what = *why;
    if (result > 0)
        kafka_why(why, result, "Kafka at %.60s: %.120s%s", s->config->kafka.brokers, what.text,
                  result == PORT_AWAY ? ". Is it running, and kafka.brokers right?" : "");
    return result;
}

int sources_end(struct sources *s, const struct part_key *p, int64_t *ret_end, struct why *ret_why)
{
    int64_t start, stable;
    int r = sources_kafka(s, ret_why);
    if (r)
        return r;
    return sources_kafka_why(s, kafka_ends(&s->reader.client, p, &start, ret_end, &stable, ret_why), ret_why);
}

int sources_partitions(struct sources *s, int32_t *ret_n, struct why *ret_why)
{
    struct cursor cursor;
    struct owner owner;
    struct part_key first = {s->config->source.topic, 0};
    int r = redis_query_cursor(s->store, &first, &cursor, &owner, ret_why);
    if (r)
        return r;
    if (cursor.exists) {
        *ret_n = cursor.partitions;
        return PORT_OK;
    }
    r = sources_kafka(s, ret_why);
    return r ? r : sources_kafka_why(s, kafka_partitions(&s->reader.client, first.topic, ret_n, ret_why), ret_why);
}

static void lookup_close(struct lookup **l)
{
    lookup_free(*l);
}

struct counted { // passes states on, and knows whether there was one
    void (*found)(void *arg, const struct lookup_found *f);
    void *arg;
    int n;
};

static void count(void *arg, const struct lookup_found *f)
{
    struct counted *c = arg;
    c->n++;
    if (c->found)
        c->found(c->arg, f);
}

// With a JSON buffer, or with found().
static int customer(struct sources *s, const char *id, struct buffer *json, struct counted *c)
{
    struct span span = {id, strlen(id)};
    struct why why = {{0}};
    int32_t partitions;
    if (span.n == 0 || span.n > CUSTOMER_BYTES_MAX || !utf8_valid(id, span.n))
        return ctl_usage(s->command, "a customer id is 1 to %d bytes of UTF-8", CUSTOMER_BYTES_MAX);
    int r = sources_partitions(s, &partitions, &why);
    if (r)
        return ctl_port(s->command, r, &why);
    _cleanup_(lookup_close) struct lookup *l = lookup_new(s->config, partitions);
    if (!l)
        return ERR_NOMEM;
    r = json ? lookup_customer(l, span, json, &why) : lookup_each(l, span, count, c, &why);
    bool none = json ? r == 1 : r == 0 && c->n == 0;
    if (none) {
        fprintf(stderr,
                "%s: no such customer: app %s has no state of %s in %s. Is the id as in the events, and app as in the\n"
                "daemon's configuration?\n",
                s->command, s->config->app, id, s->config->source.topic);
        return EX_DATAERR;
    }
    return json && r == 2 ? ctl_port(s->command, PORT_AWAY, &why) : ctl_port(s->command, r, &why);
}

int sources_customer(struct sources *s, const char *id, void (*found)(void *arg, const struct lookup_found *f),
                     void *arg)
{
    return customer(s, id, NULL, &(struct counted){.found = found, .arg = arg});
}

int sources_customer_json(struct sources *s, const char *id, struct buffer *ret)
{
    return customer(s, id, ret, NULL);
}
