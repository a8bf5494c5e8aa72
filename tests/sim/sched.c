// Events in a binary heap, ordered by time and then by when they were put there. Memory of a run comes from blocks
// that are given back together. A coroutine that would be the next to run anyway goes on without a switch.
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "sim.h"

enum { STACK_BYTES = 256 << 10, BLOCK_BYTES = 1 << 20, STACKS_MAX = 64 };

struct event {
    int64_t at;
    uint64_t order;
    void (*fn)(void *arg);
    void *arg;
    uint64_t token; // of a wake: fn is NULL and arg the coroutine
};

struct block {
    struct block *next;
    size_t n, cap;
    _Alignas(16) char bytes[];
};

struct sim sim;
static struct event *heap;
static size_t nheap, heap_cap;
static uint64_t order;
static int64_t limit; // nobody may run ahead of it
static struct block *blocks;
static void *stacks[STACKS_MAX];
static int nstacks;

// ---- chance

uint64_t rnd(void)
{
    uint64_t z = (sim.random += UINT64_C(0x9e3779b97f4a7c15));
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

uint64_t below(uint64_t n)
{
    return n ? rnd() % n : 0;
}

int64_t between(int64_t a, int64_t b)
{
    return a + (int64_t)below((uint64_t)(b - a + 1));
}

bool chance(int per_myriad)
{
    return per_myriad > 0 && below(10000) < (uint64_t)per_myriad;
}

bool fault(int per_myriad)
{
    return sim.faults && chance(per_myriad);
}

// ---- memory

static void *must(void *p)
{
    if (!p) {
        fprintf(stderr, "sim: out of memory\n");
        abort();
    }
    return p;
}

void *sim_alloc(size_t n)
{
    n = (n + 15) / 16 * 16;
    if (!blocks || blocks->cap - blocks->n < n) {
        size_t cap = n > BLOCK_BYTES ? n : BLOCK_BYTES;
        struct block *b = must(malloc(sizeof *b + cap));
        *b = (struct block){.next = blocks, .cap = cap};
        blocks = b;
    }
    void *p = blocks->bytes + blocks->n;
    blocks->n += n;
    return memset(p, 0, n);
}

void *sim_copy(const void *p, size_t n)
{
    void *to = sim_alloc(n ? n : 1);
    return n ? memcpy(to, p, n) : to;
}

char *sim_printf(const char *fmt, ...)
{
    char text[512];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    return sim_copy(text, strlen(text) + 1);
}

// ---- events

static bool before(const struct event *a, const struct event *b)
{
    return a->at != b->at ? a->at < b->at : a->order < b->order;
}

static void push(struct event e)
{
    if (nheap == heap_cap) {
        heap_cap = heap_cap ? heap_cap * 2 : 256;
        heap = must(realloc(heap, heap_cap * sizeof *heap));
    }
    e.order = order++;
    size_t i = nheap++;
    for (; i > 0 && before(&e, &heap[(i - 1) / 2]); i = (i - 1) / 2)
        heap[i] = heap[(i - 1) / 2];
    heap[i] = e;
}

static struct event pop(void)
{
    struct event top = heap[0], last = heap[--nheap];
    size_t i = 0;
    for (size_t child; (child = 2 * i + 1) < nheap; i = child) {
        if (child + 1 < nheap && before(&heap[child + 1], &heap[child]))
            child++;
        if (!before(&heap[child], &last))
            break;
        heap[i] = heap[child];
    }
    heap[i] = last;
    return top;
}

void sim_begin(uint64_t seed, const struct plan *plan, bool trace)
{
    sim = (struct sim){
        .seed = seed, .random = seed * UINT64_C(0xd1342543de82ef95) + 1, .trace = trace, .faults = true, .plan = *plan};
    nheap = 0;
    order = 0;
}

void sim_end(void)
{
    while (blocks) {
        struct block *next = blocks->next;
        free(blocks);
        blocks = next;
    }
    nheap = 0;
}

void sim_at(int64_t at, void (*fn)(void *arg), void *arg)
{
    push((struct event){.at = at > sim.now ? at : sim.now, .fn = fn, .arg = arg});
}

static void resume(struct co *c)
{
    sim.current = c;
    swapcontext(&c->back, &c->here);
    sim.current = NULL;
    if (!c->done)
        return;
    if (nstacks < STACKS_MAX)
        stacks[nstacks++] = c->stack;
    else
        free(c->stack);
    c->stack = NULL;
}

bool sim_next(int64_t until)
{
    limit = until;
    if (nheap == 0 || heap[0].at > until) {
        sim.now = until;
        return false;
    }
    struct event e = pop();
    sim.now = e.at;
    sim.step++;
    if (e.fn) {
        e.fn(e.arg);
        return true;
    }
    struct co *c = e.arg;
    if (c->done || c->token != e.token)
        return true;
    if (c->frozen_until > sim.now)
        co_wake(c, e.token, c->frozen_until);
    else
        resume(c);
    return true;
}

// ---- coroutines

static void entry(unsigned high, unsigned low)
{
    struct co *c = (struct co *)((uintptr_t)high << 32 | low);
    c->main(c->arg);
    c->done = true;
    swapcontext(&c->here, &c->back);
}

void co_start(struct co *c, void (*main)(void *arg), void *arg)
{
    *c = (struct co){.main = main, .arg = arg};
    c->stack = nstacks ? stacks[--nstacks] : must(malloc(STACK_BYTES));
    getcontext(&c->here);
    c->here.uc_stack.ss_sp = c->stack;
    c->here.uc_stack.ss_size = STACK_BYTES;
    c->here.uc_link = NULL;
    makecontext(&c->here, (void (*)(void))entry, 2, (unsigned)((uintptr_t)c >> 32), (unsigned)(uintptr_t)c);
    co_wake(c, c->token, sim.now);
}

void co_wait(struct co *c)
{
    swapcontext(&c->here, &c->back);
    c->token++;
}

void co_wake(struct co *c, uint64_t token, int64_t at)
{
    push((struct event){.at = at > sim.now ? at : sim.now, .arg = c, .token = token});
}

void co_sleep(struct co *c, int64_t until)
{
    until = until > sim.now ? until : sim.now;
    if ((nheap == 0 || heap[0].at > until) && until <= limit && c->frozen_until <= until) {
        sim.now = until; // nothing else happens before
        return;
    }
    co_wake(c, c->token, until);
    co_wait(c);
}

void co_finish(struct co *c)
{
    if (!c->done)
        resume(c);
    if (!c->done)
        sim_fail("a dead worker waits");
}

// ---- voice

void sim_act(int where, uint64_t a, uint64_t b, const char *fmt, ...)
{
    uint64_t in[] = {(uint64_t)where, a, b, (uint64_t)sim.now};
    for (size_t i = 0; i < sizeof in / sizeof *in; i++)
        sim.hash = (sim.hash ^ in[i]) * UINT64_C(0x9fb21c651e98df25), sim.hash ^= sim.hash >> 29;
    if (!sim.trace)
        return;
    va_list ap;
    va_start(ap, fmt);
    printf("%10.6f  ", (double)sim.now / SECOND);
    vprintf(fmt, ap);
    putchar('\n');
    va_end(ap);
}

void sim_fail(const char *fmt, ...)
{
    char text[1024];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    fflush(stdout);
    char mutation[128] = "";
    if (sim.plan.mutation)
        snprintf(mutation, sizeof mutation, " --mutate %s", mutation_name(sim.plan.mutation));
    fprintf(stderr,
            "seed %" PRIu64 ", step %" PRIu64 ", %.6f s: %s\n    replay: tests/sim/run --seed %" PRIu64 " --trace%s\n",
            sim.seed, sim.step, (double)sim.now / SECOND, text, sim.seed, mutation);
    _exit(1);
}
