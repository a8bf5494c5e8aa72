// Outputs in msgpack are the JSON ones, read and written again: few users ask for them, and one renderer is less to
// get wrong than two.
#include "output.h"
#include <msgpack.h>
#include <yyjson.h>

static int buffer_sink(void *to, const char *bytes, size_t n)
{
    buffer_put(to, bytes, n);
    return 0;
}

static void pack_value(msgpack_packer *pk, yyjson_val *v)
{
    size_t i, max;
    yyjson_val *key, *val;
    switch (yyjson_get_type(v)) {
    case YYJSON_TYPE_OBJ:
        msgpack_pack_map(pk, yyjson_obj_size(v));
        yyjson_obj_foreach(v, i, max, key, val)
        {
            pack_value(pk, key);
            pack_value(pk, val);
        }
        break;
    case YYJSON_TYPE_ARR:
        msgpack_pack_array(pk, yyjson_arr_size(v));
        yyjson_arr_foreach(v, i, max, val) pack_value(pk, val);
        break;
    case YYJSON_TYPE_STR: msgpack_pack_str_with_body(pk, yyjson_get_str(v), yyjson_get_len(v)); break;
    case YYJSON_TYPE_BOOL: yyjson_get_bool(v) ? msgpack_pack_true(pk) : msgpack_pack_false(pk); break;
    case YYJSON_TYPE_NUM:
        if (yyjson_is_real(v))
            msgpack_pack_double(pk, yyjson_get_real(v));
        else
            msgpack_pack_int64(pk, yyjson_get_sint(v));
        break;
    default: msgpack_pack_nil(pk);
    }
}

int output_msgpack(struct span json, struct buffer *out)
{
    yyjson_doc *doc = yyjson_read(json.p, json.n, 0);
    if (!doc)
        return 1;
    msgpack_packer pk;
    msgpack_packer_init(&pk, out, buffer_sink);
    pack_value(&pk, yyjson_doc_get_root(doc));
    yyjson_doc_free(doc);
    return out->failed ? ERR_NOMEM : 0;
}
