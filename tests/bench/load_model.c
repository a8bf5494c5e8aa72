// A second reading of the language's reference (config/README.md): the first one is core/step.c.
#include "load_model.h"

#include <math.h>

#define DAY_MS INT64_C(86400000)

static const double HALF_LIFE_MS = 30.0 * DAY_MS, POTENTIAL = 40;
static const int64_t QUIET_MS = 14 * DAY_MS, LAPSE_MS = 30 * DAY_MS;

const char *const stage_names[] = {"prospect", "first_time_buyer", "active", "at_risk", "lapsed", "advocate"};
const char *const type_names[TYPES] = {"page_view", "product_view", "add_to_cart", "email_open", "email_click", "login",
                                       "support_ticket", "purchase", "referral"};

static int64_t later(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

double model_score(const struct shopper *s, int64_t at)
{
    double energy = s->energy * exp2(-(double)(at - s->faded) / HALF_LIFE_MS);
    return fmin(100, fmax(0, 100 * energy / POTENTIAL));
}

static void fold_score(struct shopper *s, int64_t t, double weight)
{
    if (t < s->faded) { // late: it has faded since
        s->energy += weight * exp2(-(double)(s->faded - t) / HALF_LIFE_MS);
        return;
    }
    s->energy = s->energy * exp2(-(double)(t - s->faded) / HALF_LIFE_MS) + weight;
    s->faded = t;
}

static void move(struct shopper *s, enum stage to, const char *rule, int64_t at, bool by_deadline, taken_fn *f,
                 void *arg)
{
    struct taken t = {.from = s->stage, .to = to, .rule = rule, .at = at, .by_deadline = by_deadline, .shopper = s};
    s->stage = (int8_t)to;
    s->entered = s->clock = at;
    s->ordinal++;
    if (f)
        f(arg, &t);
}

// A stage entered at an instant is left by a deadline a millisecond later at the earliest.
static int64_t deadline(const struct shopper *s)
{
    switch (s->stage) {
    case FIRST_TIME_BUYER:
    case ACTIVE:
    case ADVOCATE: return later(s->last + QUIET_MS, s->entered + 1);
    case AT_RISK: return s->entered + LAPSE_MS;
    default: return INT64_MAX;
    }
}

void model_time(struct shopper *s, int64_t before, taken_fn *f, void *arg)
{
    for (int64_t at; (at = deadline(s)) < before;)
        move(s, s->stage == AT_RISK ? LAPSED : AT_RISK, s->stage == AT_RISK ? "lapse" : "quiet", later(at, s->clock),
             true, f, arg);
}

static void by_event(struct shopper *s, enum type type, int64_t at, taken_fn *f, void *arg)
{
    static const struct { enum stage from, to; const char *rule; } purchase[] = {
        {PROSPECT, FIRST_TIME_BUYER, "first"}, {FIRST_TIME_BUYER, ACTIVE, "second"},
        {AT_RISK, ACTIVE, "recovered"}, {LAPSED, ACTIVE, "win-back"},
    };
    if (type == REFERRAL && s->stage == ACTIVE && s->purchases >= 3) {
        move(s, ADVOCATE, "advocacy", at, false, f, arg);
        return;
    }
    for (unsigned i = 0; type == PURCHASE && i < sizeof purchase / sizeof *purchase; i++)
        if ((int)purchase[i].from == s->stage) {
            move(s, purchase[i].to, purchase[i].rule, at, false, f, arg);
            return;
        }
}

void model_event(struct shopper *s, enum type type, int64_t t, int64_t value_milli, int64_t clock, taken_fn *f,
                 void *arg)
{
    if (!s->seen)
        *s = (struct shopper){.clock = t, .entered = t, .last = t, .faded = t, .seen = true};
    else
        model_time(s, later(later(t, s->clock), clock), f, arg);
    int64_t at = later(t, s->clock);
    s->clock = at;
    s->last = later(s->last, t);
    if (type == PURCHASE) {
        s->purchases++;
        s->sum += value_milli;
    }
    fold_score(s, t, 1 + (type == PURCHASE ? 10 : type == REFERRAL ? 8 : 0));
    by_event(s, type, at, f, arg);
    model_time(s, at + 1, f, arg); // what is due at this instant comes after the event
}
