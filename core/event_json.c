// JSON by yyjson. It checks the whole record (UTF-8, escapes, nothing behind the value) without recursion, so
// that neither depth nor size can hurt. Numbers are kept as written: their rounding is ours, and exact.
#include "event_private.h"

#include <stdio.h>
#include <stdlib.h>

#include <yyjson.h>

#include "error.h"

enum { MEMORY_KEPT_BYTES = 4 << 20 }; // what one huge record made larger is given back after it

static const yyjson_read_flag flags = YYJSON_READ_NUMBER_AS_RAW;

static int make_room(struct json_memory *m, size_t bytes)
{
    size_t need = yyjson_read_max_memory_usage(bytes, flags);
    if (need <= m->size && (m->size <= MEMORY_KEPT_BYTES || need > MEMORY_KEPT_BYTES))
        return 0;
    size_t size = 64 << 10;
    while (size < need)
        size *= 2;
    free(m->p);
    m->p = malloc(size);
    m->size = m->p ? size : 0;
    return m->p ? 0 : ERR_NOMEM;
}

int json_open(struct json_memory *m, struct span text, const void **ret_root, char detail[static DETAIL_BYTES])
{
    if (make_room(m, text.n) != 0)
        return ERR_NOMEM;
    yyjson_alc alc;
    yyjson_alc_pool_init(&alc, m->p, m->size);
    yyjson_read_err err;
    // Without the in-place flag yyjson copies the bytes into our memory: the cast promises nothing away.
    yyjson_doc *doc = yyjson_read_opts((char *)text.p, text.n, flags, &alc, &err);
    if (!doc && err.code == YYJSON_READ_ERROR_MEMORY_ALLOCATION) {
        // There was room for all that well-formed bytes can hold: these open more than they close.
        snprintf(detail, DETAIL_BYTES, "not JSON: too many unclosed brackets in its %zu bytes", text.n);
        return 1;
    }
    if (!doc) {
        snprintf(detail, DETAIL_BYTES, "not JSON: %s at byte %zu", err.msg, err.pos);
        return 1;
    }
    *ret_root = yyjson_doc_get_root(doc);
    return 0;
}

static const void *json_step(const void *node, struct span name, int index)
{
    yyjson_val *v = (yyjson_val *)node;
    if (yyjson_is_obj(v))
        return yyjson_obj_getn(v, name.p, name.n);
    return index >= 0 ? yyjson_arr_get(v, (size_t)index) : NULL;
}

static void json_look(const void *node, char digits[static NUMBER_TEXT_BYTES], struct found *ret)
{
    (void)digits;
    yyjson_val *v = (yyjson_val *)node;
    switch (yyjson_get_type(v)) {
    case YYJSON_TYPE_NULL: ret->kind = FOUND_NONE; break;
    case YYJSON_TYPE_STR:
        ret->kind = FOUND_STRING;
        ret->text = (struct span){yyjson_get_str(v), yyjson_get_len(v)};
        break;
    case YYJSON_TYPE_RAW:
        ret->kind = FOUND_NUMBER;
        ret->text = (struct span){yyjson_get_raw(v), yyjson_get_len(v)};
        break;
    case YYJSON_TYPE_BOOL:
        ret->kind = FOUND_BOOL;
        ret->yes = yyjson_get_bool(v);
        break;
    default: ret->kind = FOUND_OTHER;
    }
}

const struct reader json_reader = {json_step, json_look};
