// Everything that a version keeps under a name goes to the same name in the next one. A customer whose stage was
// removed goes on in the stage that `migrate` names: no transition, no output, the visit goes on.
#include "migrate.h"
#include <string.h>

int migrate_stage(const struct model *from, int stage, const struct model *to)
{
    const char *name = from->stages[stage].name;
    int same = model_stage(to, name, strlen(name));
    for (int i = 0; same == NONE && i < to->nmigrations; i++)
        if (!strcmp(to->migrations[i].from, name))
            same = to->migrations[i].to;
    return same;
}

static void take(const struct customer *old, int from, struct customer *c, int to)
{
    if (from != NONE && to != NONE)
        c->slot[to] = old->slot[from];
}

// The latest times: as many as both keep.
static void take_recent(const struct customer *old, int from, struct customer *c, int to, int max)
{
    if (from == NONE || to == NONE)
        return;
    int64_t n = old->slot[from] < max ? old->slot[from] : max;
    c->slot[to] = n;
    memcpy(&c->slot[to + 1], &old->slot[from + 1], (size_t)n * sizeof *c->slot);
}

static void take_signal(const struct signal_slots *s, const struct customer *old, const struct signal_slots *t,
                        struct customer *c)
{
    take(old, s->count, c, t->count);
    take(old, s->count_visit, c, t->count_visit);
    take(old, s->sum, c, t->sum);
    take(old, s->nvalues, c, t->nvalues);
    take(old, s->value, c, t->value);
    take(old, s->value_at, c, t->value_at);
    take(old, s->last, c, t->last);
    take(old, s->previous, c, t->previous);
    take_recent(old, s->recent, c, t->recent, t->recent_max);
    if (t->last != NONE && s->last == NONE && s->recent != NONE && old->slot[s->recent] > 0)
        c->slot[t->last] = old->slot[s->recent + 1]; // kept under another fact
}

static int trigger_named(const struct model *m, const char *name)
{
    for (int i = 0; i < m->ntriggers; i++)
        if (!strcmp(m->triggers[i].name, name))
            return i;
    return NONE;
}

static bool was_spent(const struct customer *old, const struct trigger *t)
{
    if (t->once == ONCE_EVER)
        return old->ever >> t->bit & 1;
    return t->kind == TRIGGER_IN && t->stage == old->stage && (old->spent >> t->bit & 1);
}

static void take_triggers(const struct model *from, const struct customer *old, const struct model *to,
                          struct customer *c)
{
    for (int i = 0; i < to->ntriggers; i++) {
        const struct trigger *t = &to->triggers[i];
        int former = trigger_named(from, t->name);
        if (former == NONE || !was_spent(old, &from->triggers[former]))
            continue;
        if (t->once == ONCE_EVER)
            c->ever |= UINT64_C(1) << t->bit;
        else if (t->kind == TRIGGER_IN && t->stage == c->stage)
            c->spent |= UINT64_C(1) << t->bit;
    }
}

static bool same_campaign(const struct cap *a, const struct cap *b)
{
    return a->campaign && b->campaign ? !strcmp(a->campaign, b->campaign) : !a->campaign && !b->campaign;
}

static bool same_objective(const struct model *from, int a, const struct model *to, int b)
{
    const char *x = from->stages[a].objective.name, *y = to->stages[b].objective.name;
    return x && y && !strcmp(x, y);
}

void migrate_customer(const struct model *from, const struct customer *old, const struct model *to, struct customer *c,
                      int64_t clock)
{
    customer_create(to, c, old->last);
    c->slot[to->visits] = 0;
    c->first = old->first;
    c->clock = old->clock > clock ? old->clock : clock;
    c->entered = old->entered;
    c->ordinal = old->ordinal;
    c->stage = (uint16_t)migrate_stage(from, old->stage, to);
    if (to->has_score && from->has_score) {
        c->energy = old->energy;
        c->energy_at = old->energy_at;
    }
    for (int i = 0; i < from->nstages; i++) {
        int stage = migrate_stage(from, i, to);
        if (stage != NONE)
            c->slot[to->visits + stage] += old->slot[from->visits + i];
    }
    for (int i = 0; i < to->nsignals; i++) {
        int former = model_signal(from, to->signals[i].name, strlen(to->signals[i].name));
        if (former != NONE)
            take_signal(&from->signals[former].slots, old, &to->signals[i].slots, c);
    }
    for (int i = 0; i < to->ncaps; i++)
        for (int k = 0; k < from->ncaps; k++)
            if (same_campaign(&to->caps[i], &from->caps[k]))
                take_recent(old, from->caps[k].recent, c, to->caps[i].recent, to->caps[i].max);
    c->objective_done = old->objective_done && same_objective(from, old->stage, to, c->stage);
    take_triggers(from, old, to, c);
}
