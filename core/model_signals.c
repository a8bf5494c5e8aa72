// Signals and the facts kept of them: which event types belong to which signals, the score's weights, what
// outputs report, and where a customer keeps each fact that something uses. Facts that nothing uses get no
// slot.
#include "model_private.h"

#include <xxhash.h>

// ---- event types

static struct type_entry *type_entry(struct type_entry *types, uint32_t mask, const char *p, size_t n)
{
    uint32_t i = (uint32_t)XXH3_64bits(p, n) & mask;
    while (types[i].type.p && (types[i].type.n != n || memcmp(types[i].type.p, p, n) != 0))
        i = (i + 1) & mask; // at least half of the table is free
    return &types[i];
}

static bool scalar_equal(const struct scalar *a, const struct scalar *b)
{
    if (a->kind != b->kind)
        return false;
    if (a->kind == SCALAR_STRING)
        return a->text.n == b->text.n && memcmp(a->text.p, b->text.p, a->text.n) == 0;
    return a->kind != SCALAR_NONE && a->milli == b->milli;
}

static bool where_holds(const struct signal *s, const struct event *e)
{
    for (int i = 0; i < s->nwhere; i++) {
        const struct where *w = &s->where[i];
        bool any = false;
        for (int v = 0; w->prop != NONE && v < w->nvalues && !any; v++)
            any = scalar_equal(&w->values[v], &e->props[w->prop]);
        if (!any)
            return false;
    }
    return true;
}

uint64_t model_match(const struct model *m, const struct event *e)
{
    uint64_t signals = type_entry(m->types, m->types_mask, e->type.p, e->type.n)->signals;
    for (uint64_t rest = signals; rest; rest &= rest - 1) {
        int i = __builtin_ctzll(rest);
        if (m->signals[i].nwhere && !where_holds(&m->signals[i], e))
            signals &= ~(UINT64_C(1) << i);
    }
    return signals;
}

// ---- the section `signals`

static const struct yaml_node *events_of(const struct yaml_node *signal)
{
    return signal->kind == YAML_MAP ? yaml_get(signal, "events") : signal;
}

static void read_events(struct compiler *k, int signal, const struct yaml_node *n)
{
    struct name_list types = read_texts(k, n, "the event type");
    if (n->kind == YAML_LIST && n->n == 0)
        mistake(k, n, "signal '%.80s' has no events; name at least one event type", k->m->signals[signal].name);
    for (int i = 0; i < types.n; i++) {
        size_t len = strlen(types.v[i]);
        struct type_entry *t = type_entry(k->m->types, k->m->types_mask, types.v[i], len);
        t->type = (struct span){types.v[i], len};
        t->signals |= UINT64_C(1) << signal;
    }
}

static bool read_bool(struct compiler *k, const struct yaml_node *n, const char *what)
{
    bool yes = n->kind == YAML_SCALAR && n->plain && strcmp(n->text, "true") == 0;
    bool no = n->kind == YAML_SCALAR && n->plain && strcmp(n->text, "false") == 0;
    if (!yes && !no)
        mistake(k, n, "%s is neither true nor false; write one of them, without quotes", what);
    return yes;
}

static bool read_scalar(struct compiler *k, const struct yaml_node *n, struct scalar *ret)
{
    if (n->kind != YAML_SCALAR || yaml_is_null(n)) {
        mistake(k, n, "a property can be compared with a text, a number, true or false, or a list of these; write one");
        return false;
    }
    size_t len = strlen(n->text);
    bool yes = strcmp(n->text, "true") == 0;
    if (n->plain && (yes || strcmp(n->text, "false") == 0))
        *ret = (struct scalar){.kind = SCALAR_BOOL, .milli = yes};
    else if (n->plain && parse_decimal(n->text, len, &ret->milli) == 0)
        ret->kind = SCALAR_NUMBER;
    else
        *ret = (struct scalar){.kind = SCALAR_STRING, .text = {n->text, len}};
    return true;
}

static void read_where(struct compiler *k, struct signal *s, const struct yaml_node *n)
{
    if (n->kind != YAML_MAP || n->n == 0) {
        mistake(k, n, "'where' names no property; write a map such as {plan: vip}");
        return;
    }
    struct where *where = take(k, n->n, sizeof(*where));
    if (!where)
        return;
    for (size_t i = 0; i < n->n; i++) {
        const struct yaml_node *value = n->items[i];
        bool list = value->kind == YAML_LIST;
        size_t count = list ? value->n : 1;
        if (count == 0)
            mistake(k, value, "the list is empty; name at least one value of '%.80s'", n->keys[i]->text);
        struct scalar *values = take(k, count, sizeof(*values));
        for (size_t v = 0; values && v < count; v++)
            read_scalar(k, list ? value->items[v] : value, &values[v]);
        where[i] = (struct where){{n->keys[i]->text, strlen(n->keys[i]->text)}, NONE, (int16_t)count, values};
    }
    s->where = where;
    s->nwhere = (int)n->n;
}

static void read_definition(struct compiler *k, int i, const struct yaml_node *n)
{
    static const char *const keys[] = {"events", "value", "where", NULL};
    struct signal *s = &k->m->signals[i];
    if (n->kind == YAML_MAP) {
        if (!read_map(k, n, "a signal", keys))
            return;
        const struct yaml_node *value = yaml_get(n, "value"), *where = yaml_get(n, "where");
        if (value)
            k->valued[i] = read_bool(k, value, "'value'");
        if (where)
            read_where(k, s, where);
    }
    if (events_of(n))
        read_events(k, i, events_of(n));
    else
        mistake(k, n, "signal '%.80s' has no 'events'; add the event types that it counts", s->name);
}

void compile_signals(struct compiler *k, const struct yaml_node *n)
{
    struct model *m = k->m;
    if (n->kind != YAML_MAP || n->n == 0) {
        mistake(k, n, "'signals' names no signal; it should be a map, such as 'purchase: [order]'");
        return;
    }
    size_t types = 0;
    for (size_t i = 0; i < n->n; i++) {
        const struct yaml_node *events = events_of(n->items[i]);
        types += events && events->kind == YAML_LIST ? events->n : 1;
        if (i == SIGNALS_MAX)
            mistake(k, n->keys[i], "there are %zu signals; a model has at most %d", n->n, SIGNALS_MAX);
    }
    uint32_t size = 4;
    while (size < 2 * types)
        size *= 2;
    int count = n->n < SIGNALS_MAX ? (int)n->n : SIGNALS_MAX;
    m->types = take(k, size, sizeof(*m->types));
    m->types_mask = size - 1;
    m->signals = take(k, (size_t)count, sizeof(*m->signals));
    if (k->failed)
        return;
    for (m->nsignals = 0; m->nsignals < count; m->nsignals++) {
        struct yaml_node *key = n->keys[m->nsignals];
        check_name(k, key, "the signal");
        m->signals[m->nsignals].name = key->text;
        read_definition(k, m->nsignals, n->items[m->nsignals]);
    }
}

// ---- the sections `score` and `report`

static bool read_number(struct compiler *k, const struct yaml_node *n, const char *what, double *ret)
{
    int64_t milli;
    if (n->kind != YAML_SCALAR || parse_decimal(n->text, strlen(n->text), &milli) != 0) {
        mistake(k, n, "%s is no number; write one, such as 10 or 0.5", what);
        return false;
    }
    *ret = (double)milli / 1000;
    return true;
}

static void read_weights(struct compiler *k, const struct yaml_node *n)
{
    if (n->kind != YAML_MAP || n->n == 0) {
        mistake(k, n, "'weights' gives no signal a weight; it should be a map, such as {purchase: 10}");
        return;
    }
    for (size_t i = 0; i < n->n; i++) {
        int signal = read_signal(k, n->keys[i]);
        double weight;
        if (read_number(k, n->items[i], "the weight", &weight) && signal != NONE)
            k->m->signals[signal].weight = weight;
    }
}

void compile_score(struct compiler *k, const struct yaml_node *n)
{
    static const char *const keys[] = {"half_life", "potential", "weights", NULL};
    k->score_given = true;
    if (!read_map(k, n, "'score'", keys))
        return;
    for (int i = 0; keys[i]; i++)
        if (!yaml_get(n, keys[i]))
            mistake(k, n, "the score has no '%s'; add it", keys[i]);
    const struct yaml_node *half_life = yaml_get(n, "half_life"), *potential = yaml_get(n, "potential");
    int64_t ms;
    if (read_duration(k, half_life, "the half-life", &ms)) {
        k->m->half_life_ms = (double)ms;
        if (ms == 0)
            mistake(k, half_life, "the half-life is 0; it should be longer");
    }
    if (potential && read_number(k, potential, "the potential", &k->m->potential) && k->m->potential <= 0)
        mistake(k, potential, "the potential is %s; it should be more than 0", potential->text);
    if (yaml_get(n, "weights"))
        read_weights(k, yaml_get(n, "weights"));
}

static bool window_used(const struct compiler *k, const struct compare *c)
{
    for (int i = 0; i < k->m->nnodes; i++) {
        const struct node *n = &k->nodes[i];
        if (n->kind == NODE_COMPARE && n->c.fact == FACT_COUNT_WINDOW && n->c.signal == c->signal &&
            n->c.window_ms == c->window_ms)
            return true;
    }
    return false;
}

static void read_reported(struct compiler *k, const struct yaml_node *n)
{
    struct compare c;
    if (!expr_parse_fact(k, n, &c))
        return;
    switch (c.fact) {
    case FACT_COUNT:
    case FACT_SUM:
    case FACT_MEAN:
    case FACT_VALUE:
    case FACT_SINCE:
    case FACT_SCORE: use_fact(k, &c); break;
    case FACT_COUNT_WINDOW:
        if (!window_used(k, &c))
            mistake(k, n,
                    "no rule or trigger compares '%.80s', so it is not kept; report the count without a window, "
                    "or one that is compared",
                    n->text);
        break;
    default:
        mistake(k, n, "'%.80s' cannot be reported; report count(s), sum(s), mean(s), value(s), since(s) or score",
                n->text);
    }
}

void compile_report(struct compiler *k, const struct yaml_node *n)
{
    if (n->kind == YAML_MAP) {
        mistake(k, n, "'report' is a map; it should be a list of facts, such as [count(purchase), score]");
        return;
    }
    for (size_t i = 0; n->kind == YAML_LIST && i < n->n; i++)
        read_reported(k, n->items[i]);
    if (n->kind == YAML_SCALAR)
        read_reported(k, n);
}

// ---- slots

// Takes n slots and returns the first: one fact, or a length with its items.
static int16_t slots(struct model *m, int *total, bool wanted, enum slot_kind kind, int n)
{
    if (!wanted || n == 0)
        return NONE;
    int first = *total;
    *total += n;
    if (*total > INT16_MAX)
        return NONE; // reported at the end
    memset(m->slot_kinds + first, kind == SLOT_RECENT ? SLOT_RECENT_ITEM : kind, (size_t)n);
    m->slot_kinds[first] = (uint8_t)kind;
    return (int16_t)first;
}

static void signal_slots(struct model *m, struct signal_slots *s, const struct use *u, int *total)
{
    s->count = slots(m, total, u->count, SLOT_COUNT, 1);
    s->count_visit = slots(m, total, u->count_visit, SLOT_COUNT, 1);
    s->sum = slots(m, total, u->sum, SLOT_VALUE, 1);
    s->nvalues = slots(m, total, u->nvalues, SLOT_COUNT, 1);
    s->value = slots(m, total, u->value, SLOT_VALUE, 1);
    s->value_at = slots(m, total, u->value, SLOT_TIME, 1);
    s->last = slots(m, total, u->last, SLOT_TIME, 1);
    s->previous = slots(m, total, u->previous, SLOT_TIME, 1);
    s->recent = slots(m, total, u->recent > 0, SLOT_RECENT, 1 + u->recent);
    s->recent_max = (int16_t)u->recent;
}

static void list_windows(struct compiler *k)
{
    struct model *m = k->m;
    m->windows = take(k, (size_t)m->nnodes, sizeof(*m->windows));
    for (int i = 0; m->windows && i < m->nnodes; i++) {
        const struct compare *c = &k->nodes[i].c;
        if (k->nodes[i].kind != NODE_COMPARE || c->fact != FACT_COUNT_WINDOW)
            continue;
        int w = 0;
        while (w < m->nwindows && (m->windows[w].signal != c->signal || m->windows[w].window_ms != c->window_ms))
            w++;
        m->windows[w] = (struct window){c->signal, c->window_ms};
        m->nwindows += w == m->nwindows;
    }
}

void lay_out_slots(struct compiler *k)
{
    struct model *m = k->m;
    m->slot_kinds = take(k, INT16_MAX, sizeof(*m->slot_kinds));
    if (k->failed)
        return;
    int total = 0;
    m->visits = slots(m, &total, true, SLOT_COUNT, m->nstages);
    for (int i = 0; i < m->nsignals; i++)
        signal_slots(m, &m->signals[i].slots, &k->use[i], &total);
    for (int i = 0; i < m->ncaps; i++)
        m->caps[i].recent = slots(m, &total, true, SLOT_RECENT, 1 + m->caps[i].max);
    if (total > INT16_MAX)
        diag_add(k->d, false, k->file, 0, 0,
                 "the model keeps %d numbers of each customer, at most %d are possible; use "
                 "smaller thresholds in windowed counts, and smaller caps",
                 total, INT16_MAX);
    m->nslots = (int16_t)(total > INT16_MAX ? 0 : total);
    list_windows(k);
}
