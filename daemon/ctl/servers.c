// A client that knows its group can ask for the group's offsets; only who subscribes becomes a member.
#include "servers.h"

#include <stdio.h>
#include <string.h>

enum { HANGING_MS = 40000 }; // transaction.timeout.ms + 30 s: a transaction that stays open so long hangs

static int reach(struct servers *s, struct why *why)
{
    const struct kafka_setting none[] = {{NULL, NULL}};
    const struct kafka_setting required[] = {
        {"group.id", s->at.config->app},       {"isolation.level", "read_committed"},
        {"enable.auto.commit", "false"},       {"enable.auto.offset.store", "false"},
        {"allow.auto.create.topics", "false"}, {NULL, NULL}};
    int r = kafka_open(&s->client, &s->at.kafka, RD_KAFKA_CONSUMER, none, required, NULL, s, why);
    if (r == PORT_OK)
        r = kafka_partitions(&s->client, s->at.config->source.topic, &s->partitions, why);
    return sources_kafka_why(&s->at, r, why);
}

int servers_open(struct servers *s, const char *command, const char *config, const struct option_list *overrides)
{
    struct why why = {0};
    *s = (struct servers){0};
    int r = sources_open(command, config, overrides, &s->at);
    if (r == 0)
        r = ctl_port(command, reach(s, &why), &why);
    if (r)
        servers_close(s);
    return r;
}

void servers_close(struct servers *s)
{
    kafka_close(&s->client);
    sources_close(&s->at);
    *s = (struct servers){0};
}

static void add_topic(const char *topics[], int *n, const char *topic)
{
    if (!topic || *n == TOPICS_MAX)
        return;
    for (int i = 0; i < *n; i++)
        if (!strcmp(topics[i], topic))
            return;
    topics[(*n)++] = topic;
}

int servers_outputs(const struct servers *s, const char *ret[static TOPICS_MAX])
{
    const struct config *c = s->at.config;
    int n = 0;
    add_topic(ret, &n, c->outputs.transitions);
    add_topic(ret, &n, c->outputs.triggers);
    add_topic(ret, &n, c->outputs.dead_letters);
    for (size_t i = 0; i < c->outputs.ncampaigns; i++)
        add_topic(ret, &n, c->outputs.campaigns[i].topic);
    return n;
}

int servers_partitions(const struct servers *s, const char *command, const char *option, int32_t *ret_first,
                       int32_t *ret_end)
{
    int64_t n = 0;
    if (option && (parse_whole(option, strlen(option), &n) || n < 0 || n >= s->partitions))
        return ctl_usage(command, "no partition %s: topic %s has 0 to %d", option, s->at.config->source.topic,
                         (int)s->partitions - 1);
    *ret_first = (int32_t)n;
    *ret_end = option ? (int32_t)n + 1 : s->partitions;
    return 0;
}

int servers_ends(struct servers *s, const struct part_key *p, int64_t *ret_start, int64_t *ret_high,
                 struct why *ret_why)
{
    int32_t partitions;
    int64_t stable;
    int r = kafka_partitions_if_any(&s->client, p->topic, &partitions, ret_why);
    if (r == PORT_OK && partitions > 0)
        return kafka_ends(&s->client, p, ret_start, ret_high, &stable, ret_why);
    if (r == PORT_OK)
        *ret_start = *ret_high = 0;
    return r;
}

int servers_committed(struct servers *s, const struct part_key *p, int64_t *ret_offset, int64_t *ret_clock,
                      struct why *ret_why)
{
    int r;
    int64_t since = now_ms();
    do
        r = kafka_committed(&s->client, p, ret_offset, ret_clock, ret_why);
    while (r == PORT_AWAY && now_ms() - since <= HANGING_MS);
    return r;
}

struct reading {
    int64_t *next, upto;
    int (*each)(void *arg, const struct record *r);
    void *arg;
};

static int once(void *arg, const struct record *r)
{
    struct reading *x = arg;
    if (r->offset < *x->next || r->offset >= x->upto)
        return 0; // handed on before an interruption; or fetched along
    int result = x->each(x->arg, r);
    if (result >= 0)
        *x->next = r->offset + 1;
    return result;
}

int servers_read(struct servers *s, const struct part_key *p, int64_t *next, int64_t upto,
                 int (*each)(void *arg, const struct record *r), void *arg, struct why *ret_why)
{
    struct reading x = {.next = next, .upto = upto, .each = each, .arg = arg};
    int r = PORT_OK;
    for (int64_t since = now_ms(); *next < upto;) {
        int64_t before = *next;
        r = kafka_read(&s->at.reader, &s->at.kafka, p, *next, upto, once, &x, ret_why);
        if (r == PORT_OK)
            *next = upto; // markers of transactions may lie before it
        if (*next > before)
            since = now_ms();
        if (r != PORT_OK && (r != PORT_AWAY || now_ms() - since > HANGING_MS))
            return r;
    }
    return PORT_OK;
}
