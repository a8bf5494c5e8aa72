// Rules, triggers and caps: what moves a customer, what is said then, and how often.
#include "model_private.h"

// ---- what rules and `in` triggers share

static void read_quiet(struct compiler *k, const struct yaml_node *n, struct condition *on)
{
    static const char *const keys[] = {"of", "for", NULL};
    if (!n)
        return;
    const struct yaml_node *time = n;
    if (n->kind == YAML_MAP) {
        if (!read_map(k, n, "'quiet'", keys))
            return;
        time = yaml_get(n, "for");
        on->quiet_of = (int16_t)(yaml_get(n, "of") ? read_signal(k, yaml_get(n, "of")) : NONE);
        if (on->quiet_of != NONE)
            k->use[on->quiet_of].last = true;
        if (!time)
            mistake(k, n, "'quiet' has no 'for'; add how long, such as {of: purchase, for: 30d}");
    }
    if (read_duration(k, time, "'quiet'", &on->quiet_ms) && on->quiet_ms == 0)
        mistake(k, time, "'quiet' is 0; it should be longer");
}

static const struct condition no_condition = {.quiet_ms = NONE, .quiet_of = NONE, .expr = NONE};

static struct condition read_condition(struct compiler *k, const struct yaml_node *n)
{
    struct condition on = no_condition;
    on.when = read_signals(k, yaml_get(n, "when"));
    read_duration(k, yaml_get(n, "after"), "'after'", &on.after_ms);
    read_quiet(k, yaml_get(n, "quiet"), &on);
    on.expr = (int16_t)expr_parse(k, yaml_get(n, "if"));
    return on;
}

static bool has_condition(const struct yaml_node *n)
{
    return yaml_get(n, "when") || yaml_get(n, "after") || yaml_get(n, "quiet") || yaml_get(n, "if");
}

static const char *read_own_name(struct compiler *k, const struct yaml_node *n, const char *what)
{
    char name[32];
    snprintf(name, sizeof(name), "the %s's name", what);
    return read_name(k, yaml_get(n, "name"), n, name);
}

static void check_list(struct compiler *k, const struct yaml_node *n, const char *what, int max)
{
    if (n->kind != YAML_LIST)
        mistake(k, n, "'%ss' is no list; write each %s as an item, '- {name: NAME, ...}'", what, what);
    else if (n->n > (size_t)max)
        mistake(k, n->items[max], "there are %zu %ss; a model has at most %d", n->n, what, max);
}

// ---- rules

static void read_rule(struct compiler *k, struct rule *r, const struct yaml_node *n)
{
    static const char *const keys[] = {"name", "from", "to", "when", "after", "quiet", "if", NULL};
    *r = (struct rule){.to = NONE, .on = no_condition, .line = n->line, .column = n->column};
    if (!read_map(k, n, "a transition", keys))
        return;
    r->name = read_own_name(k, n, "transition");
    for (int i = 0; r->name && &k->m->rules[i] < r; i++)
        if (k->m->rules[i].name && strcmp(k->m->rules[i].name, r->name) == 0)
            mistake(k, yaml_get(n, "name"), "a transition '%.80s' is already on line %d; rename one of them", r->name,
                    k->m->rules[i].line);
    const struct yaml_node *from = yaml_get(n, "from"), *to = yaml_get(n, "to");
    if (!from)
        mistake(k, n, "the transition has no 'from'; add the stage or stages that it leaves");
    if (!to)
        mistake(k, n, "the transition has no 'to'; add the stage that it leads to");
    r->from = read_stages(k, from);
    if (to)
        r->to = (int16_t)read_stage(k, to);
    if (r->to != NONE && (r->from >> r->to & 1))
        mistake(k, to, "the transition leads to a stage that it leaves, '%s'; take it out of 'from'",
                k->m->stages[r->to].name);
    if (!has_condition(n))
        mistake(k, n, "the transition has no condition; add at least one of 'when', 'after', 'quiet', 'if'");
    r->on = read_condition(k, n);
}

void compile_rules(struct compiler *k, const struct yaml_node *n)
{
    check_list(k, n, "transition", RULES_MAX);
    if (n->kind != YAML_LIST)
        return;
    size_t count = n->n < RULES_MAX ? n->n : RULES_MAX;
    k->m->rules = take(k, count, sizeof(*k->m->rules));
    for (size_t i = 0; k->m->rules && i < count; i++) {
        read_rule(k, &k->m->rules[i], n->items[i]);
        k->m->nrules++;
    }
}

// ---- triggers

static const char *read_campaign(struct compiler *k, const struct yaml_node *n)
{
    const struct yaml_node *campaign = yaml_get(n, "campaign");
    const char *name = read_name(k, campaign, n, "the trigger's campaign");
    if (name && (strcmp(name, "all") == 0 || strcmp(name, "objective") == 0))
        mistake(k, campaign, "'%s' has a meaning of its own and is no name for a campaign; choose another", name);
    return name;
}

static void read_trigger_name(struct compiler *k, struct trigger *t, const struct yaml_node *n)
{
    t->name = read_own_name(k, n, "trigger");
    if (!t->name)
        return;
    if (strncmp(t->name, "objective.", strlen("objective.")) == 0)
        mistake(k, yaml_get(n, "name"), "names that begin with 'objective.' belong to objectives; choose another");
    for (int i = 0; &k->m->triggers[i] < t; i++)
        if (k->m->triggers[i].name && strcmp(k->m->triggers[i].name, t->name) == 0)
            mistake(k, yaml_get(n, "name"), "a trigger '%.80s' is already on line %d; rename one of them", t->name,
                    k->m->triggers[i].line);
}

// Which of `enter`, `exit`, `in` it has, with the keys that belong to that kind.
static void read_kind(struct compiler *k, struct trigger *t, const struct yaml_node *n)
{
    static const char *const kinds[] = {
        [TRIGGER_ENTER] = "enter", [TRIGGER_EXIT] = "exit", [TRIGGER_IN] = "in"};
    static const char *const conditions[] = {"when", "after", "quiet", "if"};
    int found = 0;
    for (int i = 0; i < 3; i++) {
        const struct yaml_node *stage = yaml_get(n, kinds[i]);
        if (!stage)
            continue;
        found++;
        t->kind = (uint8_t)i;
        t->stage = (int16_t)read_stage(k, stage);
    }
    if (found != 1) {
        mistake(k, n, "the trigger has %s of 'enter', 'exit' and 'in'; give it exactly one",
                found ? "several" : "none");
        return;
    }
    const struct yaml_node *from = yaml_get(n, "from"), *to = yaml_get(n, "to");
    const struct yaml_node *mine = t->kind == TRIGGER_ENTER ? from : t->kind == TRIGGER_EXIT ? to : NULL;
    if (from && from != mine)
        mistake(k, from, "'from' belongs to 'enter', not to '%s'; remove it", kinds[t->kind]);
    if (to && to != mine)
        mistake(k, to, "'to' belongs to 'exit', not to '%s'; remove it", kinds[t->kind]);
    if (mine)
        t->other = (int16_t)read_stage(k, mine);
    if (t->other != NONE && t->other == t->stage)
        mistake(k, mine, "the trigger names the same stage twice; no transition leads from a stage to itself");
    for (size_t i = 0; i < 4 && t->kind != TRIGGER_IN; i++)
        if (yaml_get(n, conditions[i]))
            mistake(k, yaml_get(n, conditions[i]), "'%s' belongs to 'in', not to '%s'; remove it, or use 'unless'",
                    conditions[i], kinds[t->kind]);
    if (t->kind == TRIGGER_IN && !has_condition(n))
        mistake(k, n, "the trigger has no condition; add one of 'when', 'after', 'quiet', 'if', or use 'enter'");
}

// NONE if n is NULL; else the index among the choices.
static int read_choice(struct compiler *k, const struct yaml_node *n, const char *what, const char *const *choices,
                       const char *advice)
{
    if (!n)
        return NONE;
    for (int i = 0; n->kind == YAML_SCALAR && choices[i]; i++)
        if (strcmp(n->text, choices[i]) == 0)
            return i;
    mistake(k, n, "'%s' is none of its choices; write %s", what, advice);
    return NONE;
}

static void read_once(struct compiler *k, struct trigger *t, const struct yaml_node *n)
{
    static const char *const choices[] = {
        [ONCE_VISIT] = "visit", [ONCE_EVER] = "ever", [ONCE_SPELL] = "spell", NULL};
    const struct yaml_node *once = yaml_get(n, "once");
    int i = read_choice(k, once, "once", choices, "visit, ever, or, with 'quiet', spell");
    t->once = (uint8_t)(i == NONE ? ONCE_VISIT : i);
    if (t->once == ONCE_SPELL && (t->kind != TRIGGER_IN || !yaml_get(n, "quiet")))
        mistake(k, once, "'once: spell' needs 'quiet', whose silence is the spell; add it, or write visit or ever");
}

static void read_trigger(struct compiler *k, struct trigger *t, const struct yaml_node *n)
{
    static const char *const keys[] = {"name", "campaign", "enter",   "exit",  "in", "from",
                                       "to",   "when",     "after",   "quiet", "if", "unless",
                                       "once", "channels", "content", "touch", NULL};
    static const char *const touches[] = {"high", "low", "none", NULL};
    *t = (struct trigger){.stage = NONE,
                          .other = NONE,
                          .unless = NONE,
                          .bit = NONE,
                          .cap = NONE,
                          .on = no_condition,
                          .line = n->line,
                          .column = n->column};
    if (!read_map(k, n, "a trigger", keys))
        return;
    read_trigger_name(k, t, n);
    t->campaign = read_campaign(k, n);
    read_kind(k, t, n);
    if (t->kind == TRIGGER_IN)
        t->on = read_condition(k, n);
    t->unless = (int16_t)expr_parse(k, yaml_get(n, "unless"));
    read_once(k, t, n);
    t->channels = read_texts(k, yaml_get(n, "channels"), "'channels'");
    if (!yaml_get(n, "channels") && t->stage != NONE)
        t->channels = k->m->stages[t->stage].channels;
    t->content = read_text(k, yaml_get(n, "content"), "'content'");
    int touch = read_choice(k, yaml_get(n, "touch"), "touch", touches, "high, low or none");
    t->touch = touch == NONE ? NULL : touches[touch];
}

// Bits say which triggers have fired: of this visit one set a stage, of ever one set a model.
static void assign_bits(struct compiler *k)
{
    int visit[STAGES_MAX] = {0}, ever = 0;
    for (int i = 0; i < k->m->ntriggers; i++) {
        struct trigger *t = &k->m->triggers[i];
        if (t->once == ONCE_EVER) {
            t->bit = (int16_t)ever++;
            if (ever == EVER_TRIGGERS_MAX + 1)
                mistake(k, t, "there are more than %d triggers with 'once: ever'; use 'once: visit' here",
                        EVER_TRIGGERS_MAX);
        } else if (t->kind == TRIGGER_IN && t->stage != NONE) {
            t->bit = (int16_t)visit[t->stage]++;
            if (visit[t->stage] == STAGE_TRIGGERS_MAX + 1)
                mistake(k, t, "stage '%s' has more than %d 'in' triggers; remove some", k->m->stages[t->stage].name,
                        STAGE_TRIGGERS_MAX);
        }
    }
}

void compile_triggers(struct compiler *k, const struct yaml_node *n)
{
    check_list(k, n, "trigger", TRIGGERS_MAX);
    if (n->kind != YAML_LIST)
        return;
    size_t count = n->n < TRIGGERS_MAX ? n->n : TRIGGERS_MAX;
    k->m->triggers = take(k, count, sizeof(*k->m->triggers));
    for (size_t i = 0; k->m->triggers && i < count; i++) {
        read_trigger(k, &k->m->triggers[i], n->items[i]);
        k->m->ntriggers++;
    }
    assign_bits(k);
}

// ---- caps

static void unknown_campaign(struct compiler *k, const struct yaml_node *n)
{
    const char *names[TRIGGERS_MAX];
    size_t count = 0;
    for (int i = 0; i < k->m->ntriggers; i++)
        if (k->m->triggers[i].campaign)
            names[count++] = k->m->triggers[i].campaign;
    unknown_name(k, n->line, n->column, "campaign", n->text, names, count);
}

static void read_cap(struct compiler *k, int i, const struct yaml_node *key, const struct yaml_node *n)
{
    static const char *const keys[] = {"max", "per", NULL};
    struct cap *c = &k->m->caps[i];
    bool all = strcmp(key->text, "all") == 0;
    bool used = all;
    for (int t = 0; t < k->m->ntriggers; t++) {
        const char *campaign = k->m->triggers[t].campaign;
        if (all || !campaign || strcmp(campaign, key->text) != 0)
            continue;
        used = true;
        k->m->triggers[t].cap = (int16_t)i;
    }
    if (all)
        k->m->cap_all = (int16_t)i;
    else
        c->campaign = key->text;
    if (!used)
        unknown_campaign(k, key);
    if (!read_map(k, n, "a cap", keys))
        return;
    const struct yaml_node *max = yaml_get(n, "max"), *per = yaml_get(n, "per");
    int64_t v = 1;
    if (!max || !per)
        mistake(k, n, "the cap has no '%s'; write {max: 1, per: 14d}", max ? "per" : "max");
    read_whole(k, max, "'max'", 1, RECENT_MAX, &v);
    c->max = (int32_t)v;
    if (read_duration(k, per, "'per'", &c->per_ms) && c->per_ms == 0)
        mistake(k, per, "'per' is 0; it should be longer");
}

void compile_caps(struct compiler *k, const struct yaml_node *n)
{
    struct model *m = k->m;
    if (n->kind != YAML_MAP) {
        mistake(k, n, "'caps' is no map; write 'campaign: {max: 1, per: 14d}'");
        return;
    }
    if (n->n > CAPS_MAX)
        mistake(k, n->keys[CAPS_MAX], "there are %zu caps; a model has at most %d", n->n, CAPS_MAX);
    size_t count = n->n < CAPS_MAX ? n->n : CAPS_MAX;
    m->caps = take(k, count, sizeof(*m->caps));
    for (size_t i = 0; m->caps && i < count; i++) {
        m->ncaps++;
        read_cap(k, (int)i, n->keys[i], n->items[i]);
    }
}
