// Strings are what this file spends its time on, so they are copied in runs: from one byte that needs care (a
// quote, a control character, something beyond ASCII) to the next.
#include "json_write.h"

#include <assert.h>
#include <inttypes.h>

// Before any value: the comma after the one before it.
static void separate(struct json_writer *j)
{
    uint32_t level = j->depth ? UINT32_C(1) << (j->depth - 1) : 0;
    assert(!(j->objects & level) || j->keyed); // in an object a value follows its key
    if (j->keyed)
        j->keyed = false;
    else if (j->filled & level)
        buffer_byte(j->out, ',');
    j->filled |= level;
}

static void open_level(struct json_writer *j, bool object)
{
    separate(j);
    assert(j->depth < JSON_DEPTH_MAX);
    uint32_t level = UINT32_C(1) << j->depth++;
    j->objects = object ? j->objects | level : j->objects & ~level;
    j->filled &= ~level;
    buffer_byte(j->out, object ? '{' : '[');
}

static void close_level(struct json_writer *j, bool object)
{
    assert(j->depth > 0 && !j->keyed);
    j->depth--;
    assert(!!(j->objects & UINT32_C(1) << j->depth) == object);
    buffer_byte(j->out, object ? '}' : ']');
}

void json_object(struct json_writer *j)
{
    open_level(j, true);
}

void json_object_end(struct json_writer *j)
{
    close_level(j, true);
}

void json_array(struct json_writer *j)
{
    open_level(j, false);
}

void json_array_end(struct json_writer *j)
{
    close_level(j, false);
}

static bool is_safe(unsigned char c)
{
    return c >= 0x20 && c < 0x80 && c != '"' && c != '\\';
}

static void put_escape(struct buffer *out, unsigned char c)
{
    static const char letters[] = "\"\\\b\f\n\r\t", escapes[] = "\"\\bfnrt";
    const char *at = c ? strchr(letters, c) : NULL;
    if (at)
        buffer_printf(out, "\\%c", escapes[at - letters]);
    else
        buffer_printf(out, "\\u%04x", c);
}

// Writes what begins at s with a byte of 0x80 or more; returns how many bytes that was.
static size_t put_beyond_ascii(struct buffer *out, const char *s, size_t n)
{
    unsigned char lead = (unsigned char)*s;
    size_t length = lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : 2;
    if (length <= n && utf8_valid(s, length)) {
        buffer_put(out, s, length);
        return length;
    }
    buffer_text(out, "\xef\xbf\xbd");
    return 1;
}

static void put_string(struct buffer *out, const char *s, size_t n)
{
    buffer_byte(out, '"');
    for (size_t i = 0; i < n;) {
        size_t run = i;
        while (i < n && is_safe((unsigned char)s[i]))
            i++;
        buffer_put(out, s + run, i - run);
        if (i == n)
            break;
        if ((unsigned char)s[i] >= 0x80)
            i += put_beyond_ascii(out, s + i, n - i);
        else
            put_escape(out, (unsigned char)s[i++]);
    }
    buffer_byte(out, '"');
}

void json_key(struct json_writer *j, const char *key)
{
    assert(j->depth > 0 && (j->objects >> (j->depth - 1) & 1) && !j->keyed);
    uint32_t level = UINT32_C(1) << (j->depth - 1);
    if (j->filled & level)
        buffer_byte(j->out, ',');
    j->filled |= level;
    put_string(j->out, key, strlen(key));
    buffer_byte(j->out, ':');
    j->keyed = true;
}

void json_raw(struct json_writer *j, struct span json)
{
    separate(j);
    buffer_put(j->out, json.p, json.n);
}

void json_span(struct json_writer *j, struct span text)
{
    if (!text.p) {
        json_null(j);
        return;
    }
    separate(j);
    put_string(j->out, text.p, text.n);
}

void json_text(struct json_writer *j, const char *text)
{
    json_span(j, (struct span){text, text ? strlen(text) : 0});
}

void json_int(struct json_writer *j, int64_t v)
{
    separate(j);
    buffer_printf(j->out, "%" PRId64, v);
}

void json_uint(struct json_writer *j, uint64_t v)
{
    separate(j);
    buffer_printf(j->out, "%" PRIu64, v);
}

void json_milli(struct json_writer *j, int64_t milli)
{
    char text[DECIMAL_TEXT_BYTES];
    size_t n = format_decimal(milli, text);
    json_raw(j, (struct span){text, n});
}

void json_time(struct json_writer *j, int64_t ms)
{
    char text[TIME_TEXT_BYTES];
    format_time(ms, text);
    json_text(j, text);
}

void json_bool(struct json_writer *j, bool v)
{
    json_raw(j, v ? (struct span){"true", 4} : (struct span){"false", 5});
}

void json_null(struct json_writer *j)
{
    json_raw(j, (struct span){"null", 4});
}
