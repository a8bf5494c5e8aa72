// Events around the wall clock: late, early, at one instant, bad, and too far in the future; some of them in
// transactions of the producer's that are undone in the end.
#include "workload.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "checks.h"
#include "worker.h"

const int64_t wall_begin = 1800000000000;
static struct event_parser *parser;
static int left, undone; // events to come; transactions of producers that are open
static struct fact **facts[PARTS_MAX];
static size_t facts_cap[PARTS_MAX];

// ---- customers: the index is at the end of the id, which has what an id may have

const char *customer_id(int customer)
{
    static char text[48];
    static const char *const forms[] = {"c%d", "u:%d", "\xc3\xbc-%d", "shop:c1:%d"};
    snprintf(text, sizeof text, forms[customer % 4], customer);
    return text;
}

int customer_of(struct span id)
{
    int v = 0, scale = 1;
    for (size_t n = id.n; n > 0 && id.p[n - 1] >= '0' && id.p[n - 1] <= '9'; n--, scale *= 10)
        v += (id.p[n - 1] - '0') * scale;
    const char *text = customer_id(v);
    if (v >= sim.plan.customers || strlen(text) != id.n || memcmp(text, id.p, id.n) != 0)
        sim_fail("there is no customer %.*s", (int)id.n, id.p);
    return v;
}

int partition_of(int customer)
{
    return (int)((unsigned)customer * 7919u % (unsigned)sim.plan.partitions);
}

// ---- facts

static struct span span_copy(struct span s)
{
    return s.p ? (struct span){sim_copy(s.p, s.n), s.n} : s;
}

static struct fact *read_fact(int partition, const struct rec *r)
{
    struct event ev;
    const char *detail;
    struct fact *f = sim_alloc(sizeof *f);
    struct record record = {.topic = {topic_names[T_EVENTS], 6},
                            .partition = partition,
                            .timestamp = r->timestamp,
                            .key = r->key,
                            .value = r->value};
    if (event_parse(parser, &programs[0].map, &record, &ev, &f->bad, &detail) != 0)
        return f;
    f->customer = customer_of(ev.customer);
    f->t = ev.time;
    f->has_value = ev.has_value;
    f->value_milli = ev.value_milli;
    f->type = span_copy(ev.type);
    f->id = span_copy(ev.id);
    for (int i = 0; i < PROGRAMS; i++)
        for (int m = 0; m < nmodels(); m++)
            f->signals[i][m] = model_match(programs[i].models[m], &ev);
    return f;
}

const struct fact *fact_at(int partition, int64_t offset)
{
    const struct plog *l = kafka_log(T_EVENTS, partition);
    if (!kafka_visible(l, offset))
        return NULL;
    if ((size_t)offset >= facts_cap[partition]) {
        size_t cap = (size_t)offset * 2 + 64;
        struct fact **v = sim_alloc(cap * sizeof *v);
        for (size_t i = 0; i < facts_cap[partition]; i++)
            v[i] = facts[partition][i];
        facts[partition] = v;
        facts_cap[partition] = cap;
    }
    if (!facts[partition][offset])
        facts[partition][offset] = read_fact(partition, l->v[offset].rec);
    return facts[partition][offset];
}

// ---- events

static int64_t own_time(int64_t wall)
{
    const struct plan *p = &sim.plan;
    if (chance(p->future))
        return wall + between(p->max_future_ms / 2, p->max_future_ms * 2);
    if (chance(2000))
        return wall - between(0, p->late_ms);
    return wall - between(0, 40);
}

static struct rec *event_of(const char *text, const char *key)
{
    struct rec *r = sim_alloc(sizeof *r);
    *r = (struct rec){.key = {sim_copy(key, strlen(key)), strlen(key)},
                      .value = {text, strlen(text)},
                      .timestamp = wall_begin + sim.now / MS,
                      .source = -1};
    return r;
}

static struct rec *event_make(int customer)
{
    static const char *const types[] = {"visit", "visit", "buy", "buy", "moan", "other"};
    static const char *const bad[] = {"", "{\"customer\":", "{\"type\":\"buy\"}", "[1]",
                                      "{\"customer\":\"c0\",\"type\":\"buy\",\"time\":\"never\"}"};
    int64_t wall = wall_begin + sim.now / MS;
    const char *text = bad[below(5)];
    if (!chance(sim.plan.bad))
        text = sim_printf("{\"customer\":\"%s\",\"type\":\"%s\",\"time\":%lld,\"id\":\"e%d\",\"value\":%d.%d,"
                          "\"properties\":{\"loud\":%s}}",
                          customer_id(customer), types[below(6)], (long long)own_time(wall), left, (int)below(100),
                          (int)below(1000), chance(7000) ? "true" : "false");
    return event_of(text, customer_id(customer));
}

static int some_customer(void)
{
    uint64_t n = (uint64_t)sim.plan.customers;
    return (int)(chance(5000) ? below(n) : below(1 + n / 4)); // some are busier than others
}

static void undo_or_commit(void *arg)
{
    undone--;
    kafka_decide(arg, chance(6000));
}

static void produce(void *arg)
{
    (void)arg;
    int n = chance(1000) ? (int)between(2, 12) : 1;
    struct txn *t = NULL;
    if (sim.plan.input_transactions && chance(2000)) {
        t = kafka_txn(-1);
        undone++;
        sim_at(sim.now + between(0, chance(1000) ? 3 * SECOND : 50 * MS), undo_or_commit, t);
    }
    for (; n > 0 && left > 0; n--, left--) {
        int customer = some_customer(), partition = partition_of(customer);
        struct plog *l = kafka_log(T_EVENTS, partition);
        int64_t offset = kafka_append(l, t, event_make(customer));
        act(offset, partition, "events/%d %d: %.*s", partition, (int)offset, (int)l->v[offset].rec->value.n,
            l->v[offset].rec->value.p);
        if (!t)
            workers_notice(partition);
    }
    if (left > 0)
        sim_at(sim.now + between(0, sim.plan.step_ms * 2 * MS), produce, NULL);
}

bool workload_over(void)
{
    return left == 0 && undone == 0;
}

// ---- a run

void workload_begin(void)
{
    programs_begin();
    parser = event_parser_new();
    left = sim.plan.events;
    undone = 0;
    memset(facts, 0, sizeof facts);
    memset(facts_cap, 0, sizeof facts_cap);
}

void workload_start(void *unused)
{
    produce(unused);
}

void workload_end(void)
{
    programs_end();
    parser = event_parser_free(parser);
}
