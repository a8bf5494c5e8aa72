// The programs of a run: small models in which everything collides within seconds, and what comes after them. A change
// of program keeps the models and their order; it changes texts with their versions, grace, or both.
#include "workload.h"

#include <stdlib.h>
#include <string.h>

#include "sim.h"

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

static const char shop_next[] =
    "model: shop\nversion: 4\nmigrate: {gone: away}\n"
    "signals:\n"
    "  visit: [visit]\n"
    "  buy: {events: [buy], value: true}\n"
    "  moan: {events: [moan], where: {loud: true}}\n"
    "report: [count(buy), mean(buy), score]\n"
    "score: {half_life: 2s, potential: 10, weights: {visit: 2, buy: 5, moan: -3}}\n"
    "stages:\n"
    "  new: {objective: {name: first, reach: buyer, within: 2s}}\n"
    "  buyer: {objective: {name: again, when: buy, within: 5s}}\n"
    "  quiet: {owner: care}\n"
    "  away: {owner: care}\n"
    "  loyal: {owner: care}\n"
    "transitions:\n"
    "  - {name: bought, from: new, to: buyer, when: buy}\n"
    "  - {name: silent, from: [new, buyer], to: quiet, quiet: 1500ms}\n"
    "  - {name: stays, from: buyer, to: loyal, when: buy, if: \"count(buy) >= 8\"}\n"
    "  - {name: left, from: [quiet, loyal], to: away, after: 3s}\n"
    "  - {name: back, from: [quiet, away], to: buyer, when: [buy, visit]}\n"
    "triggers:\n"
    "  - {name: welcome, campaign: care, enter: buyer}\n"
    "  - {name: nudge, campaign: push, in: new, after: 700ms, unless: \"count(visit) >= 3\"}\n"
    "  - {name: spell, campaign: push, in: buyer, quiet: 700ms, once: spell}\n"
    "  - {name: praise, campaign: special, enter: loyal, once: ever}\n"
    "caps: {push: {max: 1, per: 5s}, all: {max: 6, per: 10s}}\n";

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

static const char tiny_next[] = "model: tiny\nversion: 2\n"
                                "signals: {visit: [visit], buy: [buy]}\n"
                                "report: [count(visit)]\n"
                                "stages: {one: {owner: a}, two: {owner: b}}\n"
                                "transitions:\n"
                                "  - {name: there, from: one, to: two, when: buy}\n"
                                "  - {name: home, from: two, to: one, after: 2500ms}\n"
                                "triggers:\n"
                                "  - {name: late, campaign: special, in: two, quiet: 1200ms}\n"
                                "  - {name: seen, campaign: care, in: one, when: visit}\n";

static const struct {
    const char *text, *next;
} sets[][MODEL_COUNT_MAX] = {
    {{shop, shop_next}},
    {{shop, shop_next}, {pulse, pulse}},
    {{tiny, tiny_next}, {shop, shop_next}},
    {{tiny, tiny_next}},
    {{tiny, tiny}, {pulse, pulse}, {shop, shop_next}},
    {{pulse, pulse}, {tiny, tiny_next}},
};

struct program programs[PROGRAMS];

int nmodels(void)
{
    return programs[0].nmodels;
}

int program_of(const char *digest)
{
    for (int i = 0; i < PROGRAMS; i++)
        if (!strcmp(programs[i].digest, digest))
            return i;
    sim_fail("there is no program %s", digest);
}

static void load(struct program *p, bool next)
{
    struct diags d = {0};
    *p = (struct program){.grace_ms = next ? sim.plan.next_grace_ms : sim.plan.grace_ms,
                          .max_future_ms = sim.plan.max_future_ms,
                          .wall = sim.plan.wall,
                          .models = calloc(MODEL_COUNT_MAX, sizeof(struct model *))};
    for (int i = 0; i < MODEL_COUNT_MAX && sets[sim.plan.model_set][i].text; i++) {
        bool changed = next && sim.plan.next_models;
        const char *text = changed ? sets[sim.plan.model_set][i].next : sets[sim.plan.model_set][i].text;
        if (model_load("model", text, strlen(text), &p->models[p->nmodels++], &d)) {
            diags_sort(&d);
            sim_fail("a model has mistakes: %s", diags_format(&d));
        }
    }
    if (field_map_preset(&p->map, PRESET_PLAIN) || program_link(p, &d))
        sim_fail("the program cannot be linked");
    diags_clear(&d);
}

void programs_begin(void)
{
    for (int i = 0; i < PROGRAMS; i++)
        load(&programs[i], i > 0);
}

void programs_end(void)
{
    for (int i = 0; i < PROGRAMS; i++)
        program_clear(&programs[i]);
}
