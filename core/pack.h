// The few msgpack forms that states are made of, written shortest form first so that equal states are equal bytes.
// Events and outputs go through msgpack-c; a state is written and read for every customer touched, so it is ours.
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

enum { PACK_MAX = 9 }; // bytes of the longest item

static inline uint8_t *pack_be(uint8_t *p, uint64_t v, int bytes)
{
    for (int i = bytes - 1; i >= 0; i--)
        *p++ = (uint8_t)(v >> (8 * i));
    return p;
}

static inline uint8_t *pack_int(uint8_t *p, int64_t v)
{
    if (v >= 0) {
        if (v < 0x80)
            return *p++ = (uint8_t)v, p;
        if (v <= UINT8_MAX)
            return *p++ = 0xcc, pack_be(p, (uint64_t)v, 1);
        if (v <= UINT16_MAX)
            return *p++ = 0xcd, pack_be(p, (uint64_t)v, 2);
        if (v <= UINT32_MAX)
            return *p++ = 0xce, pack_be(p, (uint64_t)v, 4);
        return *p++ = 0xcf, pack_be(p, (uint64_t)v, 8);
    }
    if (v >= -32)
        return *p++ = (uint8_t)v, p;
    if (v >= INT8_MIN)
        return *p++ = 0xd0, pack_be(p, (uint64_t)v, 1);
    if (v >= INT16_MIN)
        return *p++ = 0xd1, pack_be(p, (uint64_t)v, 2);
    if (v >= INT32_MIN)
        return *p++ = 0xd2, pack_be(p, (uint64_t)v, 4);
    return *p++ = 0xd3, pack_be(p, (uint64_t)v, 8);
}

static inline uint8_t *pack_uint(uint8_t *p, uint64_t v)
{
    if (v <= INT64_MAX)
        return pack_int(p, (int64_t)v);
    return *p++ = 0xcf, pack_be(p, v, 8);
}

static inline uint8_t *pack_nil(uint8_t *p)
{
    return *p++ = 0xc0, p;
}

static inline uint8_t *pack_double(uint8_t *p, double d)
{
    uint64_t v;
    memcpy(&v, &d, sizeof v);
    return *p++ = 0xcb, pack_be(p, v, 8);
}

// A reader that turns bad at the first item that is not what was asked for, and stays so.
struct unpack {
    const uint8_t *p, *end;
    bool bad;
};

static inline uint64_t unpack_be(struct unpack *u, int bytes)
{
    if (u->end - u->p < bytes)
        return u->bad = true, 0;
    uint64_t v = 0;
    for (int i = 0; i < bytes; i++)
        v = v << 8 | *u->p++;
    return v;
}

static inline uint32_t unpack_array(struct unpack *u)
{
    uint64_t b = unpack_be(u, 1);
    if ((b & 0xf0) == 0x90)
        return (uint32_t)(b & 0x0f);
    if (b == 0xdc)
        return (uint32_t)unpack_be(u, 2);
    u->bad = true;
    return 0;
}

// An integer of any form; nil is `nil`.
static inline int64_t unpack_int(struct unpack *u, int64_t nil)
{
    uint64_t b = unpack_be(u, 1);
    if (b < 0x80)
        return (int64_t)b;
    if (b >= 0xe0)
        return (int8_t)b;
    switch (b) {
    case 0xc0: return nil;
    case 0xcc: return (int64_t)unpack_be(u, 1);
    case 0xcd: return (int64_t)unpack_be(u, 2);
    case 0xce: return (int64_t)unpack_be(u, 4);
    case 0xcf: return (int64_t)unpack_be(u, 8);
    case 0xd0: return (int8_t)unpack_be(u, 1);
    case 0xd1: return (int16_t)unpack_be(u, 2);
    case 0xd2: return (int32_t)unpack_be(u, 4);
    case 0xd3: return (int64_t)unpack_be(u, 8);
    default: u->bad = true; return 0;
    }
}

static inline double unpack_double(struct unpack *u)
{
    if (u->p < u->end && *u->p == 0xcb) {
        u->p++;
        uint64_t v = unpack_be(u, 8);
        double d;
        memcpy(&d, &v, sizeof d);
        return d;
    }
    return (double)unpack_int(u, 0);
}
