// What time it is, in whole milliseconds.
#pragma once
#include <stdint.h>
#include <time.h>

static inline int64_t clock_ms(clockid_t id)
{
    struct timespec t;
    clock_gettime(id, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static inline int64_t now_ms(void) // for durations: since some moment, whatever happens to the wall clock
{
    return clock_ms(CLOCK_MONOTONIC);
}
