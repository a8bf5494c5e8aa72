// I7: what a worker holds between two rounds. The engine's own structures are looked into here, and nowhere else.
#include "engine_private.h"
#include "checks.h"
#include "workload.h"
#include "worker.h"

static size_t unflushed_max(const struct engine *e)
{
    return e->config.flush_customers + (size_t)e->config.program->nmodels;
}

static void check_part(const struct engine *e, const struct part *p, size_t limit)
{
    const struct cache *k = &p->cache;
    if (k->bytes > limit && k->n > k->ndirty)
        sim_fail("I7: the cache of partition %d has %zu bytes, %zu are allowed, and only %zu of %zu customers are "
                 "not flushed",
                 p->key.partition, k->bytes, limit, k->ndirty, k->n);
    if (k->ndirty > unflushed_max(e))
        sim_fail("I7: %zu customers of partition %d are not flushed after a round", k->ndirty, p->key.partition);
    if ((p->outputs > 0 && !e->in_transaction) || p->unknown > 0)
        sim_fail("I7: partition %d has %zu outputs in no transaction, %zu customers to load", p->key.partition,
                 p->outputs, p->unknown);
    if (p->state != PART_REPLAYING && p->published.n > 0)
        sim_fail("I7: partition %d keeps %zu published ids, and is not replaying", p->key.partition, p->published.n);
}

void checks_limits(const struct worker *w)
{
    const struct engine *e = w->engine;
    if (w->dead)
        return;
    if ((e->in_transaction && e->alone) || e->ndeferred || e->nloads || e->arena_n)
        sim_fail("I7: worker %d ends a round with a batch that is not over", w->number);
    if (e->batch < 1 || e->batch > e->config.batch_events)
        sim_fail("I7: worker %d takes batches of %zu events", w->number, e->batch);
    for (size_t i = 0; i < e->nparts; i++)
        if (part_running(e->parts[i]))
            check_part(e, e->parts[i], e->config.cache_bytes / e->nparts);
}

// Without a sweep's pieces, which are as large as the buckets.
void checks_flush_size(int partition, const struct flush *f)
{
    size_t max = (size_t)sim.plan.flush_customers + (size_t)nmodels();
    for (size_t i = 0; i < f->ndues; i++)
        if (f->dues[i].exact)
            return;
    if (f->nwrites > max)
        sim_fail("I7: a flush of partition %d writes %zu states, %zu are allowed", partition, f->nwrites, max);
}
