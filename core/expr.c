// Every fact is a function of the stored numbers and of `now`; every comparison of one changes, in silence, only at
// instants that follow from them: an age reaches its literal, a recent event leaves its window, the score fades to a
// threshold. So the earliest instant at which an expression holds is found by going from change to change; nothing
// is ever polled.
#include "expr.h"
#include <math.h>

__extension__ typedef __int128 wide;

static bool compared(int op, int order) // order: < 0, 0, > 0
{
    switch (op) {
    case OP_LT: return order < 0;
    case OP_LE: return order <= 0;
    case OP_GT: return order > 0;
    case OP_GE: return order >= 0;
    case OP_EQ: return order == 0;
    default: return order != 0;
    }
}

static int order_of(wide a, wide b)
{
    return (a > b) - (a < b);
}

// ---- score

// Taylor's series of 2^f = e^(f ln 2) for |f| <= 1/2, even and odd terms apart so that neither waits for the other:
// fourteen terms leave less than 2e-17, their roundings less than 5e-16 of an error.
double exp2_neg(double x)
{
    static const double even[] = {2.5678435993488205142e-11, 7.0549116208011233299e-9, 1.3215486790144309488e-6,
                                  1.5403530393381609954e-4,  9.6181291076284771620e-3, 2.4022650695910071233e-1,
                                  1.0}; // (ln 2)^k / k! for k = 12, 10, …
    static const double odd[] = {1.3691488853904128881e-12, 4.4455382718708114976e-10, 1.0178086009239699728e-7,
                                 1.5252733804059840280e-5,  1.3333558146428443423e-3,  5.5504108664821579953e-2,
                                 6.9314718055994530942e-1}; // for k = 13, 11, …
    if (!(x > -1075.0))
        return 0.0;
    int n = (int)(x - 0.5);
    double f = x - (double)n, square = f * f, e = 0.0, o = 0.0;
    for (size_t k = 0; k < sizeof even / sizeof *even; k++) {
        e = e * square + even[k];
        o = o * square + odd[k];
    }
    return ldexp(e + f * o, n); // exact, but for the last denormal bits
}

static double raw_score_at(const struct model *m, const struct customer *c, int64_t now)
{
    double e = c->energy * exp2_neg(-(double)(now - c->energy_at) / m->half_life_ms);
    return 100.0 * e / m->potential;
}

double score_at(const struct model *m, const struct customer *c, int64_t now)
{
    if (!m->has_score || c->energy <= 0)
        return 0.0;
    double s = raw_score_at(m, c, now);
    return s > 100.0 ? 100.0 : s;
}

// The first instant after `t` at which the score is below `limit` (or at it, unless strict); NEVER if that was so
// already, or will never be. The logarithm only guesses; the comparison that rules use decides.
static int64_t score_falls(const struct model *m, const struct customer *c, int64_t t, double limit, bool strict)
{
    if (c->energy <= 0 || limit < 0 || (strict && limit <= 0))
        return NEVER;
#define FALLEN(at) (strict ? score_at(m, c, at) < limit : score_at(m, c, at) <= limit)
    if (FALLEN(t))
        return NEVER;
    double halvings = limit > 0 ? log2(100.0 * c->energy / m->potential) - log2(limit) : 1100.0 + log2(c->energy);
    double guess = (double)c->energy_at + halvings * m->half_life_ms;
    if (!(guess < 9e18))
        return NEVER;
    int64_t lo = t, hi = guess > (double)t ? (int64_t)guess : t + 1; // lo has not fallen
    for (int64_t width = 1; !FALLEN(hi); width *= 2) {
        lo = hi;
        if (hi > INT64_MAX / 2)
            return NEVER;
        hi += width;
    }
    for (int64_t width = 1; hi - lo > width && FALLEN(hi - width); width *= 2)
        hi -= width;
    while (hi - lo > 1) {
        int64_t mid = lo + (hi - lo) / 2;
        if (FALLEN(mid))
            hi = mid;
        else
            lo = mid;
    }
#undef FALLEN
    return hi;
}

// ---- recent times

int64_t recent_count(const struct model *m, int signal, const struct customer *c, int64_t after, int64_t upto)
{
    int at = m->signals[signal].slots.recent;
    const int64_t *t = &c->slot[at + 1];
    int64_t n = c->slot[at], count = 0;
    for (int64_t i = 0; i < n && t[i] > after; i++)
        count += t[i] <= upto;
    return count;
}

// The first instant after `now` at which a kept time is `age_ms` old.
static int64_t recent_ages(const struct model *m, int signal, const struct customer *c, int64_t now, int64_t age_ms)
{
    int at = m->signals[signal].slots.recent;
    const int64_t *t = &c->slot[at + 1];
    int64_t next = NEVER;
    for (int64_t i = 0; i < c->slot[at] && t[i] + age_ms > now; i++)
        next = t[i] + age_ms; // latest first, so the last one that still lies ahead is the earliest
    return next;
}

// ---- comparisons

// Where a duration counts from; NEVER: the fact never compares true.
static int64_t base_of(const struct model *m, const struct compare *k, const struct customer *c)
{
    switch (k->fact) {
    case FACT_SINCE: return c->slot[m->signals[k->signal].slots.last];
    case FACT_IN_STAGE: return c->entered;
    default: return c->first; // FACT_AGE
    }
}

// Events in the latest window, and in the one before it.
static int64_t trend_of(const struct model *m, const struct compare *k, const struct customer *c, int64_t now,
                        int64_t *ret_former)
{
    *ret_former = recent_count(m, k->signal, c, now - 2 * k->window_ms, now - k->window_ms);
    return recent_count(m, k->signal, c, now - k->window_ms, now);
}

// A fact that is whole in its literal's unit. False: there is none.
static bool whole_fact(const struct model *m, const struct compare *k, const struct customer *c, int64_t now,
                       int64_t *ret)
{
    const struct signal_slots *s = k->signal >= 0 ? &m->signals[k->signal].slots : NULL;
    switch (k->fact) {
    case FACT_COUNT: *ret = c->slot[s->count] * 1000; return true;
    case FACT_COUNT_STAGE: *ret = c->slot[s->count_visit] * 1000; return true;
    case FACT_COUNT_WINDOW: *ret = recent_count(m, k->signal, c, now - k->window_ms, now) * 1000; return true;
    case FACT_VISITS: *ret = c->slot[m->visits + k->stage] * 1000; return true;
    case FACT_SUM: *ret = c->slot[s->sum]; return true;
    case FACT_VALUE: *ret = c->slot[s->value]; return c->slot[s->value_at] != NEVER;
    case FACT_GAP:
        if (c->slot[s->previous] == NEVER)
            return false;
        *ret = c->slot[s->last] - c->slot[s->previous];
        return true;
    default: { // a duration
        int64_t base = base_of(m, k, c);
        if (base == NEVER)
            return false;
        *ret = now - base;
        return true;
    }
    }
}

static bool holds_compare(const struct model *m, const struct compare *k, const struct customer *c, int64_t now)
{
    int64_t v, former;
    switch (k->fact) {
    case FACT_MEAN: {
        const struct signal_slots *s = &m->signals[k->signal].slots;
        return c->slot[s->nvalues] > 0 &&
               compared(k->op, order_of(c->slot[s->sum], (wide)k->literal * c->slot[s->nvalues]));
    }
    case FACT_SCORE: {
        double score = score_at(m, c, now), literal = (double)k->literal / 1000.0;
        return compared(k->op, (score > literal) - (score < literal));
    }
    case FACT_TREND:
        v = trend_of(m, k, c, now, &former);
        return former > 0 && compared(k->op, order_of((wide)v * 100 * 1000, (wide)k->literal * former));
    default: return whole_fact(m, k, c, now, &v) && compared(k->op, order_of(v, k->literal));
    }
}

bool expr_fact(const struct model *m, const struct compare *k, const struct customer *c, int64_t now, int64_t *ret)
{
    int64_t of = 1, v;
    switch (k->fact) {
    case FACT_MEAN:
        v = c->slot[m->signals[k->signal].slots.sum];
        of = c->slot[m->signals[k->signal].slots.nvalues];
        break;
    case FACT_SCORE: v = (int64_t)(score_at(m, c, now) * 1000.0); break;
    case FACT_TREND: v = trend_of(m, k, c, now, &of) * 100 * 1000; break;
    default: return whole_fact(m, k, c, now, ret);
    }
    if (of > 0)
        *ret = v / of;
    return of > 0;
}

static int64_t earlier(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

// The first instant after `now` at which the comparison may change in silence.
static int64_t compare_changes(const struct model *m, const struct compare *k, const struct customer *c, int64_t now)
{
    switch (k->fact) {
    case FACT_SINCE:
    case FACT_IN_STAGE:
    case FACT_AGE: {
        int64_t base = base_of(m, k, c);
        if (base == NEVER || base + k->literal + 1 <= now)
            return NEVER;
        return base + k->literal > now ? base + k->literal : base + k->literal + 1;
    }
    case FACT_COUNT_WINDOW: return recent_ages(m, k->signal, c, now, k->window_ms);
    case FACT_TREND:
        return earlier(recent_ages(m, k->signal, c, now, k->window_ms),
                       recent_ages(m, k->signal, c, now, 2 * k->window_ms));
    case FACT_SCORE: {
        double literal = (double)k->literal / 1000.0;
        return earlier(score_falls(m, c, now, literal, false), score_falls(m, c, now, literal, true));
    }
    default: return NEVER;
    }
}

// ---- expressions

bool expr_holds(const struct model *m, int root, const struct customer *c, int64_t now)
{
    if (root == NONE)
        return true;
    const struct node *n = &m->nodes[root];
    switch (n->kind) {
    case NODE_AND: return expr_holds(m, n->a, c, now) && expr_holds(m, n->b, c, now);
    case NODE_OR: return expr_holds(m, n->a, c, now) || expr_holds(m, n->b, c, now);
    case NODE_NOT: return !expr_holds(m, n->a, c, now);
    default: return holds_compare(m, &n->c, c, now);
    }
}

static int64_t expr_changes(const struct model *m, int root, const struct customer *c, int64_t now)
{
    const struct node *n = &m->nodes[root];
    switch (n->kind) {
    case NODE_AND:
    case NODE_OR: return earlier(expr_changes(m, n->a, c, now), expr_changes(m, n->b, c, now));
    case NODE_NOT: return expr_changes(m, n->a, c, now);
    default: return compare_changes(m, &n->c, c, now);
    }
}

int64_t expr_holds_from(const struct model *m, int root, const struct customer *c, int64_t from)
{
    while (from != NEVER && !expr_holds(m, root, c, from))
        from = expr_changes(m, root, c, from);
    return from;
}
