// msgpack, walked where it lies. A node is the address of its first byte: msgpack_open has checked every
// length once, so that the walk needs neither bounds nor memory. (A tree as msgpack-c builds it takes memory
// by the counts that a record claims: five bytes can ask for gigabytes, and whether an event is bad would
// then depend on the machine that reads it.)
#include "event_private.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum item_kind {
    ITEM_NIL, ITEM_BOOL, ITEM_UINT, ITEM_INT, ITEM_FLOAT, ITEM_DOUBLE, ITEM_STR, ITEM_BIN, ITEM_EXT,
    ITEM_LIST, ITEM_MAP, NEVER_USED,
};

struct item {
    enum item_kind kind;
    size_t head;   // bytes before the payload or the children
    uint64_t n;    // payload bytes; list: children; map: pairs
    uint64_t bits; // number or bool, as it stands in the bytes (int: extended to 64 bits)
    int8_t ext;    // ext: its type
};

static uint64_t big_endian(const uint8_t *p, size_t n)
{
    uint64_t v = 0;
    for (size_t i = 0; i < n; i++)
        v = v << 8 | p[i];
    return v;
}

// Formats 0xc0 to 0xdf by their low five bits: the kind, bytes of number or length after the first, and what
// the length is when there are none (fixext).
static const struct {
    uint8_t kind, bytes, fixed;
} formats[32] = {
    // nil, never used, false, true
    {ITEM_NIL, 0, 0}, {NEVER_USED, 0, 0}, {ITEM_BOOL, 0, 0}, {ITEM_BOOL, 0, 0},
    // bin 8 16 32, ext 8 16 32
    {ITEM_BIN, 1, 0}, {ITEM_BIN, 2, 0}, {ITEM_BIN, 4, 0},
    {ITEM_EXT, 1, 0}, {ITEM_EXT, 2, 0}, {ITEM_EXT, 4, 0},
    // float 32 64, uint 8 16 32 64, int 8 16 32 64
    {ITEM_FLOAT, 4, 0}, {ITEM_DOUBLE, 8, 0},
    {ITEM_UINT, 1, 0}, {ITEM_UINT, 2, 0}, {ITEM_UINT, 4, 0}, {ITEM_UINT, 8, 0},
    {ITEM_INT, 1, 0}, {ITEM_INT, 2, 0}, {ITEM_INT, 4, 0}, {ITEM_INT, 8, 0},
    // fixext 1 2 4 8 16
    {ITEM_EXT, 0, 1}, {ITEM_EXT, 0, 2}, {ITEM_EXT, 0, 4}, {ITEM_EXT, 0, 8}, {ITEM_EXT, 0, 16},
    // str 8 16 32, array 16 32, map 16 32
    {ITEM_STR, 1, 0}, {ITEM_STR, 2, 0}, {ITEM_STR, 4, 0},
    {ITEM_LIST, 2, 0}, {ITEM_LIST, 4, 0}, {ITEM_MAP, 2, 0}, {ITEM_MAP, 4, 0},
};

// What begins at p, looking at no more than `left` bytes. False: they end too early, or it is no msgpack.
// Inline saves a sixth of an event's time.
__attribute__((always_inline)) static inline bool read_item(const uint8_t *p, size_t left, struct item *ret)
{
    if (left < 1)
        return false;
    uint8_t c = *p;
    *ret = (struct item){.head = 1};
    if (c < 0x80 || c >= 0xe0) {
        ret->kind = c < 0x80 ? ITEM_UINT : ITEM_INT;
        ret->bits = (uint64_t)(int64_t)(int8_t)c;
        return true;
    }
    if (c < 0xc0) {
        ret->kind = c < 0x90 ? ITEM_MAP : c < 0xa0 ? ITEM_LIST : ITEM_STR;
        ret->n = c & (c < 0xa0 ? 0x0f : 0x1f);
        return true;
    }

    size_t bytes = formats[c & 0x1f].bytes;
    if (formats[c & 0x1f].kind == NEVER_USED || left < 1 + bytes)
        return false;
    ret->kind = formats[c & 0x1f].kind;
    uint64_t number = big_endian(p + 1, bytes);
    ret->head = 1 + bytes;
    switch (ret->kind) {
    case ITEM_NIL: break;
    case ITEM_BOOL: ret->bits = c & 1; break;
    case ITEM_INT:
        number <<= 64 - 8 * bytes;
        ret->bits = (uint64_t)((int64_t)number >> (64 - 8 * bytes));
        break;
    case ITEM_UINT:
    case ITEM_FLOAT:
    case ITEM_DOUBLE: ret->bits = number; break;
    case ITEM_EXT:
        if (left < ret->head + 1)
            return false;
        ret->ext = (int8_t)p[ret->head++];
        // fall through
    default: ret->n = bytes ? number : formats[c & 0x1f].fixed;
    }
    return true;
}

// Bytes of the whole value at p, children and all; 0: it is not valid within `left` bytes. Counts what is
// still to come instead of descending: depth costs nothing.
static size_t value_bytes(const uint8_t *p, size_t left)
{
    size_t all = left;
    for (uint64_t pending = 1; pending > 0; pending--) {
        struct item i;
        if (!read_item(p, left, &i))
            return 0;
        uint64_t children = i.kind == ITEM_MAP ? 2 * i.n : i.kind == ITEM_LIST ? i.n : 0;
        size_t bytes = i.head + (children ? 0 : i.n);
        if (bytes > left)
            return 0;
        p += bytes;
        left -= bytes;
        pending += children;
    }
    return all - left;
}

int msgpack_open(struct span bytes, const void **ret_root, char detail[static DETAIL_BYTES])
{
    size_t n = value_bytes((const uint8_t *)bytes.p, bytes.n);
    if (n == 0) {
        snprintf(detail, DETAIL_BYTES, "not msgpack: a length or format in its %zu bytes is wrong", bytes.n);
        return 1;
    }
    if (n < bytes.n) {
        snprintf(detail, DETAIL_BYTES, "not msgpack: the value ends at byte %zu of %zu", n, bytes.n);
        return 1;
    }
    *ret_root = bytes.p;
    return 0;
}

// From here on the bytes are known to be good: no bounds.
static const uint8_t *skip(const uint8_t *p)
{
    return p + value_bytes(p, SIZE_MAX);
}

static struct item item_at(const uint8_t *p)
{
    struct item i;
    read_item(p, SIZE_MAX, &i);
    return i;
}

static const void *msgpack_step(const void *node, struct span name, int index)
{
    const uint8_t *p = node;
    struct item parent = item_at(p);
    p += parent.head;
    if (parent.kind == ITEM_LIST) {
        if (index < 0 || (uint64_t)index >= parent.n)
            return NULL;
        while (index-- > 0)
            p = skip(p);
        return p;
    }
    if (parent.kind != ITEM_MAP)
        return NULL;
    for (uint64_t k = 0; k < parent.n; k++) {
        struct item key = item_at(p);
        if (key.kind != ITEM_STR) { // nothing that a pointer can name
            p = skip(skip(p));
            continue;
        }
        const char *text = (const char *)p + key.head;
        p += key.head + key.n;
        if (key.n == name.n && memcmp(text, name.p, name.n) == 0)
            return p;
        p = skip(p);
    }
    return NULL;
}

// The fewest digits that read back as the same number. Goes through the C library, whose decimal point is a
// '.' as long as nobody sets a locale.
static void write_shortest(double v, bool single, char out[static NUMBER_TEXT_BYTES])
{
    int most = single ? 9 : 17;
    for (int digits = single ? 6 : 15; digits <= most; digits++) {
        snprintf(out, NUMBER_TEXT_BYTES, "%.*g", digits, v);
        if (single ? strtof(out, NULL) == (float)v : strtod(out, NULL) == v)
            break;
    }
    if (!strpbrk(out, ".e")) // tells 5.0 from 5: an id can be a whole number, but no float
        strcat(out, ".0");
}

static void look_float(const struct item *i, char digits[static NUMBER_TEXT_BYTES], struct found *ret)
{
    double v;
    if (i->kind == ITEM_FLOAT) {
        float f;
        uint32_t bits = (uint32_t)i->bits;
        memcpy(&f, &bits, sizeof(f));
        v = f;
    } else {
        memcpy(&v, &i->bits, sizeof(v));
    }
    if (!isfinite(v))
        return;
    write_shortest(v, i->kind == ITEM_FLOAT, digits);
    ret->kind = FOUND_NUMBER;
    ret->text = (struct span){digits, strlen(digits)};
}

// The extension type -1: seconds, or nanoseconds and seconds, in 4, 8 or 12 bytes.
static void look_timestamp(const uint8_t *p, uint64_t n, struct found *ret)
{
    uint64_t seconds, nanos = 0;
    if (n == 4) {
        seconds = big_endian(p, 4);
    } else if (n == 8) {
        nanos = big_endian(p, 8) >> 34;
        seconds = big_endian(p, 8) & ((UINT64_C(1) << 34) - 1);
    } else if (n == 12) {
        nanos = big_endian(p, 4);
        seconds = big_endian(p + 4, 8); // negative ones come out too large
    } else {
        return;
    }
    bool good = nanos < 1000000000 && seconds <= TIME_MS_MAX / 1000;
    ret->kind = FOUND_TIME;
    ret->time = good ? (int64_t)(seconds * 1000 + nanos / 1000000) : -1;
}

static void msgpack_look(const void *node, char digits[static NUMBER_TEXT_BYTES], struct found *ret)
{
    const uint8_t *p = node;
    struct item i = item_at(p);
    ret->kind = FOUND_OTHER;
    switch (i.kind) {
    case ITEM_NIL: ret->kind = FOUND_NONE; break;
    case ITEM_STR:
        ret->kind = FOUND_STRING;
        ret->text = (struct span){(const char *)p + i.head, i.n};
        break;
    case ITEM_BOOL:
        ret->kind = FOUND_BOOL;
        ret->yes = i.bits;
        break;
    case ITEM_UINT:
    case ITEM_INT:
        ret->kind = FOUND_NUMBER;
        if (i.kind == ITEM_UINT)
            snprintf(digits, NUMBER_TEXT_BYTES, "%" PRIu64, i.bits);
        else
            snprintf(digits, NUMBER_TEXT_BYTES, "%" PRId64, (int64_t)i.bits);
        ret->text = (struct span){digits, strlen(digits)};
        break;
    case ITEM_FLOAT:
    case ITEM_DOUBLE: look_float(&i, digits, ret); break;
    case ITEM_EXT:
        if (i.ext == -1)
            look_timestamp(p + i.head, i.n, ret);
        break;
    default: break;
    }
}

const struct reader msgpack_reader = {msgpack_step, msgpack_look};
