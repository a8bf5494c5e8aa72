// A growable run of bytes. Growing can fail: then `failed` is set, later writes do nothing, and the caller checks once
// at the end. Reused by setting n to 0.
#pragma once
#include "units.h"
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct buffer {
    char *p;
    size_t n, cap;
    bool failed;
};

// Makes room for `more` bytes and returns where they go, or NULL.
static inline char *buffer_reserve(struct buffer *b, size_t more)
{
    if (b->failed)
        return NULL;
    if (b->cap - b->n < more) {
        size_t cap = b->cap * 2 > b->n + more ? b->cap * 2 : b->n + more + 64;
        char *p = realloc(b->p, cap);
        if (!p) {
            b->failed = true;
            return NULL;
        }
        b->p = p;
        b->cap = cap;
    }
    return b->p + b->n;
}

static inline void buffer_put(struct buffer *b, const void *bytes, size_t n)
{
    char *to = buffer_reserve(b, n);
    if (to && n) {
        memcpy(to, bytes, n);
        b->n += n;
    }
}

static inline void buffer_text(struct buffer *b, const char *text)
{
    buffer_put(b, text, strlen(text));
}

static inline void buffer_byte(struct buffer *b, char c)
{
    buffer_put(b, &c, 1);
}

__attribute__((format(printf, 2, 3))) static inline void buffer_printf(struct buffer *b, const char *fmt, ...)
{
    va_list ap, again;
    va_start(ap, fmt);
    va_copy(again, ap);
    int n = vsnprintf(NULL, 0, fmt, ap);
    va_end(ap);
    char *to = n < 0 ? NULL : buffer_reserve(b, (size_t)n + 1);
    if (to) {
        vsnprintf(to, (size_t)n + 1, fmt, again);
        b->n += (size_t)n;
    }
    va_end(again);
}

static inline void buffer_clear(struct buffer *b)
{
    free(b->p);
    *b = (struct buffer){0};
}
