// Redis' request protocol, written straight into a buffer: a flush has some ten thousand arguments, and
// collecting them in arrays of pointers first would cost more than sending them.
#pragma once
#include "buffer.h"

struct resp {
    struct buffer b;
    size_t n; // arguments put since it was set to 0
};

enum { U64_TEXT_MAX = 20 };

// The digits of v, without a NUL; returns how many.
static inline size_t u64_text(uint64_t v, char out[static U64_TEXT_MAX])
{
    char digits[U64_TEXT_MAX];
    size_t n = 0;
    do
        digits[n++] = (char)('0' + v % 10);
    while ((v /= 10) > 0);
    for (size_t i = 0; i < n; i++)
        out[i] = digits[n - 1 - i];
    return n;
}

static inline void resp_head(struct resp *r, char kind, uint64_t count)
{
    char *to = buffer_reserve(&r->b, 1 + U64_TEXT_MAX + 2);
    if (!to)
        return;
    to[0] = kind;
    size_t n = 1 + u64_text(count, to + 1);
    memcpy(to + n, "\r\n", 2);
    r->b.n += n + 2;
}

// A command of n arguments follows, its name being the first.
static inline void resp_command(struct resp *r, size_t n)
{
    resp_head(r, '*', n);
}

// One argument, glued together from parts.
static inline void resp_parts(struct resp *r, const struct span *parts, size_t nparts)
{
    size_t n = 0;
    for (size_t i = 0; i < nparts; i++)
        n += parts[i].n;
    resp_head(r, '$', n);
    for (size_t i = 0; i < nparts; i++)
        buffer_put(&r->b, parts[i].p, parts[i].n);
    buffer_put(&r->b, "\r\n", 2);
    r->n++;
}

static inline void resp_span(struct resp *r, struct span s)
{
    resp_parts(r, &s, 1);
}

static inline void resp_text(struct resp *r, const char *s)
{
    resp_span(r, (struct span){s, strlen(s)});
}

static inline void resp_u64(struct resp *r, uint64_t v)
{
    char text[U64_TEXT_MAX];
    resp_span(r, (struct span){text, u64_text(v, text)});
}

static inline void resp_i64(struct resp *r, int64_t v)
{
    char text[1 + U64_TEXT_MAX] = "-";
    size_t sign = v < 0, n = u64_text(v < 0 ? -(uint64_t)v : (uint64_t)v, text + sign);
    resp_span(r, (struct span){text, sign + n});
}
