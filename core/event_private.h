// Shared by event.c and its two readers, and by nobody else. A reader turns bytes into a document of nodes
// that can be walked without further checks; what the nodes mean for an event is decided in event.c, once for
// both.
#pragma once
#include "event.h"

enum found_kind { FOUND_NONE, FOUND_STRING, FOUND_NUMBER, FOUND_BOOL, FOUND_TIME, FOUND_OTHER };

enum { NUMBER_TEXT_BYTES = 32 }; // room for any msgpack number

struct found {
    enum found_kind kind; // none: null; other: a list, a map, or what has no meaning here
    struct span text;     // string; number: its digits as written (msgpack: as few as give the same number)
    bool yes;             // bool
    int64_t time;         // time (msgpack's own): ms UTC, or -1: before 1970, or after 9999
};

struct reader {
    // The child of a map by name (the first one, where a name occurs twice), or of a list by index; NULL:
    // none.
    const void *(*step)(const void *node, struct span name, int index);
    // `digits` is where a number without text of its own is written; it must live as long as ret->text is
    // used.
    void (*look)(const void *node, char digits[static NUMBER_TEXT_BYTES], struct found *ret);
};
extern const struct reader json_reader, msgpack_reader;

struct json_memory { // grown to the largest record, reused
    void *p;
    size_t size;
};

enum { DETAIL_BYTES = 256 };

// 0: *ret_root lives until the next call with this memory, or until its p is freed. 1: no JSON, detail says
// why. Negative: no memory.
int json_open(struct json_memory *m, struct span text, const void **ret_root, char detail[static DETAIL_BYTES]);
// 0: *ret_root points into the bytes. 1: not exactly one msgpack value, detail says why.
int msgpack_open(struct span bytes, const void **ret_root, char detail[static DETAIL_BYTES]);
