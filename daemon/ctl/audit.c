// The promise, checked against what stands in Kafka: the whole log is stepped again in memory, and each
// transition and trigger must have been published once, in order, and nothing else. It only reads, so it may
// run beside daemons; what they have not flushed yet is in flight, and left for the next audit.
#include "audit.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sysexits.h>

#include "clock.h"

static const char *const fault_names[FAULTS] = {"missing", "double", "disordered", "unexpected"};

void audit_fault(struct audit *a, enum fault kind, const char *fmt, ...)
{
    if (a->faults[kind]++ >= EXAMPLES)
        return;
    struct example *e = &a->examples[kind][a->faults[kind] - 1];
    va_list args;
    va_start(args, fmt);
    vsnprintf(e->text, sizeof e->text, fmt, args);
    va_end(args);
}

static uint64_t faults(const struct audit *a)
{
    uint64_t n = 0;
    for (int i = 0; i < FAULTS; i++)
        n += a->faults[i];
    return n;
}

// ---- one partition

struct options {
    const char *config, *partition, *format;
    struct option_list overrides;
};

int audit_begin(struct audit *a, const char *config, const struct option_list *overrides)
{
    a->wall = clock_ms(CLOCK_REALTIME);
    int r = audit_bound(a);
    if (r == PORT_OK)
        r = audit_journal(a);
    if (r != PORT_OK || a->history.n == 0)
        return r;
    if (!(a->parser = event_parser_new()))
        return ERR_NOMEM;
    return history_compile(&a->history, config, overrides, &a->why);
}

static int audit_partition(struct audit *a, const struct options *o)
{
    int r = audit_begin(a, o->config, &o->overrides);
    if (r != PORT_OK || a->history.n == 0)
        return r;
    r = audit_outputs(a);
    if (r == PORT_OK)
        r = audit_step(a);
    if (r == PORT_OK)
        r = audit_resolve(a);
    return r == PORT_OK ? audit_order(a) : r;
}

void audit_clear(struct audit *a)
{
    history_clear(&a->history);
    published_clear(&a->published);
    cache_clear(&a->cache);
    effects_clear(&a->effects);
    event_parser_free(a->parser);
    buffer_clear(&a->id);
    for (int i = 0; i < a->ntopics; i++)
        free(a->topics[i]);
    for (size_t i = 0; i < a->nabsent; i++)
        free(a->absent[i].id);
    for (int i = 0; i < a->nslots; i++)
        free(a->slots[i].fired);
    free(a->absent);
    free(a->slots);
    free(a->said);
    *a = (struct audit){.servers = a->servers, .key = a->key, .why = a->why};
}

// ---- what it found

static void put_json(const struct audit *a, struct buffer *out)
{
    struct json_writer j = json_writer_to(out);
    json_object(&j);
    json_key(&j, "topic"), json_text(&j, a->key.topic);
    json_key(&j, "partition"), json_int(&j, a->key.partition);
    if (a->history.n > 0) {
        json_key(&j, "from"), json_int(&j, a->history.v[0].offset);
        json_key(&j, "to"), json_int(&j, a->upto);
    }
    if (a->clock != INT64_MIN)
        json_key(&j, "clock"), json_time(&j, a->clock);
    json_key(&j, "events"), json_uint(&j, a->events);
    json_key(&j, "transitions"), json_uint(&j, a->transitions);
    json_key(&j, "triggers"), json_uint(&j, a->triggers);
    json_key(&j, "dead_letters"), json_uint(&j, a->dead_letters);
    for (int i = 0; i < FAULTS; i++)
        json_key(&j, fault_names[i]), json_uint(&j, a->faults[i]);
    json_key(&j, "stale"), json_uint(&j, a->stale);
    json_key(&j, "in_flight"), json_uint(&j, a->in_flight);
    json_key(&j, "examples");
    json_array(&j);
    for (int i = 0; i < FAULTS; i++)
        for (uint64_t k = 0; k < a->faults[i] && k < EXAMPLES; k++) {
            json_object(&j);
            json_key(&j, "fault"), json_text(&j, fault_names[i]);
            json_key(&j, "text"), json_text(&j, a->examples[i][k].text);
            json_object_end(&j);
        }
    json_array_end(&j);
    json_object_end(&j);
    buffer_byte(out, '\n');
}

static const char heading[] =
    "partition      events transitions    triggers  dead letters  missing  double  disordered  unexpected"
    "    stale  in flight\n";

static void put_row(const struct audit *a, struct buffer *out, struct buffer *examples)
{
    buffer_printf(out,
                  "%9d %11" PRIu64 " %11" PRIu64 " %11" PRIu64 " %13" PRIu64 " %8" PRIu64 " %7" PRIu64 " %11" PRIu64
                  " %11" PRIu64 " %8" PRIu64 " %10" PRIu64 "\n",
                  (int)a->key.partition, a->events, a->transitions, a->triggers, a->dead_letters,
                  a->faults[FAULT_MISSING], a->faults[FAULT_DOUBLE], a->faults[FAULT_DISORDERED],
                  a->faults[FAULT_UNEXPECTED], a->stale, a->in_flight);
    for (int i = 0; i < FAULTS; i++) {
        for (uint64_t k = 0; k < a->faults[i] && k < EXAMPLES; k++)
            buffer_printf(examples, "partition %d, %s: %s\n", (int)a->key.partition, fault_names[i],
                          a->examples[i][k].text);
        if (a->faults[i] > EXAMPLES)
            buffer_printf(examples, "partition %d, %s: and %" PRIu64 " more\n", (int)a->key.partition, fault_names[i],
                          a->faults[i] - EXAMPLES);
    }
}

// ---- the command

#define FIELD(f) offsetof(struct options, f)

static const struct option_row rows[] = {
    CONFIG_OPTION_ROWS,
    {0, "partition", OPTION_TEXT, "N", FIELD(partition), "only this partition of the source"},
    {0, "format", OPTION_TEXT, "json|table", FIELD(format),
     "a table (default), or a JSON object a partition"},
};

static const struct command command = {
    .name = "engagectl audit",
    .arguments = "",
    .about = "Steps the whole log and journal again, in memory, and compares with what is published.\n"
             "Ends with 65 when outputs are missing, double, disordered or unexpected; with 69 when\n"
             "that cannot be told: Kafka or Redis is away, or the log, the journal or an output topic\n"
             "no longer reaches back to the start. It only reads, and may run beside daemons.\n"
             "`stale`: absent triggers, older than outputs.max_age by now, and so perhaps when due;\n"
             "`in flight`: what the states in Redis do not account for yet.\n",
    .rows = rows,
    .nrows = sizeof(rows) / sizeof(rows[0]),
};

// One partition, and its line. 0, EX_DATAERR, EX_UNAVAILABLE or negative.
static int run(struct servers *s, int32_t partition, const struct options *o, bool json, struct buffer *examples)
{
    struct buffer out = {0};
    struct audit *a = calloc(1, sizeof *a);
    if (!a)
        return ERR_NOMEM;
    a->servers = s;
    a->key = (struct part_key){.topic = s->at.config->source.topic, .partition = partition};
    a->clock = a->at = INT64_MIN;
    int r = audit_partition(a, o);
    if (r > 0)
        fprintf(stderr, "%s: partition %d: %s\n", command.name, (int)partition, a->why.text);
    else if (r == 0 && json)
        put_json(a, &out);
    else if (r == 0)
        put_row(a, &out, examples);
    if (r == 0 && a->history.n == 0)
        fprintf(stderr, "%s: partition %d: nothing was stepped yet: the journal %s has no entry of app %s\n",
                command.name, (int)partition, s->at.kafka.journal, s->at.config->app);
    if (r == 0)
        r = ctl_put(&out);
    if (r == 0 && faults(a) > 0)
        r = EX_DATAERR;
    else if (r > 0)
        r = EX_UNAVAILABLE;
    fflush(stdout); // the next one may take its time
    buffer_clear(&out);
    audit_clear(a);
    free(a);
    return r;
}

int ctl_audit(int argc, char **argv)
{
    struct options o = {0};
    struct servers s = {0};
    struct buffer examples = {0};
    bool json = false;
    int first, status = options_parse(&command, argc, argv, &o, &first);
    if (status != OPTIONS_RUN)
        return status;
    if ((status = ctl_format(command.name, o.format, &json)) != 0)
        return status;
    if ((status = servers_open(&s, command.name, o.config, &o.overrides)) == 0) {
        int32_t p, end;
        status = servers_partitions(&s, command.name, o.partition, &p, &end);
        if (status == 0 && !json)
            fputs(heading, stdout);
        for (; status >= 0 && status != EX_USAGE && p < end; p++) {
            int r = run(&s, p, &o, json, &examples);
            if (r < 0 || status != EX_DATAERR)
                status = r ? r : status;
        }
        if (status >= 0 && examples.n > 0)
            status = ctl_put(&examples) ? ERR_NOMEM : status;
    }
    buffer_clear(&examples);
    servers_close(&s);
    return ctl_written(command.name, status);
}
