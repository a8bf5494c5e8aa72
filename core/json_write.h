// JSON text into a buffer, without a tree: the calls come in the order of the text, the writer puts the
// commas, colons and quotes. Text is escaped; bytes that are no UTF-8 become U+FFFD, so that what is written
// can always be read.
//
//     struct json_writer j = json_writer_to(&buffer);
//     json_object(&j);
//     json_key(&j, "stage"), json_text(&j, "active");
//     json_object_end(&j);
//
// Calls out of order (a value without its key, an end without its begin) are mistakes of the program:
// asserted. Without memory the buffer is `failed`, which the caller checks once at the end.
#pragma once
#include "buffer.h"

enum { JSON_DEPTH_MAX = 32 };

struct json_writer {
    struct buffer *out; // not owned
    uint32_t objects;   // bit d: level d is an object, else an array
    uint32_t filled;    // bit d: level d has a member already
    uint8_t depth;      // levels open
    bool keyed;         // a key was written, its value is next
};

_Static_assert(JSON_DEPTH_MAX <= 32, "levels are bits");

// A writer that appends to `out`: one value, of any depth. The buffer outlives the writer.
static inline struct json_writer json_writer_to(struct buffer *out)
{
    return (struct json_writer){.out = out};
}

void json_object(struct json_writer *j);
void json_object_end(struct json_writer *j);
void json_array(struct json_writer *j);
void json_array_end(struct json_writer *j);
// The key of the next value, in an object.
void json_key(struct json_writer *j, const char *key);

// Values. NULL text and a span with p NULL are `null`.
void json_text(struct json_writer *j, const char *text);
void json_span(struct json_writer *j, struct span text);
void json_int(struct json_writer *j, int64_t v);
void json_uint(struct json_writer *j, uint64_t v);
void json_milli(struct json_writer *j, int64_t milli); // thousandths: 25000 is 25.0
void json_time(struct json_writer *j, int64_t ms);     // ms UTC, as RFC 3339 text
void json_bool(struct json_writer *j, bool v);
void json_null(struct json_writer *j);
// A value that is JSON already.
void json_raw(struct json_writer *j, struct span json);
