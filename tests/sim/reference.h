// What must come out: the log, with the journal's decisions, in one plain pass through core's step functions. No
// batches, no cache, no replays.
#pragma once
#include "workload.h"

struct ref_out {                   // an output of a customer, by ordinal
    int topic;                     // -1: none is published: capped, or no topic
    bool trigger;                  // may be left out when it is too old
    const char *rule, *in_trigger; // names or NULL, for statistics
    size_t era;                    // how many changes of program came before
    int64_t at;                    // ms UTC
    char digest[17];
    struct span body;
};

struct ref_state {      // of a customer in a model
    struct customer *c; // NULL: not created yet
    int program;        // whose models c is of
    struct ref_out *outs;
    size_t n, cap;
};

void ref_begin(void);
void ref_end(void);
void ref_start(int partition, int64_t offset, int program);     // events before it are nobody's
void ref_forget(int partition);                                 // all that was stepped; decisions stay
void ref_advance(int partition, int64_t offset, int64_t clock); // a decision: before the event at offset
void ref_reject(int partition, int64_t offset);
bool ref_rejected(int partition, int64_t offset);
// Steps all events before offset. on_bad: told of each that is none, or rejected.
void ref_step(int partition, int64_t offset, void (*on_bad)(int partition, int64_t offset));
// A change of program, after all that comes before the event at offset and below the clock.
struct ref_switch {
    int64_t offset, clock;
    int program;         // the next one
    uint64_t n;          // flushes before the one that made it
    uint64_t states_n;   // and up to the last one with states
    struct ref_pending { // of each customer, as the store has it; c NULL: not there
        struct customer *c;
        int program;
    } *pending[MODEL_COUNT_MAX];
};
void ref_switch(int partition, const struct ref_switch *s); // takes place with the next ref_step
void ref_unswitch(int partition);                           // the last one has not happened
const struct ref_switch *ref_switches(int partition, size_t *ret_n);
int ref_program(int partition); // at work after ref_step
size_t ref_era(int partition);  // how many changes came before that
// A customer of another program as the one at work reads it; c itself if their models have one version.
struct customer *ref_carried(int partition, int model, int from, struct customer *c);

int64_t ref_begin_at(int partition); // the first offset ever stepped
int64_t ref_position(int partition);
int64_t ref_clock(int partition);                               // after ref_step, without decisions at its offset
bool ref_decided(int partition, int64_t offset, int64_t clock); // there is such a decision, at or before offset
int64_t ref_last_clock(int partition);                          // of all decisions
struct ref_state *ref_state(int model, int customer);
void ref_time(int model, int customer, int64_t before); // fires its deadlines
