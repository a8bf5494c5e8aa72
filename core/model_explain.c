// Nothing here is kept from the file: all words are made from the tables that the daemon runs, so that a
// reader sees what will happen and not what was meant.
#include "model_explain.h"

#include <assert.h>

enum { LABEL = 12 }; // width of the labels under a stage

static int done(const struct buffer *b)
{
    return b->failed ? ERR_NOMEM : 0;
}

// ---- expressions and conditions

static void duration(struct buffer *b, int64_t ms)
{
    char text[DURATION_TEXT_BYTES];
    buffer_put(b, text, format_duration(ms, text));
}

static void number(struct buffer *b, int64_t milli)
{
    char text[DECIMAL_TEXT_BYTES];
    size_t n = format_decimal(milli, text);
    if (n > 2 && memcmp(text + n - 2, ".0", 2) == 0)
        n -= 2;
    buffer_put(b, text, n);
}

static void compare_text(const struct model *m, const struct compare *c, struct buffer *b)
{
    static const char *const facts[] = {[FACT_COUNT] = "count",       [FACT_COUNT_WINDOW] = "count",
                                        [FACT_COUNT_STAGE] = "count", [FACT_SUM] = "sum",
                                        [FACT_MEAN] = "mean",         [FACT_VALUE] = "value",
                                        [FACT_SINCE] = "since",       [FACT_GAP] = "gap",
                                        [FACT_IN_STAGE] = "in_stage", [FACT_AGE] = "age",
                                        [FACT_VISITS] = "visits",     [FACT_SCORE] = "score",
                                        [FACT_TREND] = "trend"};
    static const char *const ops[] = {
        [OP_LT] = "<", [OP_LE] = "<=", [OP_GT] = ">", [OP_GE] = ">=", [OP_EQ] = "==", [OP_NE] = "!="};
    buffer_text(b, facts[c->fact]);
    if (c->signal != NONE || c->stage != NONE)
        buffer_printf(b, "(%s", c->signal != NONE ? m->signals[c->signal].name : m->stages[c->stage].name);
    if (c->fact == FACT_COUNT_STAGE)
        buffer_text(b, ", stage");
    if (c->fact == FACT_COUNT_WINDOW || c->fact == FACT_TREND) {
        buffer_text(b, ", ");
        duration(b, c->window_ms);
    }
    buffer_printf(b, "%s %s ", c->signal != NONE || c->stage != NONE ? ")" : "", ops[c->op]);
    if (c->fact == FACT_SINCE || c->fact == FACT_GAP || c->fact == FACT_IN_STAGE || c->fact == FACT_AGE)
        duration(b, c->literal);
    else
        number(b, c->literal);
}

// `binding` grows from `or` to `not`: what binds less than its surroundings needs parentheses.
static void node_text(const struct model *m, int root, int surroundings, struct buffer *b)
{
    enum { OR, AND, NOT, COMPARE };
    static const int bindings[] = {
        [NODE_OR] = OR, [NODE_AND] = AND, [NODE_NOT] = NOT, [NODE_COMPARE] = COMPARE};
    const struct node *n = &m->nodes[root];
    int binding = bindings[n->kind];
    if (binding < surroundings)
        buffer_byte(b, '(');
    if (n->kind == NODE_COMPARE) {
        compare_text(m, &n->c, b);
    } else if (n->kind == NODE_NOT) {
        buffer_text(b, "not ");
        node_text(m, n->a, binding, b);
    } else {
        node_text(m, n->a, binding, b);
        buffer_text(b, n->kind == NODE_AND ? " and " : " or ");
        node_text(m, n->b, binding, b);
    }
    if (binding < surroundings)
        buffer_byte(b, ')');
}

int expr_text(const struct model *m, int root, struct buffer *b)
{
    assert(root >= 0 && root < m->nnodes);
    node_text(m, root, 0, b);
    return done(b);
}

static void signal_names(const struct model *m, uint64_t signals, struct buffer *b)
{
    const char *joint = "";
    for (int i = 0; i < m->nsignals; i++) {
        if (!(signals >> i & 1))
            continue;
        buffer_printf(b, "%s%s", joint, m->signals[i].name);
        joint = " or ";
    }
}

int condition_text(const struct model *m, const struct condition *on, struct buffer *b)
{
    const char *joint = "";
    if (on->when) {
        buffer_text(b, "when ");
        signal_names(m, on->when, b);
        joint = ", ";
    }
    if (on->after_ms > 0) {
        buffer_printf(b, "%safter ", joint);
        duration(b, on->after_ms);
        buffer_text(b, " in the stage");
        joint = ", ";
    }
    if (on->quiet_ms != NONE) {
        buffer_printf(b, "%safter ", joint);
        duration(b, on->quiet_ms);
        buffer_printf(b, " without %s", on->quiet_of == NONE ? "any event" : m->signals[on->quiet_of].name);
        joint = ", ";
    }
    if (on->expr != NONE) {
        buffer_printf(b, "%sif ", joint);
        node_text(m, on->expr, 0, b);
        joint = ", ";
    }
    if (!*joint)
        buffer_text(b, "at once");
    return done(b);
}

// ---- stages

// Begins a line under a stage; the same label twice is printed once.
static void label(struct buffer *b, const char *text, bool again)
{
    buffer_printf(b, "  %-*s", LABEL, again ? "" : text);
}

static void words(struct buffer *b, const char *text)
{
    for (; *text; text++)
        buffer_byte(b, *text == '\n' ? ' ' : *text);
}

static void text_line(struct buffer *b, const char *name, const char *text)
{
    if (!text)
        return;
    label(b, name, false);
    words(b, text);
    buffer_byte(b, '\n');
}

static void list(struct buffer *b, const struct name_list *l, const char *joint)
{
    for (int i = 0; i < l->n; i++) {
        if (i > 0)
            buffer_text(b, joint);
        words(b, l->v[i]);
    }
}

static void list_line(struct buffer *b, const char *name, const struct name_list *l, const char *joint)
{
    if (l->n == 0)
        return;
    label(b, name, false);
    list(b, l, joint);
    buffer_byte(b, '\n');
}

static void stage_names(const struct model *m, uint64_t stages, struct buffer *b)
{
    const char *joint = "";
    for (int i = 0; i < m->nstages; i++) {
        if (!(stages >> i & 1))
            continue;
        buffer_printf(b, "%s%s", joint, m->stages[i].name);
        joint = ", ";
    }
}

static void explain_objective(const struct model *m, const struct stage *s, struct buffer *b)
{
    const struct objective *o = &s->objective;
    if (!o->name)
        return;
    label(b, "objective", false);
    buffer_printf(b, "%s: ", o->name);
    if (o->reach != NONE)
        buffer_printf(b, "reach %s", m->stages[o->reach].name);
    if (o->when)
        buffer_text(b, "when ");
    signal_names(m, o->when, b);
    if (o->within_ms != NEVER) {
        buffer_text(b, " within ");
        duration(b, o->within_ms);
    }
    buffer_byte(b, '\n');
}

static void explain_moves(const struct model *m, int stage, struct buffer *b)
{
    if (stage == 0) {
        label(b, "in", false);
        buffer_text(b, "new customers begin here\n");
    }
    int n = stage == 0;
    for (int i = 0; i < m->nrules; i++) {
        const struct rule *r = &m->rules[i];
        if (r->to != stage)
            continue;
        label(b, "in", n++);
        buffer_text(b, "from ");
        stage_names(m, r->from, b);
        buffer_printf(b, ": %s: ", r->name);
        condition_text(m, &r->on, b);
        buffer_byte(b, '\n');
    }
    n = 0;
    for (int i = 0; i < m->nrules; i++) {
        const struct rule *r = &m->rules[i];
        if (!(r->from >> stage & 1))
            continue;
        label(b, "out", n++);
        buffer_printf(b, "to %s: %s: ", m->stages[r->to].name, r->name);
        condition_text(m, &r->on, b);
        buffer_byte(b, '\n');
    }
}

static void explain_trigger(const struct model *m, const struct trigger *t, struct buffer *b)
{
    static const char *const onces[] = {
        [ONCE_VISIT] = "", [ONCE_EVER] = "; once ever", [ONCE_SPELL] = "; once a spell"};
    buffer_printf(b, "%s (%s): ", t->name, t->campaign);
    if (t->kind == TRIGGER_IN)
        condition_text(m, &t->on, b);
    else
        buffer_text(b, t->kind == TRIGGER_ENTER ? "on entry" : "on exit");
    if (t->other != NONE)
        buffer_printf(b, " %s %s", t->kind == TRIGGER_ENTER ? "from" : "to", m->stages[t->other].name);
    if (t->unless != NONE) {
        buffer_text(b, ", unless ");
        node_text(m, t->unless, 0, b);
    }
    buffer_text(b, onces[t->once]);
    if (t->channels.n > 0) {
        buffer_text(b, "; by ");
        list(b, &t->channels, ", ");
    }
    if (t->content) {
        buffer_text(b, "; content: ");
        words(b, t->content);
    }
    if (t->touch)
        buffer_printf(b, "; touch: %s", t->touch);
    buffer_byte(b, '\n');
}

static void explain_stage(const struct model *m, int i, struct buffer *b)
{
    const struct stage *s = &m->stages[i];
    buffer_printf(b, "\n%s\n", s->name);
    text_line(b, "purpose", s->purpose);
    text_line(b, "owner", s->owner);
    list_line(b, "channels", &s->channels, ", ");
    text_line(b, "message", s->message);
    list_line(b, "needs", &s->needs, "; ");
    list_line(b, "kpis", &s->kpis, "; ");
    explain_objective(m, s, b);
    explain_moves(m, i, b);
    int n = 0;
    for (int t = 0; t < m->ntriggers; t++) {
        if (m->triggers[t].stage != i)
            continue;
        label(b, "sends", n++);
        explain_trigger(m, &m->triggers[t], b);
    }
}

// ---- the whole

static int wider(int width, const char *name)
{
    int n = (int)strlen(name);
    return n > width ? n : width;
}

static void explain_rules(const struct model *m, struct buffer *b)
{
    int wide = wider(0, "transition"), stage = wider(0, "from");
    for (int i = 0; i < m->nrules; i++)
        wide = wider(wide, m->rules[i].name);
    for (int i = 0; i < m->nstages; i++)
        stage = wider(stage, m->stages[i].name);
    buffer_printf(b, "\nTransitions, tried in this order\n  %-*s  %-*s  %-*s  condition\n", wide, "transition", stage,
                  "from", stage, "to");
    for (int i = 0; i < m->nrules; i++) {
        const struct rule *r = &m->rules[i];
        int first = __builtin_ctzll(r->from); // further stages: a line with nothing else
        for (int s = 0; s < m->nstages; s++) {
            if (!(r->from >> s & 1))
                continue;
            buffer_printf(b, "  %-*s  ", wide, s == first ? r->name : "");
            if (s != first) {
                buffer_printf(b, "%s\n", m->stages[s].name);
                continue;
            }
            buffer_printf(b, "%-*s  %-*s  ", stage, m->stages[s].name, stage, m->stages[r->to].name);
            condition_text(m, &r->on, b);
            buffer_byte(b, '\n');
        }
    }
}

int model_explain(const struct model *m, struct buffer *b)
{
    buffer_printf(b, "%s, version %u: %d stages, %d transitions, %d triggers; %d numbers kept of a customer\n", m->name,
                  m->version, m->nstages, m->nrules, m->ntriggers, m->nslots);
    for (int i = 0; i < m->nstages; i++)
        explain_stage(m, i, b);
    if (m->ncaps > 0)
        buffer_text(b, "\nCaps\n");
    for (int i = 0; i < m->ncaps; i++) {
        const struct cap *c = &m->caps[i];
        buffer_printf(b, "  %s: at most %d in ", c->campaign ? c->campaign : "all campaigns together", c->max);
        duration(b, c->per_ms);
        buffer_byte(b, '\n');
    }
    if (m->nrules > 0)
        explain_rules(m, b);
    return done(b);
}

// ---- the diagram

static void quoted(struct buffer *b, const char *text, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (text[i] == '"' || text[i] == '\\')
            buffer_byte(b, '\\');
        buffer_byte(b, text[i] == '\n' ? ' ' : text[i]);
    }
}

static void dot_rule(const struct model *m, const struct rule *r, struct buffer *b)
{
    struct buffer text = {0};
    condition_text(m, &r->on, &text);
    for (int s = 0; s < m->nstages; s++) {
        if (!(r->from >> s & 1))
            continue;
        buffer_printf(b, "  \"%s\" -> \"%s\" [label=\"%s\\n", m->stages[s].name, m->stages[r->to].name, r->name);
        quoted(b, text.p, text.n);
        buffer_printf(b, "\"%s];\n", r->on.when ? "" : ", style=dashed");
    }
    b->failed |= text.failed;
    buffer_clear(&text);
}

int model_dot(const struct model *m, struct buffer *b)
{
    buffer_printf(b, "digraph \"%s\" {\n  rankdir=LR;\n  node [shape=box, style=rounded];\n", m->name);
    buffer_printf(b, "  \"\" [shape=point];\n  \"\" -> \"%s\";\n", m->stages[0].name);
    for (int i = 0; i < m->nstages; i++) {
        const struct stage *s = &m->stages[i];
        buffer_printf(b, "  \"%s\" [label=\"%s", s->name, s->name);
        if (s->owner) {
            buffer_text(b, "\\n");
            quoted(b, s->owner, strlen(s->owner));
        }
        buffer_text(b, "\"];\n");
    }
    for (int i = 0; i < m->nrules; i++)
        dot_rule(m, &m->rules[i], b);
    buffer_text(b, "}\n");
    return done(b);
}
