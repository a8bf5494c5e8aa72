// Daemons' workers and their supervisor. A worker that dies takes its engine with it; what it has sent may yet arrive.
#include "worker.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "checks.h"
#include "workload.h"

static struct worker *first;
static struct worker *believed[SLOTS_MAX];
static int64_t start_at[SLOTS_MAX];
static int64_t skew[SLOTS_MAX];  // by daemon, ms
static int installed[SLOTS_MAX]; // program by daemon, for workers to come
static int64_t latest;           // wall time that anybody was told, ms UTC
static int born;
static bool supervised;

int why_not(struct why *why, int result, const char *text)
{
    snprintf(why->text, sizeof why->text, "%s", text);
    return result;
}

void pause_until(struct worker *w, int64_t until)
{
    if (!w->dead)
        co_sleep(&w->co, until);
}

int slots(void)
{
    return sim.plan.daemons * sim.plan.workers;
}

// ---- the world

int64_t wall_now(int daemon)
{
    return wall_begin + sim.now / MS + skew[daemon];
}

void wall_jump(int daemon, int64_t ms)
{
    skew[daemon] = ms;
    act(daemon, ms, "daemon %d: clock is off by %lld ms", daemon, (long long)ms);
}

static int64_t wall_ms(void *ctx)
{
    int64_t wall = wall_now(((struct worker *)ctx)->daemon);
    latest = wall > latest ? wall : latest;
    return wall;
}

int64_t wall_latest(void)
{
    return latest;
}

static int64_t mono_ms(void *ctx)
{
    const struct worker *w = ctx;
    return 5000 + (sim.now - w->born) / MS;
}

static uint64_t random64(void *ctx)
{
    (void)ctx;
    return rnd();
}

static void note(void *ctx, enum note_level level, const struct part_key *p, const char *text)
{
    struct worker *w = ctx;
    if (w->dead)
        return;
    act(w->number, level, "worker %d: partition %d: %s", w->number, p ? p->partition : -1, text);
    if (p && level == NOTE_ERROR && !strncmp(text, "partition halted", 16))
        checks_halted(p->partition, text);
}

const struct world_ops sim_world_ops = {.wall_ms = wall_ms, .mono_ms = mono_ms, .random = random64, .note = note};

// ---- a worker's life

static const struct engine_config *engine_config_of(const struct worker *w)
{
    static const struct campaign_topic campaigns[] = {{"special", "special"}, {"mute", NULL}};
    static struct engine_config c;
    c = (struct engine_config){.program = &programs[w->program],
                               .app = "app",
                               .source = topic_names[T_EVENTS],
                               .partitions = sim.plan.partitions,
                               .reset_latest = sim.plan.reset_latest,
                               .transitions = topic_names[T_TRANSITIONS],
                               .triggers = topic_names[T_TRIGGERS],
                               .dead_letters = topic_names[T_DEAD],
                               .journal = topic_names[T_JOURNAL],
                               .campaigns = campaigns,
                               .ncampaigns = 2,
                               .max_age_ms = sim.plan.max_age_ms,
                               .exactly_once = !sim.plan.at_least_once,
                               .batch_events = (size_t)sim.plan.batch_events,
                               .flush_customers = (size_t)sim.plan.flush_customers,
                               .bucket_customers = (size_t)sim.plan.bucket_customers,
                               .flush_every_ms = sim.plan.flush_every_ms,
                               .cache_bytes = (size_t)sim.plan.cache_bytes};
    return &c;
}

static void life(void *arg)
{
    struct worker *w = arg;
    struct why why;
    struct ports ports = {.log = &sim_log_ops,
                          .sink = &sim_sink_ops,
                          .store = &sim_store_ops,
                          .world = &sim_world_ops,
                          .log_ctx = w,
                          .sink_ctx = w,
                          .store_ctx = w,
                          .world_ctx = w};
    store_open(w);
    w->engine = engine_new(engine_config_of(w), &ports, &w->counters);
    if (!w->engine)
        sim_fail("no memory for an engine");
    w->log.events = engine_events(w->engine);
    while (!w->dead && !w->stopping && sink_prepare(w, &why) != PORT_OK)
        pause_until(w, sim.now + 500 * MS);
    while (!w->dead && !w->stopping) {
        int r = engine_run(w->engine, 100);
        if (r < 0)
            sim_fail("worker %d ends: %d", w->number, r);
        checks_limits(w);
    }
    if (!w->dead && engine_stop(w->engine) < 0)
        sim_fail("worker %d cannot stop", w->number);
    act(w->number, w->dead, "worker %d: %s", w->number, w->dead ? "dead" : "stopped");
    w->engine = engine_free(w->engine);
    log_close(w);
    free(w->sink.wire);
    free(w->sink.plain);
    w->sink.wire = w->sink.plain = NULL;
    store_close(w);
    w->ended = true;
}

struct worker *worker_start(int slot)
{
    struct worker *w = sim_alloc(sizeof *w);
    w->slot = slot;
    w->daemon = slot / sim.plan.workers;
    w->number = ++born;
    w->born = sim.now;
    w->program = installed[w->daemon];
    w->next = first;
    first = believed[slot] = w;
    act(slot, w->number, "worker %d starts in slot %d", w->number, slot);
    co_start(&w->co, life, w);
    return w;
}

void worker_kill(struct worker *w)
{
    if (w->ended)
        return;
    act(w->number, 0, "worker %d is killed", w->number);
    w->dead = true;
    co_finish(&w->co);
}

void worker_stop(struct worker *w)
{
    w->stopping = true;
}

void daemon_install(int daemon, int program)
{
    act(daemon, program, "daemon %d: program %d from its next start on", daemon, program);
    installed[daemon] = program;
}

struct worker *worker_of(int slot)
{
    struct worker *w = believed[slot];
    return w && !w->ended ? w : NULL;
}

struct worker *workers_first(void)
{
    return first;
}

bool workers_gone(void)
{
    for (struct worker *w = first; w; w = w->next)
        if (!w->ended)
            return false;
    return true;
}

void workers_notice(int partition)
{
    for (struct worker *w = first; w; w = w->next)
        if (!w->ended && w->log.waits && w->log.parts >> partition & 1)
            co_wake(&w->co, w->co.token, sim.now + between(100, sim.plan.kafka_us));
}

static void look_after(void *arg)
{
    (void)arg;
    for (int i = 0; supervised && i < slots(); i++) {
        if (worker_of(i))
            start_at[i] = 0;
        else if (!start_at[i])
            start_at[i] = sim.now + between(0, chance(2000) ? 15 * SECOND : SECOND);
        else if (sim.now >= start_at[i])
            worker_start(i);
    }
    sim_at(sim.now + 200 * MS, look_after, NULL);
}

void supervise(bool on)
{
    supervised = on;
}

void workers_begin(void)
{
    first = NULL;
    born = 0;
    latest = 0;
    memset(believed, 0, sizeof believed);
    memset(start_at, 0, sizeof start_at);
    memset(skew, 0, sizeof skew);
    memset(installed, 0, sizeof installed);
    redis = mem_store_new();
    if (sim.plan.mutation == MUTATE_SIZES_UNCOUNTED)
        mem_store_blind(redis);
    supervised = true;
    look_after(NULL);
    group_watch();
}

void workers_end(void)
{
    for (struct worker *w = first; w; w = w->next)
        worker_kill(w);
    store_end();
}
