// Memory is taken from the newest chunk; when that is full a new one is made, twice as large, up to what may be kept.
// So after some calls there is one chunk that all answers of a usual call fit in, and it stays.
#include "redis_arena.h"

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

struct redis_chunk {
    struct redis_chunk *next;
    size_t n, cap;
    _Alignas(max_align_t) char bytes[];
};

enum {
    CHUNK_BYTES_MIN = 16 << 10,
    CHUNK_BYTES_MAX = REDIS_ARENA_KEPT_BYTES - sizeof(struct redis_chunk),
    ALIGN = _Alignof(max_align_t),
};

static struct redis_chunk *add_chunk(struct redis_arena *a, size_t at_least)
{
    size_t cap = a->chunk_bytes < CHUNK_BYTES_MIN ? CHUNK_BYTES_MIN : a->chunk_bytes;
    if (cap < at_least)
        cap = at_least;
    struct redis_chunk *c = malloc(sizeof(*c) + cap);
    if (!c)
        return NULL;
    *c = (struct redis_chunk){.next = a->chunks, .cap = cap};
    a->chunks = c;
    a->bytes += sizeof(*c) + cap;
    a->chunk_bytes = cap < CHUNK_BYTES_MAX / 2 ? cap * 2 : CHUNK_BYTES_MAX;
    return c;
}

static void *take(struct redis_arena *a, size_t bytes)
{
    if (bytes > SIZE_MAX - sizeof(struct redis_chunk) - ALIGN)
        return NULL;
    bytes = (bytes + ALIGN - 1) / ALIGN * ALIGN;
    struct redis_chunk *c = a->chunks;
    if ((!c || c->cap - c->n < bytes) && !(c = add_chunk(a, bytes)))
        return NULL;
    c->n += bytes;
    return c->bytes + c->n - bytes;
}

// Frees all chunks but the newest of those with room for at most `kept` bytes.
static void give_back(struct redis_arena *a, size_t kept)
{
    struct redis_chunk *keep = NULL;
    for (struct redis_chunk *c = a->chunks, *next; c; c = next) {
        next = c->next;
        if (!keep && c->cap <= kept)
            keep = c;
        else
            free(c);
    }
    a->chunks = keep;
    a->bytes = keep ? sizeof(*keep) + keep->cap : 0;
    if (keep) {
        keep->next = NULL;
        keep->n = 0;
    }
}

void redis_arena_reset(struct redis_arena *a)
{
    give_back(a, CHUNK_BYTES_MAX);
}

void redis_arena_clear(struct redis_arena *a)
{
    give_back(a, 0);
    a->chunk_bytes = 0;
}

// ---- what hiredis calls

static redisReply *make(const redisReadTask *task, size_t more)
{
    redisReply *r = more > SIZE_MAX - sizeof(*r) ? NULL : take(task->privdata, sizeof(*r) + more);
    if (!r)
        return NULL;
    *r = (redisReply){.type = task->type};
    if (task->parent)
        ((redisReply *)task->parent->obj)->element[task->idx] = r;
    return r;
}

static void *make_string(const redisReadTask *task, char *text, size_t n)
{
    redisReply *r = n == SIZE_MAX ? NULL : make(task, n + 1);
    if (!r)
        return NULL;
    if (task->type == REDIS_REPLY_VERB) { // "txt:" and the text; hiredis has seen that it begins so
        memcpy(r->vtype, text, 3);
        text += 4;
        n -= 4;
    }
    r->str = (char *)(r + 1);
    r->len = n;
    memcpy(r->str, text, n);
    r->str[n] = '\0';
    return r;
}

static void *make_array(const redisReadTask *task, size_t n)
{
    redisReply *r = n > SIZE_MAX / sizeof(*r->element) ? NULL : make(task, n * sizeof(*r->element));
    if (!r || n == 0)
        return r;
    r->elements = n;
    r->element = (redisReply **)(r + 1); // not touched: a broken answer may announce billions, and nobody sees it
    return r;
}

static void *make_integer(const redisReadTask *task, long long value)
{
    redisReply *r = make(task, 0);
    if (r)
        r->integer = value;
    return r;
}

static void *make_double(const redisReadTask *task, double value, char *text, size_t n)
{
    redisReply *r = make_string(task, text, n);
    if (r)
        r->dval = value;
    return r;
}

static void *make_nil(const redisReadTask *task)
{
    redisReply *r = make(task, 0);
    if (r)
        r->type = REDIS_REPLY_NIL; // the task's type is that of what is missing
    return r;
}

static void *make_bool(const redisReadTask *task, int value)
{
    return make_integer(task, value);
}

static void free_nothing(void *reply)
{
    (void)reply; // of a broken answer: goes with all others
}

static redisReplyObjectFunctions functions = {make_string, make_array, make_integer, make_double,
                                              make_nil,    make_bool,  free_nothing};

void redis_arena_use(struct redis_arena *a, redisReader *reader)
{
    reader->fn = &functions;
    reader->privdata = a;
    reader->maxbuf = REDIS_ARENA_KEPT_BYTES;
}
