// One allocation an entry: header, customer, id. The table holds pointers; deleting shifts the following run back, so
// that there are no tombstones. The heap is binary and keyed by `armed`.
#include "cache.h"
#include <assert.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

enum { TABLE_MIN = 64, MALLOC_BYTES = 16 };

uint64_t cache_hash(struct span id)
{
    return XXH3_64bits(id.p, id.n);
}

struct entry *cache_find(const struct cache *k, uint64_t hash, int model, struct span id)
{
    if (!k->table)
        return NULL;
    for (size_t i = hash & k->mask;; i = (i + 1) & k->mask) {
        struct entry *e = k->table[i];
        if (!e)
            return NULL;
        if (e->hash == hash && e->model == model && e->id_bytes == id.n && !memcmp(e->id, id.p, id.n))
            return e;
    }
}

static void table_put(struct entry **table, size_t mask, struct entry *e)
{
    size_t i = e->hash & mask;
    while (table[i])
        i = (i + 1) & mask;
    table[i] = e;
}

static int table_grow(struct cache *k)
{
    size_t size = k->table ? (k->mask + 1) * 2 : TABLE_MIN;
    struct entry **table = calloc(size, sizeof *table);
    if (!table)
        return ERR_NOMEM;
    for (size_t i = 0; k->table && i <= k->mask; i++)
        if (k->table[i])
            table_put(table, size - 1, k->table[i]);
    k->bytes += (size - (k->table ? k->mask + 1 : 0)) * sizeof *table;
    free(k->table);
    k->table = table;
    k->mask = size - 1;
    k->hand = 0;
    return 0;
}

static size_t entry_bytes(const struct model *m, size_t id_bytes)
{
    return sizeof(struct entry) + customer_bytes(m) + id_bytes;
}

struct entry *cache_add(struct cache *k, const struct model *m, uint64_t hash, int model, struct span id)
{
    assert(id.n <= CUSTOMER_BYTES_MAX);
    if ((!k->table || (k->n + 1) * 4 > (k->mask + 1) * 3) && table_grow(k))
        return NULL;
    size_t bytes = entry_bytes(m, id.n);
    struct entry *e = malloc(bytes);
    if (!e)
        return NULL;
    e->hash = hash;
    e->armed = NEVER;
    e->heap_at = e->dirty_at = -1;
    e->id_bytes = (uint16_t)id.n;
    e->model = (uint8_t)model;
    e->state = ENTRY_PENDING;
    e->stored = false;
    e->used = true;
    e->c = (struct customer *)(e + 1);
    e->id = (char *)e + bytes - id.n;
    memcpy(e->id, id.p, id.n);
    table_put(k->table, k->mask, e);
    k->n++;
    k->bytes += bytes + MALLOC_BYTES;
    return e;
}

// ---- heap

static void heap_set(struct cache *k, size_t i, struct entry *e)
{
    k->heap[i] = e;
    e->heap_at = (int32_t)i;
}

static void heap_up(struct cache *k, size_t i)
{
    struct entry *e = k->heap[i];
    for (; i > 0 && k->heap[(i - 1) / 2]->armed > e->armed; i = (i - 1) / 2)
        heap_set(k, i, k->heap[(i - 1) / 2]);
    heap_set(k, i, e);
}

static void heap_down(struct cache *k, size_t i)
{
    struct entry *e = k->heap[i];
    for (size_t child; (child = 2 * i + 1) < k->nheap; i = child) {
        if (child + 1 < k->nheap && k->heap[child + 1]->armed < k->heap[child]->armed)
            child++;
        if (k->heap[child]->armed >= e->armed)
            break;
        heap_set(k, i, k->heap[child]);
    }
    heap_set(k, i, e);
}

static void heap_remove(struct cache *k, struct entry *e)
{
    size_t i = (size_t)e->heap_at;
    struct entry *last = k->heap[--k->nheap];
    e->heap_at = -1;
    if (last == e)
        return;
    heap_set(k, i, last);
    heap_up(k, i);
    heap_down(k, (size_t)last->heap_at);
}

static int grow(struct entry ***v, size_t *cap, size_t n, size_t *bytes)
{
    if (n < *cap)
        return 0;
    size_t to = *cap ? *cap * 2 : TABLE_MIN;
    struct entry **p = realloc(*v, to * sizeof *p);
    if (!p)
        return ERR_NOMEM;
    *bytes += (to - *cap) * sizeof *p;
    *v = p;
    *cap = to;
    return 0;
}

int cache_arm(struct cache *k, struct entry *e)
{
    if (e->heap_at >= 0) {
        if (e->c->due < e->armed) {
            e->armed = e->c->due;
            heap_up(k, (size_t)e->heap_at);
        }
        return 0;
    }
    if (e->c->due == NEVER)
        return 0;
    if (grow(&k->heap, &k->heap_cap, k->nheap, &k->bytes))
        return ERR_NOMEM;
    e->armed = e->c->due;
    heap_set(k, k->nheap++, e);
    heap_up(k, k->nheap - 1);
    return 0;
}

struct entry *cache_due(struct cache *k, int64_t before)
{
    while (k->nheap > 0 && k->heap[0]->armed < before) {
        struct entry *e = k->heap[0];
        if (e->c->due == e->armed)
            return e;
        if (e->c->due == NEVER) {
            heap_remove(k, e);
        } else {
            e->armed = e->c->due;
            heap_down(k, 0);
        }
    }
    return NULL;
}

int64_t cache_next(const struct cache *k)
{
    return k->nheap > 0 ? k->heap[0]->armed : NEVER;
}

// ---- unflushed, evicting

int cache_touch(struct cache *k, struct entry *e)
{
    e->used = true;
    if (e->dirty_at < 0) {
        if (grow(&k->dirty, &k->dirty_cap, k->ndirty, &k->bytes))
            return ERR_NOMEM;
        e->dirty_at = (int32_t)k->ndirty;
        k->dirty[k->ndirty++] = e;
    }
    return cache_arm(k, e);
}

void cache_flushed(struct cache *k)
{
    for (size_t i = 0; i < k->ndirty; i++) {
        k->dirty[i]->dirty_at = -1;
        k->dirty[i]->stored = true;
    }
    k->ndirty = 0;
}

static void table_remove(struct cache *k, size_t i)
{
    for (size_t j = i;;) {
        k->table[i] = NULL;
        for (;;) {
            j = (j + 1) & k->mask;
            if (!k->table[j])
                return;
            size_t home = k->table[j]->hash & k->mask;
            if (((j - home) & k->mask) >= ((j - i) & k->mask))
                break; // it may move back to i
        }
        k->table[i] = k->table[j];
        i = j;
    }
}

void cache_evict(struct cache *k, const struct model *const *models, size_t limit, int64_t spared)
{
    size_t rounds = k->table ? 2 * (k->mask + 1) : 0; // twice around: first clears `used`, then takes
    while (rounds > 0 && k->bytes > limit) {
        struct entry *e = k->table[k->hand];
        if (!e || e->dirty_at >= 0 || e->used || e->state != ENTRY_KNOWN || e->c->due < spared) {
            if (e)
                e->used = false;
            k->hand = (k->hand + 1) & k->mask;
            rounds--;
            continue;
        }
        if (e->heap_at >= 0)
            heap_remove(k, e);
        table_remove(k, k->hand); // what moved here is looked at next
        k->n--;
        k->bytes -= entry_bytes(models[e->model], e->id_bytes) + MALLOC_BYTES;
        free(e);
    }
}

void cache_clear(struct cache *k)
{
    for (size_t i = 0; k->table && i <= k->mask; i++)
        free(k->table[i]);
    free(k->table);
    free(k->heap);
    free(k->dirty);
    *k = (struct cache){0};
}
