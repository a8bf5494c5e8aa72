// The end of a run: every state in the store, its place, its deadline's score, the statistics and counts; and every
// output that was ever published.
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "buckets.h"
#include "cache.h"
#include "checks.h"
#include "reference.h"
#include "worker.h"

enum { STATS_MAX = 128, BUCKETS_MAX = 4096, WALL_SLACK_MS = 3000 };

struct stat {
    char field[100];
    int64_t value;
};

struct audit { // of one partition
    int partition;
    bool drained;
    bool behind; // more is published: a late claim of a former owner kept the last flush out
    struct cursor cursor;
    uint64_t customers[MODEL_COUNT_MAX];
    int64_t due[MODEL_COUNT_MAX][BUCKETS_MAX]; // the store's scores
    struct stat stats[STATS_MAX];              // as states and outputs have them, less the store's
    int nstats;
    bool *stored[MODEL_COUNT_MAX]; // by customer
};

static void count(struct audit *a, const char *field, int64_t n)
{
    int i = 0;
    while (i < a->nstats && strcmp(a->stats[i].field, field) != 0)
        i++;
    if (i == a->nstats) {
        snprintf(a->stats[a->nstats++].field, sizeof a->stats->field, "%s", field);
        a->stats[i].value = 0;
    }
    a->stats[i].value += n;
}

static void count_named(struct audit *a, const struct model *m, const char *kind, const char *name)
{
    char field[100];
    snprintf(field, sizeof field, "%s:%s:%s", m->name, kind, name);
    count(a, field, 1);
}

static bool has(const struct model *m, const char *kind, const char *name)
{
    if (!strcmp(kind, "trigger")) {
        for (int i = 0; i < m->ntriggers; i++)
            if (!strcmp(m->triggers[i].name, name))
                return true;
        return false;
    }
    for (int i = 0; i < m->nrules; i++)
        if (!strcmp(m->rules[i].name, name))
            return true;
    return false;
}

// Counts go on under their names, as long as the program has them.
static bool kept(int partition, int model, const char *kind, const char *name, size_t era)
{
    size_t n;
    const struct ref_switch *s = ref_switches(partition, &n);
    for (; era < n; era++)
        if (!has(programs[s[era].program].models[model], kind, name))
            return false;
    return true;
}

static void each_state(void *arg, int model, uint64_t bucket, struct span id, struct span state)
{
    struct audit *a = arg;
    const struct model *m = programs[ref_program(a->partition)].models[model];
    int program, customer = customer_of(id);
    if (bucket_of(cache_hash(id), a->cursor.buckets[model]) != bucket)
        sim_fail("customer %.*s in %s is in bucket %" PRIu64 ", where nobody looks", (int)id.n, id.p, m->name, bucket);
    uint32_t ordinal = checks_state(a->partition, model, customer, state, a->cursor.clock, "at the end");
    const struct ref_state *ref = ref_state(model, customer);
    struct customer *c = checks_decode(a->partition, model, state, &program);
    c = ref_carried(a->partition, model, program, c);
    step_due(m, c);
    if (bucket >= BUCKETS_MAX || a->due[model][bucket] > c->due)
        sim_fail("the deadline %" PRId64 " of %.*s in %s is missed: its bucket's score is %" PRId64, c->due, (int)id.n,
                 id.p, m->name, a->due[model][bucket]);
    bool swept = a->cursor.swept >= a->cursor.clock; // else the stop had no time for all
    if (a->drained && swept && !a->behind && ordinal != ref->n)
        sim_fail("I4: customer %.*s in %s has ordinal %u, the reference %zu: deadlines are pending", (int)id.n, id.p,
                 m->name, ordinal, ref->n);
    if (a->drained && !a->behind && programs[0].wall &&
        c->due < wall_now(0) - programs[ref_program(a->partition)].grace_ms - WALL_SLACK_MS - sim.plan.skew * 10000)
        sim_fail("I4: the deadline %" PRId64 " of %.*s in %s is long over", c->due, (int)id.n, id.p, m->name);
    a->customers[model]++;
    a->stored[model][customer] = true;
    count_named(a, m, "stage", m->stages[c->stage].name);
    for (uint32_t i = 0; i < ordinal; i++) {
        if (ref->outs[i].rule && kept(a->partition, model, "rule", ref->outs[i].rule, ref->outs[i].era))
            count_named(a, m, "rule", ref->outs[i].rule);
        if (ref->outs[i].in_trigger && kept(a->partition, model, "trigger", ref->outs[i].in_trigger, ref->outs[i].era))
            count_named(a, m, "trigger", ref->outs[i].in_trigger);
    }
}

static void each_stat(void *arg, struct span field, int64_t value)
{
    char text[100];
    snprintf(text, sizeof text, "%.*s", (int)field.n, field.p);
    count(arg, text, -value);
}

static void read_dues(struct audit *a, const struct part_key *key)
{
    enum { DUES_MAX = MODEL_COUNT_MAX * BUCKETS_MAX };
    struct due_bucket *v = sim_alloc(DUES_MAX * sizeof *v);
    struct mem_client *client = mem_client_new(redis);
    struct why why;
    size_t n = 0;
    int64_t next;
    for (int m = 0; m < MODEL_COUNT_MAX; m++)
        for (int b = 0; b < BUCKETS_MAX; b++)
            a->due[m][b] = NEVER;
    mem_store_ops.due(client, key, NEVER, DUES_MAX, v, &n, &next, &why);
    for (size_t i = 0; i < n; i++)
        a->due[v[i].model][v[i].bucket] = v[i].at;
    mem_store_ops.stats(client, key, each_stat, a, &why);
    mem_client_free(client);
}

static void audit(struct audit *a, const struct part_key *key)
{
    checks_recheck(a->partition);
    ref_step(a->partition, a->cursor.offset, checks_bad);
    for (int m = 0; m < nmodels(); m++)
        a->stored[m] = sim_alloc((size_t)sim.plan.customers * sizeof(bool));
    read_dues(a, key);
    mem_store_each(redis, key, each_state, a);
    for (int m = 0; m < nmodels(); m++) {
        if (a->customers[m] != a->cursor.customers[m])
            sim_fail("the cursor of partition %d counts %" PRIu64 " customers in %s, there are %" PRIu64, a->partition,
                     a->cursor.customers[m], programs[0].models[m]->name, a->customers[m]);
        for (int c = 0; c < sim.plan.customers; c++)
            if (partition_of(c) == a->partition && ref_state(m, c)->c && !a->stored[m][c])
                sim_fail("I1: customer %s in %s has no state", customer_id(c), programs[0].models[m]->name);
    }
    for (int i = 0; i < a->nstats; i++)
        if (a->stats[i].value != 0)
            sim_fail("the statistic %s of partition %d is off by %" PRId64, a->stats[i].field, a->partition,
                     -a->stats[i].value);
}

void checks_final(int partition, bool drained)
{
    struct part_key key = {topic_names[T_EVENTS], partition};
    if (checks_given_up(partition))
        return;
    size_t nswitches;
    const struct ref_switch *switches = ref_switches(partition, &nswitches);
    if (!drained && nswitches && switches[nswitches - 1].program != checks_program(partition))
        return; // a change of program that Redis has forgotten is yet to come again
    if (!drained && checks_has_lost(partition))
        return; // it has halted, or had no time to; else I6: the audit would find what is missing
    struct audit *a = sim_alloc(sizeof *a);
    *a = (struct audit){.partition = partition, .drained = drained, .cursor = mem_store_cursor(redis, &key)};
    const struct plog *l = kafka_log(T_EVENTS, partition);
    int64_t offset, clock;
    kafka_committed(partition, false, &offset, &clock);
    a->behind = clock > a->cursor.clock;
    if (a->cursor.exists)
        audit(a, &key);
    if (drained && (!a->cursor.exists || a->cursor.offset != kafka_high(l)))
        sim_fail("I4: the cursor of partition %d is at %" PRId64 ", its end at %" PRId64, partition, a->cursor.offset,
                 kafka_high(l));
    // What is published beyond the cursor is right, too.
    ref_step(partition, kafka_stable(l), NULL);
    clock = ref_clock(partition);
    int64_t last = ref_last_clock(partition);
    for (int c = 0; c < sim.plan.customers; c++)
        for (int m = 0; m < nmodels() && partition_of(c) == partition; m++) {
            ref_time(m, c, clock > last ? clock : last);
            checks_published(m, c);
        }
    for (int i = T_TRANSITIONS; i < TOPICS; i++)
        checks_order(i, partition);
}
