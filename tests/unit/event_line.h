// What the tests of records share: an event as one line of text, so that a row can hold the whole of it.
#pragma once
#include "event.h"

#include <check.h>
#include <msgpack.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <yyjson.h>

#define ROWS(table) (int)(sizeof(table) / sizeof((table)[0]))

static inline struct span span(const char *text)
{
    return (struct span){text, text ? strlen(text) : 0};
}

enum { JSON_BYTES = 512 };
// JSON that is written with ' for " in the rows, to be legible there; `to` has JSON_BYTES.
static inline struct span json(const char *text, char *to)
{
    size_t n = strlen(text);
    for (size_t i = 0; i < n; i++)
        to[i] = text[i] == '\'' ? '"' : text[i];
    return (struct span){to, n};
}

static inline void print_span(FILE *f, const char *before, struct span s)
{
    fputs(before, f);
    fwrite(s.p, 1, s.n, f);
}

static inline void print_event(FILE *f, const struct field_map *m, const struct event *e)
{
    char text[DECIMAL_TEXT_BYTES];
    print_span(f, "", e->customer);
    print_span(f, " ", e->type);
    format_time(e->time, text);
    fprintf(f, " %s", text);
    if (e->id.p)
        print_span(f, " id=", e->id);
    if (e->has_value) {
        format_decimal(e->value_milli, text);
        fprintf(f, " value=%s", text);
    }
    fputs(e->bad_value ? " no-value" : "", f);
    for (int i = 0; i < m->nprops; i++) {
        const struct scalar *s = &e->props[i];
        if (s->kind == SCALAR_NONE)
            continue;
        fprintf(f, " %s=", m->props[i]);
        format_decimal(s->milli, text);
        if (s->kind == SCALAR_STRING)
            print_span(f, "'", s->text);
        else
            fputs(s->kind == SCALAR_NUMBER ? text : s->milli ? "true" : "false", f);
    }
}

// What a record is: the event as a line, or "bad: reason".
static inline void check_record(const struct field_map *m, const struct record *r, const char *want)
{
    struct event_parser *p = event_parser_new();
    ck_assert_ptr_nonnull(p);
    struct event e;
    memset(&e, 0x5a, sizeof(e)); // whatever is read must have been written
    enum bad_reason reason = BAD_NONE;
    const char *detail = "";
    char *got;
    size_t size;
    FILE *f = open_memstream(&got, &size);
    int k = event_parse(p, m, r, &e, &reason, &detail);
    ck_assert_int_ge(k, 0);
    if (k == 0)
        print_event(f, m, &e);
    else
        fprintf(f, "bad: %s", bad_reason_name(reason));
    fclose(f);
    ck_assert_msg(strcmp(got, want) == 0, "%.*s: '%s', not '%s' (%s)", (int)r->value.n, r->value.p, got, want, detail);
    ck_assert_msg(k == 0 || *detail, "no detail");
    free(got);
    event_parser_free(p);
}

static inline void pack(msgpack_packer *to, yyjson_val *v)
{
    size_t i, n;
    yyjson_val *key, *value;
    switch (yyjson_get_type(v)) {
    case YYJSON_TYPE_OBJ:
        msgpack_pack_map(to, yyjson_obj_size(v));
        yyjson_obj_foreach(v, i, n, key, value)
        {
            pack(to, key);
            pack(to, value);
        }
        break;
    case YYJSON_TYPE_ARR:
        msgpack_pack_array(to, yyjson_arr_size(v));
        yyjson_arr_foreach(v, i, n, value) pack(to, value);
        break;
    case YYJSON_TYPE_STR:
        msgpack_pack_str(to, yyjson_get_len(v));
        msgpack_pack_str_body(to, yyjson_get_str(v), yyjson_get_len(v));
        break;
    case YYJSON_TYPE_BOOL: (yyjson_get_bool(v) ? msgpack_pack_true : msgpack_pack_false)(to); break;
    case YYJSON_TYPE_NUM:
        if (yyjson_is_uint(v))
            msgpack_pack_uint64(to, yyjson_get_uint(v));
        else if (yyjson_is_sint(v))
            msgpack_pack_int64(to, yyjson_get_sint(v));
        else
            msgpack_pack_double(to, yyjson_get_real(v));
        break;
    default: msgpack_pack_nil(to);
    }
}

// The same record with its JSON value as msgpack.
static inline void check_packed(const struct field_map *m, const struct record *r, const char *want)
{
    yyjson_doc *doc = yyjson_read(r->value.p, r->value.n, 0);
    if (!doc)
        return; // no JSON: that is its row's point
    msgpack_sbuffer buffer;
    msgpack_sbuffer_init(&buffer);
    msgpack_packer packer;
    msgpack_packer_init(&packer, &buffer, msgpack_sbuffer_write);
    pack(&packer, yyjson_doc_get_root(doc));
    struct record packed = *r;
    packed.value = (struct span){buffer.data, buffer.size};
    check_record(m, &packed, want);
    msgpack_sbuffer_destroy(&buffer);
    yyjson_doc_free(doc);
}

// The preset, asked for the properties plan, paid and a/b.
static inline void map_for(struct field_map *m, enum event_preset preset)
{
    *m = (struct field_map){0};
    ck_assert_int_eq(field_map_preset(m, preset), 0);
    ck_assert_int_eq(field_map_prop(m, "plan", 4), 0);
    ck_assert_int_eq(field_map_prop(m, "paid", 4), 1);
    ck_assert_int_eq(field_map_prop(m, "a/b", 3), 2);
}
