// Mutations inside the engine, without a line of it: the linker leads calls of a few functions here (--wrap).
#include "cache.h"
#include "engine_private.h"
#include "sim.h"

void __real_cache_evict(struct cache *k, const struct model *const *models, size_t limit, int64_t spared);
void __wrap_cache_evict(struct cache *k, const struct model *const *models, size_t limit, int64_t spared);
void __real_part_advance(struct part *p, int64_t offset);
void __wrap_part_advance(struct part *p, int64_t offset);

void __wrap_cache_evict(struct cache *k, const struct model *const *models, size_t limit, int64_t spared)
{
    if (sim.plan.mutation == MUTATE_EVICT_UNFLUSHED && k->bytes > limit)
        cache_flushed(k);
    __real_cache_evict(k, models, limit, sim.plan.mutation == MUTATE_EVICT_COVERED ? INT64_MIN : spared);
}

void __wrap_part_advance(struct part *p, int64_t offset)
{
    if (sim.plan.mutation != MUTATE_JOURNAL_IGNORED)
        __real_part_advance(p, offset);
}
