// What may happen next to a customer in a model, and what it still lacks: the rules out of its stage, the
// triggers of the stage, its objective. For people who ask why something did not happen, or has not happened
// yet.
#pragma once
#include "step.h"

enum outlook_kind { OUTLOOK_RULE, OUTLOOK_TRIGGER, OUTLOOK_OBJECTIVE };

struct outlook {
    uint8_t kind;               // enum outlook_kind
    int16_t index;              // rule, trigger, or the stage of the objective
    const struct condition *on; // NULL: an objective
    bool over;                  // a trigger that is spent; an objective that is met or missed
    bool resting;               // a deadline rule that waits for the customer's next event
    int64_t at;                 // by time alone: when it comes true if no event comes; NEVER. An objective: its end
    bool silent, capped;        // a trigger by time alone: what becomes of it at that instant
    // By an event: for each of its signals, what one event of that signal alone, now and without a value,
    // would do.
    uint64_t moves;                // it comes true
    uint64_t silent_by, capped_by; // it comes true, but a trigger's `unless` or its cap keeps it silent
    uint64_t overtaken;            // another rule moves the customer:
    int16_t other;                 // this one, in the case of the first of them
    uint64_t by_value;             // not known: it depends on the event's value
};

// Rules, triggers `in` the stage, objective, each in file order. `now`: ms UTC, from the customer's clock to
// c->due (which must be computed). 0, or negative: no memory.
int outlook_each(const struct model *m, const struct customer *c, int64_t now,
                 void (*each)(void *arg, const struct outlook *o), void *arg);

enum need_kind { NEED_AFTER, NEED_QUIET, NEED_FACT };

struct need {      // one part of a condition, besides `when`
    uint8_t kind;  // enum need_kind
    bool holds;    // now
    bool negated;  // NEED_FACT: it is wanted not to be so, and `holds` tells whether it is not
    int16_t node;  // NEED_FACT: the comparison
    bool known;    // there is a value; without one a comparison is not true
    int64_t value; // time in the stage, time of silence (ms), or the fact as expr_fact has it
};

void outlook_needs(const struct model *m, const struct condition *on, const struct customer *c, int64_t now,
                   void (*each)(void *arg, const struct need *n), void *arg);
// The comparisons of an expression, as NEED_FACT; root NONE: none.
void outlook_facts(const struct model *m, int root, const struct customer *c, int64_t now,
                   void (*each)(void *arg, const struct need *n), void *arg);
