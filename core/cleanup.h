// Cleanup by attribute: a local that owns something says so where it is declared, and every way out of the
// function releases it. Destructors accept NULL.
#pragma once
#include <stdlib.h>

#define _cleanup_(fn) __attribute__((cleanup(fn)))

static inline void cleanup_free(void *p)
{
    free(*(void **)p);
}

#define _cleanup_free_ _cleanup_(cleanup_free)

#define DEFINE_CLEANUP(type, fn) \
    static inline void fn##_p(type **p) \
    { \
        if (*p) \
            fn(*p); \
    }
