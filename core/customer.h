// One customer in one model: the facts that the model uses, and where the customer is. Plain data of a size that the
// model fixes, so that a cache holds them side by side; `step` changes them, this room makes and stores them.
#pragma once
#include "model.h"

struct customer {
    int64_t clock;     // ms UTC: the largest effective time already applied; never goes back
    int64_t first;     // ms UTC: smallest own time of its events
    int64_t last;      // ms UTC: largest own time of its events
    int64_t entered;   // ms UTC: when this visit began
    int64_t due;       // ms UTC: earliest deadline, NEVER if none; derived, not stored
    int64_t energy_at; // ms UTC: the score's anchor; valid if energy != 0
    double energy;     // weighted, faded engagement at energy_at
    uint64_t spent;    // `in` triggers of this stage that have fired in this visit
    uint64_t ever;     // `once: ever` triggers that have fired
    uint32_t ordinal;  // of the last output; 0: none
    uint16_t stage;
    uint8_t moves;       // by deadline rules since its last event; kept if model.rests
    bool objective_done; // met or missed in this visit
    int64_t slot[];      // model.nslots
};

size_t customer_bytes(const struct model *m);
// A customer whose first event is at time t: first stage, first visit, nothing known yet.
void customer_create(const struct model *m, struct customer *c, int64_t t);
// The state as a compact msgpack array. Returns its length; the buffer must hold customer_state_max(m) bytes.
size_t customer_encode(const struct model *m, const struct customer *c, uint8_t *out);
size_t customer_state_max(const struct model *m);
// 0; 1: these bytes are no state of this model and version (*c is undefined). Does not set `due`: see step_due.
int customer_decode(const struct model *m, const uint8_t *bytes, size_t n, struct customer *c);
// The version of the model that a state was written by; 1: these bytes are no state.
int customer_version(const uint8_t *bytes, size_t n, uint32_t *ret_version);
