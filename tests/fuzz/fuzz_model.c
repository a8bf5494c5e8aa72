// Any bytes as a model file: never a crash, mistakes exactly if there is no model, and a model whose every
// index is in range, since stepping trusts them.
#include "model_explain.h"

static void check(bool ok)
{
    if (!ok)
        abort();
}

static void check_stage(const struct model *m, int stage)
{
    check(stage >= 0 && stage < m->nstages);
}

static void check_nodes(const struct model *m)
{
    for (int i = 0; i < m->nnodes; i++) {
        const struct node *n = &m->nodes[i];
        check(n->a < i && n->b < i);
        check((n->a >= 0) == (n->kind != NODE_COMPARE));
        check((n->b >= 0) == (n->kind == NODE_AND || n->kind == NODE_OR));
        if (n->kind == NODE_COMPARE)
            check(n->c.signal < m->nsignals && n->c.stage < m->nstages);
    }
}

static void check_condition(const struct model *m, const struct condition *on)
{
    check(m->nsignals == 64 || !(on->when >> m->nsignals));
    check(on->expr < m->nnodes && on->quiet_of < m->nsignals && on->after_ms >= 0);
    if (on->quiet_of != NONE)
        check(m->signals[on->quiet_of].slots.last >= 0);
}

static void check_model(const struct model *m)
{
    check(m->name && m->version > 0 && m->nstages > 0 && m->nsignals > 0 && m->nslots >= m->nstages);
    check_nodes(m);
    for (int i = 0; i < m->nrules; i++) {
        check(m->rules[i].name && m->rules[i].from && !(m->rules[i].from >> m->rules[i].to & 1));
        check_stage(m, m->rules[i].to);
        check_condition(m, &m->rules[i].on);
    }
    for (int i = 0; i < m->ntriggers; i++) {
        const struct trigger *t = &m->triggers[i];
        check(t->name && t->campaign && t->other < m->nstages && t->unless < m->nnodes && t->cap < m->ncaps);
        check(t->bit < 64 && (t->bit >= 0) == (t->kind == TRIGGER_IN || t->once == ONCE_EVER));
        check_stage(m, t->stage);
        check_condition(m, &t->on);
    }
    for (int i = 0; i < m->nstages; i++) {
        const struct objective *o = &m->stages[i].objective;
        check(!o->name || (o->reach != NONE) == !o->when);
    }
    for (int i = 0; i < m->ncaps; i++)
        check(m->caps[i].max > 0 && m->caps[i].per_ms > 0 && m->caps[i].recent + m->caps[i].max < m->nslots);
    for (int i = 0; i < m->nmigrations; i++)
        check_stage(m, m->migrations[i].to);
    struct event e = {.type = {"purchase", 8}};
    check(m->nsignals == 64 || !(model_match(m, &e) >> m->nsignals));
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n);
int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
    struct diags d = {0};
    struct model *m = NULL;
    int r = model_load("m.yaml", (const char *)bytes, n, &m, &d);
    check(r >= 0 && (r == 0) == (m != NULL) && (r == 0) == (d.errors == 0));
    if (m) {
        check_model(m);
        struct buffer text = {0};
        check(model_explain(m, &text) == 0 && model_dot(m, &text) == 0);
        buffer_clear(&text);
    }
    diags_clear(&d);
    model_free(m);
    return 0;
}
