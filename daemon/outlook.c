// Nothing here decides anything: what an event would do is tried on a copy of the customer, by the code that
// steps the real one, and instants come from where the daemon takes its deadlines from.
#include "outlook.h"

#include <stdlib.h>
#include <string.h>

#include "cleanup.h"
#include "expr.h"

struct trial { // one event of each signal, tried
    const struct model *m;
    const struct customer *c;
    int64_t now;
    struct customer *copy;
    struct effects fx;
};

static void trial_clear(struct trial *t)
{
    free(t->copy);
    effects_clear(&t->fx);
}

static int try_event(struct trial *t, int signal)
{
    bool late;
    memcpy(t->copy, t->c, customer_bytes(t->m));
    t->fx.n = 0;
    return step_event(t->m, t->copy, false, t->now, NULL, UINT64_C(1) << signal, &t->fx, &late);
}

// What the event itself did: its transition, or (trigger >= 0) that trigger; NULL: none.
static const struct effect *effect_of(const struct trial *t, int trigger)
{
    for (size_t i = 0; i < t->fx.n; i++) {
        const struct effect *e = &t->fx.v[i];
        if (!e->by_deadline && e->kind == (trigger < 0 ? EFFECT_TRANSITION : EFFECT_TRIGGER) &&
            (trigger < 0 || e->trigger == trigger))
            return e;
    }
    return NULL;
}

static bool looks_at_value(const struct model *m, int root, int signal)
{
    if (root == NONE)
        return false;
    const struct node *n = &m->nodes[root];
    if (n->kind != NODE_COMPARE)
        return looks_at_value(m, n->a, signal) || (n->kind != NODE_NOT && looks_at_value(m, n->b, signal));
    return n->c.signal == signal && (n->c.fact == FACT_SUM || n->c.fact == FACT_MEAN || n->c.fact == FACT_VALUE);
}

static void judge(const struct trial *t, uint64_t bit, struct outlook *o)
{
    const struct effect *move = effect_of(t, NONE);
    const struct trigger *k = o->kind == OUTLOOK_TRIGGER ? &t->m->triggers[o->index] : NULL;
    const struct effect *sent = k ? effect_of(t, o->index) : NULL;
    if (!k && move && move->rule == o->index) {
        o->moves |= bit;
    } else if (sent) {
        *(sent->capped ? &o->capped_by : &o->moves) |= bit;
    } else if (move) {
        o->other = o->overtaken ? o->other : move->rule;
        o->overtaken |= bit;
    } else if (k && (k->once == ONCE_EVER ? t->copy->ever : t->copy->spent) >> k->bit & 1) {
        o->silent_by |= bit;
    }
}

// What one event of each of the signals would do.
static int try_signals(struct trial *t, struct outlook *o)
{
    int unless = o->kind == OUTLOOK_TRIGGER ? t->m->triggers[o->index].unless : NONE;
    for (int s = 0; s < t->m->nsignals; s++) {
        uint64_t bit = UINT64_C(1) << s;
        if (!(o->on->when & bit))
            continue;
        if (looks_at_value(t->m, o->on->expr, s) || looks_at_value(t->m, unless, s)) {
            o->by_value |= bit;
            continue;
        }
        int r = try_event(t, s);
        if (r)
            return r;
        judge(t, bit, o);
    }
    return 0;
}

// ---- by time alone

static bool cap_full(const struct model *m, int cap, const struct customer *c, int64_t at)
{
    if (cap == NONE)
        return false;
    const struct cap *k = &m->caps[cap];
    return c->slot[k->recent] >= k->max && c->slot[k->recent + k->max] > at - k->per_ms;
}

static struct outlook of_rule(const struct trial *t, int index)
{
    const struct rule *r = &t->m->rules[index];
    int64_t from = t->c->clock > t->c->entered ? t->c->clock : t->c->entered + 1;
    struct outlook o = {
        .kind = OUTLOOK_RULE, .index = (int16_t)index, .on = &r->on, .at = NEVER, .other = NONE};
    if (r->on.when)
        return o;
    o.at = step_condition(t->m, &r->on, t->c, from);
    o.resting = t->m->rests && t->c->moves >= RESTING_MOVES;
    return o;
}

static struct outlook of_trigger(const struct trial *t, int index)
{
    const struct trigger *k = &t->m->triggers[index];
    struct outlook o = {
        .kind = OUTLOOK_TRIGGER, .index = (int16_t)index, .on = &k->on, .at = NEVER, .other = NONE};
    o.over = (k->once == ONCE_EVER ? t->c->ever : t->c->spent) >> k->bit & 1;
    if (k->on.when || o.over)
        return o;
    o.at = step_condition(t->m, &k->on, t->c, t->c->clock);
    if (o.at != NEVER) {
        o.silent = k->unless != NONE && expr_holds(t->m, k->unless, t->c, o.at);
        o.capped = cap_full(t->m, k->cap, t->c, o.at) || cap_full(t->m, t->m->cap_all, t->c, o.at);
    }
    return o;
}

static struct outlook of_objective(const struct trial *t)
{
    const struct objective *g = &t->m->stages[t->c->stage].objective;
    return (struct outlook){.kind = OUTLOOK_OBJECTIVE,
                            .index = (int16_t)t->c->stage,
                            .other = NONE,
                            .over = t->c->objective_done,
                            .at = g->within_ms == NEVER ? NEVER : t->c->entered + g->within_ms};
}

int outlook_each(const struct model *m, const struct customer *c, int64_t now,
                 void (*each)(void *arg, const struct outlook *o), void *arg)
{
    _cleanup_(trial_clear) struct trial t = {.m = m, .c = c, .now = now, .copy = malloc(customer_bytes(m))};
    int r = t.copy ? 0 : ERR_NOMEM;
    for (int i = 0; i < m->nrules + m->ntriggers && r == 0; i++) {
        bool rule = i < m->nrules;
        int index = rule ? i : i - m->nrules;
        if (rule ? !(m->rules[index].from >> c->stage & 1)
                 : m->triggers[index].kind != TRIGGER_IN || m->triggers[index].stage != c->stage)
            continue;
        struct outlook o = rule ? of_rule(&t, index) : of_trigger(&t, index);
        if (o.on->when && !o.over)
            r = try_signals(&t, &o);
        if (r == 0)
            each(arg, &o);
    }
    if (r == 0 && m->stages[c->stage].objective.name) {
        struct outlook o = of_objective(&t);
        each(arg, &o);
    }
    return r;
}

// ---- what a condition needs

static void facts(const struct model *m, int root, bool negated, const struct customer *c, int64_t now,
                  void (*each)(void *arg, const struct need *n), void *arg)
{
    const struct node *n = &m->nodes[root];
    if (n->kind != NODE_COMPARE) {
        facts(m, n->a, negated != (n->kind == NODE_NOT), c, now, each, arg);
        if (n->kind != NODE_NOT)
            facts(m, n->b, negated, c, now, each, arg);
        return;
    }
    struct need need = {.kind = NEED_FACT, .negated = negated, .node = (int16_t)root};
    need.holds = expr_holds(m, root, c, now) != negated;
    need.known = expr_fact(m, &n->c, c, now, &need.value);
    each(arg, &need);
}

// A customer that never had one counts from its first event.
static int64_t quiet_since(const struct model *m, const struct condition *on, const struct customer *c)
{
    int64_t last = on->quiet_of == NONE ? c->last : c->slot[m->signals[on->quiet_of].slots.last];
    return last == NEVER ? c->first : last;
}

void outlook_facts(const struct model *m, int root, const struct customer *c, int64_t now,
                   void (*each)(void *arg, const struct need *n), void *arg)
{
    if (root != NONE)
        facts(m, root, false, c, now, each, arg);
}

void outlook_needs(const struct model *m, const struct condition *on, const struct customer *c, int64_t now,
                   void (*each)(void *arg, const struct need *n), void *arg)
{
    if (on->after_ms > 0) {
        struct need n = {.kind = NEED_AFTER, .known = true, .value = now - c->entered};
        n.holds = n.value >= on->after_ms;
        each(arg, &n);
    }
    if (on->quiet_ms != NONE) {
        struct need n = {.kind = NEED_QUIET, .known = true, .value = now - quiet_since(m, on, c)};
        n.holds = n.value >= on->quiet_ms;
        each(arg, &n);
    }
    outlook_facts(m, on->expr, c, now, each, arg);
}
