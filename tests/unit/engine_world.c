// The ports are as simple as their contracts allow: a transaction is a list that commit appends to the logs.
#include "engine_world.h"

#include <check.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

const char *const topic_names[TOPICS] = {"events", "app.journal", "moves", "triggers", "dead"};

static int topic_of(const char *name)
{
    for (int i = 0; i < TOPICS; i++)
        if (!strcmp(topic_names[i], name))
            return i;
    ck_abort_msg("topic %s", name);
}

// Whether Kafka is away, which takes its time to find out.
static bool away(struct world *w, struct why *why)
{
    w->mono += w->away_ms;
    w->wall += w->away_ms;
    snprintf(why->text, sizeof why->text, "no broker answers");
    return w->away_ms > 0;
}

// ---- logs

static char *copied(struct span s)
{
    return s.p ? strndup(s.p, s.n) : NULL;
}

static struct stored stored_copy(const struct out_record *r)
{
    struct stored s = {.key = copied(r->key), .value = copied(r->value), .nheaders = r->nheaders};
    ck_assert_uint_le(r->nheaders, sizeof s.headers / sizeof *s.headers);
    for (size_t i = 0; i < r->nheaders; i++)
        s.headers[i] = (struct out_header){.name = strdup(r->headers[i].name),
                                           .value = {copied(r->headers[i].value), r->headers[i].value.n}};
    return s;
}

static void stored_free(struct stored *s)
{
    for (size_t i = 0; i < s->nheaders; i++) {
        free((char *)s->headers[i].name);
        free((char *)s->headers[i].value.p);
    }
    free(s->key);
    free(s->value);
}

static void append(struct world *w, int topic, int32_t partition, struct stored record)
{
    size_t n = w->n[topic][partition]++;
    w->log[topic][partition] = realloc(w->log[topic][partition], (n + 1) * sizeof record);
    w->log[topic][partition][n] = record;
}

static struct record record_of(const struct world *w, int topic, int32_t partition, int64_t offset,
                               struct record_header headers[24])
{
    const struct stored *s = &w->log[topic][partition][offset];
    for (size_t i = 0; i < s->nheaders; i++)
        headers[i] = (struct record_header){{s->headers[i].name, strlen(s->headers[i].name)}, s->headers[i].value};
    return (struct record){.topic = {topic_names[topic], strlen(topic_names[topic])}, .partition = partition,
                           .offset = offset, .timestamp = 0, .headers = headers, .nheaders = s->nheaders,
                           .key = {s->key, s->key ? strlen(s->key) : 0},
                           .value = {s->value, s->value ? strlen(s->value) : 0}};
}

// ---- the log's port

static int log_poll(void *ctx, int wait_ms, size_t max, const struct record **ret, size_t *ret_n, struct why *why)
{
    struct world *w = ctx;
    size_t n = 0;
    (void)wait_ms, (void)why;
    for (int p = 0; p < PARTS; p++)
        while (!w->paused[p] && w->next[p] < (int64_t)w->n[EVENTS][p] && n < max && n < LOG_MAX)
            w->polled[n++] = record_of(w, EVENTS, p, w->next[p]++, NULL);
    *ret = w->polled;
    *ret_n = n;
    return PORT_OK;
}

static int log_seek(void *ctx, const struct part_key *p, int64_t offset, struct why *why)
{
    struct world *w = ctx;
    (void)why;
    w->next[p->partition] = offset;
    w->paused[p->partition] = false;
    return PORT_OK;
}

static int log_pause(void *ctx, const struct part_key *p)
{
    ((struct world *)ctx)->paused[p->partition] = true;
    return PORT_OK;
}

static int log_committed(void *ctx, const struct part_key *p, int64_t *ret_offset, int64_t *ret_clock, struct why *why)
{
    struct world *w = ctx;
    if (away(w, why))
        return PORT_AWAY;
    *ret_offset = w->committed[p->partition];
    *ret_clock = w->committed_clock[p->partition];
    return PORT_OK;
}

static int log_ends(void *ctx, const struct part_key *p, int64_t *ret_start, int64_t *ret_high, int64_t *ret_stable,
                    struct why *why)
{
    struct world *w = ctx;
    if (away(w, why))
        return PORT_AWAY;
    int topic = topic_of(p->topic);
    *ret_start = 0;
    *ret_high = *ret_stable = (int64_t)w->n[topic][p->partition];
    if (w->stuck[topic])
        *ret_stable = 0;
    return PORT_OK;
}

static int log_read(void *ctx, const struct part_key *p, int64_t from, int64_t upto,
                    int (*each)(void *arg, const struct record *r), void *arg, struct why *why)
{
    struct world *w = ctx;
    int topic = topic_of(p->topic);
    if (away(w, why) || w->stuck[topic])
        return PORT_AWAY;
    for (; from < upto; from++) {
        struct record_header headers[24];
        struct record r = record_of(w, topic, p->partition, from, headers);
        int err = each(arg, &r);
        if (err < 0)
            return err;
    }
    return PORT_OK;
}

static int64_t log_reached(void *ctx, const struct part_key *p)
{
    const struct world *w = ctx;
    int64_t end = (int64_t)w->n[EVENTS][p->partition];
    return !w->paused[p->partition] && w->next[p->partition] == end ? end : -1;
}

static int log_partitions(void *ctx, const char *topic, int32_t *ret_n, struct why *why)
{
    (void)ctx, (void)topic, (void)why;
    *ret_n = PARTS;
    return PORT_OK;
}

// ---- the sink's

static int sink_begin(void *ctx, struct why *why)
{
    struct world *w = ctx;
    w->nopen = 0;
    return away(w, why) ? PORT_AWAY : PORT_OK;
}

static int sink_abort(void *ctx, struct why *why)
{
    struct world *w = ctx;
    (void)why;
    while (w->nopen > 0)
        stored_free(&w->open[--w->nopen].record);
    return PORT_OK;
}

static int sink_produce(void *ctx, const struct out_record *r, struct why *why)
{
    struct world *w = ctx;
    if (w->fails_once[r->partition]) {
        w->fails_once[r->partition] = false;
        sink_abort(w, why);
        snprintf(why->text, sizeof why->text, "not acknowledged");
        return PORT_AWAY;
    }
    w->open[w->nopen].topic = topic_of(r->topic);
    w->open[w->nopen].partition = r->partition;
    w->open[w->nopen++].record = stored_copy(r);
    return PORT_OK;
}

static int sink_commit(void *ctx, const struct commit_offset *offsets, size_t n, const struct produced **ret,
                       size_t *ret_n, struct why *why)
{
    struct world *w = ctx;
    if (away(w, why)) {
        sink_abort(w, why);
        return PORT_AWAY;
    }
    bool loose = !w->config.exactly_once && w->nopen > 0; // plain batches leave the offsets behind
    *ret_n = 0;
    for (size_t i = 0; i < w->nopen; i++) {
        append(w, w->open[i].topic, w->open[i].partition, w->open[i].record);
        const char *topic = topic_names[w->open[i].topic];
        size_t at = 0; // one for each partition of a topic, however many records it was given
        while (at < *ret_n && (w->produced[at].topic != topic || w->produced[at].partition != w->open[i].partition))
            at++;
        *ret_n += at == *ret_n;
        w->produced[at] = (struct produced){topic, w->open[i].partition,
                                            (int64_t)w->n[w->open[i].topic][w->open[i].partition]};
    }
    w->nopen = 0;
    for (size_t i = 0; i < n && !loose; i++) {
        w->committed[offsets[i].source.partition] = offsets[i].offset;
        w->committed_clock[offsets[i].source.partition] = offsets[i].clock;
    }
    *ret = w->produced;
    return PORT_OK;
}

// ---- the store's, and the world's

static struct store_ops store_ops; // of the store in memory, but for the time that loads take

static struct world *store_world;

static int slow_load(void *ctx, const struct part_key *p, const struct owner *owner, uint64_t n,
                     struct load_item *items, size_t nitems, struct why *why)
{
    store_world->mono += store_world->late_ms;
    if (store_world->late_result > 0)
        return store_world->late_result;
    for (size_t i = 0; i < nitems; i++)
        store_world->buckets_read += !items[i].customer.p;
    return mem_store_ops.load(ctx, p, owner, n, items, nitems, why);
}

static int64_t wall_ms(void *ctx)
{
    return ((struct world *)ctx)->wall;
}

static int64_t mono_ms(void *ctx)
{
    return ((struct world *)ctx)->mono;
}

static uint64_t random64(void *ctx)
{
    static uint64_t state;
    (void)ctx;
    return state = state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
}

static void note(void *ctx, enum note_level level, const struct part_key *p, const char *text)
{
    struct world *w = ctx;
    size_t n = strlen(w->notes);
    if (level >= NOTE_WARNING && n + 600 < sizeof w->notes)
        snprintf(w->notes + n, sizeof w->notes - n, "%d: %s\n", p ? (int)p->partition : -1, text);
}

static const struct log_ops log_ops = {log_poll, log_seek, log_pause, log_committed, log_ends, log_read, log_reached,
                                       log_partitions};
static const struct sink_ops sink_ops = {sink_begin, sink_produce, sink_commit, sink_abort};
static const struct world_ops world_ops = {wall_ms, mono_ms, random64, note};

// ---- the world

void world_model(struct world *w, const char *model)
{
    struct diags d = {0};
    bool wall = w->program.wall;
    int64_t grace = w->program.grace_ms;
    program_clear(&w->program);
    w->program = (struct program){.models = calloc(1, sizeof(struct model *)), .nmodels = 1, .grace_ms = grace,
                                  .max_future_ms = 300000, .wall = wall};
    ck_assert_int_eq(model_load("m.yaml", model, strlen(model), &w->program.models[0], &d), 0);
    ck_assert_int_eq(field_map_preset(&w->program.map, PRESET_PLAIN), 0);
    ck_assert_int_eq(program_link(&w->program, &d), 0);
    diags_clear(&d);
}

struct world *world_new(const char *model)
{
    struct world *w = store_world = calloc(1, sizeof *w);
    w->config = (struct engine_config){
        .program = &w->program, .app = "app", .source = topic_names[EVENTS], .partitions = PARTS,
        .transitions = topic_names[MOVES], .triggers = topic_names[TRIGGERS], .dead_letters = topic_names[DEAD],
        .journal = topic_names[JOURNAL], .max_age_ms = NEVER, .exactly_once = true, .batch_events = 1000,
        .flush_customers = 100, .flush_every_ms = 200, .cache_bytes = 16 << 20};
    w->wall = 1000000;
    w->mono = 1000;
    for (int p = 0; p < PARTS; p++) {
        w->committed[p] = -1;
        w->committed_clock[p] = INT64_MIN;
        w->paused[p] = true;
    }
    w->store = mem_store_new();
    world_model(w, model);
    return w;
}

void world_start(struct world *w)
{
    store_ops = mem_store_ops;
    store_ops.load = slow_load;
    w->client = mem_client_new(w->store);
    struct ports ports = {.log = &log_ops, .sink = &sink_ops, .store = &store_ops, .world = &world_ops, .log_ctx = w,
                          .sink_ctx = w, .store_ctx = w->client, .world_ctx = w};
    w->engine = engine_new(&w->config, &ports, &w->counters);
    ck_assert_ptr_nonnull(w->engine);
    w->events = engine_events(w->engine);
}

void world_kill(struct world *w)
{
    w->engine = engine_free(w->engine);
    w->client = mem_client_free(w->client);
    sink_abort(w, NULL);
    for (int p = 0; p < PARTS; p++)
        w->paused[p] = true;
}

void world_free(struct world *w)
{
    world_kill(w);
    for (int t = 0; t < TOPICS; t++)
        for (int p = 0; p < PARTS; p++) {
            for (size_t i = 0; i < w->n[t][p]; i++)
                stored_free(&w->log[t][p][i]);
            free(w->log[t][p]);
        }
    mem_store_free(w->store);
    program_clear(&w->program);
    free(w);
}

static size_t keys(struct part_key *ret, int32_t from, int32_t to)
{
    for (int32_t p = from; p < to; p++)
        ret[p - from] = (struct part_key){topic_names[EVENTS], p};
    return (size_t)(to - from);
}

void world_assign(struct world *w, int32_t from, int32_t to)
{
    struct part_key v[PARTS] = {0};
    size_t n = keys(v, from, to);
    w->events.assigned(w->events.arg, v, n);
}

void world_revoke(struct world *w, int32_t from, int32_t to)
{
    struct part_key v[PARTS] = {0};
    size_t n = keys(v, from, to);
    w->events.revoked(w->events.arg, v, n, false);
    for (int32_t p = from; p < to; p++)
        w->paused[p] = true;
}

void world_event(struct world *w, int32_t partition, const char *customer, const char *type, int64_t time)
{
    char text[200];
    snprintf(text, sizeof text, "{\"customer\": \"%s\", \"type\": \"%s\", \"time\": %" PRId64 "}", customer, type,
             time);
    append(w, EVENTS, partition, (struct stored){.key = strdup(customer), .value = strdup(text)});
}

void world_run(struct world *w, int rounds)
{
    for (; rounds > 0; rounds--) {
        ck_assert_int_eq(engine_run(w->engine, 20), 0);
        w->mono += 20;
        w->wall += 20;
    }
}

struct engine_part world_part(const struct world *w, int32_t partition)
{
    struct engine_part v[PARTS];
    size_t n = engine_parts(w->engine, v, PARTS);
    for (size_t i = 0; i < n; i++)
        if (v[i].partition == partition)
            return v[i];
    ck_abort_msg("partition %d is not assigned", (int)partition);
}

void world_forge(struct world *w, int topic, int32_t partition, size_t record, const char *id)
{
    const struct stored *from = &w->log[topic][partition][record];
    struct out_record r = {.key = {from->key, strlen(from->key)}, .value = {from->value, strlen(from->value)},
                           .headers = from->headers, .nheaders = from->nheaders};
    struct stored s = stored_copy(&r);
    for (size_t i = 0; i < s.nheaders; i++)
        if (!strcmp(s.headers[i].name, "engaged-id")) {
            free((char *)s.headers[i].value.p);
            s.headers[i].value = (struct span){strdup(id), strlen(id)};
        }
    append(w, topic, partition, s);
}

void world_cut(struct world *w, int topic, int32_t partition, size_t end)
{
    while (w->n[topic][partition] > end)
        stored_free(&w->log[topic][partition][--w->n[topic][partition]]);
}

void world_two_events(struct world *w, int32_t partition, const char *customer)
{
    world_event(w, partition, customer, "a", w->wall - 10);
    world_event(w, partition, customer, "a", w->wall - 5);
}

void world_begin(struct world *w, int32_t partitions)
{
    world_start(w);
    world_assign(w, 0, partitions);
}

void world_restart(struct world *w, const char *model)
{
    world_kill(w);
    world_model(w, model);
    world_begin(w, 1);
}

struct world *world_moved_in(const char *model)
{
    struct world *w = world_new(model);
    world_begin(w, 1);
    world_two_events(w, 0, "x");
    world_run(w, 20);
    ck_assert_int_eq(world_part(w, 0).cursor, 2);
    return w;
}

struct world *world_that_moved(void)
{
    return world_moved_in(MODEL("1", ""));
}
