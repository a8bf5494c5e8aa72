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
    int64_t bound;       // ms UTC: its score in the store is not above it; NEVER: unknown
    struct cover *cover; // NULL: it must be read to know what is due
};

struct cover {     // what a reading of the whole bucket has left in memory
    int64_t until; // ms UTC: every customer of the bucket that is due before is in memory
    uint32_t n, room;
    int64_t due[]; // ms UTC: each of these customers is due at one of these, or later
};

struct buckets { // of one model
    struct bucket *v;
    size_t n;
    size_t bytes; // of covers
};

// Knows of at least n buckets from now on. 0, or negative: no memory.
int buckets_grow(struct buckets *b, uint64_t n);
void buckets_clear(struct buckets *b);
// All customers of the bucket that are due before `until` are in memory, and n dues are theirs, among others.
// 0, or negative: no memory.
int bucket_cover(struct buckets *b, uint64_t bucket, int64_t until, const int64_t *dues, size_t n);
// A customer of the bucket, in memory, is due then from now on.
void bucket_touch(struct buckets *b, uint64_t bucket, int64_t due);
// A lower bound of all deadlines of the bucket, not before `clock`, when all in memory before `clock` have fired;
// INT64_MIN: the bucket must be read.
int64_t bucket_next(struct buckets *b, uint64_t bucket, int64_t clock);
void buckets_uncover(struct buckets *b); // what is in memory may go
