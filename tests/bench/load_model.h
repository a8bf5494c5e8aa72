// The rules of bench-model.yaml once more, in plain C: what the bench compares the daemon's outputs with. Nothing of
// the daemon's code is in it, on purpose.
#pragma once
#include <stdbool.h>
#include <stdint.h>

enum stage { PROSPECT, FIRST_TIME_BUYER, ACTIVE, AT_RISK, LAPSED, ADVOCATE };
enum type { PAGE_VIEW, PRODUCT_VIEW, ADD_TO_CART, EMAIL_OPEN, EMAIL_CLICK, LOGIN, SUPPORT_TICKET, PURCHASE, REFERRAL,
            TYPES };

extern const char *const stage_names[];
extern const char *const type_names[TYPES];

struct shopper {     // a customer of the bench; all zero: not seen yet
    int64_t clock;   // largest effective time applied, ms UTC
    int64_t entered; // the stage
    int64_t last;    // latest event's own time
    int64_t sum;     // of purchases, thousandths
    double energy;   // weighted engagement at `faded`
    int64_t faded;
    int32_t purchases, ordinal;
    int8_t stage, seen;
};

struct taken { // a transition
    int from, to;
    const char *rule;
    int64_t at; // effective time, ms UTC
    bool by_deadline;
    const struct shopper *shopper; // right after it
};

typedef void taken_fn(void *arg, const struct taken *t);

// An event at its own time t, met when the partition's clock stood at `clock` (INT64_MIN: no event before it).
void model_event(struct shopper *s, enum type type, int64_t t, int64_t value_milli, int64_t clock, taken_fn *f,
                 void *arg);
// Fires what is due before the instant.
void model_time(struct shopper *s, int64_t before, taken_fn *f, void *arg);
double model_score(const struct shopper *s, int64_t at); // 0..100
