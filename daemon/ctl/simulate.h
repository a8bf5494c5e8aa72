// A simulation and what it has counted: simulate.c runs it, simulate_report.c and simulate_compare.c tell of
// it.
#pragma once
#include "buffer.h"
#include "cache.h"
#include "step.h"

struct tally {                    // of one model
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
    bool json, each, progress; // each: prints every transition and trigger
    int64_t clock, last;       // ms UTC; INT64_MIN: none yet
    uint64_t events, matched, late, bad[BAD_REASONS], bytes;
    int64_t since_ms; // monotonic
};

// Name and campaign by index in tally.triggers and tally.capped.
const char *tally_trigger(const struct model *m, int i);
const char *tally_campaign(const struct model *m, int i);
uint64_t simulation_bad(const struct simulation *s); // bad lines

// For each model population, flows and triggers as a table.
void simulation_table(const struct simulation *s, struct buffer *b);
// The first two models of the program side by side, and customers that end in different stages. 0, or
// negative: no memory.
int simulation_compare(const struct simulation *s, struct buffer *b);
int simulation_compare_json(const struct simulation *s, struct buffer *b);
