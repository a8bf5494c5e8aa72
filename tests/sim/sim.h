// The simulated world's clockwork: one seed, one thread, one queue of events in simulated time. Workers are coroutines
// that run until they wait; whatever happens meanwhile is an event. Nothing here looks at a real clock, at addresses or
// at the environment, so a seed gives the same run, bit by bit.
#pragma once
#include <setjmp.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <ucontext.h>

#include "plan.h"

enum { MS = 1000, SECOND = 1000 * MS }; // simulated time is in microseconds

struct co { // a coroutine
    ucontext_t here, back;
    void *stack;
    void (*main)(void *arg);
    void *arg;
    uint64_t token;       // of the wait that is on; a wake with another one comes too late
    int64_t frozen_until; // a stopped process: wakes are put off
    bool done;
};

struct sim {
    uint64_t seed, step, hash;
    uint64_t random;    // state of the one source of chance
    int64_t now;        // us since the run began
    bool trace, faults; // faults: still allowed
    bool upgraded;      // the last program is everywhere
    struct plan plan;
    struct co *current; // NULL: an event runs
};

extern struct sim sim;

// ---- chance

uint64_t rnd(void);
uint64_t below(uint64_t n);            // 0 … n - 1
int64_t between(int64_t a, int64_t b); // inclusive
bool chance(int per_myriad);
bool fault(int per_myriad); // chance, while faults are allowed

// ---- memory: everything of a run, gone with it; zeroed

void *sim_alloc(size_t n);
void *sim_copy(const void *p, size_t n);
char *sim_printf(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

// ---- events

void sim_begin(uint64_t seed, const struct plan *plan, bool trace);
void sim_end(void);
void sim_at(int64_t at, void (*fn)(void *arg), void *arg);
bool sim_next(int64_t until); // runs the next event not after `until`; false: there is none, the time is `until`

// ---- coroutines

void co_start(struct co *c, void (*main)(void *arg), void *arg);
void co_wait(struct co *c); // until woken; c is the current one
void co_wake(struct co *c, uint64_t token, int64_t at);
void co_sleep(struct co *c, int64_t until);
void co_finish(struct co *c); // from an event: runs it to its end, which must not wait

// ---- voice

// Something happened: it goes into the hash, and is printed in a trace. Only numbers that a and b carry are hashed.
#define act(a, b, ...) sim_act(__LINE__, (uint64_t)(a), (uint64_t)(b), __VA_ARGS__)
void sim_act(int where, uint64_t a, uint64_t b, const char *fmt, ...) __attribute__((format(printf, 4, 5)));
// An invariant is broken: says so with the command that replays it, and ends the process.
_Noreturn void sim_fail(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
