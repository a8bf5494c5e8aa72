// The customers of one partition that are in memory: a hash table, and a heap that knows whose deadline is next.
// Deadlines in the heap are lower bounds: an event that only moves one later does not touch it.
// An entry stays at its address until cache_evict or cache_clear frees it: adding others never moves it.
#pragma once
#include "customer.h"

enum entry_state {
    ENTRY_PENDING, // not loaded yet: the customer is not initialised
    ENTRY_ABSENT,  // the store has none: its first event creates it
    ENTRY_KNOWN,
};

struct entry {
    uint64_t hash;    // of the id
    int64_t armed;    // ms UTC: its key in the heap; valid if heap_at >= 0
    int32_t heap_at;  // index in the heap, or -1
    int32_t dirty_at; // index in the list of unflushed entries, or -1
    uint16_t id_bytes;
    uint8_t model;
    uint8_t state;      // enum entry_state
    bool stored;        // the store has a state of it
    bool used;          // since the evicting hand last came by
    struct customer *c; // both inside this allocation
    char *id;
};

struct cache {
    struct entry **table; // open addressing, linear probing, a power of two, at most 3/4 full
    size_t n, mask, hand;
    struct entry **heap;
    size_t nheap, heap_cap;
    struct entry **dirty;
    size_t ndirty, dirty_cap;
    size_t bytes; // of everything here
};

uint64_t cache_hash(struct span id); // of the id alone: models may change their places in the program
struct entry *cache_find(const struct cache *k, uint64_t hash, int model, struct span id);
// Adds an entry that is not there, with room for the customer (not initialised). NULL: no memory.
struct entry *cache_add(struct cache *k, const struct model *m, uint64_t hash, int model, struct span id);
// After the customer changed: unflushed, and armed for its deadline. 0, or negative: no memory.
int cache_touch(struct cache *k, struct entry *e);
// Arms the entry for its c->due without marking it unflushed (after a load).
int cache_arm(struct cache *k, struct entry *e);
// The entry with the earliest deadline before `before`, or NULL. What it returns must be stepped past it.
struct entry *cache_due(struct cache *k, int64_t before);
// A lower bound of the earliest deadline here; NEVER: none.
int64_t cache_next(const struct cache *k);
// Everything unflushed is now stored.
void cache_flushed(struct cache *k);
// Drops loaded and flushed entries not used lately, until bytes <= limit or none is left. Those due before `spared`
// (ms UTC) stay.
void cache_evict(struct cache *k, const struct model *const *models, size_t limit, int64_t spared);
void cache_clear(struct cache *k);
