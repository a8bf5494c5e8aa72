// How it thinks: a customer at rest has one next deadline, `due`. Time passing fires deadlines in order until none is
// left before the limit. An event folds into the facts, may move the customer once, lets triggers and the objective
// look at it, and then fires whatever is due by its own instant. Both end by computing `due` again.
//
// At one instant: transitions before triggers before objectives, then file order.
#include "step.h"
#include "expr.h"
#include <assert.h>
#include <stdlib.h>

static int64_t later(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

// ---- effects

static struct effect *effect_add(struct effects *fx)
{
    if (fx->n == fx->cap) {
        size_t cap = fx->cap ? fx->cap * 2 : 16;
        struct effect *v = realloc(fx->v, cap * sizeof *v);
        if (!v)
            return NULL;
        fx->v = v;
        fx->cap = cap;
    }
    return &fx->v[fx->n++];
}

void effects_clear(struct effects *fx)
{
    free(fx->v);
    *fx = (struct effects){0};
}

// One stay in a stage, and what ends or colours it: what an effect carries beside the customer.
struct moment {
    int64_t at;
    int64_t entered;
    uint32_t visit;
    int16_t stage, rule, from, to;
    bool by_deadline;
};

static struct moment moment_here(const struct model *m, const struct customer *c, int64_t at, bool by_deadline)
{
    return (struct moment){.at = at, .entered = c->entered, .visit = (uint32_t)c->slot[m->visits + c->stage],
                           .stage = (int16_t)c->stage, .rule = NONE, .from = NONE, .to = NONE,
                           .by_deadline = by_deadline};
}

static int emit(struct customer *c, enum effect_kind kind, int trigger, bool capped, const struct moment *mo,
                struct effects *fx)
{
    struct effect *e = effect_add(fx);
    if (!e)
        return ERR_NOMEM;
    *e = (struct effect){.kind = (uint8_t)kind, .by_deadline = mo->by_deadline, .capped = capped, .rule = mo->rule,
                         .trigger = (int16_t)trigger, .from = mo->from, .to = mo->to, .stage = mo->stage,
                         .visit = mo->visit, .ordinal = ++c->ordinal, .at = mo->at, .entered = mo->entered};
    return 0;
}

// ---- recent times: slot `at` counts, the slots behind it hold times, latest first, at most max

static void recent_add(struct customer *c, int at, int max, int64_t t)
{
    int64_t n = c->slot[at], *v = &c->slot[at + 1];
    if (n == max && t <= v[n - 1])
        return; // older than all that are kept
    int64_t i = n < max ? n : n - 1;
    c->slot[at] = i + 1;
    for (; i > 0 && v[i - 1] < t; i--)
        v[i] = v[i - 1];
    v[i] = t;
}

// ---- caps

static bool cap_allows(const struct model *m, int cap, const struct customer *c, int64_t now)
{
    if (cap == NONE)
        return true;
    const struct cap *k = &m->caps[cap];
    const int64_t *v = &c->slot[k->recent + 1];
    int64_t n = c->slot[k->recent];
    return n < k->max || v[k->max - 1] <= now - k->per_ms;
}

static void cap_take(const struct model *m, int cap, struct customer *c, int64_t now)
{
    if (cap != NONE)
        recent_add(c, m->caps[cap].recent, m->caps[cap].max, now);
}

// Emits a trigger unless its `once` or `unless` forbids; `silent` is what `unless` said.
static int fire_trigger(const struct model *m, struct customer *c, int index, bool silent, const struct moment *mo,
                        struct effects *fx)
{
    const struct trigger *t = &m->triggers[index];
    if (t->once == ONCE_EVER) {
        if (c->ever >> t->bit & 1)
            return 0;
        c->ever |= UINT64_C(1) << t->bit;
    }
    if (silent) {
        fx->silenced++;
        return 0;
    }
    bool allowed = cap_allows(m, t->cap, c, mo->at) && cap_allows(m, m->cap_all, c, mo->at);
    if (allowed) {
        cap_take(m, t->cap, c, mo->at);
        cap_take(m, m->cap_all, c, mo->at);
    }
    return emit(c, EFFECT_TRIGGER, index, !allowed, mo, fx);
}

static bool silenced(const struct model *m, const struct trigger *t, const struct customer *c, int64_t at)
{
    return t->unless != NONE && expr_holds(m, t->unless, c, at);
}

// ---- deadlines

static int64_t quiet_since(const struct model *m, const struct condition *on, const struct customer *c)
{
    if (on->quiet_of == NONE)
        return c->last;
    int64_t last = c->slot[m->signals[on->quiet_of].slots.last];
    return last == NEVER ? c->first : last;
}

int64_t step_condition(const struct model *m, const struct condition *on, const struct customer *c, int64_t from)
{
    int64_t at = later(from, c->entered + on->after_ms);
    if (on->quiet_ms != NONE)
        at = later(at, quiet_since(m, on, c) + on->quiet_ms);
    return expr_holds_from(m, on->expr, c, at);
}

static bool condition_holds(const struct model *m, const struct condition *on, const struct customer *c, int64_t now)
{
    return now >= c->entered + on->after_ms && (on->quiet_ms == NONE || now >= quiet_since(m, on, c) + on->quiet_ms) &&
           expr_holds(m, on->expr, c, now);
}

static bool trigger_spent(const struct trigger *t, const struct customer *c)
{
    return (t->once == ONCE_EVER ? c->ever : c->spent) >> t->bit & 1;
}

static void sooner(struct due *best, int64_t at, enum due_kind kind, int index)
{
    if (at < best->at)
        *best = (struct due){.at = at, .kind = (uint8_t)kind, .index = (int16_t)index};
}

struct due step_next(const struct model *m, const struct customer *c)
{
    const struct stage *s = &m->stages[c->stage];
    struct due best = {.at = NEVER};
    for (int i = 0; i < s->ndeadline_rules && (!m->rests || c->moves < RESTING_MOVES); i++) {
        int r = s->deadline_rules[i];
        sooner(&best, step_condition(m, &m->rules[r].on, c, later(c->clock, c->entered + 1)), DUE_RULE, r);
    }
    for (int i = 0; i < s->ndeadline_triggers; i++) {
        int t = s->deadline_triggers[i];
        if (!trigger_spent(&m->triggers[t], c))
            sooner(&best, step_condition(m, &m->triggers[t].on, c, c->clock), DUE_TRIGGER, t);
    }
    if (s->objective.name && s->objective.within_ms != NEVER && !c->objective_done)
        sooner(&best, later(c->clock, c->entered + s->objective.within_ms), DUE_MISSED, NONE);
    return best;
}

void step_due(const struct model *m, struct customer *c)
{
    c->due = step_next(m, c).at;
}

// ---- moves

static void visit_begin(const struct model *m, struct customer *c, int stage, int64_t at)
{
    c->stage = (uint16_t)stage;
    c->entered = at;
    c->spent = 0;
    c->objective_done = false;
    c->slot[m->visits + stage]++;
    for (int i = 0; i < m->nsignals; i++)
        if (m->signals[i].slots.count_visit != NONE)
            c->slot[m->signals[i].slots.count_visit] = 0;
}

static bool objective_in_time(const struct objective *o, int64_t entered, int64_t at)
{
    return o->within_ms == NEVER || at <= entered + o->within_ms;
}

// The left stage's objective, when its visit ends: met by the stage reached or by this event's signals, else missed.
static int leave_objective(const struct model *m, struct customer *c, bool done, int to, uint64_t signals,
                           const struct moment *left, struct effects *fx)
{
    const struct objective *o = &m->stages[left->stage].objective;
    if (!o->name || done)
        return 0;
    bool met = (o->reach == to || (o->when & signals)) && objective_in_time(o, left->entered, left->at);
    if (!met && o->within_ms == NEVER)
        return 0; // without a time to meet it by, nothing is missed
    return emit(c, met ? EFFECT_MET : EFFECT_MISSED, NONE, false, left, fx);
}

// The transition, then `exit` triggers, then `enter` triggers, then the left stage's objective.
static int move(const struct model *m, struct customer *c, int rule, uint64_t signals, int64_t at, bool by_deadline,
                struct effects *fx)
{
    struct moment left = moment_here(m, c, at, by_deadline);
    bool done = c->objective_done;
    int from = c->stage, to = m->rules[rule].to, r;
    uint64_t silent[TRIGGERS_MAX / 64] = {0}; // `unless` of exit triggers looks at the visit being left
    for (int i = 0; i < m->ntriggers; i++)
        if (m->triggers[i].kind == TRIGGER_EXIT && m->triggers[i].stage == from && silenced(m, &m->triggers[i], c, at))
            silent[i / 64] |= UINT64_C(1) << (i % 64);
    visit_begin(m, c, to, at);
    struct moment entry = moment_here(m, c, at, by_deadline);
    entry.rule = left.rule = (int16_t)rule;
    entry.from = left.from = (int16_t)from;
    entry.to = left.to = (int16_t)to;
    if ((r = emit(c, EFFECT_TRANSITION, NONE, false, &entry, fx)))
        return r;
    for (int i = 0; i < m->ntriggers; i++) {
        const struct trigger *t = &m->triggers[i];
        if (t->kind == TRIGGER_EXIT && t->stage == from && (t->other == NONE || t->other == to) &&
            (r = fire_trigger(m, c, i, silent[i / 64] >> (i % 64) & 1, &left, fx)))
            return r;
    }
    for (int i = 0; i < m->ntriggers; i++) {
        const struct trigger *t = &m->triggers[i];
        if (t->kind == TRIGGER_ENTER && t->stage == to && (t->other == NONE || t->other == from) &&
            (r = fire_trigger(m, c, i, silenced(m, t, c, at), &entry, fx)))
            return r;
    }
    return leave_objective(m, c, done, to, signals, &left, fx);
}

static int fire_in_trigger(const struct model *m, struct customer *c, int index, bool by_deadline, struct effects *fx)
{
    const struct trigger *t = &m->triggers[index];
    struct moment here = moment_here(m, c, c->clock, by_deadline);
    if (t->once != ONCE_EVER)
        c->spent |= UINT64_C(1) << t->bit;
    return fire_trigger(m, c, index, silenced(m, t, c, c->clock), &here, fx);
}

// Fires deadlines up to `upto` (inclusive) and leaves c->due up to date.
static int fire_due(const struct model *m, struct customer *c, int64_t upto, struct effects *fx)
{
    for (;;) {
        struct due d = step_next(m, c);
        c->due = d.at;
        if (d.at > upto || d.at == NEVER)
            return 0;
        assert(d.at >= c->clock);
        c->clock = d.at;
        int r;
        if (d.kind == DUE_RULE) {
            if (m->rests && ++c->moves == RESTING_MOVES)
                fx->rests++;
            r = move(m, c, d.index, 0, d.at, true, fx);
        } else if (d.kind == DUE_TRIGGER) {
            r = fire_in_trigger(m, c, d.index, true, fx);
        } else {
            struct moment here = moment_here(m, c, d.at, true);
            c->objective_done = true;
            r = emit(c, EFFECT_MISSED, NONE, false, &here, fx);
        }
        if (r)
            return r;
    }
}

int step_time(const struct model *m, struct customer *c, int64_t before, struct effects *fx)
{
    return c->due < before ? fire_due(m, c, before - 1, fx) : 0;
}

int64_t step_before(const struct customer *c, int64_t t, int64_t partition_clock)
{
    return later(later(t, c->clock), partition_clock);
}

// ---- an event

static int64_t saturating_add(int64_t a, int64_t b)
{
    int64_t sum;
    if (__builtin_add_overflow(a, b, &sum))
        return b > 0 ? INT64_MAX - 1 : INT64_MIN + 1;
    return sum;
}

static void fold_value(const struct signal_slots *s, struct customer *c, int64_t t, int64_t milli)
{
    if (s->sum != NONE)
        c->slot[s->sum] = saturating_add(c->slot[s->sum], milli);
    if (s->nvalues != NONE)
        c->slot[s->nvalues]++;
    if (s->value != NONE && (c->slot[s->value_at] == NEVER || t >= c->slot[s->value_at])) {
        c->slot[s->value] = milli;
        c->slot[s->value_at] = t;
    }
}

static void fold_times(const struct signal_slots *s, struct customer *c, int64_t t)
{
    if (s->recent != NONE)
        recent_add(c, s->recent, s->recent_max, t);
    if (s->last == NONE)
        return;
    int64_t last = c->slot[s->last];
    if (last == NEVER || t > last) {
        if (s->previous != NONE)
            c->slot[s->previous] = last;
        c->slot[s->last] = t;
    } else if (s->previous != NONE && (c->slot[s->previous] == NEVER || t > c->slot[s->previous])) {
        c->slot[s->previous] = t;
    }
}

// Source: E = sum of weights, each halved every half_life since its event, kept as one number at its latest event.
static void fold_score(const struct model *m, struct customer *c, int64_t t, double weight)
{
    if (weight == 0)
        return;
    if (c->energy == 0) {
        c->energy = weight;
        c->energy_at = t;
    } else if (t >= c->energy_at) {
        c->energy = c->energy * exp2_neg(-(double)(t - c->energy_at) / m->half_life_ms) + weight;
        c->energy_at = t;
    } else {
        c->energy += weight * exp2_neg(-(double)(c->energy_at - t) / m->half_life_ms);
    }
}

static void fold(const struct model *m, struct customer *c, int64_t t, const int64_t *value_milli, uint64_t signals)
{
    double weight = 0;
    c->first = t < c->first ? t : c->first;
    c->last = later(t, c->last);
    c->moves = 0;
    for (uint64_t left = signals; left; left &= left - 1) {
        const struct signal *s = &m->signals[__builtin_ctzll(left)];
        if (s->slots.count != NONE)
            c->slot[s->slots.count]++;
        if (s->slots.count_visit != NONE)
            c->slot[s->slots.count_visit]++;
        if (value_milli)
            fold_value(&s->slots, c, t, *value_milli);
        fold_times(&s->slots, c, t);
        weight += s->weight;
    }
    if (m->has_score)
        fold_score(m, c, t, weight);
}

static int event_rule(const struct model *m, const struct customer *c, uint64_t signals)
{
    const struct stage *s = &m->stages[c->stage];
    for (int i = 0; i < s->nevent_rules; i++) {
        const struct rule *r = &m->rules[s->event_rules[i]];
        if ((r->on.when & signals) && condition_holds(m, &r->on, c, c->clock))
            return s->event_rules[i];
    }
    return NONE;
}

static int meet_objective(const struct model *m, struct customer *c, uint64_t signals, struct effects *fx)
{
    const struct objective *o = &m->stages[c->stage].objective;
    if (!o->name || c->objective_done || !(o->when & signals) || !objective_in_time(o, c->entered, c->clock))
        return 0;
    struct moment here = moment_here(m, c, c->clock, false);
    c->objective_done = true;
    return emit(c, EFFECT_MET, NONE, false, &here, fx);
}

// An event after which `quiet` does not hold arms a trigger `once: spell` again.
static void rearm(const struct model *m, struct customer *c)
{
    const struct stage *s = &m->stages[c->stage];
    for (int i = 0; i < s->nspell_triggers; i++) {
        const struct trigger *t = &m->triggers[s->spell_triggers[i]];
        if (c->clock < quiet_since(m, &t->on, c) + t->on.quiet_ms)
            c->spent &= ~(UINT64_C(1) << t->bit);
    }
}

int step_event(const struct model *m, struct customer *c, bool created, int64_t t, const int64_t *value_milli,
               uint64_t signals, struct effects *fx, bool *ret_late)
{
    assert(signals);
    int r;
    if (created)
        customer_create(m, c, t);
    *ret_late = t < c->clock;
    c->clock = later(t, c->clock);
    fold(m, c, t, value_milli, signals);
    int rule = event_rule(m, c, signals);
    if (rule != NONE)
        r = move(m, c, rule, signals, c->clock, false, fx);
    else
        r = meet_objective(m, c, signals, fx);
    if (r)
        return r;
    rearm(m, c);
    const struct stage *s = &m->stages[c->stage];
    for (int i = 0; i < s->nevent_triggers; i++) {
        const struct trigger *k = &m->triggers[s->event_triggers[i]];
        if ((k->on.when & signals) && !trigger_spent(k, c) && condition_holds(m, &k->on, c, c->clock) &&
            (r = fire_in_trigger(m, c, s->event_triggers[i], false, fx)))
            return r;
    }
    return fire_due(m, c, c->clock, fx);
}
