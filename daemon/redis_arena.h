// Where hiredis puts Redis' answers: a batch's thousands of small texts in a few large pieces, given back all at once.
// What it would do by itself, two allocations a text, cost a quarter of a worker's time when most states are loaded.
#pragma once
#include <hiredis/hiredis.h>

struct redis_arena {
    struct redis_chunk *chunks; // the newest first
    size_t chunk_bytes;         // of the next one
    size_t bytes;               // of all
};

// Has the reader's answers made in `a`, which must outlive it: they live until redis_arena_reset, and none is freed by
// itself (freeReplyObject; so its connection needs REDIS_OPT_NO_PUSH_AUTOFREE). No memory is the reader's
// REDIS_ERR_OOM, as ever. Its buffer stays from one answer to the next, too, within the same bound.
void redis_arena_use(struct redis_arena *a, redisReader *reader);
// Ends all answers in it. Keeps some memory for the next ones, at most REDIS_ARENA_KEPT_BYTES.
void redis_arena_reset(struct redis_arena *a);
void redis_arena_clear(struct redis_arena *a); // the same, and keeps none

enum { REDIS_ARENA_KEPT_BYTES = 1 << 20 };
