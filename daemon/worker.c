// The thread around an engine: makes its ports, runs rounds until asked to stop, and shows what it did. A port that
// cannot be made yet (Kafka away) is tried again; a broken invariant ends the process, and systemd starts it anew.
#include "worker.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <sysexits.h>
#include <time.h>

#include "kafka_log.h"
#include "kafka_sink.h"
#include "log.h"
#include "redis_store.h"

enum { ROUND_MS = 20, SNAPSHOT_MS = 500, RETRY_MS = 500, TAKEOVERS_MS = 60000 };

struct running { // what the thread owns while it runs
    struct worker *w;
    struct kafka_log *log;
    struct kafka_sink *sink;
    struct redis_store *store;
    struct engine *engine;
    uint64_t random[64];
    size_t nrandom;
    unsigned takeovers;
    int64_t takeover_ms, snapshot_ms;
};

// ---- the world

static int64_t clock_ms(clockid_t id)
{
    struct timespec t;
    clock_gettime(id, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static int64_t wall_ms(void *ctx)
{
    (void)ctx;
    return clock_ms(CLOCK_REALTIME);
}

static int64_t mono_ms(void *ctx)
{
    (void)ctx;
    return clock_ms(CLOCK_MONOTONIC);
}

static uint64_t random64(void *ctx)
{
    struct running *r = ctx;
    if (r->nrandom == 0) {
        while (getrandom(r->random, sizeof r->random, 0) != (ssize_t)sizeof r->random) {
        }
        r->nrandom = sizeof r->random / sizeof *r->random;
    }
    return r->random[--r->nrandom];
}

static void world_note(void *ctx, enum note_level level, const struct part_key *p, const char *text)
{
    const struct running *r = ctx;
    if (p)
        log_note(level, LOG_MESSAGE(text), LOG_INT("worker", r->w->index), LOG_TEXT("topic", p->topic),
                 LOG_INT("partition", p->partition));
    else
        log_note(level, LOG_MESSAGE(text), LOG_INT("worker", r->w->index));
}

static void port_note(void *arg, enum note_level level, const char *text)
{
    world_note(arg, level, NULL, text);
}

static const struct world_ops world = {.wall_ms = wall_ms, .mono_ms = mono_ms, .random = random64, .note = world_note};

// ---- what others see

static void snapshot(struct running *r)
{
    struct worker *w = r->w;
    size_t n = engine_parts(r->engine, NULL, 0), nstats = 0;
    while (engine_stat_name(r->engine, nstats))
        nstats++;
    pthread_mutex_lock(&w->lock);
    if (n > w->parts_cap) {
        struct engine_part *parts = realloc(w->parts, n * sizeof *parts);
        w->parts = parts ? parts : w->parts;
        int64_t *stats = realloc(w->stats, n * (nstats + 1) * sizeof *stats);
        w->stats = stats ? stats : w->stats;
        char(*reasons)[256] = realloc(w->reasons, n * sizeof *reasons);
        w->reasons = reasons ? reasons : w->reasons;
        if (parts && stats && reasons)
            w->parts_cap = n;
    }
    w->nstats = nstats;
    w->nparts = engine_parts(r->engine, w->parts, w->parts_cap);
    if (w->nparts > w->parts_cap)
        w->nparts = w->parts_cap;
    w->ready = true;
    for (size_t i = 0; i < w->nparts; i++) { // what points into the engine must not outlive the lock
        struct engine_part *p = &w->parts[i];
        memcpy(w->stats + i * nstats, p->stats, nstats * sizeof *w->stats);
        p->stats = w->stats + i * nstats;
        snprintf(w->reasons[i], sizeof w->reasons[i], "%s", p->reason);
        p->reason = w->reasons[i];
        w->ready &= p->state == PART_LIVE || p->state == PART_REPLAYING;
    }
    pthread_mutex_unlock(&w->lock);
    r->snapshot_ms = mono_ms(NULL);
}

// ---- rounds

static struct engine *engine_make(struct running *r)
{
    const struct config *c = r->w->config;
    struct engine_config config = {
        .program = &c->program, .app = c->app, .source = c->source.topic, .partitions = r->w->partitions,
        .reset_latest = c->source.reset == RESET_LATEST, .transitions = c->outputs.transitions,
        .triggers = c->outputs.triggers, .dead_letters = c->outputs.dead_letters, .journal = c->outputs.journal,
        .campaigns = c->outputs.campaigns, .ncampaigns = c->outputs.ncampaigns,
        .format = c->outputs.format, .binary = c->outputs.cloudevents == CLOUDEVENTS_BINARY,
        .max_age_ms = c->outputs.max_age_ms, .exactly_once = c->delivery == DELIVERY_EXACTLY_ONCE,
        .batch_events = (size_t)c->batch_events, .flush_customers = (size_t)c->flush_customers,
        .flush_every_ms = c->flush_every_ms, .cache_bytes = (size_t)c->cache_bytes / (size_t)r->w->nworkers,
    };
    struct ports ports = {.log = &kafka_log_ops, .sink = &kafka_sink_ops, .store = &redis_store_ops, .world = &world,
                          .log_ctx = r->log, .sink_ctx = r->sink, .store_ctx = r->store, .world_ctx = r};
    return engine_new(&config, &ports, &r->w->counters);
}

static int ports_make(struct running *r)
{
    struct worker *w = r->w;
    struct why why = {0};
    w->kafka.note = port_note;
    w->kafka.note_arg = r;
    w->redis.note = port_note;
    w->redis.note_arg = r;
    int result = kafka_log_new(&w->kafka, &r->log, &why);
    if (result > 0)
        world_note(r, NOTE_ERROR, NULL, why.text);
    if (result)
        return result > 0 ? EX_CONFIG : EX_OSERR;
    r->store = redis_store_new(&w->redis);
    if (!r->store || kafka_sink_new(&w->kafka, kafka_log_group(r->log), &r->sink) || !(r->engine = engine_make(r)))
        return EX_OSERR;
    struct log_events events = engine_events(r->engine);
    kafka_log_listen(r->log, &events);
    return 0;
}

// Ends what a former run of this worker left open, before partitions are taken.
static int sink_prepare(struct running *r)
{
    struct why why = {0};
    int result;
    while ((result = kafka_sink_prepare(r->sink, &why)) != PORT_OK && !atomic_load(&r->w->stop)) {
        world_note(r, result == PORT_REFUSED ? NOTE_ERROR : NOTE_WARNING, NULL, why.text);
        if (result == PORT_REFUSED || result < 0)
            return result < 0 ? EX_OSERR : EX_CONFIG;
        nanosleep(&(struct timespec){.tv_nsec = RETRY_MS * 1000000L}, NULL);
        atomic_fetch_add(&r->w->rounds, 1);
    }
    return 0;
}

static bool shares_instance(struct running *r)
{
    unsigned takeovers = kafka_sink_takeovers(r->sink) + kafka_log_takeovers(r->log);
    int64_t now = mono_ms(NULL);
    if (takeovers == r->takeovers)
        return false;
    bool again = r->takeovers > 0 && now - r->takeover_ms < TAKEOVERS_MS;
    r->takeovers = takeovers;
    r->takeover_ms = now;
    if (again)
        world_note(r, NOTE_ERROR, NULL, "another daemon took this worker's place twice in a minute: two daemons of the "
                   "app have the same `instance`; give each its own");
    return again;
}

static int run(struct running *r)
{
    struct worker *w = r->w;
    int status = ports_make(r);
    if (status == 0)
        status = sink_prepare(r);
    while (status == 0 && !atomic_load(&w->stop)) {
        int result = engine_run(r->engine, ROUND_MS);
        atomic_fetch_add(&w->rounds, 1);
        if (result < 0) {
            world_note(r, NOTE_ERROR, NULL, result == ERR_NOMEM ? "out of memory" : "a broken invariant");
            status = result == ERR_NOMEM ? EX_OSERR : EX_SOFTWARE;
        } else if (shares_instance(r)) {
            status = EX_CONFIG;
        }
        if (mono_ms(NULL) - r->snapshot_ms >= SNAPSHOT_MS)
            snapshot(r);
    }
    if (status == 0 && r->engine) {
        engine_stop(r->engine);
        snapshot(r);
    }
    return status;
}

static void *thread_main(void *arg)
{
    struct running r = {.w = arg};
    int status = run(&r);
    engine_free(r.engine);
    kafka_log_free(r.log);
    kafka_sink_free(r.sink);
    redis_store_free(r.store);
    atomic_store(&r.w->status, status);
    atomic_store(&r.w->ended, true);
    return NULL;
}

int worker_start(struct worker *w)
{
    const struct config *c = w->config;
    w->kafka = (struct kafka_options){
        .brokers = c->kafka.brokers, .app = c->app, .instance = c->instance, .worker = w->index,
        .properties = c->kafka.properties, .nproperties = c->kafka.nproperties, .source = c->source.topic,
        .journal = c->outputs.journal, .exactly_once = c->delivery == DELIVERY_EXACTLY_ONCE,
        .transaction_timeout_ms = KAFKA_TRANSACTION_TIMEOUT_MS};
    for (int i = 0; i < c->program.nmodels; i++)
        w->models[i] = c->program.models[i]->name;
    w->redis = (struct redis_options){.app = c->app, .url = &c->redis.url, .timeout_ms = (int)c->redis.timeout_ms,
                                      .client = "engaged", .models = w->models, .nmodels = c->program.nmodels};
    if (pthread_mutex_init(&w->lock, NULL))
        return ERR_NOMEM;
    if (pthread_create(&w->thread, NULL, thread_main, w))
        return ERR_NOMEM;
    w->started = true;
    return 0;
}

void worker_join(struct worker *w)
{
    if (!w->started)
        return;
    pthread_join(w->thread, NULL);
    pthread_mutex_destroy(&w->lock);
    free(w->parts);
    free(w->stats);
    free(w->reasons);
    w->started = false;
}
