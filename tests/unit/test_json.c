// The JSON writer: each kind of value and nesting as the text that must come out, and then random strings,
// which another library's parser must read back.
#include "json_write.h"

#include <check.h>
#include <yyjson.h>

static void empty_object(struct json_writer *j)
{
    json_object(j);
    json_object_end(j);
}

static void empty_array(struct json_writer *j)
{
    json_array(j);
    json_array_end(j);
}

static void members(struct json_writer *j)
{
    json_object(j);
    json_key(j, "customer"), json_text(j, "c-1");
    json_key(j, "ordinal"), json_uint(j, 2);
    json_key(j, "none"), json_text(j, NULL);
    json_key(j, "sum"), json_milli(j, 25000);
    json_key(j, "on"), json_bool(j, true);
    json_key(j, "off"), json_bool(j, false);
    json_object_end(j);
}

static void items(struct json_writer *j)
{
    json_array(j);
    json_int(j, INT64_MIN);
    json_int(j, INT64_MAX);
    json_uint(j, UINT64_MAX);
    json_milli(j, -125);
    json_null(j);
    json_span(j, (struct span){NULL, 0});
    json_span(j, (struct span){"", 0});
    json_time(j, INT64_C(1767608430123));
    json_raw(j, (struct span){"{\"a\":1}", 7});
    json_array_end(j);
}

static void nested(struct json_writer *j)
{
    json_object(j);
    json_key(j, "a");
    json_array(j);
    empty_object(j);
    empty_array(j);
    json_object(j);
    json_key(j, "b"), json_int(j, 1);
    json_key(j, "c");
    empty_array(j);
    json_object_end(j);
    json_array_end(j);
    json_key(j, "d"), json_int(j, 2);
    json_object_end(j);
}

static void deepest(struct json_writer *j)
{
    for (int i = 0; i < JSON_DEPTH_MAX; i++)
        json_array(j);
    json_int(j, 7);
    for (int i = 0; i < JSON_DEPTH_MAX; i++)
        json_array_end(j);
}

static void scalar(struct json_writer *j)
{
    json_text(j, "alone");
}

static const struct {
    void (*write)(struct json_writer *j);
    const char *text;
} shapes[] = {
    {empty_object, "{}"},
    {empty_array, "[]"},
    {scalar, "\"alone\""},
    {members, "{\"customer\":\"c-1\",\"ordinal\":2,\"none\":null,\"sum\":25.0,\"on\":true,\"off\":false}"},
    {items, "[-9223372036854775808,9223372036854775807,18446744073709551615,-0.125,null,null,\"\","
            "\"2026-01-05T10:20:30.123Z\",{\"a\":1}]"},
    {nested, "{\"a\":[{},[],{\"b\":1,\"c\":[]}],\"d\":2}"},
    {deepest, "[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[7]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]"},
};
enum { SHAPES = sizeof(shapes) / sizeof(shapes[0]) };

static void assert_text(const struct buffer *b, const char *expected)
{
    ck_assert_msg(!b->failed && b->n == strlen(expected) && memcmp(b->p, expected, b->n) == 0, "got %.*s, expected %s",
                  (int)b->n, b->p, expected);
}

START_TEST(test_shape)
{
    struct buffer b = {0};
    struct json_writer j = json_writer_to(&b);
    shapes[_i].write(&j);
    assert_text(&b, shapes[_i].text);
    buffer_clear(&b);
}
END_TEST

static const struct {
    struct span in;
    const char *out;
} strings[] = {
#define S(in)                                                                                                \
    {                                                                                                        \
        in, sizeof(in) - 1                                                                                   \
    }
    {S("plain ~ text/"), "\"plain ~ text/\""},
    {S("a\"b\\c"), "\"a\\\"b\\\\c\""},
    {S("\b\f\n\r\t"), "\"\\b\\f\\n\\r\\t\""},
    {S("\0\x01\x1f\x7f"), "\"\\u0000\\u0001\\u001f\x7f\""},
    {S("gr\xc3\xbc\xc3\x9f \xe2\x82\xac \xf0\x9f\x98\x80"),
     "\"gr\xc3\xbc\xc3\x9f \xe2\x82\xac \xf0\x9f\x98\x80\""},
    {S("\xff"), "\"\xef\xbf\xbd\""},
    {S("a\xc3"), "\"a\xef\xbf\xbd\""},                                 // cut short
    {S("\xc3("), "\"\xef\xbf\xbd(\""},                                 // no second byte
    {S("\xc0\xaf"), "\"\xef\xbf\xbd\xef\xbf\xbd\""},                   // overlong
    {S("\xed\xa0\x80x"), "\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbdx\""}, // a surrogate
#undef S
};
enum { STRINGS = sizeof(strings) / sizeof(strings[0]) };

START_TEST(test_string)
{
    struct buffer b = {0};
    struct json_writer j = json_writer_to(&b);
    json_span(&j, strings[_i].in);
    assert_text(&b, strings[_i].out);
    buffer_clear(&b);
}
END_TEST

START_TEST(test_random_bytes)
{
    uint64_t seed = 88172645463325252;
    for (int round = 0; round < 20000; round++) {
        char bytes[24];
        for (size_t i = 0; i < sizeof(bytes); i++) {
            seed ^= seed << 13, seed ^= seed >> 7, seed ^= seed << 17;
            bytes[i] = (char)(seed >> 24);
        }
        size_t n = (size_t)(seed % (sizeof(bytes) + 1));
        if (round % 2) // half of them valid
            for (size_t i = 0; i < n; i++)
                bytes[i] = (char)(1 + (bytes[i] & 0x7e));
        struct buffer b = {0};
        struct json_writer j = json_writer_to(&b);
        json_span(&j, (struct span){bytes, n});
        yyjson_doc *doc = yyjson_read(b.p, b.n, 0);
        ck_assert_msg(doc != NULL, "round %d: unreadable: %.*s", round, (int)b.n, b.p);
        yyjson_val *v = yyjson_doc_get_root(doc);
        if (utf8_valid(bytes, n))
            ck_assert(yyjson_get_len(v) == n && memcmp(yyjson_get_str(v), bytes, n) == 0);
        yyjson_doc_free(doc);
        buffer_clear(&b);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("json");
    TCase *t = tcase_create("writer");
    tcase_add_loop_test(t, test_shape, 0, SHAPES);
    tcase_add_loop_test(t, test_string, 0, STRINGS);
    tcase_add_test(t, test_random_bytes);
    suite_add_tcase(suite, t);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
