// Customers are stepped when an event of theirs comes, with the deadlines before it; when somebody asks, up to a clock.
// At a change of program all deadlines before it have been fired, but for those that the store shows as pending: the
// next program decides about these anew. A customer is carried over when something happens to it, as the engine does
// it.
#include "reference.h"

#include <stdlib.h>
#include <string.h>

#include "migrate.h"
#include "output.h"
#include "published.h"

struct ref_part {
    int64_t start, next, clock;
    int first;                   // the program at the start
    struct ref_switch *switches; // in order
    size_t nswitches, switched;  // switched: how many have been stepped
    struct decision *decisions;  // by offset and clock
    size_t n, cap, done;
    int64_t *rejected;
    size_t nrejected, rejected_cap;
};

static struct ref_part parts[PARTS_MAX];
static struct ref_state states[MODEL_COUNT_MAX][CUSTOMERS_MAX];
static struct effects effects;
static struct buffer body;

void ref_begin(void)
{
    memset(parts, 0, sizeof parts);
    memset(states, 0, sizeof states);
    for (int i = 0; i < PARTS_MAX; i++)
        parts[i].clock = INT64_MIN;
}

void ref_end(void)
{
    effects_clear(&effects);
    buffer_clear(&body);
}

void ref_forget(int partition)
{
    parts[partition].next = parts[partition].start;
    parts[partition].clock = INT64_MIN;
    parts[partition].done = parts[partition].switched = 0;
    for (int c = 0; c < sim.plan.customers; c++)
        for (int m = 0; m < nmodels() && partition_of(c) == partition; m++)
            states[m][c] = (struct ref_state){0};
}

void ref_start(int partition, int64_t offset, int program)
{
    parts[partition].start = offset;
    parts[partition].first = program;
    parts[partition].nswitches = 0;
    ref_forget(partition);
}

int64_t ref_begin_at(int partition)
{
    return parts[partition].start;
}

struct ref_state *ref_state(int model, int customer)
{
    return &states[model][customer];
}

int64_t ref_position(int partition)
{
    return parts[partition].next;
}

int64_t ref_clock(int partition)
{
    return parts[partition].clock;
}

// ---- changes of program

int ref_program(int partition)
{
    const struct ref_part *p = &parts[partition];
    return p->switched ? p->switches[p->switched - 1].program : p->first;
}

size_t ref_era(int partition)
{
    return parts[partition].switched;
}

const struct ref_switch *ref_switches(int partition, size_t *ret_n)
{
    *ret_n = parts[partition].nswitches;
    return parts[partition].switches;
}

void ref_switch(int partition, const struct ref_switch *s)
{
    struct ref_part *p = &parts[partition];
    struct ref_switch *to = sim_alloc((p->nswitches + 1) * sizeof *to);
    if (p->nswitches)
        memcpy(to, p->switches, p->nswitches * sizeof *to);
    to[p->nswitches++] = *s;
    p->switches = to;
}

void ref_unswitch(int partition)
{
    parts[partition].nswitches--;
    ref_forget(partition);
}

struct customer *ref_carried(int partition, int model, int from, struct customer *c)
{
    const struct ref_part *p = &parts[partition];
    int to = ref_program(partition);
    const struct model *former = programs[from].models[model], *m = programs[to].models[model];
    if (former->version == m->version)
        return c;
    if (migrate_stage(former, c->stage, m) == NONE)
        sim_fail("program %d has no place for a customer", to);
    struct customer *next = sim_alloc(customer_bytes(m));
    migrate_customer(former, c, m, next, p->switches[p->switched - 1].clock);
    return next;
}

static void carry_over(int partition, int model, struct ref_state *s)
{
    s->c = ref_carried(partition, model, s->program, s->c);
    s->program = ref_program(partition);
}

static void apply_switch(int partition, const struct ref_switch *s)
{
    struct ref_part *p = &parts[partition];
    for (int c = 0; c < sim.plan.customers; c++)
        for (int m = 0; m < nmodels() && partition_of(c) == partition; m++) {
            const struct ref_pending *held = &s->pending[m][c];
            ref_time(m, c, s->clock);
            if (held->c && held->c->ordinal < states[m][c].n)
                states[m][c].n = held->c->ordinal; // what it had not come to is left to the next program
            if (held->c) {
                states[m][c].c = sim_copy(held->c, customer_bytes(programs[held->program].models[m]));
                states[m][c].program = held->program;
            }
        }
    p->switched++;
}

static void switch_at(int partition, int64_t offset)
{
    struct ref_part *p = &parts[partition];
    while (p->switched < p->nswitches && p->switches[p->switched].offset <= offset)
        apply_switch(partition, &p->switches[p->switched]);
}

static void *grown(void *v, size_t n, size_t *cap, size_t size)
{
    if (n < *cap)
        return v;
    *cap = *cap ? *cap * 2 : 16;
    void *to = sim_alloc(*cap * size);
    if (n)
        memcpy(to, v, n * size);
    return to;
}

// ---- decisions

void ref_advance(int partition, int64_t offset, int64_t clock)
{
    struct ref_part *p = &parts[partition];
    p->decisions = grown(p->decisions, p->n, &p->cap, sizeof *p->decisions);
    size_t i = p->n++;
    for (; i > 0 && (p->decisions[i - 1].offset > offset ||
                     (p->decisions[i - 1].offset == offset && p->decisions[i - 1].clock > clock));
         i--)
        p->decisions[i] = p->decisions[i - 1];
    p->decisions[i] = (struct decision){offset, clock};
    if (i < p->done || offset < p->next)
        ref_forget(partition); // something earlier than what was stepped
}

bool ref_decided(int partition, int64_t offset, int64_t clock)
{
    const struct ref_part *p = &parts[partition];
    for (size_t i = 0; i < p->n; i++)
        if (p->decisions[i].offset <= offset && p->decisions[i].clock == clock)
            return true;
    return false;
}

int64_t ref_last_clock(int partition)
{
    int64_t last = INT64_MIN;
    for (size_t i = 0; i < parts[partition].n; i++)
        if (parts[partition].decisions[i].clock > last)
            last = parts[partition].decisions[i].clock;
    return last;
}

bool ref_rejected(int partition, int64_t offset)
{
    for (size_t i = 0; i < parts[partition].nrejected; i++)
        if (parts[partition].rejected[i] == offset)
            return true;
    return false;
}

void ref_reject(int partition, int64_t offset)
{
    struct ref_part *p = &parts[partition];
    if (ref_rejected(partition, offset))
        return;
    p->rejected = grown(p->rejected, p->nrejected, &p->rejected_cap, sizeof *p->rejected);
    p->rejected[p->nrejected++] = offset;
    if (offset < p->next)
        ref_forget(partition);
}

// ---- outputs

static int topic_for(const struct model *m, const struct effect *fx)
{
    if (effect_is_transition(fx))
        return T_TRANSITIONS;
    const char *campaign = effect_campaign(m, fx);
    return !strcmp(campaign, "special") ? T_SPECIAL : !strcmp(campaign, "mute") ? -1 : T_TRIGGERS;
}

static void note_effects(int model, int customer, const struct event_source *source)
{
    struct ref_state *s = &states[model][customer];
    const struct program *program = &programs[s->program];
    const struct model *m = program->models[model];
    const char *id = customer_id(customer);
    for (size_t i = 0; i < effects.n; i++) {
        const struct effect *fx = &effects.v[i];
        struct output o = {.model = m, .customer = s->c, .effect = fx, .id = {id, strlen(id)}, .source = source};
        s->outs = grown(s->outs, s->n, &s->cap, sizeof *s->outs);
        struct ref_out *to = &s->outs[s->n++];
        if (fx->ordinal != s->n)
            sim_fail("the reference has ordinal %u as output %zu of %s", fx->ordinal, s->n, id);
        *to = (struct ref_out){.topic = fx->capped ? -1 : topic_for(m, fx),
                               .trigger = !effect_is_transition(fx),
                               .era = ref_era(partition_of(customer)),
                               .at = fx->at};
        if (effect_is_transition(fx))
            to->rule = m->rules[fx->rule].name;
        else if (fx->kind == EFFECT_TRIGGER && !fx->capped)
            to->in_trigger = m->triggers[fx->trigger].name;
        output_digest(&o, program->digest, to->digest);
        body.n = 0;
        output_id(m, o.id, fx->ordinal, &body);
        char *out_id = sim_copy(body.p, body.n);
        struct span span = {out_id, body.n};
        body.n = 0;
        output_cloudevent(&o, "app", span, &body);
        to->body = (struct span){sim_copy(body.p, body.n), body.n};
    }
    effects.n = 0;
}

void ref_time(int model, int customer, int64_t before)
{
    struct ref_state *s = &states[model][customer], now = *s;
    if (!s->c)
        return;
    carry_over(partition_of(customer), model, &now);
    const struct model *m = programs[now.program].models[model];
    step_due(m, now.c);
    if (now.c->due >= before)
        return;
    *s = now;
    effects.n = 0;
    if (step_time(m, s->c, before, &effects))
        sim_fail("no memory");
    note_effects(model, customer, NULL);
}

// ---- events

static void step_one(int partition, int64_t offset, const struct fact *f, int model, int64_t clock_before)
{
    struct ref_state *s = &states[model][f->customer];
    int program = ref_program(partition);
    const struct model *m = programs[program].models[model];
    struct event_source source = {.topic = {topic_names[T_EVENTS], strlen(topic_names[T_EVENTS])},
                                  .partition = partition,
                                  .offset = offset,
                                  .type = f->type,
                                  .id = f->id};
    bool created = !s->c, late;
    if (created) {
        s->c = sim_alloc(customer_bytes(m));
        s->program = program;
    } else {
        carry_over(partition, model, s);
        ref_time(model, f->customer, step_before(s->c, f->t, clock_before));
    }
    effects.n = 0;
    if (step_event(m, s->c, created, f->t, f->has_value ? &f->value_milli : NULL, f->signals[program][model], &effects,
                   &late))
        sim_fail("no memory");
    note_effects(model, f->customer, &source);
}

static void decide(struct ref_part *p, int64_t offset)
{
    for (; p->done < p->n && p->decisions[p->done].offset <= offset; p->done++)
        if (p->decisions[p->done].clock > p->clock)
            p->clock = p->decisions[p->done].clock;
}

void ref_step(int partition, int64_t offset, void (*on_bad)(int partition, int64_t offset))
{
    struct ref_part *p = &parts[partition];
    if (offset < p->next)
        ref_forget(partition);
    for (; p->next < offset; p->next++) {
        switch_at(partition, p->next);
        decide(p, p->next);
        const struct fact *f = fact_at(partition, p->next);
        if (!f)
            continue;
        if (f->bad || ref_rejected(partition, p->next)) {
            if (on_bad)
                on_bad(partition, p->next);
            continue;
        }
        int program = ref_program(partition);
        int64_t before = p->clock, grace = programs[program].grace_ms;
        p->clock = f->t - grace > p->clock ? f->t - grace : p->clock;
        for (int m = 0; m < nmodels(); m++)
            if (f->signals[program][m])
                step_one(partition, p->next, f, m, before);
    }
    switch_at(partition, offset);
}
