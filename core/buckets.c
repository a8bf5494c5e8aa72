#include "buckets.h"
#include "bounds.h"
#include "error.h"
#include <stdlib.h>

static uint64_t level_of(uint64_t buckets) // the power of two at or below
{
    return UINT64_C(1) << (63 - __builtin_clzll(buckets));
}

uint64_t bucket_of(uint64_t hash, uint64_t buckets)
{
    if (buckets == 0)
        return 0;
    uint64_t size = level_of(buckets), b = hash & (2 * size - 1);
    return b < buckets ? b : hash & (size - 1);
}

uint64_t bucket_from(uint64_t to)
{
    return to - level_of(to);
}

uint64_t buckets_for(uint64_t customers, uint64_t each)
{
    enum { MIN = 16 };
    uint64_t want = customers / each;
    return want > MIN ? want : MIN;
}

int buckets_grow(struct buckets *b, uint64_t n)
{
    if (b->n >= n)
        return 0;
    struct bucket *v = realloc(b->v, n * 2 * sizeof *v);
    if (!v)
        return ERR_NOMEM;
    for (b->v = v; b->n < n * 2; b->n++)
        v[b->n] = (struct bucket){.bound = NEVER};
    return 0;
}

void buckets_clear(struct buckets *b)
{
    free(b->v);
    *b = (struct buckets){0};
}
