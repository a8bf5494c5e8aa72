// What a model would have done on past events: the daemon's own core over files, without Kafka and Redis. The
// files are one partition, read in order; the partition clock follows event times only, and nothing is stale.
// Two models to compare are stepped side by side, in one pass.
#include "simulate.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "clock.h"
#include "ctl.h"
#include "output.h"

enum { OUT_BYTES = 1 << 16, PROGRESS_EVENTS = 1 << 16 };

// ---- stepping

static uint64_t *tally_of(const struct model *m, const struct tally *t, const struct effect *fx)
{
    uint64_t *v = fx->capped ? t->capped : t->triggers;
    return &v[fx->kind == EFFECT_TRIGGER ? fx->trigger : m->ntriggers + (fx->kind == EFFECT_MISSED)];
}

static void count(const struct model *m, struct tally *t, const struct effect *fx)
{
    if (!effect_is_transition(fx)) {
        ++*tally_of(m, t, fx);
        return;
    }
    t->population[fx->from]--;
    t->population[fx->to]++;
    t->flows[fx->from * m->nstages + fx->to]++;
    t->transitions++;
}

static int emit_all(struct simulation *s, const struct entry *x, const struct event_source *source)
{
    const struct model *m = s->program.models[x->model];
    for (size_t i = 0; i < s->effects.n; i++) {
        const struct effect *fx = &s->effects.v[i];
        count(m, &s->tally[x->model], fx);
        if (!s->each)
            continue;
        struct output o = {
            .model = m, .customer = x->c, .effect = fx, .id = {x->id, x->id_bytes}, .source = source};
        output_data(&o, true, fx->capped ? "cap" : NULL, &s->out);
        buffer_byte(&s->out, '\n');
    }
    s->effects.n = 0;
    return s->out.n > OUT_BYTES ? ctl_put(&s->out) : 0;
}

static int fire_until(struct simulation *s, int64_t before)
{
    struct entry *x;
    while ((x = cache_due(&s->cache, before))) {
        int64_t at = x->c->due; // one instant at a time, so that the output is in order of time
        if (step_time(s->program.models[x->model], x->c, at + 1, &s->effects) || cache_arm(&s->cache, x) ||
            emit_all(s, x, NULL))
            return ERR_NOMEM;
    }
    return 0;
}

static int step_model(struct simulation *s, int model, const struct event *e, uint64_t signals,
                      const struct event_source *source, int64_t clock_before, bool *late)
{
    const struct model *m = s->program.models[model];
    uint64_t hash = cache_hash(e->customer);
    struct entry *x = cache_find(&s->cache, hash, model, e->customer);
    bool created = !x, late_here;
    if (created) {
        if (!(x = cache_add(&s->cache, m, hash, model, e->customer)))
            return ERR_NOMEM;
        x->state = ENTRY_KNOWN;
        s->tally[model].customers++;
        s->tally[model].population[0]++;
    } else if (step_time(m, x->c, step_before(x->c, e->time, clock_before), &s->effects) || emit_all(s, x, NULL)) {
        return ERR_NOMEM;
    }
    if (step_event(m, x->c, created, e->time, e->has_value ? &e->value_milli : NULL, signals, &s->effects,
                   &late_here) ||
        cache_arm(&s->cache, x))
        return ERR_NOMEM;
    *late |= late_here;
    return emit_all(s, x, source);
}

static int step_line(struct simulation *s, struct span topic, struct span line)
{
    struct event e;
    enum bad_reason reason;
    const char *detail;
    struct record r = {.topic = topic, .offset = (int64_t)s->events++, .timestamp = -1, .value = line};
    int result = event_parse(s->parser, &s->program.map, &r, &e, &reason, &detail);
    if (result) {
        if (result > 0)
            s->bad[reason]++;
        return result < 0 ? result : 0;
    }
    int64_t before = s->clock;
    if (e.time - s->program.grace_ms > s->clock)
        s->clock = e.time - s->program.grace_ms;
    s->last = e.time > s->last ? e.time : s->last;
    struct event_source source = {.topic = topic, .offset = r.offset, .type = e.type, .id = e.id};
    bool matched = false, late = false;
    for (int m = 0; m < s->program.nmodels; m++) {
        uint64_t signals = model_match(s->program.models[m], &e);
        matched |= signals != 0;
        if (signals && (result = step_model(s, m, &e, signals, &source, before, &late)))
            return result;
    }
    s->matched += matched;
    s->late += late;
    return cache_next(&s->cache) < s->clock ? fire_until(s, s->clock) : 0;
}

// ---- files

static void show_progress(const struct simulation *s, bool end)
{
    if (!s->progress)
        return;
    int64_t took = now_ms() - s->since_ms;
    fprintf(stderr, "\r%" PRIu64 " events, %" PRIu64 " MB, %.0f events/s%s", s->events, s->bytes / 1000000,
            took > 0 ? (double)s->events * 1000.0 / (double)took : 0.0, end ? "\n" : " ");
}

// 0, EX_DATAERR with a message, or negative: no memory.
static int simulate_file(struct simulation *s, const char *path)
{
    FILE *f = strcmp(path, "-") ? fopen(path, "re") : stdin;
    if (!f) {
        fprintf(stderr, "%s: cannot be opened: %s\n", path, strerror(errno));
        return EX_DATAERR;
    }
    char *line = NULL;
    size_t cap = 0;
    ssize_t n;
    int result = 0;
    struct span topic = {path, strlen(path)};
    while (result == 0 && (n = getline(&line, &cap, f)) >= 0) {
        s->bytes += (uint64_t)n;
        while (n > 0 && (line[n - 1] == '\n' || line[n - 1] == '\r'))
            n--;
        if (n > 0)
            result = step_line(s, topic, (struct span){line, (size_t)n});
        if (s->events % PROGRESS_EVENTS == 0)
            show_progress(s, false);
    }
    if (result == 0 && ferror(f)) {
        fprintf(stderr, "%s: cannot be read: %s\n", path, strerror(errno));
        result = EX_DATAERR;
    }
    free(line);
    if (f != stdin)
        fclose(f);
    return result;
}

// ---- options

struct simulate_options {
    struct option_list models;
    const char *preset, *config, *grace, *until, *format, *compare;
};

#define FIELD(f) offsetof(struct simulate_options, f)

static const struct option_row rows[] = {
    {'m', "model", OPTION_LIST, "FILE", FIELD(models), "a stage model; may be given several times"},
    {0, "compare", OPTION_TEXT, "FILE", FIELD(compare), "another model over the same events: what differs"},
    {'p', "preset", OPTION_TEXT, "NAME", FIELD(preset),
     "plain (default), segment, rudderstack, cloudevents or snowplow"},
    {'c', "config", OPTION_TEXT, "FILE", FIELD(config),
     "models and format of this engaged.yaml, without those options"},
    {'g', "grace", OPTION_TEXT, "DURATION", FIELD(grace), "how far events may be out of order (10s)"},
    {'u', "until", OPTION_TEXT, "TIME", FIELD(until), "at the end, fire deadlines up to then (last event)"},
    {'f', "format", OPTION_TEXT, "json|table", FIELD(format), "see above"},
};

static const struct command command = {
    .name = "engagectl simulate",
    .arguments = "EVENTS...",
    .about =
        "Runs files of events (JSON lines; - is standard input) through the daemon's own core. Prints each\n"
        "transition and trigger as a line of JSON, or with --format table population, flows and trigger\n"
        "volumes. With --compare these of two models side by side, as a table unless --format json.\n",
    .rows = rows,
    .nrows = sizeof rows / sizeof *rows,
    .arguments_min = 1,
    .arguments_max = ARGUMENTS_MANY,
};

struct plan { // what the options mean
    const char *models[MODELS_MAX + 1];
    int nmodels;
    int64_t grace_ms, until; // -1, INT64_MIN: not given
    bool json;
};

static int read_plan(const struct simulate_options *o, struct plan *p)
{
    *p = (struct plan){.grace_ms = -1, .until = INT64_MIN, .json = !o->compare};
    if (o->models.n == 0 && !o->config)
        return ctl_usage(command.name, "no model; give --model FILE, or --config FILE");
    if (o->models.n > MODELS_MAX)
        return ctl_usage(command.name, "%zu models; at most %d run together", o->models.n, MODELS_MAX);
    if (o->compare && o->models.n != 1)
        return ctl_usage(command.name, "--compare takes one --model to compare with, not %zu", o->models.n);
    for (size_t i = 0; i < o->models.n; i++)
        p->models[p->nmodels++] = o->models.v[i];
    if (o->compare)
        p->models[p->nmodels++] = o->compare;
    if (o->grace && parse_duration(o->grace, strlen(o->grace), &p->grace_ms))
        return ctl_usage(command.name, "--grace %s is no duration; write 10s or 5m", o->grace);
    if (o->until && parse_time(o->until, strlen(o->until), &p->until))
        return ctl_usage(command.name, "--until %s is no time; write 2026-01-31T00:00:00Z", o->until);
    return ctl_format(command.name, o->format, &p->json);
}

// ---- the whole

static void simulation_clear(struct simulation *s)
{
    for (int i = 0; i < MODELS_MAX; i++)
        free(s->tally[i].population);
    cache_clear(&s->cache);
    effects_clear(&s->effects);
    event_parser_free(s->parser);
    buffer_clear(&s->out);
    program_clear(&s->program);
}

static int tally_init(struct simulation *s)
{
    for (int i = 0; i < s->program.nmodels; i++) {
        const struct model *m = s->program.models[i];
        size_t stages = (size_t)m->nstages, triggers = (size_t)m->ntriggers + 2;
        struct tally *t = &s->tally[i];
        if (!(t->population = calloc(stages + stages * stages + 2 * triggers, sizeof *t->population)))
            return ERR_NOMEM;
        t->flows = t->population + stages;
        t->triggers = t->flows + stages * stages;
        t->capped = t->triggers + triggers;
    }
    return 0;
}

static void print_counts(const struct simulation *s)
{
    fprintf(stderr, "%" PRIu64 " events: %" PRIu64 " matched a signal, %" PRIu64 " late, %" PRIu64 " bad", s->events,
            s->matched, s->late, simulation_bad(s));
    for (int i = 0; i < BAD_REASONS; i++)
        if (s->bad[i])
            fprintf(stderr, "; %s: %" PRIu64, bad_reason_name((enum bad_reason)i), s->bad[i]);
    fputc('\n', stderr);
}

static int finish(struct simulation *s, int64_t until, bool compare)
{
    if (s->last != INT64_MIN || until != INT64_MIN)
        if (fire_until(s, (until != INT64_MIN ? until : s->last) + 1))
            return ERR_NOMEM;
    int r = 0;
    if (compare)
        r = s->json ? simulation_compare_json(s, &s->out) : simulation_compare(s, &s->out);
    else if (!s->json)
        simulation_table(s, &s->out);
    if (r == 0)
        r = ctl_put(&s->out);
    show_progress(s, true);
    print_counts(s);
    return r;
}

int ctl_simulate(int argc, char **argv)
{
    struct simulate_options o = {0};
    struct plan p;
    struct simulation s = {.clock = INT64_MIN, .last = INT64_MIN, .since_ms = now_ms()};
    int first, r = options_parse(&command, argc, argv, &o, &first);
    if (r != OPTIONS_RUN)
        return r;
    if ((r = read_plan(&o, &p)) != 0 || (r = ctl_program(o.config, p.models, p.nmodels, o.preset, &s.program)) != 0)
        return r;
    if (p.grace_ms >= 0)
        s.program.grace_ms = p.grace_ms;
    s.program.map.key_is_customer = false; // files have no keys
    s.json = p.json;
    s.each = p.json && !o.compare;
    s.progress = isatty(STDERR_FILENO) && !(isatty(STDOUT_FILENO) && s.each);
    s.parser = event_parser_new();
    r = s.parser ? tally_init(&s) : ERR_NOMEM;
    for (int i = first; r == 0 && i < argc; i++)
        r = simulate_file(&s, argv[i]);
    if (r == 0)
        r = finish(&s, p.until, o.compare != NULL);
    simulation_clear(&s);
    return ctl_written(command.name, r);
}
