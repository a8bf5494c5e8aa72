// msgpack as bytes: what JSON cannot say, lengths that lie, and depth. The rows that both formats share are
// in test_event.c, packed by msgpack-c.
#define _GNU_SOURCE // open_memstream
#include "event_line.h"

#define BYTES(text) {text, sizeof(text) - 1}
#define PACKED(time, value) \
    BYTES("\x84\xa8" \
          "customer\x07\xa4type\xa3" \
          "buy\xa4time" time "\xa5value" value)
#define START "7 buy 1970-01-01T00:00:00.000Z"
#define UTC "7 buy 2026-01-05T10:20:30"

// What JSON cannot say.
static const struct {
    struct span bytes;
    const char *line;
} packed[] = {
    {PACKED("\x00", "\xca\x41\xc8\xcc\xcd"), START " value=25.1"}, // a float's shortest
    {PACKED("\x00", "\xca\x3a\x03\x12\x6f"), START " value=0.001"}, // 0.0005 as a float
    {PACKED("\x00", "\xca\x3f\x80\x10\x62"), START " value=1.001"}, // 1.0005, as a double below the half
    {PACKED("\x00", "\xca\xbf\x80\x00\x00"), START " value=-1.0"},
    {PACKED("\x00", "\xcb\x3f\xf0\x02\x0c\x49\xba\x5e\x35"), START " value=1.001"},
    {PACKED("\x00", "\xcb\x7f\xf8\x00\x00\x00\x00\x00\x00"), START " no-value"}, // NaN
    {PACKED("\x00", "\xcb\xff\xf0\x00\x00\x00\x00\x00\x00"), START " no-value"}, // -inf
    {PACKED("\x00", "\xd0\x80"), START " value=-128.0"},
    {PACKED("\x00", "\xd1\xff\x7f"), START " value=-129.0"},
    {PACKED("\x00", "\xd2\x80\x00\x00\x00"), START " value=-2147483648.0"},
    {PACKED("\x00", "\xd3\xff\xff\xff\xff\xff\xff\xff\xff"), START " value=-1.0"},
    {PACKED("\x00", "\xcf\xff\xff\xff\xff\xff\xff\xff\xff"), START " no-value"},
    {PACKED("\x00", "\xc4\x01" "5"), START " no-value"}, // binary
    {PACKED("\x00", "\xd4\x05\x00"), START " no-value"}, // an extension
    {PACKED("\x00", "\xd6\xff\x69\x5b\x90\x6e"), START " no-value"}, // a timestamp
    {PACKED("\xd6\xff\x69\x5b\x90\x6e", "\x05"), UTC ".000Z value=5.0"},
    {PACKED("\xd7\xff\x1d\x53\x53\x00\x69\x5b\x90\x6e", "\x05"), UTC ".123Z value=5.0"},
    {PACKED("\xc7\x0c\xff\x07\x54\xd4\xbf\x00\x00\x00\x00\x69\x5b\x90\x6e", "\x05"),
     UTC ".122Z value=5.0"}, // 122999999 ns: cut
    {PACKED("\xc7\x0c\xff\x3b\x9a\xca\x00\x00\x00\x00\x00\x69\x5b\x90\x6e", "\x05"), "bad: time"}, // 10^9 ns
    {PACKED("\xc7\x0c\xff\x00\x00\x00\x00\xff\xff\xff\xff\xff\xff\xff\xff", "\x05"), "bad: time"}, // 1969
    {PACKED("\xc7\x0c\xff\x00\x00\x00\x00\x00\x00\x00\x3a\xff\xf4\x41\x80", "\x05"), "bad: time"}, // 10000
    {PACKED("\xc7\x0c\xff\x00\x00\x00\x00\x00\x41\x89\x37\x4b\xc6\xa7\xf0", "\x05"), "bad: time"}, // 2^64 ms
    {PACKED("\xd5\xff\x00\x00", "\x05"), "bad: time"}, // no timestamp of two bytes
    {PACKED("\xd6\x01\x69\x5b\x90\x6e", "\x05"), "bad: time"}, // another extension
    {PACKED("\xcb\x42\x79\xb8\xda\xc2\xe2\xb0\x00", "\x05"), UTC ".123Z value=5.0"}, // a whole double
    {PACKED("\xcb\x42\x79\xb8\xda\xc2\xe2\xb8\x00", "\x05"), "bad: time"}, // half a millisecond more

    // Keys of all kinds are skipped, whatever hangs on them.
    {BYTES("\x87\x01\x92\xc0\xc3\xc4\x08" "customer\xa1x\xc2\x81\xa1y\x90\xd4\x01\x02"
           "\xcb\x00\x00\x00\x00\x00\x00\x00\x00\xd9\x08" "customer\xda\x00\x03" "c-1"
           "\xdb\x00\x00\x00\x04type\xa3" "buy\xa4time\xcd\x03\xe8"),
     "c-1 buy 1970-01-01T00:00:01.000Z"},
    {BYTES("\xde\x00\x03\xa8" "customer\xa2\xc3\xa9\xa4type\xa1x\xa4time\x00"),
     "\xc3\xa9 x 1970-01-01T00:00:00.000Z"},
    {BYTES("\xdf\x00\x00\x00\x03\xa8" "customer\xa1" "c\xa4type\xa1x\xa4time\xce\x00\x00\x00\x01"),
     "c x 1970-01-01T00:00:00.001Z"},
    {BYTES("\x83\xa8" "customer\xa2\xc3\x28\xa4type\xa1x\xa4time\x00"), "bad: customer"}, // no UTF-8
    {BYTES("\x83\xa8" "customer\xc4\x01" "c\xa4type\xa1x\xa4time\x00"), "bad: customer"}, // binary
    {BYTES("\x83\xa8" "customer\xa1" "c\xa4type\xa1\x80\xa4time\x00"), "bad: type"},
    {BYTES("\x80"), "bad: customer"},

    {BYTES("\x81"), "bad: syntax"}, // ends too early, at each kind of length
    {BYTES("\x81\xa1x"), "bad: syntax"},
    {BYTES("\x81\xa2x"), "bad: syntax"},
    {BYTES("\x81\xa1x\xcb\x00"), "bad: syntax"},
    {BYTES("\x81\xa1x\xd9"), "bad: syntax"},
    {BYTES("\x81\xa1x\xd9\x02y"), "bad: syntax"},
    {BYTES("\x81\xa1x\xd4"), "bad: syntax"},
    {BYTES("\x81\xa1x\xd4\x01"), "bad: syntax"},
    {BYTES("\x81\xa1x\xc7\x01"), "bad: syntax"},
    {BYTES("\xde\x00"), "bad: syntax"},
    {BYTES("\x81\xa1x\xc1"), "bad: syntax"}, // the byte that means nothing
    {BYTES("\x80\x80"), "bad: syntax"},      // one value and more
    {BYTES("\xdf\xff\xff\xff\xff"), "bad: syntax"}, // four thousand million entries, it says
    {BYTES("\x81\xa1x\xdd\xff\xff\xff\xff\xdd\xff\xff\xff\xff"), "bad: syntax"},
    {BYTES("\x81\xa1x\xdb\xff\xff\xff\xff"), "bad: syntax"},
    {BYTES("\x90"), "bad: syntax"}, // no map: nothing to tell its format by
};

START_TEST(test_packed)
{
    struct field_map m;
    map_for(&m, PRESET_PLAIN);
    // A copy that ends where the record does, so that a sanitizer sees a byte too many read.
    char *bytes = malloc(packed[_i].bytes.n);
    memcpy(bytes, packed[_i].bytes.p, packed[_i].bytes.n);
    struct record r = {.value = {bytes, packed[_i].bytes.n}};
    check_record(&m, &r, packed[_i].line);
    free(bytes);
    field_map_clear(&m);
}
END_TEST

// Both formats as deep as a record can be: neither stack nor time may suffer.
START_TEST(test_depth)
{
    struct field_map m;
    map_for(&m, PRESET_PLAIN);
    static char text[1 << 20];
    memset(text, '[', sizeof(text));
    memcpy(text, "{\"x\":", 5);
    check_record(&m, &(struct record){.value = {text, sizeof(text)}}, "bad: syntax");
    for (size_t i = 5; i < sizeof(text); i++)
        text[i] = i < sizeof(text) / 2 + 2 ? '[' : ']';
    text[sizeof(text) - 1] = '}';
    check_record(&m, &(struct record){.value = {text, sizeof(text)}}, "bad: customer");
    memset(text, '\x91', sizeof(text));
    memcpy(text, "\x81\xa1x", 3);
    check_record(&m, &(struct record){.value = {text, sizeof(text)}}, "bad: syntax");
    text[sizeof(text) - 1] = '\x90';
    check_record(&m, &(struct record){.value = {text, sizeof(text)}}, "bad: customer");
    field_map_clear(&m);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("event_msgpack");
    TCase *t = tcase_create("bytes");
    tcase_add_loop_test(t, test_packed, 0, ROWS(packed));
    tcase_add_test(t, test_depth);
    suite_add_tcase(suite, t);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
