// What a model would have done on past events: the daemon's own core over files, without Kafka and Redis. The files
// are one partition, read in order; the partition clock follows event times only, and nothing is stale.
#include "cache.h"
#include "cleanup.h"
#include "ctl.h"
#include "output.h"
#include "read_file.h"
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sysexits.h>
#include <time.h>
#include <unistd.h>

enum { OUT_BYTES = 1 << 16, PROGRESS_EVENTS = 1 << 16 };

struct tally { // of one model
    uint64_t *population, *flows; // by stage; by from * nstages + to
    uint64_t *triggers, *capped;  // by trigger, then objectives met, missed
    uint64_t customers, transitions;
};

struct simulation {
    struct program program;
    struct tally tally[MODELS_MAX];
    struct cache cache;
    struct effects effects;
    struct event_parser *parser;
    struct buffer out;
    bool table, progress;
    int64_t clock, last; // ms UTC; INT64_MIN: none yet
    uint64_t events, matched, late, bad[BAD_REASONS], bytes, bytes_total;
    struct timespec since;
};

static uint64_t *tally_of_trigger(const struct model *m, const struct tally *t, const struct effect *fx)
{
    uint64_t *v = fx->capped ? t->capped : t->triggers;
    return &v[fx->kind == EFFECT_TRIGGER ? fx->trigger : m->ntriggers + (fx->kind == EFFECT_MISSED)];
}

static void flush_out(struct simulation *s)
{
    fwrite(s->out.p, 1, s->out.n, stdout);
    s->out.n = 0;
}

static void emit_all(struct simulation *s, const struct entry *x, const struct event_source *source)
{
    const struct model *m = s->program.models[x->model];
    struct tally *t = &s->tally[x->model];
    for (size_t i = 0; i < s->effects.n; i++) {
        const struct effect *fx = &s->effects.v[i];
        if (effect_is_transition(fx)) {
            t->population[fx->from]--;
            t->population[fx->to]++;
            t->flows[fx->from * m->nstages + fx->to]++;
            t->transitions++;
        } else {
            ++*tally_of_trigger(m, t, fx);
        }
        if (s->table)
            continue;
        struct output o = {.model = m, .customer = x->c, .effect = fx, .id = {x->id, x->id_bytes}, .source = source};
        output_data(&o, true, fx->capped ? "cap" : NULL, &s->out);
        buffer_byte(&s->out, '\n');
    }
    s->effects.n = 0;
    if (s->out.n > OUT_BYTES)
        flush_out(s);
}

static int fire_until(struct simulation *s, int64_t before)
{
    struct entry *x;
    while ((x = cache_due(&s->cache, before))) {
        const struct model *m = s->program.models[x->model];
        int64_t at = x->c->due; // one instant at a time, so that the output is in order of time
        if (step_time(m, x->c, at + 1, &s->effects) || cache_arm(&s->cache, x))
            return ERR_NOMEM;
        emit_all(s, x, NULL);
    }
    return 0;
}

static int step_model(struct simulation *s, int model, const struct event *e, uint64_t signals,
                      const struct event_source *source, int64_t clock_before)
{
    const struct model *m = s->program.models[model];
    uint64_t hash = cache_hash(model, e->customer);
    struct entry *x = cache_find(&s->cache, hash, model, e->customer);
    bool created = !x, late;
    if (created) {
        if (!(x = cache_add(&s->cache, m, hash, model, e->customer)))
            return ERR_NOMEM;
        x->state = ENTRY_KNOWN;
        s->tally[model].customers++;
        s->tally[model].population[0]++;
    } else {
        if (step_time(m, x->c, step_before(x->c, e->time, clock_before), &s->effects))
            return ERR_NOMEM;
        emit_all(s, x, NULL);
    }
    if (step_event(m, x->c, created, e->time, e->has_value ? &e->value_milli : NULL, signals, &s->effects, &late) ||
        cache_arm(&s->cache, x))
        return ERR_NOMEM;
    s->late += late;
    emit_all(s, x, source);
    return 0;
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
    bool matched = false;
    for (int m = 0; m < s->program.nmodels; m++) {
        uint64_t signals = model_match(s->program.models[m], &e);
        matched |= signals != 0;
        if (signals && (result = step_model(s, m, &e, signals, &source, before)))
            return result;
    }
    s->matched += matched;
    return cache_next(&s->cache) < s->clock ? fire_until(s, s->clock) : 0;
}

// ---- files

static double seconds_since(const struct timespec *t)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)(now.tv_sec - t->tv_sec) + (double)(now.tv_nsec - t->tv_nsec) / 1e9;
}

static void show_progress(const struct simulation *s, bool end)
{
    if (!s->progress)
        return;
    double took = seconds_since(&s->since);
    fprintf(stderr, "\r%" PRIu64 " events", s->events);
    if (s->bytes_total)
        fprintf(stderr, ", %3.0f %%", 100.0 * (double)s->bytes / (double)s->bytes_total);
    fprintf(stderr, ", %.0f events/s ", took > 0 ? (double)s->events / took : 0);
    if (end)
        fputc('\n', stderr);
}

static int simulate_file(struct simulation *s, const char *path)
{
    FILE *f = strcmp(path, "-") ? fopen(path, "re") : stdin;
    if (!f) {
        fprintf(stderr, "%s: cannot be opened: %s\n", path, strerror(errno));
        return EX_NOINPUT;
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
        result = EX_IOERR;
    }
    free(line);
    if (f != stdin)
        fclose(f);
    return result < 0 ? EX_OSERR : result;
}

// ---- the table

static void print_model(const struct model *m, const struct tally *t)
{
    printf("model %s version %u: %" PRIu64 " customers, %" PRIu64 " transitions\n\npopulation\n", m->name, m->version,
           t->customers, t->transitions);
    for (int i = 0; i < m->nstages; i++)
        printf("  %-28s %10" PRIu64 "  %5.1f %%\n", m->stages[i].name, t->population[i],
               t->customers ? 100.0 * (double)t->population[i] / (double)t->customers : 0.0);
    printf("\nflows\n");
    for (int i = 0; i < m->nstages; i++)
        for (int k = 0; k < m->nstages; k++)
            if (t->flows[i * m->nstages + k])
                printf("  %-28s -> %-28s %10" PRIu64 "\n", m->stages[i].name, m->stages[k].name,
                       t->flows[i * m->nstages + k]);
    printf("\ntriggers\n");
    for (int i = 0; i < m->ntriggers + 2; i++) {
        const char *name = i < m->ntriggers ? m->triggers[i].name
                           : i == m->ntriggers ? "objective.met" : "objective.missed";
        const char *campaign = i < m->ntriggers ? m->triggers[i].campaign : "objective";
        if (t->triggers[i] || t->capped[i])
            printf("  %-28s %-31s %10" PRIu64 "  over a cap: %" PRIu64 "\n", name, campaign, t->triggers[i],
                   t->capped[i]);
    }
    printf("\n");
}

static void print_counts(const struct simulation *s)
{
    uint64_t bad = 0;
    for (int i = 0; i < BAD_REASONS; i++)
        bad += s->bad[i];
    fprintf(stderr, "%" PRIu64 " events: %" PRIu64 " matched a signal, %" PRIu64 " late, %" PRIu64 " bad", s->events,
            s->matched, s->late, bad);
    for (int i = 0; i < BAD_REASONS; i++)
        if (s->bad[i])
            fprintf(stderr, "; %s: %" PRIu64, bad_reason_name((enum bad_reason)i), s->bad[i]);
    fputc('\n', stderr);
}

// ---- options

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

static int usage(FILE *to, int status)
{
    fputs("usage: engagectl simulate --model MODEL… [OPTION…] EVENTS…\n"
          "Runs files of events (JSON lines; - is standard input) through the daemon's own core and prints every\n"
          "transition and trigger, in order.\n"
          "  --model FILE       a stage model; may be given several times\n"
          "  --preset NAME      the events' format: plain (default), segment, rudderstack, cloudevents, snowplow\n"
          "  --config FILE      models (without --model), format and fields (without --preset) of this engaged.yaml\n"
          "  --grace DURATION   how far events may be out of order before deadlines pass (default 10s)\n"
          "  --until TIME       fire deadlines up to here at the end (default: the last event's time)\n"
          "  --format json|table  one JSON object a line (default), or population, flows and trigger volumes\n",
          to);
    return status;
}

struct arguments {
    const char *models[MODELS_MAX], *preset, *config;
    int nmodels;
    int64_t grace_ms, until;
    bool table;
};

static int parse_arguments(int argc, char **argv, struct arguments *a)
{
    static const struct option options[] = {
        {"model", required_argument, NULL, 'm'}, {"preset", required_argument, NULL, 'p'},
        {"config", required_argument, NULL, 'c'}, {"grace", required_argument, NULL, 'g'},
        {"until", required_argument, NULL, 'u'}, {"format", required_argument, NULL, 'f'},
        {"help", no_argument, NULL, 'h'},        {0},
    };
    *a = (struct arguments){.grace_ms = -1, .until = INT64_MIN};
    for (int c; (c = getopt_long(argc, argv, "m:p:c:g:u:f:h", options, NULL)) != -1;) {
        bool bad = c == '?';
        if (c == 'm')
            bad = a->nmodels == MODELS_MAX || !(a->models[a->nmodels++] = optarg);
        else if (c == 'p')
            a->preset = optarg;
        else if (c == 'c')
            a->config = optarg;
        else if (c == 'g')
            bad = parse_duration(optarg, strlen(optarg), &a->grace_ms) != 0;
        else if (c == 'u')
            bad = parse_time(optarg, strlen(optarg), &a->until) != 0;
        else if (c == 'f')
            bad = strcmp(optarg, "json") && !(a->table = !strcmp(optarg, "table"));
        else if (c == 'h')
            exit(usage(stdout, EX_OK));
        if (bad && c != '?')
            fprintf(stderr, "engagectl simulate: --%s %s makes no sense\n", c == 'g' ? "grace" : c == 'u' ? "until"
                    : c == 'f' ? "format" : "model", optarg);
        if (bad)
            return usage(stderr, EX_USAGE);
    }
    return optind == argc || (a->nmodels == 0 && !a->config) ? usage(stderr, EX_USAGE) : 0;
}

static int finish(struct simulation *s, int64_t until)
{
    if (s->last != INT64_MIN || until != INT64_MIN)
        if (fire_until(s, (until != INT64_MIN ? until : s->last) + 1))
            return EX_OSERR;
    flush_out(s);
    show_progress(s, true);
    for (int i = 0; s->table && i < s->program.nmodels; i++)
        print_model(s->program.models[i], &s->tally[i]);
    print_counts(s);
    if (fflush(stdout) || ferror(stdout)) {
        fprintf(stderr, "engagectl simulate: writing the output: %s\n", strerror(errno));
        return EX_IOERR;
    }
    return EX_OK;
}

int ctl_simulate(int argc, char **argv)
{
    struct arguments a;
    struct simulation s = {.clock = INT64_MIN, .last = INT64_MIN};
    int r = parse_arguments(argc, argv, &a);
    if (r)
        return r;
    if ((r = ctl_program(a.config, a.models, a.nmodels, a.preset, &s.program)) == 0) {
        if (a.grace_ms >= 0)
            s.program.grace_ms = a.grace_ms;
        s.program.map.key_is_customer = false; // files have no keys
        s.table = a.table;
        s.progress = isatty(STDERR_FILENO) && !(isatty(STDOUT_FILENO) && !a.table);
        s.parser = event_parser_new();
        clock_gettime(CLOCK_MONOTONIC, &s.since);
        r = !s.parser || tally_init(&s) ? EX_OSERR : 0;
        for (int i = optind; r == 0 && i < argc; i++)
            r = simulate_file(&s, argv[i]);
        if (r == 0)
            r = finish(&s, a.until);
    }
    simulation_clear(&s);
    return r;
}
