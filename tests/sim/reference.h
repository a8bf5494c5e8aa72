// What must come out: the log, with the journal's decisions, in one plain pass through core's step functions. No
// batches, no cache, no replays.
#pragma once
#include "workload.h"

struct ref_out {          // an output of a customer, by ordinal
    int topic;            // -1: none is published: capped, or no topic
    bool trigger;         // may be left out when it is too old
    int rule, in_trigger; // index or NONE, for statistics
    int64_t at;           // ms UTC
    char digest[17];
    struct span body;
};

struct ref_state {      // of a customer in a model
    struct customer *c; // NULL: not created yet
    struct ref_out *outs;
    size_t n, cap;
};

void ref_begin(void);
void ref_end(void);
void ref_start(int partition, int64_t offset);                  // events before it are nobody's
void ref_forget(int partition);                                 // all that was stepped; decisions stay
void ref_advance(int partition, int64_t offset, int64_t clock); // a decision: before the event at offset
void ref_reject(int partition, int64_t offset);
bool ref_rejected(int partition, int64_t offset);
// Steps all events before offset. on_bad: told of each that is none, or rejected.
void ref_step(int partition, int64_t offset, void (*on_bad)(int partition, int64_t offset));
int64_t ref_position(int partition);
int64_t ref_clock(int partition);                               // after ref_step, without decisions at its offset
bool ref_decided(int partition, int64_t offset, int64_t clock); // there is such a decision, at or before offset
int64_t ref_last_clock(int partition);                          // of all decisions
struct ref_state *ref_state(int model, int customer);
void ref_time(int model, int customer, int64_t before); // fires its deadlines
