// Changes of program. The store says when one takes place, and the journal must have said so before; after a loss of
// Redis's latest writes it must come again at the same place, unless the next program has said nothing yet.
#include <inttypes.h>
#include <string.h>

#include "checks.h"
#include "said.h"
#include "worker.h"

void checks_switch_said(int partition, const struct said *s)
{
    size_t n = checks.parts[partition].nswitches++;
    const struct said **v = sim_alloc((n + 1) * sizeof(struct said *));
    for (size_t i = 0; i < n; i++)
        v[i] = checks.parts[partition].switches[i];
    v[n] = s;
    checks.parts[partition].switches = v;
    checks.parts[partition].started = true;
    const struct cursor *c = &checks.parts[partition].cursor;
    const struct ref_switch *last = ref_switches(partition, &n);
    if (n > 0 && c->exists && last[n - 1].n >= c->n &&
        (s->offset != last[n - 1].offset || s->clock != last[n - 1].clock))
        checks_give_up(partition, "a program comes where Redis has forgotten that another one is at work");
}

static struct ref_switch *switching; // whose pending deadlines are looked for

static void see_pending(void *arg, int model, uint64_t bucket, struct span id, struct span state)
{
    const struct cursor *c = arg;
    int customer = customer_of(id), partition = partition_of(customer);
    struct ref_pending *to = &switching->pending[model][customer];
    (void)bucket;
    checks_state(partition, model, customer, state, c->clock, "at a change of program");
    to->c = checks_decode(partition, model, state, &to->program);
}

static bool switch_journaled(int partition, const struct cursor *c)
{
    for (size_t i = 0; i < checks.parts[partition].nswitches; i++) {
        const struct said *s = checks.parts[partition].switches[i];
        if (s->offset == c->offset && s->clock == c->clock && !strcmp(s->digest, c->program))
            return true;
    }
    return false;
}

static bool said_beyond(const struct said *s, int64_t offset, int64_t clock)
{
    bool before = s->kind == SAID_DEAD || s->kind == SAID_REJECT;
    return s->kind != SAID_START && s->kind != SAID_SWITCH && (s->offset + before > offset || s->clock > clock);
}

bool checks_done_beyond(int partition, int64_t offset, int64_t clock)
{
    int64_t to, by;
    kafka_committed(partition, false, &to, &by);
    if (to > offset || by > clock)
        return true;
    for (int topic = T_JOURNAL; topic < TOPICS; topic++) {
        const struct plog *l = kafka_log(topic, partition);
        for (size_t i = 0; i < l->n; i++) {
            const struct said *said = l->v[i].rec ? l->v[i].rec->said : NULL;
            if (said && kafka_visible(l, (int64_t)i) && said_beyond(said, offset, clock))
                return true;
        }
    }
    return false;
}

// The store says that another program is at work.
void checks_switched(int partition, const struct flush *f)
{
    struct part_key key = {topic_names[T_EVENTS], partition};
    struct ref_switch s = {.offset = f->cursor->offset,
                           .clock = f->cursor->clock,
                           .n = f->cursor->n,
                           .states_n = checks.parts[partition].states_n,
                           .program = program_of(f->cursor->program)};
    if (!strcmp(f->cursor->program, checks.parts[partition].cursor.program))
        return;
    if (!switch_journaled(partition, f->cursor))
        sim_fail("partition %d is switched to program %d at offset %" PRId64 ", clock %" PRId64
                 ", but the journal has no such entry",
                 partition, s.program, s.offset, s.clock);
    size_t n;
    const struct ref_switch *former = ref_switches(partition, &n);
    if (n > 0 && former[n - 1].offset == s.offset && former[n - 1].clock == s.clock &&
        former[n - 1].program == s.program && former[n - 1].n >= s.n) {
        ref_unswitch(partition); // once more
        ref_step(partition, f->cursor->offset, checks_bad);
    }
    checks.parts[partition].forgot = false;
    act(s.offset, s.program, "partition %d: program %d from offset %lld on", partition, s.program, (long long)s.offset);
    for (int m = 0; m < nmodels(); m++)
        s.pending[m] = sim_alloc((size_t)sim.plan.customers * sizeof **s.pending);
    switching = &s;
    mem_store_each(redis, &key, see_pending, (void *)f->cursor);
    ref_switch(partition, &s);
    ref_step(partition, f->cursor->offset, checks_bad);
}

// A worker that has not noticed yet that Redis forgot the change of program speaks after it: now it matters.
void checks_spoken(int partition, const struct said *s)
{
    const struct ref_switch *undone = &checks.parts[partition].undone;
    if (s->kind == SAID_SWITCH)
        checks.parts[partition].forgot = false; // from there on another program speaks, or this one again
    else if (checks.parts[partition].forgot && said_beyond(s, undone->offset, undone->clock))
        checks_give_up(partition, "the next program speaks after a change that Redis has forgotten");
}

// The same of its work that is to say nothing.
void checks_done(int partition, int64_t offset, int64_t clock)
{
    const struct ref_switch *undone = &checks.parts[partition].undone;
    if (checks.parts[partition].forgot && (offset > undone->offset || clock > undone->clock))
        checks_give_up(partition, "the next program's offset follows a change that Redis has forgotten");
}

static bool is_latest(int partition, const struct ref_switch *s)
{
    size_t n = checks.parts[partition].nswitches;
    const struct said *last = n ? checks.parts[partition].switches[n - 1] : NULL;
    return last && last->offset == s->offset && last->clock == s->clock && program_of(last->digest) == s->program;
}

// Whether the program in Redis came back right there, after others that had said nothing: then it just goes on.
static bool unswitch_back(int partition, const struct cursor *c)
{
    size_t n, forgotten = 0;
    const struct ref_switch *s = ref_switches(partition, &n);
    while (forgotten < n && s[n - 1 - forgotten].n >= c->n) {
        const struct ref_switch *last = &s[n - 1 - forgotten++];
        if (last->offset != c->offset || last->clock != c->clock)
            return false;
    }
    if (forgotten < 2 || s[n - 1].program != program_of(c->program))
        return false;
    while (forgotten-- > 0)
        ref_unswitch(partition);
    return true;
}

// Redis is where it was before a change of program. It may come again at the same place; if it does not, and the next
// program has said something already, the partition may halt.
void checks_unswitch(int partition)
{
    const struct cursor *c = &checks.parts[partition].cursor;
    const struct ref_switch *next = NULL; // that is forgotten, too
    size_t n;
    if (!c->exists || unswitch_back(partition, c))
        return;
    for (const struct ref_switch *s; s = ref_switches(partition, &n), n > 0 && s[n - 1].n >= c->n;) {
        bool same = s[n - 1].offset == c->offset && s[n - 1].clock == c->clock;
        bool whole = s[n - 1].states_n <= c->n && c->swept >= c->clock; // not amid the former program's deadlines
        bool done = checks_done_beyond(partition, s[n - 1].offset, s[n - 1].clock);
        if (same && whole && is_latest(partition, &s[n - 1]) && done)
            return; // it must come again
        bool ended = next && (next->offset > s[n - 1].offset || next->clock > s[n - 1].clock);
        if ((same && !whole) || ended || done) {
            checks_give_up(partition, "Redis goes back to before a change of program");
            return;
        }
        checks.parts[partition].undone = s[n - 1]; // the earliest in the end
        next = &checks.parts[partition].undone;
        checks.parts[partition].forgot = true;
        ref_unswitch(partition);
    }
}
