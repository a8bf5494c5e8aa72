// From a checked configuration to working threads and back. Topics are checked before any worker starts; Kafka or
// Redis away is a reason to wait, never to end.
#include "app.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sysexits.h>
#include <time.h>
#include <unistd.h>

#include "clock.h"
#include "http.h"
#include "kafka_topics.h"
#include "log.h"
#include "lookup.h"
#include "migrate.h"
#include "notify.h"
#include "version.h"
#include "worker.h"

enum { TICK_MS = 200, START_RETRY_MS = 1000, STALLED_MS = 60000, STOP_MS = 4000, SETTLE_MS = 5000, STOP_LOOK_MS = 10 };

struct app {
    struct config *config;
    const char *const *overrides; // of the command line
    int32_t partitions;
    struct worker *workers;
    int nworkers;
    sigset_t signals;
    bool ready;
    struct status_board *board;
    struct http *http;                // NULL: not configured
    struct lookup *lookup;            // for HTTP's thread
    const struct counters **counters; // of the workers
    int64_t watchdog_ms;              // monotonic: last told
};

// The next signal, 0 after `ms` without one.
static int next_signal(const struct app *a, int ms)
{
    struct timespec t = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000L};
    int s = sigtimedwait(&a->signals, NULL, &t);
    return s > 0 ? s : 0;
}

static bool is_end(int signal)
{
    return signal == SIGTERM || signal == SIGINT;
}

// ---- start

static size_t output_topics(const struct config *c, const char *ret[TOPICS_MAX])
{
    size_t n = 0;
    const char *fixed[] = {c->outputs.transitions, c->outputs.triggers, c->outputs.dead_letters};
    for (size_t i = 0; i < sizeof fixed / sizeof *fixed; i++)
        if (fixed[i])
            ret[n++] = fixed[i];
    for (size_t i = 0; i < c->outputs.ncampaigns && n < TOPICS_MAX; i++)
        if (c->outputs.campaigns[i].topic)
            ret[n++] = c->outputs.campaigns[i].topic;
    return n;
}

static void topics_note(void *arg, enum note_level level, const char *text)
{
    (void)arg;
    log_note(level, LOG_MESSAGE(text));
}

// Once: a port_result.
static int try_topics(const struct config *c, int32_t *ret_partitions, struct why *ret_why)
{
    const char *outputs[TOPICS_MAX];
    size_t n = output_topics(c, outputs);
    struct kafka_options kafka = {.brokers = c->kafka.brokers, .app = c->app, .instance = c->instance, .worker = -1,
                                  .properties = c->kafka.properties, .nproperties = c->kafka.nproperties,
                                  .source = c->source.topic, .journal = c->outputs.journal,
                                  .exactly_once = c->delivery == DELIVERY_EXACTLY_ONCE,
                                  .transaction_timeout_ms = KAFKA_TRANSACTION_TIMEOUT_MS, .note = topics_note};
    return kafka_ensure_topics(&kafka, outputs, n, c->outputs.create, ret_partitions, ret_why);
}

// 0, a status, or -1: asked to end.
static int check_topics(struct app *a)
{
    for (;;) {
        struct why why = {0};
        int r = try_topics(a->config, &a->partitions, &why);
        if (r == PORT_OK)
            return 0;
        if (r < 0)
            return EX_OSERR;
        log_note(r == PORT_REFUSED ? NOTE_ERROR : NOTE_WARNING, LOG_MESSAGE(why.text));
        if (r == PORT_REFUSED)
            return EX_CONFIG;
        notify_status("waiting for Kafka: %s", why.text);
        notify_watchdog();
        int s = next_signal(a, START_RETRY_MS);
        if (is_end(s))
            return -1;
    }
}

static int start_workers(struct app *a)
{
    const struct config *c = a->config;
    a->nworkers = c->workers < a->partitions ? (int)c->workers : (int)a->partitions;
    size_t n = (size_t)a->nworkers;
    a->workers = calloc(n, sizeof *a->workers);
    a->counters = calloc(n, sizeof *a->counters);
    a->board = status_board_new(c->app, c->instance, a->nworkers, (int64_t)time(NULL) * 1000);
    if (!a->workers || !a->counters || !a->board)
        return EX_SOFTWARE;
    for (int i = 0; i < a->nworkers; i++) {
        struct worker *w = &a->workers[i];
        w->index = i;
        w->config = c;
        w->partitions = a->partitions;
        w->nworkers = a->nworkers;
        w->board = a->board;
        a->counters[i] = &w->counters;
        if (worker_start(w))
            return EX_SOFTWARE;
    }
    log_note(NOTE_INFO, LOG_MESSAGE("started"), LOG_TEXT("version", ENGAGED_VERSION), LOG_TEXT("app", c->app),
             LOG_TEXT("instance", c->instance), LOG_INT("workers", a->nworkers), LOG_INT("partitions", a->partitions),
             LOG_TEXT("program", c->program.digest));
    return 0;
}

static int start_http(struct app *a)
{
    const struct config *c = a->config;
    struct http_options o = {.host = c->http.host, .port = c->http.port, .board = a->board, .counters = a->counters,
                             .ncounters = (size_t)a->nworkers, .stalled_ms = STALLED_MS, .customer = lookup_customer,
                             .arg = a->lookup};
    struct why why = {0};
    if (!o.host)
        return 0;
    int r = http_start(&o, &a->http, &why);
    if (r > 0)
        log_note(NOTE_ERROR, LOG_MESSAGE(why.text));
    return r == 0 ? 0 : r > 0 ? EX_UNAVAILABLE : EX_SOFTWARE;
}

// 0, a status, or -1: asked to end.
static int app_start(struct app *a)
{
    int status = check_topics(a);
    if (status == 0)
        status = start_workers(a);
    if (status == 0 && !(a->lookup = lookup_new(a->config, a->partitions)))
        status = EX_SOFTWARE;
    return status ? status : start_http(a);
}

static void ask_to_stop(struct app *a)
{
    for (int i = 0; i < a->nworkers; i++)
        atomic_store(&a->workers[i].stop, true);
}

// A worker may be waiting for a Kafka that does not answer. Nothing is lost by leaving it there: the next start takes
// the partitions as after a crash.
static bool stopped_in_time(const struct app *a)
{
    for (int64_t until = now_ms() + STOP_MS; now_ms() < until;) {
        bool all = true;
        for (int i = 0; i < a->nworkers; i++)
            all &= !a->workers[i].started || atomic_load(&a->workers[i].ended);
        if (all)
            return true;
        nanosleep(&(struct timespec){.tv_nsec = STOP_LOOK_MS * 1000000L}, NULL);
    }
    return false;
}

static void join_workers(struct app *a)
{
    ask_to_stop(a);
    for (int i = 0; i < a->nworkers; i++)
        worker_join(&a->workers[i]);
}

static void app_stop(struct app *a)
{
    a->http = http_stop(a->http);
    join_workers(a);
    free(a->workers);
    free(a->counters);
    a->workers = NULL;
    a->counters = NULL;
    a->nworkers = 0;
    a->board = status_board_free(a->board);
    a->lookup = lookup_free(a->lookup);
}

// ---- running

static int64_t population(const struct status *s, const char *model, const char *stage)
{
    char field[2 * NAME_BYTES_MAX + 16];
    snprintf(field, sizeof field, "%s:stage:%s", model, stage);
    for (size_t i = 0; i < s->npopulations; i++)
        if (!strcmp(s->populations[i].field, field))
            return s->populations[i].value;
    return 0;
}

// Whether a new version of a model may take over from the old one at work; logs why not.
static bool may_follow(const struct model *old, const struct model *fresh, const struct status *s)
{
    char text[512];
    if (old->version == fresh->version && strcmp(old->digest, fresh->digest) != 0) {
        snprintf(text, sizeof text, "model %s has changed, but is still version %u: raise `version`", fresh->name,
                 fresh->version);
        log_note(NOTE_ERROR, LOG_MESSAGE(text));
        return false;
    }
    for (int i = 0; i < old->nstages; i++) {
        int64_t n = population(s, old->name, old->stages[i].name);
        if (n == 0 || migrate_stage(old, i, fresh) != NONE)
            continue;
        snprintf(text, sizeof text,
                 "version %u of model %s has no stage %s, where %lld customers are: add `migrate: "
                 "{%s: STAGE}`",
                 fresh->version, fresh->name, old->stages[i].name, (long long)n, old->stages[i].name);
        log_note(NOTE_ERROR, LOG_MESSAGE(text));
        return false;
    }
    return true;
}

static bool may_switch(struct app *a, const struct config *fresh)
{
    struct status s;
    bool may = true;
    if (status_take(a->board, &s))
        return false;
    for (int i = 0; i < fresh->program.nmodels; i++)
        for (int k = 0; k < a->config->program.nmodels; k++)
            if (!strcmp(fresh->program.models[i]->name, a->config->program.models[k]->name))
                may &= may_follow(a->config->program.models[k], fresh->program.models[i], &s);
    status_clear(&s);
    return may;
}

// The workers again as they were, after join_workers; HTTP and its figures have gone on.
static int resume(struct app *a)
{
    for (int i = 0; i < a->nworkers; i++) {
        atomic_store(&a->workers[i].stop, false);
        atomic_store(&a->workers[i].ended, false);
        if (worker_start(&a->workers[i]))
            return EX_SOFTWARE;
    }
    return 0;
}

// `fresh` (NULL: it could not be read) is forgotten.
static void keep_former(struct config *fresh, const char *mistakes)
{
    log_note(NOTE_ERROR, LOG_MESSAGE("not reloaded, the former configuration stays"), LOG_TEXT("mistakes", mistakes));
    config_free(fresh);
    notify_ready();
}

// What has been published beyond its states can be replayed by the program that published it, and by no other: so a
// partition that is being taken, or replays, keeps the former one at work. *ret: one of them.
static bool settled(const struct app *a, struct part_key *ret)
{
    struct status s;
    bool all = true;
    if (status_take(a->board, &s))
        return false;
    for (size_t i = 0; i < s.nparts; i++)
        if (s.parts[i].state == PART_TAKING || s.parts[i].state == PART_REPLAYING) {
            *ret = (struct part_key){a->config->source.topic, s.parts[i].partition};
            all = false;
        }
    status_clear(&s);
    return all;
}

// Stops the workers at a moment when another program may go on where they end. False, with the reason in the log: there
// was none.
static bool stop_settled(struct app *a)
{
    struct part_key key = {a->config->source.topic, -1};
    for (int64_t until = now_ms() + SETTLE_MS; !settled(a, &key) && now_ms() < until;)
        nanosleep(&(struct timespec){.tv_nsec = TICK_MS * 1000000L}, NULL);
    join_workers(a); // now states and populations stand still
    if (settled(a, &key))
        return true;
    log_note(NOTE_ERROR, LOG_MESSAGE("a partition is being taken, or replays: reload again when all are live"),
             LOG_TEXT("topic", key.topic), LOG_INT("partition", key.partition));
    return false;
}

// A wrong file never takes a running daemon down: what is at work stays, and the log says why. A right one does: the
// workers stop in order, and new ones take the partitions over with the new program, if all customers have a place in
// it.
static int reload(struct app *a)
{
    struct config *fresh = NULL;
    struct diags d = {0};
    notify_reloading();
    int r = config_load(a->config->file, a->overrides, &fresh, &d);
    diags_sort(&d);
    _cleanup_free_ char *text = diags_format(&d);
    diags_clear(&d);
    if (r != 0) {
        keep_former(NULL, text);
        return 0;
    }
    log_level_set((enum note_level)fresh->log.level);
    bool same = !strcmp(fresh->program.digest, a->config->program.digest);
    log_note(NOTE_INFO, LOG_MESSAGE(same ? "reloaded the log level" : "reloading the models"),
             LOG_TEXT("program", fresh->program.digest));
    if (same) {
        config_free(fresh);
        notify_ready();
        return 0;
    }
    struct why why = {0};
    int32_t partitions;
    if (try_topics(fresh, &partitions, &why) != PORT_OK) { // asked before anything is stopped
        keep_former(fresh, why.text);
        return 0;
    }
    if (!stop_settled(a) || !may_switch(a, fresh)) {
        keep_former(fresh, "");
        return resume(a);
    }
    app_stop(a);
    config_free(a->config);
    a->config = fresh;
    a->ready = false; // said again when the partitions are taken
    return app_start(a);
}

static void show_status(struct app *a)
{
    struct status s;
    struct buffer line = {0};
    if (status_take(a->board, &s))
        return;
    bool running = s.nparts > 0;
    for (size_t i = 0; i < s.nparts; i++)
        running &= s.parts[i].state != PART_TAKING;
    if (!a->ready && (running || (s.kafka && s.redis))) {
        a->ready = true;
        notify_ready();
    }
    status_line(&s, &line);
    buffer_byte(&line, '\0');
    if (!line.failed)
        notify_status("%s", line.p);
    buffer_clear(&line);
    status_clear(&s);
}

// Every worker must move; then systemd's watchdog hears of it.
static void watch(struct app *a)
{
    int64_t now = now_ms(), every = notify_watchdog_ms();
    if (every > 0 && now - a->watchdog_ms >= every && status_stalled(a->board, now, STALLED_MS) < 0) {
        notify_watchdog();
        a->watchdog_ms = now;
    }
}

static int run(struct app *a)
{
    int64_t shown = 0;
    for (;;) {
        int s = next_signal(a, TICK_MS);
        if (is_end(s))
            return 0;
        int status = s == SIGHUP ? reload(a) : 0;
        if (status)
            return status;
        for (int i = 0; i < a->nworkers; i++)
            if (atomic_load(&a->workers[i].ended))
                return atomic_load(&a->workers[i].status);
        watch(a);
        log_flush(false);
        if (now_ms() - shown >= 1000) {
            show_status(a);
            shown = now_ms();
        }
    }
}

int app_run(struct config *config, const char *const *overrides)
{
    struct app a = {.config = config, .overrides = overrides};
    sigemptyset(&a.signals);
    sigaddset(&a.signals, SIGTERM);
    sigaddset(&a.signals, SIGINT);
    sigaddset(&a.signals, SIGHUP);
    pthread_sigmask(SIG_BLOCK, &a.signals, NULL); // inherited by every thread: only this one hears them
    signal(SIGPIPE, SIG_IGN);
    int status = app_start(&a);
    if (status == 0)
        status = run(&a);
    notify_stopping();
    ask_to_stop(&a);
    if (!stopped_in_time(&a)) {
        log_note(NOTE_WARNING,
                 LOG_MESSAGE("ended without waiting any longer for Kafka or Redis; the next start replays"));
        log_flush(true);
        _exit(status > 0 ? status : EX_OK);
    }
    app_stop(&a);
    log_note(NOTE_INFO, LOG_MESSAGE("ended"), LOG_INT("status", status > 0 ? status : 0));
    log_flush(true);
    config_free(a.config);
    return status > 0 ? status : 0;
}
