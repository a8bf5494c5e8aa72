// Redis as the engine sees it: the store in memory, reached by calls that can be lost, or run after their caller has
// dropped the connection. A load is not one moment: its parts are read in turn, and owner and n at the end.
#include <stdlib.h>
#include <string.h>

#include "checks.h"
#include "worker.h"

struct mem_store *redis;
static struct mem_client *stray; // of dropped connections

struct store_call {
    struct call call;
    int result;
    struct part_key key;
    struct owner owner;
    struct why why;
    struct cursor cursor; // claim: out
    bool empty;           // claim: out
    struct flush flush;
    struct cursor next; // of the flush, or create
    struct mem_client *client;
    uint64_t n;
    struct load_item *items;
    size_t nitems;
    bool last; // of a load's parts
    int64_t before;
    size_t max;
    struct due_bucket *due;
    size_t *ndue;
    int64_t *next_due;
    void (*each)(void *arg, struct span field, int64_t value);
    int (*each_text)(void *arg, const struct model_text *t);
    void *arg;
    int model;
    uint64_t buckets, *count;
    struct model_text *texts;
    size_t ntexts;
};

static struct store_call *store_call(struct worker *w, const struct part_key *p, void (*run)(struct call *c))
{
    struct store_call *c = sim_alloc(sizeof *c);
    for (int i = 0; i < 2; i++) // what the last call read is gone with this one
        mem_store_ops.load(w->store.halves[i], p, &(struct owner){""}, 0, NULL, 0, &c->why);
    *c = (struct store_call){
        .call = {.run = run, .server = REDIS}, .key = {topic_names[T_EVENTS], p->partition}, .client = w->store.client};
    return c;
}

static struct mem_client *client_of(const struct store_call *c)
{
    return c->call.waiting && !c->call.worker->dead ? c->client : stray;
}

static int outcome(struct worker *w, struct store_call *c, struct why *why)
{
    bool answered = call(w, &c->call);
    if (!answered)
        return why_not(why, c->call.writes ? PORT_UNKNOWN : PORT_AWAY, "Redis does not answer");
    if (c->result != PORT_OK)
        *why = c->why;
    return c->result;
}

// ---- claim, create

static void run_claim(struct call *call)
{
    struct store_call *c = (struct store_call *)call;
    // A client that claims recognises another server by its run id; n and owner must do without, too.
    struct mem_client *client = sim.plan.blind ? stray : client_of(c);
    c->result = mem_store_ops.claim(client, &c->key, &c->owner, &c->cursor, &c->empty, &c->why);
    for (int i = 0; i < c->cursor.ntails; i++)
        c->cursor.tails[i].topic = topic_names[topic_of(c->cursor.tails[i].topic)];
    act(c->key.partition, c->result, "redis: partition %d claimed by %s: %d, cursor %lld, n %llu", c->key.partition,
        c->owner.text, c->result, (long long)c->cursor.offset, (unsigned long long)c->cursor.n);
}

static int store_claim(void *ctx, const struct part_key *p, const struct owner *owner, struct cursor *ret,
                       bool *ret_empty, struct why *ret_why)
{
    struct store_call *c = store_call(ctx, p, run_claim);
    c->call.writes = true;
    c->owner = *owner;
    int r = outcome(ctx, c, ret_why);
    if (r == PORT_OK) {
        *ret = c->cursor;
        *ret_empty = c->empty;
    }
    return r;
}

static void take_cursor(struct store_call *c, const struct cursor *from)
{
    c->next = *from;
    for (int i = 0; i < c->next.ntails; i++)
        c->next.tails[i].topic = topic_names[topic_of(from->tails[i].topic)];
}

static void run_create(struct call *call)
{
    struct store_call *c = (struct store_call *)call;
    c->result = mem_store_ops.create(client_of(c), &c->key, &c->owner, &c->next, &c->why);
    act(c->key.partition, c->result, "redis: partition %d created by %s at %lld: %d", c->key.partition, c->owner.text,
        (long long)c->next.offset, c->result);
    if (c->result == PORT_OK)
        checks_created(c->key.partition, &c->next);
}

static int store_create(void *ctx, const struct part_key *p, const struct owner *owner, const struct cursor *cursor,
                        struct why *ret_why)
{
    struct store_call *c = store_call(ctx, p, run_create);
    c->call.writes = true;
    c->owner = *owner;
    take_cursor(c, cursor);
    return outcome(ctx, c, ret_why);
}

// ---- load

static void run_load(struct call *call)
{
    struct store_call *c = (struct store_call *)call;
    struct cursor now = mem_store_cursor(redis, &c->key);
    struct owner owner = mem_store_owner(redis, &c->key);
    bool checks = c->last && sim.plan.mutation != MUTATE_OWNER_NOT_READ;
    c->result = mem_store_ops.load(c->client, &c->key, checks ? &c->owner : &owner, checks ? c->n : now.n, c->items,
                                   c->nitems, &c->why);
}

static int load_part(struct worker *w, struct store_call *like, struct mem_client *client, struct load_item *items,
                     size_t n, bool last, struct why *ret_why)
{
    struct store_call *c = sim_copy(like, sizeof *like);
    c->client = client;
    c->items = items;
    c->nitems = n;
    c->last = last;
    return outcome(w, c, ret_why);
}

static int store_load(void *ctx, const struct part_key *p, const struct owner *owner, uint64_t n,
                      struct load_item *items, size_t nitems, struct why *ret_why)
{
    struct worker *w = ctx;
    struct store_call *c = store_call(w, p, run_load);
    c->owner = *owner;
    c->n = n;
    size_t half = nitems ? below(nitems + 1) : 0;
    int r = PORT_OK;
    if (half > 0)
        r = load_part(w, c, w->store.halves[0], items, half, false, ret_why);
    if (r == PORT_OK && half < nitems)
        r = load_part(w, c, w->store.halves[1], items + half, nitems - half, false, ret_why);
    if (r == PORT_OK)
        r = load_part(w, c, w->store.client, NULL, 0, true, ret_why);
    act(w->number, r, "worker %d: loaded %zu of partition %d: %d", w->number, nitems, p->partition, r);
    for (size_t i = 0; r == PORT_OK && i < nitems; i++)
        act(i, 0, "    model %d, bucket %llu, %.*s: %zu bytes, %zu fields", items[i].model,
            (unsigned long long)items[i].bucket, (int)items[i].customer.n,
            items[i].customer.p ? items[i].customer.p : "", items[i].state.n, items[i].nfields);
    return r;
}

static void run_due(struct call *call)
{
    struct store_call *c = (struct store_call *)call;
    c->result = mem_store_ops.due(c->client, &c->key, c->before, c->max, c->due, c->ndue, c->next_due, &c->why);
}

static int store_due(void *ctx, const struct part_key *p, int64_t before, size_t max, struct due_bucket *ret,
                     size_t *ret_n, int64_t *ret_next, struct why *ret_why)
{
    struct store_call *c = store_call(ctx, p, run_due);
    c->before = before;
    c->max = max;
    c->due = ret;
    c->ndue = ret_n;
    c->next_due = ret_next;
    return outcome(ctx, c, ret_why);
}

static void run_stats(struct call *call)
{
    struct store_call *c = (struct store_call *)call;
    c->result = mem_store_ops.stats(c->client, &c->key, c->each, c->arg, &c->why);
}

static int store_stats(void *ctx, const struct part_key *p, void (*each)(void *arg, struct span field, int64_t value),
                       void *arg, struct why *ret_why)
{
    struct store_call *c = store_call(ctx, p, run_stats);
    c->each = each;
    c->arg = arg;
    return outcome(ctx, c, ret_why);
}

static void run_count(struct call *call)
{
    struct store_call *c = (struct store_call *)call;
    c->result = mem_store_ops.count(c->client, &c->key, c->model, c->buckets, c->count, &c->why);
    if (c->result == PORT_OK && sim.plan.mutation == MUTATE_CUSTOMERS_UNCOUNTED)
        *c->count = mem_store_cursor(redis, &c->key).customers[c->model];
}

static int store_count(void *ctx, const struct part_key *p, int model, uint64_t buckets, uint64_t *ret,
                       struct why *ret_why)
{
    struct store_call *c = store_call(ctx, p, run_count);
    c->model = model;
    c->buckets = buckets;
    c->count = ret;
    return outcome(ctx, c, ret_why);
}

// ---- texts of models

static struct span span_copy(struct span s)
{
    return s.p ? (struct span){sim_copy(s.p, s.n), s.n} : s;
}

static void run_remember(struct call *call)
{
    struct store_call *c = (struct store_call *)call;
    c->result = mem_store_ops.remember(client_of(c), &c->key, &c->owner, c->n, c->texts, c->ntexts, &c->why);
}

static int store_remember(void *ctx, const struct part_key *p, const struct owner *owner, uint64_t n,
                          const struct model_text *texts, size_t ntexts, struct why *ret_why)
{
    struct store_call *c = store_call(ctx, p, run_remember);
    c->call.writes = true;
    c->owner = *owner;
    c->n = n;
    c->texts = sim_copy(texts, ntexts * sizeof *texts);
    c->ntexts = ntexts;
    for (size_t i = 0; i < ntexts; i++) {
        c->texts[i].name = span_copy(texts[i].name);
        c->texts[i].text = span_copy(texts[i].text);
    }
    return outcome(ctx, c, ret_why);
}

static void run_recall(struct call *call)
{
    struct store_call *c = (struct store_call *)call;
    c->result = mem_store_ops.recall(c->client, &c->key, c->each_text, c->arg, &c->why);
}

static int store_recall(void *ctx, const struct part_key *p, int (*each)(void *arg, const struct model_text *t),
                        void *arg, struct why *ret_why)
{
    struct store_call *c = store_call(ctx, p, run_recall);
    c->each_text = each;
    c->arg = arg;
    return outcome(ctx, c, ret_why);
}

// ---- flush

// The arguments as they go over the wire: the engine may be gone when they are heard.
static void take_flush(struct store_call *c, const struct flush *f)
{
    struct flush_split *splits = sim_copy(f->splits, f->nsplits * sizeof *splits);
    for (size_t i = 0; i < f->nsplits; i++) {
        struct load_field *moved = sim_copy(splits[i].moved, splits[i].nmoved * sizeof *moved);
        for (size_t k = 0; k < splits[i].nmoved; k++)
            moved[k] = (struct load_field){span_copy(moved[k].customer), span_copy(moved[k].state)};
        splits[i].moved = moved;
    }
    struct flush_write *writes = sim_copy(f->writes, f->nwrites * sizeof *writes);
    for (size_t i = 0; i < f->nwrites; i++) {
        writes[i].customer = span_copy(writes[i].customer);
        writes[i].state = span_copy(writes[i].state);
    }
    struct flush_stat *stats = sim_copy(f->stats, f->nstats * sizeof *stats);
    for (size_t i = 0; i < f->nstats; i++)
        stats[i].field = sim_copy(stats[i].field, strlen(stats[i].field) + 1);
    take_cursor(c, f->cursor);
    c->flush = (struct flush){.cursor = &c->next,
                              .splits = splits,
                              .nsplits = f->nsplits,
                              .writes = writes,
                              .nwrites = f->nwrites,
                              .dues = sim_copy(f->dues, f->ndues * sizeof *f->dues),
                              .ndues = f->ndues,
                              .stats = stats,
                              .nstats = f->nstats};
}

static void mutate_flush(struct store_call *c)
{
    struct cursor now = mem_store_cursor(redis, &c->key);
    if (sim.plan.mutation == MUTATE_OWNER_UNCHECKED)
        c->owner = mem_store_owner(redis, &c->key);
    if (sim.plan.mutation == MUTATE_N_UNCHECKED)
        c->next.n = now.n;
    if (sim.plan.mutation == MUTATE_TAIL_MOVED)
        for (int i = 0; i < c->next.ntails; i++)
            c->next.tails[i].offset = kafka_high(kafka_log(topic_of(c->next.tails[i].topic), c->key.partition));
    if (sim.plan.mutation == MUTATE_SPLIT_FORGETS)
        for (size_t i = 0; i < c->flush.nsplits; i++)
            ((struct flush_split *)c->flush.splits)[i].nmoved -= c->flush.splits[i].nmoved > 0;
    if (sim.plan.mutation == MUTATE_SWEEP_FORGETS)
        for (size_t i = 0; i < c->flush.ndues; i++)
            if (c->flush.dues[i].exact)
                ((struct flush_due *)c->flush.dues)[i].at = NEVER;
}

static void run_flush(struct call *call)
{
    struct store_call *c = (struct store_call *)call;
    struct owner owner = c->owner;
    uint64_t n = c->next.n;
    mutate_flush(c);
    bool mine = !strcmp(owner.text, mem_store_owner(redis, &c->key).text);
    if (fault(sim.plan.redis_oom))
        c->result = why_not(&c->why, PORT_REFUSED, "out of memory");
    else
        c->result = mem_store_ops.flush(client_of(c), &c->key, &c->owner, &c->flush, &c->why);
    act(c->next.offset, c->result,
        "redis: partition %d flushed by %s: %d; cursor %lld, clock %lld, n %llu, %zu "
        "states, %zu splits%s",
        c->key.partition, owner.text, c->result, (long long)c->next.offset, (long long)c->next.clock,
        (unsigned long long)n, c->flush.nwrites, c->flush.nsplits, c->call.waiting ? "" : " (late)");
    if (c->result == PORT_OK)
        checks_flushed(c->key.partition, &c->flush, mine);
}

static int store_flush(void *ctx, const struct part_key *p, const struct owner *owner, const struct flush *f,
                       struct why *ret_why)
{
    struct store_call *c = store_call(ctx, p, run_flush);
    c->call.writes = true;
    c->owner = *owner;
    take_flush(c, f);
    return outcome(ctx, c, ret_why);
}

// ---- connections

void store_open(struct worker *w)
{
    w->store.client = mem_client_new(redis);
    for (int i = 0; i < 2; i++)
        w->store.halves[i] = mem_client_new(redis);
    if (!stray)
        stray = mem_client_new(redis);
}

void store_close(struct worker *w)
{
    mem_client_free(w->store.client);
    for (int i = 0; i < 2; i++)
        mem_client_free(w->store.halves[i]);
    w->store = (struct store_port){0};
}

void store_end(void)
{
    stray = mem_client_free(stray);
    redis = mem_store_free(redis);
}

const struct store_ops sim_store_ops = {
    .claim = store_claim,
    .create = store_create,
    .load = store_load,
    .due = store_due,
    .flush = store_flush,
    .stats = store_stats,
    .count = store_count,
    .remember = store_remember,
    .recall = store_recall,
};
