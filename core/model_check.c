// What can be said of a model without a single event: the graph of its stages and rules. Rules that would
// move a customer round and round at one instant are mistakes. The rest are warnings, and only sure ones: a
// rule or trigger that may come true in some odd history is left alone.
#include "model_private.h"

static uint64_t bit(int stage)
{
    return UINT64_C(1) << stage;
}

// ---- cycles of deadline rules

static bool expr_waits(const struct model *m, int root)
{
    if (root == NONE)
        return false;
    const struct node *n = &m->nodes[root];
    if (n->kind != NODE_COMPARE)
        return expr_waits(m, n->a) || expr_waits(m, n->b);
    return n->c.fact == FACT_SINCE || n->c.fact == FACT_IN_STAGE || n->c.fact == FACT_AGE;
}

static bool rule_waits(const struct model *m, const struct rule *r)
{
    return r->on.after_ms > 0 || r->on.quiet_ms != NONE || expr_waits(m, r->on.expr);
}

static bool in_graph(const struct model *m, const struct rule *r, bool instant)
{
    return !r->on.when && r->to != NONE && !(instant && rule_waits(m, r));
}

// reach[s]: the stages that deadline rules lead to from s, in one or more moves.
static void deadline_reach(const struct model *m, bool instant, uint64_t reach[static STAGES_MAX])
{
    memset(reach, 0, STAGES_MAX * sizeof(*reach));
    for (int i = 0; i < m->nrules; i++)
        for (int s = 0; s < m->nstages && in_graph(m, &m->rules[i], instant); s++)
            if (m->rules[i].from & bit(s))
                reach[s] |= bit(m->rules[i].to);
    for (int via = 0; via < m->nstages; via++)
        for (int s = 0; s < m->nstages; s++)
            if (reach[s] & bit(via))
                reach[s] |= reach[via];
}

static void report_cycle(struct compiler *k, bool instant, uint64_t stages)
{
    _cleanup_(buffer_clear) struct buffer names = {0};
    const struct rule *first = NULL;
    const struct model *m = k->m;
    for (int i = 0; i < m->nrules; i++) {
        const struct rule *r = &m->rules[i];
        if (!in_graph(m, r, instant) || !(r->from & stages) || !(stages & bit(r->to)))
            continue;
        buffer_printf(&names, "%s'%s'", first ? ", " : "", r->name ? r->name : "");
        if (!first)
            first = r;
    }
    assert(first);
    k->failed |= names.failed;
    if (instant)
        mistake(k, first,
                "the transitions %.*s lead round and round at one instant; make one of them wait: 'after', "
                "'quiet', or an 'if' with since, in_stage or age",
                (int)names.n, names.p);
    else
        warning(k, first,
                "the transitions %.*s lead round and round without an event; a silent customer rests after %d "
                "moves",
                (int)names.n, names.p, RESTING_MOVES);
}

void check_cycles(struct compiler *k)
{
    uint64_t reach[STAGES_MAX], reported = 0;
    for (int instant = 1; instant >= 0; instant--) {
        deadline_reach(k->m, instant, reach);
        for (int s = 0; s < k->m->nstages; s++) {
            uint64_t cycle = 0;
            for (int other = 0; other < k->m->nstages; other++)
                if ((reach[s] & bit(other)) && (reach[other] & bit(s)))
                    cycle |= bit(other);
            k->m->rests |= cycle != 0;
            if (cycle && !(cycle & reported))
                report_cycle(k, instant, cycle);
            reported |= cycle;
        }
    }
}

// ---- what can never happen

static uint64_t reachable(const struct model *m)
{
    uint64_t ret = bit(0), before;
    do {
        before = ret;
        for (int i = 0; i < m->nrules; i++)
            if (m->rules[i].from & ret)
                ret |= bit(m->rules[i].to);
    } while (ret != before);
    return ret;
}

// Whether some rule leads from one of these stages to that one.
static bool leads(const struct model *m, uint64_t from, int to)
{
    for (int i = 0; i < m->nrules; i++)
        if ((m->rules[i].from & from) && m->rules[i].to == to)
            return true;
    return false;
}

static bool leaves(const struct model *m, int stage)
{
    for (int i = 0; i < m->nrules; i++)
        if (m->rules[i].from & bit(stage))
            return true;
    return false;
}

// Whether `a`, having no other condition, holds whenever `b` holds, events aside.
static bool wider(const struct condition *a, const struct condition *b)
{
    bool quiet =
        a->quiet_ms == NONE || (b->quiet_ms != NONE && a->quiet_of == b->quiet_of && a->quiet_ms <= b->quiet_ms);
    return a->expr == NONE && a->after_ms <= b->after_ms && quiet;
}

// The earliest time in the stage at which a rule without any other condition leaves it; NEVER if there is
// none.
static int64_t sure_exit(const struct model *m, int stage)
{
    int64_t ret = NEVER;
    for (int i = 0; i < m->nrules && !m->rests; i++) { // resting rules do not leave
        const struct rule *r = &m->rules[i];
        int64_t after = r->on.after_ms > 0 ? r->on.after_ms : 1;
        if ((r->from & bit(stage)) && !r->on.when && r->on.quiet_ms == NONE && r->on.expr == NONE && after < ret)
            ret = after;
    }
    return ret;
}

// Whether rules before it always win where rule r could: in each of its stages, at each of its signals.
static bool never_wins(const struct model *m, const struct rule *r)
{
    for (int s = 0; s < m->nstages; s++) {
        if (!(r->from & bit(s)) || r->on.after_ms > sure_exit(m, s))
            continue;
        uint64_t open = r->on.when;
        bool beaten = false;
        for (const struct rule *e = m->rules; e < r && !beaten; e++) {
            if (!(e->from & bit(s)) || !e->on.when != !r->on.when || !wider(&e->on, &r->on))
                continue;
            open &= ~e->on.when;
            beaten = !open;
        }
        if (!beaten)
            return false;
    }
    return true;
}

static void check_trigger(struct compiler *k, const struct trigger *t, uint64_t reached)
{
    const struct model *m = k->m;
    const char *stage = m->stages[t->stage].name, *other = t->other == NONE ? NULL : m->stages[t->other].name;
    uint64_t from = t->other == NONE ? reached : reached & bit(t->other);
    int64_t exit = sure_exit(m, t->stage);
    char text[DURATION_TEXT_BYTES];
    if (t->kind == TRIGGER_ENTER && !leads(m, from, t->stage) && other)
        warning(k, t, "trigger '%s' never fires: no transition leads from '%s' to '%s'", t->name, other, stage);
    else if (t->kind == TRIGGER_ENTER && !leads(m, from, t->stage))
        warning(k, t, "trigger '%s' never fires: no transition leads to '%s'%s", t->name, stage,
                t->stage == 0 ? ", where new customers begin; use 'in' to greet them" : "");
    else if (!(reached & bit(t->stage)))
        warning(k, t, "trigger '%s' never fires: nobody gets to '%s'", t->name, stage);
    else if (t->kind == TRIGGER_EXIT && other && !leads(m, bit(t->stage), t->other))
        warning(k, t, "trigger '%s' never fires: no transition leads from '%s' to '%s'", t->name, stage, other);
    else if (t->kind == TRIGGER_EXIT && !leaves(m, t->stage))
        warning(k, t, "trigger '%s' never fires: no transition leaves '%s'", t->name, stage);
    else if (t->kind == TRIGGER_IN && (t->on.when ? t->on.after_ms > exit : t->on.after_ms >= exit)) {
        format_duration(exit, text);
        warning(k, t, "trigger '%s' never fires: every customer has left '%s' after %s", t->name, stage, text);
    }
}

void check_warnings(struct compiler *k)
{
    const struct model *m = k->m;
    uint64_t reached = reachable(m);
    for (int i = 0; i < m->nstages; i++) {
        const struct stage *s = &m->stages[i];
        const struct objective *o = &s->objective;
        if (!(reached & bit(i)))
            warning(k, s,
                    "nobody gets to stage '%s': no transition leads there from '%s'; add one, or remove the "
                    "stage",
                    s->name, m->stages[0].name);
        if (o->name && o->reach != NONE && !leads(m, bit(i), o->reach))
            warning(k, s, "objective '%s' is never met: no transition leads from '%s' to '%s'", o->name, s->name,
                    m->stages[o->reach].name);
    }
    for (int i = 0; i < m->nrules; i++)
        if ((m->rules[i].from & reached) && never_wins(m, &m->rules[i]))
            warning(k, &m->rules[i], "transition '%s' never wins: others always come first; move it up, or remove it",
                    m->rules[i].name);
    for (int i = 0; i < m->ntriggers; i++)
        check_trigger(k, &m->triggers[i], reached);
}
