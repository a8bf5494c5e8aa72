// Stages with what they carry, the migrations of stages that are gone, and, once everything is known, the
// list of what can happen in each stage: stepping a customer looks at nothing else.
#include "model_private.h"

static void read_objective(struct compiler *k, int stage, const struct yaml_node *n)
{
    static const char *const keys[] = {"name", "when", "reach", "within", NULL};
    if (!n || !read_map(k, n, "an objective", keys))
        return;
    struct objective *o = &k->m->stages[stage].objective;
    const struct yaml_node *when = yaml_get(n, "when"), *reach = yaml_get(n, "reach"), *within = yaml_get(n, "within");
    o->name = read_name(k, yaml_get(n, "name"), n, "the objective's name");
    if (!when == !reach)
        mistake(k, n, "the objective has %s; give it either the stage to 'reach' or a signal in 'when'",
                when ? "both 'when' and 'reach'" : "neither 'when' nor 'reach'");
    o->when = read_signals(k, when);
    if (reach)
        o->reach = (int16_t)read_stage(k, reach);
    if (o->reach == stage)
        mistake(k, reach, "the objective is to reach its own stage; name another");
    if (read_duration(k, within, "'within'", &o->within_ms) && o->within_ms == 0)
        mistake(k, within, "the objective's time is 0; it should be longer");
}

static void read_stage_map(struct compiler *k, int i, const struct yaml_node *n)
{
    static const char *const keys[] = {"owner", "channels", "purpose",   "message",
                                       "needs", "kpis",     "objective", NULL};
    struct stage *s = &k->m->stages[i];
    if (yaml_is_null(n) || !read_map(k, n, "a stage", keys))
        return;
    s->owner = read_text(k, yaml_get(n, "owner"), "'owner'");
    s->purpose = read_text(k, yaml_get(n, "purpose"), "'purpose'");
    s->message = read_text(k, yaml_get(n, "message"), "'message'");
    s->channels = read_texts(k, yaml_get(n, "channels"), "'channels'");
    s->needs = read_texts(k, yaml_get(n, "needs"), "'needs'");
    s->kpis = read_texts(k, yaml_get(n, "kpis"), "'kpis'");
    read_objective(k, i, yaml_get(n, "objective"));
}

void compile_stages(struct compiler *k, const struct yaml_node *n)
{
    struct model *m = k->m;
    if (n->kind != YAML_MAP || n->n == 0) {
        mistake(k, n, "'stages' names no stage; it should be a map, such as 'prospect: {owner: acquisition}'");
        return;
    }
    if (n->n > STAGES_MAX)
        mistake(k, n->keys[STAGES_MAX], "there are %zu stages; a model has at most %d", n->n, STAGES_MAX);
    int count = n->n < STAGES_MAX ? (int)n->n : STAGES_MAX;
    m->stages = take(k, (size_t)count, sizeof(*m->stages));
    if (k->failed)
        return;
    for (m->nstages = 0; m->nstages < count; m->nstages++) {
        const struct yaml_node *key = n->keys[m->nstages];
        check_name(k, key, "the stage");
        m->stages[m->nstages] = (struct stage){.name = key->text,
                                               .line = key->line,
                                               .column = key->column,
                                               .objective = {.reach = NONE, .within_ms = NEVER}};
    }
    for (int i = 0; i < count; i++) // an objective can name a later stage
        read_stage_map(k, i, n->items[i]);
}

void compile_migrations(struct compiler *k, const struct yaml_node *n)
{
    if (n->kind != YAML_MAP) {
        mistake(k, n, "'migrate' is no map; write 'former stage: stage of this version'");
        return;
    }
    struct migration *v = take(k, n->n, sizeof(*v));
    for (size_t i = 0; v && i < n->n; i++) {
        const struct yaml_node *from = n->keys[i];
        check_name(k, from, "the former stage");
        if (model_stage(k->m, from->text, strlen(from->text)) != NONE)
            mistake(k, from, "stage '%.80s' still exists, so nobody leaves it by a migration; remove this line",
                    from->text);
        v[i] = (struct migration){from->text, (int16_t)read_stage(k, n->items[i])};
    }
    k->m->migrations = v;
    k->m->nmigrations = v ? (int)n->n : 0;
}

// ---- what can happen in a stage

static bool is_event_rule(const struct model *m, int i, int stage)
{
    return (m->rules[i].from >> stage & 1) && m->rules[i].on.when;
}

static bool is_deadline_rule(const struct model *m, int i, int stage)
{
    return (m->rules[i].from >> stage & 1) && !m->rules[i].on.when;
}

static bool is_event_trigger(const struct model *m, int i, int stage)
{
    const struct trigger *t = &m->triggers[i];
    return t->kind == TRIGGER_IN && t->stage == stage && t->on.when;
}

static bool is_deadline_trigger(const struct model *m, int i, int stage)
{
    const struct trigger *t = &m->triggers[i];
    return t->kind == TRIGGER_IN && t->stage == stage && !t->on.when;
}

static bool is_spell_trigger(const struct model *m, int i, int stage)
{
    const struct trigger *t = &m->triggers[i];
    return t->kind == TRIGGER_IN && t->stage == stage && t->once == ONCE_SPELL;
}

static const int16_t *collect(struct compiler *k, int stage, int n,
                              bool (*belongs)(const struct model *m, int i, int stage), int *ret_n)
{
    int count = 0;
    for (int i = 0; i < n; i++)
        count += belongs(k->m, i, stage);
    int16_t *v = take(k, (size_t)count, sizeof(*v));
    if (!v)
        return NULL;
    for (int i = 0; i < n; i++)
        if (belongs(k->m, i, stage))
            v[(*ret_n)++] = (int16_t)i;
    return v;
}

void index_stages(struct compiler *k)
{
    const struct model *m = k->m;
    for (int i = 0; i < m->nstages; i++) {
        struct stage *s = &m->stages[i];
        s->event_rules = collect(k, i, m->nrules, is_event_rule, &s->nevent_rules);
        s->deadline_rules = collect(k, i, m->nrules, is_deadline_rule, &s->ndeadline_rules);
        s->event_triggers = collect(k, i, m->ntriggers, is_event_trigger, &s->nevent_triggers);
        s->deadline_triggers = collect(k, i, m->ntriggers, is_deadline_trigger, &s->ndeadline_triggers);
        s->spell_triggers = collect(k, i, m->ntriggers, is_spell_trigger, &s->nspell_triggers);
    }
}
