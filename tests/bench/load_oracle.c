// Steps a whole topic by the rules of load_model.h, as the daemon must in event time, and writes down every transition:
// one line each, of what load_check.c compares.
#include "load.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <yyjson.h>

struct known { // an entry of the table
    char id[ID_BYTES];
    int32_t partition;
    struct shopper s;
};

struct oracle {
    struct table customers;
    int64_t grace, clock[PARTITIONS_MAX];
    int64_t events, transitions;
    FILE *out;
};

struct cause {
    struct oracle *o;
    char id[ID_BYTES];
    int32_t partition;
    int64_t offset;
};

static void on_taken(void *arg, const struct taken *t)
{
    const struct cause *c = arg;
    struct line l;
    line_of_expected(t, c->id, c->partition, c->offset, &l);
    fprintf(c->o->out, "%s\t%s\t%.6f\n", l.id, l.text, l.score);
    c->o->transitions++;
}

static enum type type_of(const char *name)
{
    for (int i = 0; i < TYPES; i++)
        if (!strcmp(type_names[i], name))
            return (enum type)i;
    fail("an event of type %s", name);
}

static const char *member(yyjson_val *v, const char *name)
{
    const char *s = yyjson_get_str(yyjson_obj_get(v, name));
    return s ? s : "?";
}

static void each_event(void *arg, const rd_kafka_message_t *m)
{
    struct oracle *o = arg;
    yyjson_doc *doc = yyjson_read(m->payload, m->len, 0);
    yyjson_val *v = yyjson_doc_get_root(doc);
    const char *id = member(v, "userId"), *time = member(v, "timestamp");
    if (!doc || strlen(id) >= ID_BYTES)
        fail("no event at offset %" PRId64 " of partition %d", m->offset, m->partition);
    double revenue = yyjson_get_num(yyjson_obj_get(yyjson_obj_get(v, "properties"), "revenue"));
    int64_t t = parse_ms(time, strlen(time)), *clock = &o->clock[m->partition];
    struct known *k = table_get(&o->customers, id, strlen(id), true);
    if (k->s.seen && k->partition != m->partition)
        fail("customer %s is in two partitions", id);
    k->partition = m->partition;
    struct cause cause = {.o = o, .partition = m->partition, .offset = m->offset};
    memcpy(cause.id, k->id, sizeof cause.id);
    model_event(&k->s, type_of(member(v, "event")), t, (int64_t)(revenue * 1000 + 0.5), *clock, on_taken, &cause);
    if (t - o->grace > *clock)
        *clock = t - o->grace;
    o->events++;
    yyjson_doc_free(doc);
}

int load_oracle(const char *brokers, struct args *a)
{
    static struct oracle o;
    const char *topic = arg_text(a, "topic", NULL), *file = arg_text(a, "file", NULL);
    o.grace = arg_int(a, "grace", 0);
    int64_t until = arg_int(a, "until", INT64_MIN); // wall time has passed this
    args_end(a);
    for (size_t i = 0; i < PARTITIONS_MAX; i++)
        o.clock[i] = INT64_MIN;
    if (!(o.out = fopen(file, "w")))
        fail("%s cannot be written", file);
    table_init(&o.customers, sizeof(struct known));
    read_topic(brokers, topic, each_event, &o);
    for (size_t i = 0; i < o.customers.n; i++) {
        struct known *k = (struct known *)o.customers.entries + i;
        int64_t clock = o.clock[k->partition];
        struct cause cause = {.o = &o, .partition = k->partition};
        memcpy(cause.id, k->id, sizeof cause.id);
        model_time(&k->s, clock > until ? clock : until, on_taken, &cause);
    }
    if (fclose(o.out))
        fail("%s cannot be written", file);
    printf("{\"events\":%" PRId64 ",\"customers\":%zu,\"transitions\":%" PRId64 "}\n", o.events, o.customers.n,
           o.transitions);
    return 0;
}
