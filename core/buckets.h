// Buckets of stored customers: which one a customer is in, and what a partition knows of each without reading it.
#pragma once
#include <stddef.h>
#include <stdint.h>

enum { BUCKET_CUSTOMERS = 48 }; // on average, by default; listpack hashes stay small and quick below some hundred

// The bucket of a hash among so many: linear hashing, so that adding one splits one. 0 where there are none yet:
// nothing of the model is stored, and any will do to look for it.
uint64_t bucket_of(uint64_t hash, uint64_t buckets);
// The bucket that bucket `to` is split from, when it is added.
uint64_t bucket_from(uint64_t to);
uint64_t buckets_for(uint64_t customers, uint64_t each); // how many to begin with

struct bucket {
    int64_t bound; // ms UTC: its score in the store is not above it; NEVER: unknown
};

struct buckets { // of one model
    struct bucket *v;
    size_t n;
};

// Knows of at least n buckets from now on. 0, or negative: no memory.
int buckets_grow(struct buckets *b, uint64_t n);
void buckets_clear(struct buckets *b);
