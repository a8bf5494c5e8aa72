// The thread around an engine: makes its ports, runs rounds until asked to stop, and shows what it did. A port that
// cannot be made yet (Kafka away) is tried again; a broken invariant ends the process, and systemd starts it anew.
#include "worker.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <sysexits.h>
#include <time.h>

#include "clock.h"
#include "kafka_log.h"
#include "kafka_sink.h"
#include "log.h"
#include "redis_store.h"

enum { ROUND_MS = 20, STATUS_MS = 500, RETRY_MS = 500, TAKEOVERS_MS = 60000 };

struct running { // what the thread owns while it runs
    struct worker *w;
    struct kafka_log *log;
    struct kafka_sink *sink;
    struct redis_store *store;
    struct engine *engine;
    uint64_t random[64];
    size_t nrandom;
    unsigned takeovers;
    int64_t takeover_ms, published_ms;
    const char **campaigns; // by statistic: of triggers, else NULL
    size_t nstats;
};

// ---- the world

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

static const char *campaign_of(const struct program *p, const char *field)
{
    struct span model, kind, name;
    if (!status_field(field, &model, &kind, &name) || kind.n != 7 || memcmp(kind.p, "trigger", 7) != 0)
        return NULL;
    for (int i = 0; i < p->nmodels; i++) {
        const struct model *m = p->models[i];
        if (strlen(m->name) != model.n || memcmp(m->name, model.p, model.n) != 0)
            continue;
        for (int k = 0; k < m->ntriggers; k++)
            if (strlen(m->triggers[k].name) == name.n && !memcmp(m->triggers[k].name, name.p, name.n))
                return m->triggers[k].campaign;
    }
    return NULL;
}

static void fill_part(const struct running *r, const struct engine_part *from, struct status_stat *stats, size_t nstats,
                      struct status_part *to)
{
    const struct config *c = r->w->config;
    struct part_key key = {.topic = c->source.topic, .partition = from->partition};
    *to = (struct status_part){.topic = key.topic, .partition = key.partition, .state = from->state,
                               .owner = from->owner, .reason = from->reason, .offset = from->cursor,
                               .end = kafka_log_end(r->log, &key), .clock = from->clock, .n = from->n,
                               .stats = stats, .nstats = from->state == PART_TAKING ? 0 : nstats};
    for (int m = 0; m < c->program.nmodels; m++)
        to->customers += from->customers[m];
    for (size_t i = 0; i < nstats; i++)
        stats[i] = (struct status_stat){.field = engine_stat_name(r->engine, i), .value = from->stats[i],
                                        .campaign = r->campaigns[i]};
}

static void publish_status(struct running *r)
{
    struct why why = {0};
    size_t n = engine_parts(r->engine, NULL, 0);
    _cleanup_free_ struct engine_part *from = calloc(n + 1, sizeof *from);
    _cleanup_free_ struct status_part *parts = calloc(n + 1, sizeof *parts);
    _cleanup_free_ struct status_stat *stats = calloc(n * r->nstats + 1, sizeof *stats);
    if (!from || !parts || !stats)
        return;
    engine_parts(r->engine, from, n);
    for (size_t i = 0; i < n; i++)
        fill_part(r, &from[i], stats + i * r->nstats, r->nstats, &parts[i]);
    bool redis = redis_store_ping(r->store, &why) == PORT_OK, kafka = engine_reads(r->engine);
    struct status_worker w = {.worker = r->w->index, .kafka = kafka, .redis = redis, .parts = parts, .nparts = n,
                              .trouble = !kafka ? "no broker of Kafka answers" : redis ? "" : why.text};
    status_publish(r->w->board, &w);
    r->published_ms = mono_ms(NULL);
}

static int campaigns_make(struct running *r)
{
    while (engine_stat_name(r->engine, r->nstats))
        r->nstats++;
    if (!(r->campaigns = calloc(r->nstats + 1, sizeof *r->campaigns)))
        return ERR_NOMEM;
    for (size_t i = 0; i < r->nstats; i++)
        r->campaigns[i] = campaign_of(&r->w->config->program, engine_stat_name(r->engine, i));
    return 0;
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
        .flush_every_ms = c->flush_every_ms,
        // The allocator rounds sizes up: an eighth is for that.
        .cache_bytes = (size_t)(c->cache_bytes - c->cache_bytes / 8) / (size_t)r->w->nworkers,
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
        return result > 0 ? EX_CONFIG : EX_SOFTWARE;
    r->store = redis_store_new(&w->redis);
    if (!r->store || kafka_sink_new(&w->kafka, kafka_log_group(r->log), &r->sink) || !(r->engine = engine_make(r)) ||
        campaigns_make(r))
        return EX_SOFTWARE;
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
            return result < 0 ? EX_SOFTWARE : EX_CONFIG;
        nanosleep(&(struct timespec){.tv_nsec = RETRY_MS * 1000000L}, NULL);
        status_progress(r->w->board, r->w->index, mono_ms(NULL));
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
        world_note(r, NOTE_ERROR, NULL,
                   "another daemon took this worker's place twice in a minute: two daemons of the "
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
        status_progress(w->board, w->index, mono_ms(NULL));
        if (result < 0) {
            world_note(r, NOTE_ERROR, NULL, result == ERR_NOMEM ? "out of memory" : "a broken invariant");
            status = EX_SOFTWARE;
        } else if (shares_instance(r)) {
            status = EX_CONFIG;
        }
        if (mono_ms(NULL) - r->published_ms >= STATUS_MS)
            publish_status(r);
    }
    if (status == 0 && r->engine) {
        engine_stop(r->engine);
        publish_status(r);
    }
    return status;
}

static void *thread_main(void *arg)
{
    struct running r = {.w = arg};
    int status = run(&r);
    engine_free(r.engine);
    free(r.campaigns);
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
    w->started = false;
}
