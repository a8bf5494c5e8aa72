// Where each partition stands: cursor and counts from Redis, the end of the log from Kafka, and what a daemon
// is doing from the daemon, if one listens where the configuration says. Each is told without the others, for
// it is when something is away that one asks.
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sysexits.h>

#include <yyjson.h>

#include "ctl.h"
#include "fetch.h"
#include "json_write.h"
#include "kafka_query.h"
#include "redis_query.h"
#include "sources.h"
#include "status.h"

struct status_options {
    const char *config, *format;
    struct option_list overrides;
};

#define FIELD(f) offsetof(struct status_options, f)

static const struct option_row rows[] = {
    CONFIG_OPTION_ROWS,
    {'f', "format", OPTION_TEXT, "json|table", FIELD(format), "one JSON object, or a table (default)"},
};

static const struct command command = {
    .name = "engagectl status",
    .arguments = "",
    .about =
        "The partitions of the source: owner, cursor, lag, clock; the population of each stage; and, if a\n"
        "daemon answers at http.listen, what it is doing with them. Ends with 69 if Redis or Kafka are away.\n",
    .rows = rows,
    .nrows = sizeof rows / sizeof *rows,
};

struct part {              // what is known of one
    bool exists;           // has a cursor
    int64_t offset, clock; // of the cursor; clock INT64_MIN: no event yet
    uint64_t n, customers; // flushes; states of all models
    char owner[sizeof((struct owner *)0)->text];
    int64_t end;                // of the log; -1: not known
    const char *state, *reason; // as the daemon tells; NULL: it does not
};

struct report {
    struct sources s;
    struct part *parts;
    int32_t n;
    bool counted;                    // Redis has told the populations
    int64_t *population[MODELS_MAX]; // by stage
    yyjson_doc *daemon;              // what /v1/status says; NULL: nothing
    struct why silence;              // then: why
};

// ---- what is known

static void add_stat(void *arg, struct span field, int64_t value)
{
    struct report *r = arg;
    const struct program *p = &r->s.config->program;
    char text[4 * NAME_BYTES_MAX];
    struct span model, kind, name;
    if (snprintf(text, sizeof text, "%.*s", (int)field.n, field.p) >= (int)sizeof text ||
        !status_field(text, &model, &kind, &name) || kind.n != 5 || memcmp(kind.p, "stage", 5) != 0)
        return;
    for (int m = 0; m < p->nmodels; m++) {
        if (strlen(p->models[m]->name) != model.n || memcmp(p->models[m]->name, model.p, model.n) != 0)
            continue;
        int stage = model_stage(p->models[m], name.p, name.n);
        if (stage != NONE)
            r->population[m][stage] += value;
    }
}

static int ask_redis(struct report *r, struct why *why)
{
    for (int32_t i = 0; i < r->n; i++) {
        struct part_key key = {r->s.config->source.topic, i};
        struct part *p = &r->parts[i];
        struct cursor c;
        struct owner owner;
        int k = redis_query_cursor(r->s.store, &key, &c, &owner, why);
        if (k)
            return k;
        if (!c.exists)
            continue;
        p->exists = true;
        p->offset = c.offset;
        p->clock = c.clock;
        p->n = c.n;
        for (int m = 0; m < r->s.config->program.nmodels; m++)
            p->customers += c.customers[m];
        memcpy(p->owner, owner.text, sizeof p->owner);
        if ((k = redis_store_ops.stats(r->s.store, &key, add_stat, r, why)) != 0)
            return k;
    }
    r->counted = true;
    return PORT_OK;
}

static int ask_kafka(struct report *r, struct why *why)
{
    int k = PORT_OK;
    for (int32_t i = 0; i < r->n && k == PORT_OK; i++) {
        struct part_key key = {r->s.config->source.topic, i};
        k = sources_end(&r->s, &key, &r->parts[i].end, why);
    }
    return k;
}

static const char *text_of(yyjson_val *object, const char *key)
{
    return yyjson_get_str(yyjson_obj_get(object, key));
}

// 0, or negative: no memory. A daemon that does not answer is no failure: it may run elsewhere.
static int ask_daemon(struct report *r)
{
    const struct config *c = r->s.config;
    _cleanup_(buffer_clear) struct buffer body = {0};
    if (!c->http.host) {
        snprintf(r->silence.text, sizeof r->silence.text, "http.listen is null");
        return 0;
    }
    int k = fetch(c->http.host, c->http.port, "/v1/status", &body, &r->silence);
    if (k)
        return k < 0 ? k : 0;
    r->daemon = yyjson_read(body.p, body.n, 0);
    yyjson_val *root = yyjson_doc_get_root(r->daemon), *part;
    const char *app = text_of(root, "app");
    if (!app || strcmp(app, c->app) != 0) {
        snprintf(r->silence.text, sizeof r->silence.text, "it is the daemon of another app, %s", app ? app : "unnamed");
        yyjson_doc_free(r->daemon);
        r->daemon = NULL;
        return 0;
    }
    size_t i, n;
    yyjson_arr_foreach(yyjson_obj_get(root, "partitions"), i, n, part)
    {
        int64_t p = yyjson_get_sint(yyjson_obj_get(part, "partition"));
        if (p < 0 || p >= r->n)
            continue;
        r->parts[p].state = text_of(part, "state");
        r->parts[p].reason = text_of(part, "reason");
    }
    return 0;
}

// ---- a report of it

static int64_t lag(const struct part *p)
{
    return !p->exists || p->end < 0 ? -1 : p->end > p->offset ? p->end - p->offset : 0;
}

static void put_number(struct buffer *b, int width, bool known, int64_t v)
{
    if (known)
        buffer_printf(b, " %*" PRId64, width, v);
    else
        buffer_printf(b, " %*s", width, "-");
}

static void put_part(struct buffer *b, int32_t i, const struct part *p)
{
    char clock[TIME_TEXT_BYTES] = "-";
    if (p->exists && p->clock >= 0)
        format_time(p->clock, clock);
    buffer_printf(b, "%9d  %-9s  %-8.8s", (int)i, p->state ? p->state : "-", *p->owner ? p->owner : "-");
    put_number(b, 12, p->exists, p->offset);
    put_number(b, 12, p->end >= 0, p->end);
    put_number(b, 10, lag(p) >= 0, lag(p));
    buffer_printf(b, "  %-24s", clock);
    put_number(b, 9, p->exists, (int64_t)p->n);
    put_number(b, 11, p->exists, (int64_t)p->customers);
    buffer_byte(b, '\n');
    if (p->reason)
        buffer_printf(b, "%11s%s\n", "", p->reason);
}

static void put_table(const struct report *r, struct buffer *b)
{
    const struct config *c = r->s.config;
    yyjson_val *root = yyjson_doc_get_root(r->daemon);
    const char *trouble = text_of(root, "trouble"), *instance = text_of(root, "instance");
    buffer_printf(b, "app %s: ", c->app);
    if (r->daemon)
        buffer_printf(b, "daemon %s answers at %s:%s%s%s\n\n", instance ? instance : "", c->http.host, c->http.port,
                      trouble ? "; " : "", trouble ? trouble : "");
    else if (c->http.host)
        buffer_printf(b, "no daemon answers at %s:%s: %s\n\n", c->http.host, c->http.port, r->silence.text);
    else
        buffer_printf(b, "no daemon is asked: %s\n\n", r->silence.text);
    buffer_printf(b, "%9s  %-9s  %-8s %12s %12s %10s  %-24s %9s %11s\n", "partition", "state", "owner", "offset", "end",
                  "lag", "clock", "flushes", "customers");
    for (int32_t i = 0; i < r->n; i++)
        put_part(b, i, &r->parts[i]);
    for (int m = 0; r->counted && m < c->program.nmodels; m++) {
        const struct model *model = c->program.models[m];
        int64_t all = 0;
        for (int i = 0; i < model->nstages; i++)
            all += r->population[m][i];
        buffer_printf(b, "\n%s: %" PRId64 " customers\n", model->name, all);
        for (int i = 0; i < model->nstages; i++)
            buffer_printf(b, "  %-28s %12" PRId64 "  %5.1f %%\n", model->stages[i].name, r->population[m][i],
                          all ? 100.0 * (double)r->population[m][i] / (double)all : 0.0);
    }
}

static void put_json_part(struct json_writer *j, const char *topic, int32_t i, const struct part *p)
{
    json_object(j);
    json_key(j, "topic"), json_text(j, topic);
    json_key(j, "partition"), json_int(j, i);
    json_key(j, "state"), json_text(j, p->state);
    json_key(j, "reason"), json_text(j, p->reason);
    json_key(j, "owner"), json_text(j, *p->owner ? p->owner : NULL);
    json_key(j, "offset"), p->exists ? json_int(j, p->offset) : json_null(j);
    json_key(j, "end"), p->end >= 0 ? json_int(j, p->end) : json_null(j);
    json_key(j, "lag"), lag(p) >= 0 ? json_int(j, lag(p)) : json_null(j);
    json_key(j, "clock"), p->exists && p->clock >= 0 ? json_time(j, p->clock) : json_null(j);
    json_key(j, "flushes"), json_uint(j, p->n);
    json_key(j, "customers"), json_uint(j, p->customers);
    json_object_end(j);
}

static void put_json(const struct report *r, struct buffer *b)
{
    const struct config *c = r->s.config;
    struct json_writer writer = json_writer_to(b), *j = &writer;
    json_object(j);
    json_key(j, "app"), json_text(j, c->app);
    json_key(j, "daemon"), json_text(j, text_of(yyjson_doc_get_root(r->daemon), "instance"));
    json_key(j, "trouble"),
        json_text(j, r->daemon ? text_of(yyjson_doc_get_root(r->daemon), "trouble") : r->silence.text);
    json_key(j, "partitions"), json_array(j);
    for (int32_t i = 0; i < r->n; i++)
        put_json_part(j, c->source.topic, i, &r->parts[i]);
    json_array_end(j);
    json_key(j, "populations"), json_object(j);
    for (int m = 0; r->counted && m < c->program.nmodels; m++)
        for (int i = 0; i < c->program.models[m]->nstages; i++) {
            char field[2 * NAME_BYTES_MAX + 16]; // as in /v1/status
            snprintf(field, sizeof field, "%s:stage:%s", c->program.models[m]->name,
                     c->program.models[m]->stages[i].name);
            json_key(j, field), json_int(j, r->population[m][i]);
        }
    json_object_end(j);
    json_object_end(j);
    buffer_byte(b, '\n');
}

// ---- the whole

static void report_clear(struct report *r)
{
    for (int m = 0; m < MODELS_MAX; m++)
        free(r->population[m]);
    free(r->parts);
    yyjson_doc_free(r->daemon);
    sources_close(&r->s);
}

static int make_room(struct report *r)
{
    const struct program *p = &r->s.config->program;
    if (!(r->parts = calloc((size_t)r->n, sizeof *r->parts)))
        return ERR_NOMEM;
    for (int32_t i = 0; i < r->n; i++)
        r->parts[i].end = -1;
    for (int m = 0; m < p->nmodels; m++)
        if (!(r->population[m] = calloc((size_t)p->models[m]->nstages, sizeof(int64_t))))
            return ERR_NOMEM;
    return 0;
}

// The number of partitions, from whoever knows it.
static int count_partitions(struct report *r, struct why *why)
{
    int k = sources_partitions(&r->s, &r->n, why);
    if (k != PORT_AWAY)
        return k;
    struct why again;
    int by_kafka = sources_kafka(&r->s, &again);
    if (by_kafka == PORT_OK)
        by_kafka = kafka_partitions(&r->s.reader.client, r->s.config->source.topic, &r->n, &again);
    return by_kafka == PORT_OK ? PORT_OK : k;
}

// Fills the report. 0, an exit status with the reasons printed (the report is what is known), or negative.
static int look(struct report *r)
{
    struct why why = {{0}};
    int k = count_partitions(r, &why);
    if (k)
        return ctl_port(command.name, k, &why);
    if ((k = make_room(r)) != 0)
        return k;
    int status = ctl_port(command.name, ask_redis(r, &why), &why);
    if (status >= 0 && (k = ctl_port(command.name, ask_kafka(r, &why), &why)) != 0)
        status = k;
    return (k = ask_daemon(r)) < 0 ? k : status;
}

int ctl_status(int argc, char **argv)
{
    struct status_options o = {0};
    bool json = false;
    int first, r = options_parse(&command, argc, argv, &o, &first);
    if (r != OPTIONS_RUN)
        return r;
    if ((r = ctl_format(command.name, o.format, &json)) != 0)
        return r;
    _cleanup_(report_clear) struct report report = {0};
    _cleanup_(buffer_clear) struct buffer b = {0};
    r = sources_open(command.name, o.config, &o.overrides, &report.s);
    if (r == 0)
        r = look(&report);
    if (r >= 0 && report.parts) {
        if (json)
            put_json(&report, &b);
        else
            put_table(&report, &b);
        int k = ctl_put(&b);
        r = k ? k : r;
    }
    return ctl_written(command.name, r);
}
