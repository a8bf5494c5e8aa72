// Small models in which everything collides within seconds, and events around the wall clock: late, early, at one
// instant, bad, and too far in the future; some of them in transactions of the producer's that are undone in the end.
#include "workload.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "checks.h"
#include "worker.h"

static const char shop[] = "model: shop\nversion: 3\n"
                           "signals:\n"
                           "  visit: [visit]\n"
                           "  buy: {events: [buy], value: true}\n"
                           "  moan: {events: [moan], where: {loud: true}}\n"
                           "report: [count(buy), sum(buy), score]\n"
                           "score: {half_life: 4s, potential: 10, weights: {visit: 1, buy: 5, moan: -3}}\n"
                           "stages:\n"
                           "  new: {objective: {name: first, reach: buyer, within: 3s}}\n"
                           "  buyer: {objective: {name: again, when: buy, within: 5s}}\n"
                           "  quiet: {owner: care}\n"
                           "  gone: {owner: care}\n"
                           "transitions:\n"
                           "  - {name: bought, from: new, to: buyer, when: buy}\n"
                           "  - {name: moaned, from: buyer, to: quiet, when: moan, if: \"count(moan, 6s) >= 2\"}\n"
                           "  - {name: silent, from: [new, buyer], to: quiet, quiet: 2s}\n"
                           "  - {name: faded, from: buyer, to: quiet, after: 1s, if: \"score < 20\"}\n"
                           "  - {name: left, from: quiet, to: gone, after: 4s}\n"
                           "  - {name: back, from: [quiet, gone], to: buyer, when: [buy, visit]}\n"
                           "triggers:\n"
                           "  - {name: welcome, campaign: care, enter: buyer}\n"
                           "  - {name: bye, campaign: care, exit: buyer, unless: \"count(buy, stage) >= 2\"}\n"
                           "  - {name: nudge, campaign: push, in: new, after: 500ms, unless: \"count(visit) >= 3\"}\n"
                           "  - {name: spell, campaign: push, in: buyer, quiet: 700ms, once: spell}\n"
                           "  - {name: hot, campaign: special, in: buyer, when: buy, if: \"score >= 60\"}\n"
                           "  - {name: lost, campaign: mute, enter: gone}\n"
                           "caps: {push: {max: 2, per: 5s}, all: {max: 6, per: 10s}}\n";

static const char pulse[] = // deadlines in a circle: a customer never falls silent
    "model: pulse\nversion: 1\n"
    "signals: {any: [visit, buy]}\n"
    "stages: {up: {owner: a}, down: {owner: b}}\n"
    "transitions:\n"
    "  - {name: fall, from: up, to: down, after: 900ms}\n"
    "  - {name: rise, from: down, to: up, after: 1600ms}\n"
    "  - {name: lift, from: down, to: up, when: any}\n"
    "triggers:\n"
    "  - {name: high, campaign: care, in: up, when: any, if: \"visits(up) >= 2\"}\n"
    "caps: {care: {max: 3, per: 6s}}\n";

static const char tiny[] = "model: tiny\nversion: 1\n"
                           "signals: {visit: [visit], buy: [buy]}\n"
                           "stages: {one: {owner: a}, two: {owner: b}}\n"
                           "transitions:\n"
                           "  - {name: there, from: one, to: two, when: buy}\n"
                           "  - {name: home, from: two, to: one, when: buy}\n"
                           "triggers:\n"
                           "  - {name: late, campaign: special, in: two, quiet: 1500ms}\n";

static const char *const sets[][MODEL_COUNT_MAX] = {{shop}, {shop, pulse}, {tiny, shop}, {tiny}, {tiny, pulse, shop}};

struct program program;
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
    struct record record = {.topic = {topic_names[T_EVENTS], 6}, .partition = partition, .timestamp = r->timestamp,
                            .key = r->key, .value = r->value};
    if (event_parse(parser, &program.map, &record, &ev, &f->bad, &detail) != 0)
        return f;
    f->customer = customer_of(ev.customer);
    f->t = ev.time;
    f->has_value = ev.has_value;
    f->value_milli = ev.value_milli;
    f->type = span_copy(ev.type);
    f->id = span_copy(ev.id);
    for (int m = 0; m < program.nmodels; m++)
        f->signals[m] = model_match(program.models[m], &ev);
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
    *r = (struct rec){.key = {sim_copy(key, strlen(key)), strlen(key)}, .value = {text, strlen(text)},
                      .timestamp = wall_begin + sim.now / MS, .source = -1};
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

// ---- the program

static void load_models(void)
{
    struct diags d = {0};
    program = (struct program){.grace_ms = sim.plan.grace_ms, .max_future_ms = sim.plan.max_future_ms,
                               .wall = sim.plan.wall, .models = calloc(MODEL_COUNT_MAX, sizeof(struct model *))};
    for (int i = 0; i < MODEL_COUNT_MAX && sets[sim.plan.model_set][i]; i++) {
        const char *text = sets[sim.plan.model_set][i];
        if (model_load("model", text, strlen(text), &program.models[program.nmodels++], &d)) {
            diags_sort(&d);
            sim_fail("a model has mistakes: %s", diags_format(&d));
        }
    }
    if (field_map_preset(&program.map, PRESET_PLAIN) || program_link(&program, &d))
        sim_fail("the program cannot be linked");
    diags_clear(&d);
}

void workload_begin(void)
{
    load_models();
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
    program_clear(&program);
    parser = event_parser_free(parser);
}
