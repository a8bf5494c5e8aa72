// The heart: what one event, or the passing of time, does to one customer. Pure: it changes the customer and returns
// effects in order; who calls it publishes them. The same calls in any batching give the same effects, to the
// millisecond: see config/README.md, "Time, order and ties".
#pragma once
#include "customer.h"

enum effect_kind { EFFECT_TRANSITION, EFFECT_TRIGGER, EFFECT_MET, EFFECT_MISSED };

struct effect {
    uint8_t kind;     // enum effect_kind
    bool by_deadline; // caused by a deadline at `at`, else by the event
    bool capped;      // over a cap: takes its ordinal, is not published
    int16_t rule;     // the transition's rule; triggers of a transition name it too; else NONE
    int16_t trigger;  // EFFECT_TRIGGER
    int16_t from, to; // transition and its enter/exit triggers; else NONE
    int16_t stage;    // whose owner, channels and objective it carries; a transition: `to`
    uint32_t visit;   // of that stage
    uint32_t ordinal;
    int64_t at;      // ms UTC: effective time
    int64_t entered; // ms UTC: when that visit began
};

struct effects { // grows; owned by the caller, reused from step to step
    struct effect *v;
    size_t n, cap;
    uint32_t silenced; // by `unless`: neither ordinal nor output, counted
    uint32_t rests;    // customers whose deadline rules came to rest
};

// Deadlines that come before an event at own time t: all before step_time's `before` = this, to be fired first (a
// call of their own, so that their outputs show the facts before the event).
int64_t step_before(const struct customer *c, int64_t t, int64_t partition_clock);
// An event of the customer at own time t that matches `signals` (not 0), after step_time(step_before). value_milli
// NULL: it has none. `created`: *c is raw memory and this is the customer's first event. c->due is up to date on
// return. *ret_late: t was before the customer's clock. 0, or negative: no memory (the customer is then undefined).
int step_event(const struct model *m, struct customer *c, bool created, int64_t t, const int64_t *value_milli,
               uint64_t signals, struct effects *fx, bool *ret_late);
// Fires every deadline before `before` (exclusive), in order. 0, or negative as above.
int step_time(const struct model *m, struct customer *c, int64_t before, struct effects *fx);
// Computes c->due, the earliest instant at which something can come true by time alone: after decoding a state.
void step_due(const struct model *m, struct customer *c);

// What a deadline is: for `why`.
enum due_kind { DUE_RULE, DUE_TRIGGER, DUE_MISSED };
struct due {
    int64_t at;    // NEVER: none
    uint8_t kind;  // enum due_kind
    int16_t index; // rule or trigger
};
struct due step_next(const struct model *m, const struct customer *c);
// The earliest instant >= from at which the condition holds by time alone in this visit (rule: at least entered + 1).
int64_t step_condition(const struct model *m, const struct condition *on, const struct customer *c, int64_t from);
void effects_clear(struct effects *fx);
