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
    buckets_uncover(b);
    free(b->v);
    *b = (struct buckets){0};
}

// ---- covers

enum { MORE_DUES = 4 }; // than a cover begins with: customers that come to be due soon; a cover without room ends

static size_t cover_bytes(const struct cover *c)
{
    return sizeof *c + c->room * sizeof *c->due;
}

static void uncover(struct buckets *b, struct bucket *bucket)
{
    if (!bucket->cover)
        return;
    b->bytes -= cover_bytes(bucket->cover);
    free(bucket->cover);
    bucket->cover = NULL;
}

void buckets_uncover(struct buckets *b)
{
    for (size_t i = 0; i < b->n && b->bytes > 0; i++)
        uncover(b, &b->v[i]);
}

int bucket_cover(struct buckets *b, uint64_t bucket, int64_t until, const int64_t *dues, size_t n)
{
    uint32_t soon = 0;
    for (size_t i = 0; i < n; i++)
        soon += dues[i] < until;
    uncover(b, &b->v[bucket]);
    if (soon == 0)
        return 0; // nothing would be gained
    struct cover *c = malloc(sizeof *c + (soon + MORE_DUES) * sizeof *c->due);
    if (!c)
        return ERR_NOMEM;
    *c = (struct cover){.until = until, .room = soon + MORE_DUES};
    for (size_t i = 0; i < n; i++)
        if (dues[i] < until)
            c->due[c->n++] = dues[i];
    b->v[bucket].cover = c;
    b->bytes += cover_bytes(c);
    return 0;
}

void bucket_touch(struct buckets *b, uint64_t bucket, int64_t due)
{
    struct cover *c = b->v[bucket].cover;
    if (!c || due >= c->until)
        return;
    for (uint32_t i = 0; i < c->n; i++)
        if (c->due[i] == due)
            return;
    if (c->n == c->room)
        uncover(b, &b->v[bucket]);
    else
        c->due[c->n++] = due;
}

int64_t bucket_next(struct buckets *b, uint64_t bucket, int64_t clock)
{
    struct cover *c = b->v[bucket].cover;
    if (!c)
        return INT64_MIN;
    if (c->until <= clock) {
        uncover(b, &b->v[bucket]);
        return INT64_MIN;
    }
    int64_t next = c->until;
    uint32_t n = 0;
    for (uint32_t i = 0; i < c->n; i++)
        if (c->due[i] >= clock) {
            next = c->due[i] < next ? c->due[i] : next;
            c->due[n++] = c->due[i];
        }
    c->n = n;
    return next;
}
