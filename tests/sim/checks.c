// I1 states and I3 the one rule are looked at with every flush, for what it writes; I2 doubles with every commit; the
// rest of I2, and everything else that is stored, at the end.
#include "checks.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cache.h"
#include "said.h"
#include "worker.h"

struct known checks;

void checks_begin(void)
{
    memset(&checks, 0, sizeof checks);
    for (int m = 0; m < MODEL_COUNT_MAX; m++)
        for (int c = 0; c < CUSTOMERS_MAX; c++)
            checks.seen[m][c].stored = -1;
}

// ---- I2, as it happens

static bool accounted(int partition, const struct said *s)
{
    const struct cursor *c = &checks.parts[partition].cursor;
    switch (s->kind) {
    case SAID_OUTPUT: return checks.seen[s->model][s->customer].stored >= s->ordinal;
    case SAID_DEAD:
    case SAID_REJECT: return s->offset < c->offset;
    case SAID_WALL: return s->offset <= c->offset && s->clock <= c->clock;
    default: return true;
    }
}

// At least once, those who are given up may double what others say; and nobody can tell whether one offset that is gone
// after a tail was a record or a marker.
static bool doubles(void)
{
    return sim.plan.at_least_once && (plan_zombies(&sim.plan) || sim.plan.truncate);
}

static void commit_output(struct rec *r, const struct said *s)
{
    struct seen *seen = &checks.seen[s->model][s->customer];
    if (s->ordinal > seen->cap) {
        size_t cap = s->ordinal * 2 + 8;
        struct rec **v = sim_alloc(cap * sizeof(struct rec *));
        for (size_t i = 0; i < seen->cap; i++)
            v[i] = seen->got[i];
        seen->got = v;
        seen->cap = cap;
    }
    struct rec **got = &seen->got[s->ordinal - 1];
    if (*got && !doubles())
        sim_fail("I2: output %s is published twice", s->id);
    r->same = *got; // at least once, one that was given up may say what was decided otherwise meanwhile
    *got = r;
}

static void commit_dead(int partition, const struct rec *r, const struct said *s)
{
    if ((size_t)s->offset >= checks.parts[partition].dead_cap) {
        size_t cap = (size_t)s->offset * 2 + 64;
        const struct rec **v = sim_alloc(cap * sizeof(struct rec *));
        for (size_t i = 0; i < checks.parts[partition].dead_cap; i++)
            v[i] = checks.parts[partition].dead[i];
        checks.parts[partition].dead = v;
        checks.parts[partition].dead_cap = cap;
    }
    if (checks.parts[partition].dead[s->offset] && !doubles())
        sim_fail("I2: the dead letter of events/%d %" PRId64 " is published twice", partition, s->offset);
    checks.parts[partition].dead[s->offset] = r;
}

// Wall time counts only after a look at the log's end, sent at or after that time: what was there then comes before.
static void check_wall(int partition, const struct said *s)
{
    const struct plog *l = kafka_log(T_EVENTS, partition);
    int64_t at = (s->clock + programs[program_of(s->digest)].grace_ms - wall_begin) * MS;
    if (sim.plan.skew || sim.plan.clock_jump || sim.plan.input_transactions)
        return; // whose clock was it?
    for (int64_t i = s->offset; i < kafka_high(l); i++)
        if (l->v[i].rec && l->v[i].at < at)
            sim_fail("wall time moves partition %d to %" PRId64 " before offset %" PRId64 ", but the event at %" PRId64
                     " was there %" PRId64 " us before that time",
                     partition, s->clock, s->offset, i, at - l->v[i].at);
}

static void check_reject(int partition, const struct said *s)
{
    const struct fact *f = fact_at(partition, s->offset);
    int64_t earliest = wall_begin + kafka_log(T_EVENTS, partition)->v[s->offset].at / MS;
    if (!f || f->bad)
        sim_fail("events/%d %" PRId64 " is rejected, but it is no event", partition, s->offset);
    if (!sim.plan.skew && !sim.plan.clock_jump && f->t <= earliest + programs[0].max_future_ms)
        sim_fail("events/%d %" PRId64 " is rejected, but not in the future", partition, s->offset);
}

static void note_published(const struct plog *l, int64_t offset)
{
    struct rec *r = l->v[offset].rec;
    const struct said *s = r->said;
    checks_spoken(l->partition, s);
    switch (s->kind) {
    case SAID_WALL:
        check_wall(l->partition, s);
        ref_advance(l->partition, s->offset, s->clock);
        break;
    case SAID_REJECT:
        check_reject(l->partition, s);
        ref_reject(l->partition, s->offset);
        break;
    case SAID_START:
        checks.parts[l->partition].started = true;
        checks.parts[l->partition].started_by = program_of(s->digest);
        if (s->offset != ref_begin_at(l->partition)) // Redis went back to an earlier first cursor meanwhile
            ref_start(l->partition, s->offset, program_of(s->digest));
        break;
    case SAID_SWITCH: checks_switch_said(l->partition, s); break;
    case SAID_OUTPUT: commit_output(r, s); break;
    case SAID_DEAD: commit_dead(l->partition, r, s); break;
    }
    if (sim.plan.torn && !sim.plan.at_least_once && s->clock != INT64_MIN && s->kind != SAID_WALL)
        ref_advance(l->partition, s->offset + (s->kind == SAID_DEAD), s->clock);
    if (sim.plan.torn && s->kind == SAID_DEAD && !strcmp(s->digest, "future"))
        ref_reject(l->partition, s->offset);
    if (offset < checks.parts[l->partition].tails[l->topic] && !accounted(l->partition, s) && !doubles())
        sim_fail("%s/%d %" PRId64 " is committed below the tail, but the states do not know of it",
                 topic_names[l->topic], l->partition, offset);
}

void checks_committed(struct txn *t)
{
    for (int pass = 0; pass < 2; pass++) // decisions first: outputs are explained by them
        for (size_t i = 0; i < t->nentries; i++) {
            const struct plog *l = t->entries[i].log;
            if (l->v[t->entries[i].offset].txn == t && (pass == 0) == (l->topic == T_JOURNAL))
                note_published(l, t->entries[i].offset);
        }
}

void checks_plain(const struct plog *l, int64_t offset)
{
    note_published(l, offset);
}

void checks_group_offset(int partition, int64_t from, int64_t to, int64_t clock)
{
    checks_done(partition, to, clock);
    if (to < from)
        sim_fail("the group's offset of partition %d goes back from %" PRId64 " to %" PRId64, partition, from, to);
    if (to > kafka_high(kafka_log(T_EVENTS, partition)))
        sim_fail("the group's offset of partition %d is %" PRId64 ", beyond the end", partition, to);
}

// ---- I1 and I3, as states are flushed

void checks_bad(int partition, int64_t offset)
{
    const struct fact *f = fact_at(partition, offset);
    const char *reason = f->bad ? bad_reason_name(f->bad) : "future";
    bool known = (size_t)offset < checks.parts[partition].dead_cap;
    const struct rec *r = known ? checks.parts[partition].dead[offset] : NULL;
    if (!r)
        sim_fail("I3: the cursor of partition %d has passed offset %" PRId64 ", but its dead letter (%s) is not "
                 "published",
                 partition, offset, reason);
    if (!said_is(said_header(r, "__engaged.errors.reason"), reason) ||
        !said_is(said_header(r, "engaged-digest"), reason))
        sim_fail("the dead letter of events/%d %" PRId64 " should say %s", partition, offset, reason);
}

bool checks_may_miss(const struct ref_out *o)
{
    return o->topic < 0 || (o->trigger && sim.plan.max_age_ms != NEVER && o->at < wall_latest() - sim.plan.max_age_ms);
}

// A zombie's may differ from it in facts, which digests don't cover: it may have taken events that the owner rejects.
static bool is_output(const struct rec *r, const struct ref_out *o)
{
    return o->topic >= 0 && !strcmp(r->said->digest, o->digest) &&
           (doubles() || (r->value.n == o->body.n && !memcmp(r->value.p, o->body.p, o->body.n)));
}

// The one of those with this id that is the reference's; at least once, the others may be a zombie's.
static const struct rec *told(const struct rec *r, const struct ref_out *o)
{
    while (r && doubles() && !is_output(r, o))
        r = r->same;
    return r;
}

static void check_output(const struct rec *r, const struct ref_out *o)
{
    if (o->topic < 0)
        sim_fail("I2: output %s is published, but should not be", r->said->id);
    if (!is_output(r, o))
        sim_fail("I2: output %s is\n    %.*s\nbut the reference says\n    %.*s", r->said->id, (int)r->value.n,
                 r->value.p, (int)o->body.n, o->body.p);
}

// Outputs up to an ordinal, which states account for, are published, as the reference has them.
static void check_outputs(int model, int customer, uint32_t ordinal)
{
    struct seen *seen = &checks.seen[model][customer];
    const struct ref_state *ref = ref_state(model, customer);
    if (ordinal > ref->n)
        sim_fail("I1: customer %s in %s has ordinal %u, the reference %zu", customer_id(customer),
                 programs[0].models[model]->name, ordinal, ref->n);
    for (; seen->checked < ordinal; seen->checked++) {
        const struct ref_out *o = &ref->outs[seen->checked];
        const struct rec *r = told(seen->checked < seen->cap ? seen->got[seen->checked] : NULL, o);
        if (r)
            check_output(r, o);
        else if (!checks_may_miss(o))
            sim_fail("I3: output %s:%s:%u is in the states, but not published: %.*s", programs[0].models[model]->name,
                     customer_id(customer), seen->checked + 1, (int)o->body.n, o->body.p);
    }
}

struct customer *checks_decode(int partition, int model, struct span state, int *ret_program)
{
    uint32_t version;
    int now = ref_program(partition);
    if (customer_version((const uint8_t *)state.p, state.n, &version))
        return NULL;
    *ret_program = programs[now].models[model]->version == version ? now : PROGRAMS - 1 - now;
    const struct model *m = programs[*ret_program].models[model];
    struct customer *c = sim_alloc(customer_bytes(m));
    return customer_decode(m, (const uint8_t *)state.p, state.n, c) ? NULL : c;
}

uint32_t checks_state(int partition, int model, int customer, struct span state, int64_t clock, const char *what)
{
    const struct model *m = programs[ref_program(partition)].models[model];
    struct ref_state *ref = ref_state(model, customer);
    static struct effects ignored;
    uint8_t *bytes = sim_alloc(2 * customer_state_max(m)), *expected = bytes + customer_state_max(m);
    int program;
    struct customer *c = checks_decode(partition, model, state, &program);
    if (!c)
        sim_fail("I1: the state of %s in %s cannot be read", customer_id(customer), m->name);
    uint32_t ordinal = c->ordinal;
    if (!ref->c)
        sim_fail("I1: customer %s in %s is %s, but has no event yet", customer_id(customer), m->name, what);
    ref_time(model, customer, clock); // deadlines below the clock may be pending in a piece of a sweep
    const struct customer *want = ref_carried(partition, model, ref->program, ref->c);
    c = ref_carried(partition, model, program, c);
    step_due(m, c);
    ignored.n = 0;
    if (step_time(m, c, clock, &ignored))
        sim_fail("no memory");
    size_t n = customer_encode(m, c, bytes), expected_n = customer_encode(m, want, expected);
    if (n != expected_n || memcmp(bytes, expected, n) != 0)
        sim_fail("I1: customer %s of partition %d in %s, %s: stage %d, ordinal %u, clock %" PRId64 "; the reference "
                 "has stage %d, ordinal %u, clock %" PRId64 " (%zu and %zu bytes)",
                 customer_id(customer), partition, m->name, what, c->stage, c->ordinal, c->clock, want->stage,
                 want->ordinal, want->clock, n, expected_n);
    check_outputs(model, customer, ordinal);
    effects_clear(&ignored);
    return ordinal;
}

static void check_cursor(int partition, const struct cursor *next)
{
    const struct cursor *c = &checks.parts[partition].cursor;
    const struct plog *l = kafka_log(T_EVENTS, partition);
    if (next->offset < c->offset || next->clock < c->clock)
        sim_fail("the cursor of partition %d goes back: %" PRId64 " to %" PRId64 ", clock %" PRId64 " to %" PRId64,
                 partition, c->offset, next->offset, c->clock, next->clock);
    if (next->offset > kafka_high(l))
        sim_fail("the cursor of partition %d is beyond the end", partition);
    ref_step(partition, next->offset, checks_bad);
    if (next->clock < ref_clock(partition))
        sim_fail("the clock of partition %d is %" PRId64 " at offset %" PRId64 ", the reference's %" PRId64, partition,
                 next->clock, next->offset, ref_clock(partition));
    if (next->clock > ref_clock(partition) && !ref_decided(partition, next->offset, next->clock))
        sim_fail("the clock of partition %d is %" PRId64 " at offset %" PRId64 ", the reference's %" PRId64
                 ", and no decision explains it",
                 partition, next->clock, next->offset, ref_clock(partition));
}

static void check_tails(int partition, const struct cursor *c)
{
    for (int i = 0; i < c->ntails; i++) {
        int topic = topic_of(c->tails[i].topic);
        const struct plog *l = kafka_log(topic, partition);
        int64_t *from = &checks.parts[partition].tails[topic];
        if (c->tails[i].offset > kafka_high(l) + (l->nopen > 0)) // its transaction's marker is to come
            sim_fail("the tail of %s/%d is beyond its end", topic_names[topic], partition);
        if (c->tails[i].offset < *from)
            sim_fail("the tail of %s/%d goes back", topic_names[topic], partition);
        for (; *from < c->tails[i].offset && *from < kafka_high(l); ++*from) {
            const struct logged *e = &l->v[*from];
            if (kafka_visible(l, *from) && !accounted(partition, e->rec->said) && !doubles())
                sim_fail("the tail of %s/%d passes offset %" PRId64 ", which the states do not know of",
                         topic_names[topic], partition, *from);
        }
    }
}

void checks_created(int partition, const struct cursor *c)
{
    bool again = checks.parts[partition].started;
    bool same = c->start == ref_begin_at(partition) && checks.parts[partition].started_by == program_of(c->program);
    if (again && (!same || checks.parts[partition].nswitches > 0))
        checks_give_up(partition, "a first cursor comes late, of others, in place of one that is lost");
    else
        ref_start(partition, c->start, program_of(c->program));
    checks.parts[partition].cursor = *c;
    for (int i = 0; i < c->ntails; i++)
        checks.parts[partition].tails[topic_of(c->tails[i].topic)] = c->tails[i].offset;
}

void checks_flushed(int partition, const struct flush *f, bool mine)
{
    if (!mine)
        sim_fail("I5: a former owner of partition %d writes", partition);
    if (!checks.parts[partition].started)
        sim_fail("partition %d is flushed, but the journal has no start", partition);
    if (checks.parts[partition].given_up)
        return;
    check_cursor(partition, f->cursor);
    checks_flush_size(partition, f);
    checks_switched(partition, f);
    for (size_t i = 0; i < f->nwrites; i++) {
        int customer = customer_of(f->writes[i].customer);
        if (partition_of(customer) != partition)
            sim_fail("customer %s is of another partition", customer_id(customer));
        checks.seen[f->writes[i].model][customer].stored =
            checks_state(partition, f->writes[i].model, customer, f->writes[i].state, f->cursor->clock, "flushed");
    }
    checks.parts[partition].cursor = *f->cursor;
    checks.parts[partition].cursor.n++;
    if (f->nwrites > 0)
        checks.parts[partition].states_n = f->cursor->n + 1;
    check_tails(partition, f->cursor);
}

// Everything that was published of a customer is the reference's, without a gap in any topic.
void checks_published(int model, int customer)
{
    const struct seen *seen = &checks.seen[model][customer];
    const struct ref_state *ref = ref_state(model, customer);
    uint32_t missing[TOPICS] = {0};
    for (uint32_t i = 0; i < seen->cap; i++) {
        const struct rec *r = i < ref->n ? told(seen->got[i], &ref->outs[i]) : seen->got[i];
        if (r && i >= ref->n && doubles())
            continue;
        if (r && i >= ref->n)
            sim_fail("I2: output %s is published, the reference has only %zu", r->said->id, ref->n);
        if (r)
            check_output(r, &ref->outs[i]);
        else if (i < ref->n && !checks_may_miss(&ref->outs[i]) && !missing[ref->outs[i].topic])
            missing[ref->outs[i].topic] = i + 1;
        if (r && missing[ref->outs[i].topic])
            sim_fail("I2: output %s is published, but ordinal %u before it is not", r->said->id,
                     missing[ref->outs[i].topic]);
    }
}

void checks_order(int topic, int partition)
{
    const struct plog *l = kafka_log(topic, partition);
    uint32_t *last[MODEL_COUNT_MAX];
    for (int m = 0; m < MODEL_COUNT_MAX; m++)
        last[m] = sim_alloc((size_t)sim.plan.customers * sizeof **last);
    for (int64_t i = 0; i < kafka_stable(l); i++) {
        if (!kafka_visible(l, i) || l->v[i].rec->said->kind != SAID_OUTPUT)
            continue;
        const struct said *s = l->v[i].rec->said;
        // A trigger that was stale is none when the clock went back, or by another daemon's that is behind.
        bool fresh = sim.plan.at_least_once && (sim.plan.clock_jump || sim.plan.skew);
        if (s->ordinal <= last[s->model][s->customer] && !doubles() && !fresh)
            sim_fail("I2: in %s/%d output %s comes after ordinal %u", topic_names[topic], partition, s->id,
                     last[s->model][s->customer]);
        last[s->model][s->customer] = s->ordinal;
    }
}

void checks_recheck(int partition)
{
    ref_forget(partition);
    for (int c = 0; c < sim.plan.customers; c++)
        for (int m = 0; m < nmodels() && partition_of(c) == partition; m++)
            checks.seen[m][c].checked = 0;
}
