// The data of one partition in the store in memory. Arrays searched from the front, everywhere: a test has
// some dozens of customers a bucket. Nothing here fails: without memory it aborts.
#pragma once
#include "ports.h"

enum { MEM_BUCKETS_MAX = 1 << 24 };

struct mem_field {
    struct span customer, state; // both owned
};

struct mem_bucket {
    struct mem_field *v;
    size_t n;
    int64_t due; // NEVER: none
};

struct mem_stat {
    char *field;
    int64_t value;
};

struct mem_part {
    char *topic;
    int32_t partition;
    struct cursor cursor; // its tails' topics are owned
    struct owner owner;
    int64_t dues_left, stats_left; // deadlines and statistics after the last flush; -1: there was none
    struct mem_bucket *buckets[MODELS_MAX];
    size_t nbuckets[MODELS_MAX];
    struct mem_stat *stats;
    size_t nstats;
    struct model_text *models; // their names and texts are owned
    size_t nmodels;
};

void *mem_grow(void *p, size_t n, size_t size);
struct span mem_copy(struct span s);
char *mem_copy_text(const char *s);

struct mem_bucket *mem_bucket(struct mem_part *p, int model, uint64_t bucket); // made if it is not there
struct mem_field *mem_field(const struct mem_bucket *b, struct span customer); // NULL: it is not there
void mem_bucket_put(struct mem_bucket *b, struct span customer, struct span state);
void mem_bucket_remove(struct mem_bucket *b, struct span customer);
void mem_stat_put(struct mem_part *p, const char *field, int64_t value);
void mem_model_put(struct mem_part *p, const struct model_text *t);
// Stores a copy of c with another owner and n; its tails may be the stored ones.
void mem_cursor_put(struct mem_part *p, const struct cursor *c, const struct owner *owner, uint64_t n);
void mem_cursor_clear(struct mem_part *p);
void mem_part_copy(struct mem_part *to, const struct mem_part *from); // to: empty
void mem_part_clear(struct mem_part *p);
bool mem_any_sign(const struct mem_part *p); // of a cursor that is there, or was
// How many buckets have a deadline.
int64_t mem_dues(const struct mem_part *p);
// Forgets the key of a bucket, or of something else than states, as if DEL did it. Whether anything was there.
bool mem_bucket_clear(struct mem_bucket *b);
bool mem_stats_clear(struct mem_part *p);
bool mem_models_clear(struct mem_part *p);
