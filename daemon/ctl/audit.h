// What the rooms of `engagectl audit` share: everything about one partition. audit_read.c: what is published
// and decided; audit_step.c: what should be, by stepping the log; audit_match.c: what to make of the
// differences; audit.c: the command. `engagectl rebuild` steps the log by the same means, to have the states.
// Functions return PORT_OK, or a result of ports.h with the reason in `why`.
#pragma once
#include "buckets.h"
#include "cache.h"
#include "history.h"
#include "output.h"
#include "published.h"

enum fault { FAULT_MISSING, FAULT_DOUBLE, FAULT_DISORDERED, FAULT_UNEXPECTED, FAULTS };
enum { EXAMPLES = 5 }; // of each fault, a partition

struct said {                 // beside published.v: where an output is, and when it was made
    uint64_t stem;            // hash of model:customer
    int64_t offset;           // of the record
    int64_t made_at, made_by; // next offset of the source, partition clock (ms UTC; INT64_MIN: none)
    int topic;
};

struct absent { // an output that should be published by what the log says, and is not
    char *id;   // owned
    size_t bytes;
    int slot;
    uint32_t ordinal;
    int64_t at;     // ms UTC: effective time
    int64_t offset; // of the event before which, or by which, it came true
    bool transition, by_deadline;
    enum { ABSENT_MISSING, ABSENT_STALE, ABSENT_PENDING } why;
};

struct slot { // a model by its name, whatever its version
    const char *name;
    const struct model *model; // the version that customers in the cache are of
    int64_t *fired;            // owned: how often each rule of that version did, then each trigger
};

struct example {
    char text[400];
};

struct audit {
    struct servers *servers;
    struct part_key key;
    struct why why;

    int64_t upto, clock; // audited: events before this offset, deadlines before this clock (ms UTC)
    int64_t wall;        // ms UTC: the beginning of the audit

    struct history history;
    struct published published;
    struct said *said; // by index in published.v
    size_t said_cap;
    char *topics[TOPICS_MAX]; // owned: outputs
    int64_t next[TOPICS_MAX]; // to be read from each
    int ntopics;
    int reading; // topic

    size_t program; // at work: index in history.v
    struct slot *slots;
    int nslots, slot_of[MODELS_MAX]; // by model of the program
    struct cache cache;              // models are slots
    struct effects effects;
    struct event_parser *parser;
    struct buffer id;
    int64_t at;     // partition clock, ms UTC; INT64_MIN: no event yet
    int64_t offset; // of the event that is stepped

    struct absent *absent;
    size_t nabsent, absent_cap;

    uint64_t events, transitions, triggers, dead_letters; // audited events; outputs found as expected
    uint64_t stale, in_flight;
    uint64_t faults[FAULTS];
    struct example examples[FAULTS][EXAMPLES];
};

// audit.c
void audit_fault(struct audit *a, enum fault kind, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
// Finds out how far to go, and the programs at work since the start. With no history after that, nothing has been
// stepped yet.
int audit_begin(struct audit *a, const char *config, const struct option_list *overrides);
void audit_clear(struct audit *a); // of one partition; its reason stays
static inline const struct program *audit_program(const struct audit *a)
{
    return &a->history.v[a->program].program;
}

// audit_read.c
int audit_bound(struct audit *a); // how far to go: upto, clock and the topics
int audit_journal(struct audit *a);
int audit_outputs(struct audit *a); // to their present ends; again: what has come since
int audit_order(struct audit *a);   // of what was read
// audit_step.c
int audit_step(struct audit *a); // up to (upto, clock), switches of program there included
// audit_match.c
int audit_expect(struct audit *a, const struct entry *x,
                 const struct event_source *source); // a->effects of x
int audit_expect_dead_letter(struct audit *a, const struct record *r, enum bad_reason reason);
int audit_resolve(struct audit *a);
