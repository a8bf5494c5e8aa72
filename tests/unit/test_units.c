// Times, durations, values and UTF-8: each form as a row with what must come of it, and the calendar against
// the C library's.
#include "units.h"

#include <check.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "bounds.h"

#define ROWS(table) (int)(sizeof(table) / sizeof((table)[0]))

enum { NONE = INT32_MIN }; // the parser must refuse the text, and leave the result alone

typedef int parser(const char *s, size_t n, int64_t *ret);

static void check_parse(parser *parse, const char *text, int64_t want)
{
    int64_t got = NONE;
    int k = parse(text, strlen(text), &got);
    ck_assert_msg(k == (want == NONE), "'%s': returned %d", text, k);
    ck_assert_msg(got == want, "'%s': %jd, not %jd", text, (intmax_t)got, (intmax_t)want);
}

static const struct {
    const char *text;
    int64_t want;
} durations[] = {
    {"0s", 0}, {"5000ms", 5000}, {"90m", 5400000}, {"2h", 7200000}, {"30d", 30 * MS_PER_DAY},
    {"1w", 7 * MS_PER_DAY}, {"007s", 7000}, {"36525d", DURATION_MS_MAX},
    {"36526d", NONE}, {"3155760001s", NONE}, {"99999999999999999999s", NONE}, {"", NONE}, {"5", NONE},
    {"s", NONE}, {"5 s", NONE}, {" 5s", NONE}, {"5s ", NONE}, {"-5s", NONE}, {"+5s", NONE}, {"1.5h", NONE},
    {"5S", NONE}, {"5y", NONE}, {"5mss", NONE}, {"5msm", NONE}, {"30days", NONE},
};

START_TEST(test_duration)
{
    check_parse(parse_duration, durations[_i].text, durations[_i].want);
}
END_TEST

static const struct {
    int64_t ms;
    const char *text;
} duration_texts[] = {
    {0, "0s"}, {1, "1ms"}, {1500, "1500ms"}, {60000, "1m"}, {5400000, "90m"}, {MS_PER_DAY, "1d"},
    {30 * MS_PER_DAY, "30d"}, {14 * MS_PER_DAY, "14d"}, {-5400000, "-90m"},
    {INT64_MAX, "9223372036854775807ms"}, {INT64_MIN, "-9223372036854775808ms"},
};

START_TEST(test_duration_text)
{
    char text[DURATION_TEXT_BYTES];
    size_t n = format_duration(duration_texts[_i].ms, text);
    ck_assert_str_eq(text, duration_texts[_i].text);
    ck_assert_uint_eq(n, strlen(text));
}
END_TEST

#define DAY_2026 INT64_C(1767571200000) // 2026-01-05
#define AT_2026 (DAY_2026 + 37230000)   // 10:20:30

static const struct {
    const char *text;
    int64_t want;
} times[] = {
    {"1970-01-01T00:00:00Z", 0},
    {"2026-01-05T10:20:30Z", AT_2026},
    {"2026-01-05T10:20:30.123Z", AT_2026 + 123},
    {"2026-01-05t10:20:30z", AT_2026},
    {"2026-01-05 10:20:30.5", AT_2026 + 500},
    {"2026-01-05T10:20:30", AT_2026},
    {"2026-01-05T10:20:30.1239999999999999999999Z", AT_2026 + 123},
    {"2026-01-05T11:20:30+01:00", AT_2026},
    {"2026-01-05T04:50:30-05:30", AT_2026},
    {"2026-01-05T10:20:30-00:00", AT_2026},
    {"2026-01-06T10:19:30+23:59", AT_2026},
    {"2016-12-31T23:59:60Z", INT64_C(1483228799999)},
    {"2016-12-31T23:59:60.5Z", INT64_C(1483228799999)},
    {"2024-02-29T00:00:00Z", INT64_C(1709164800000)},
    {"2000-02-29T00:00:00Z", INT64_C(951782400000)},
    {"9999-12-31T23:59:59.999Z", TIME_MS_MAX},
    {"1969-12-31T23:00:00-01:00", 0},
    {"9999-12-31T23:59:59.999+00:01", TIME_MS_MAX - 60000},
    {"1969-12-31T23:59:59.999Z", NONE},
    {"1970-01-01T00:00:00+00:01", NONE},
    {"9999-12-31T23:59:59.999-00:01", NONE},
    {"0000-01-01T00:00:00Z", NONE},
    {"2023-02-29T00:00:00Z", NONE},
    {"2100-02-29T00:00:00Z", NONE},
    {"2026-00-05T10:20:30Z", NONE},
    {"2026-13-05T10:20:30Z", NONE},
    {"2026-01-00T10:20:30Z", NONE},
    {"2026-04-31T10:20:30Z", NONE},
    {"2026-01-05T24:00:00Z", NONE},
    {"2026-01-05T10:60:30Z", NONE},
    {"2026-01-05T10:20:61Z", NONE},
    {"2026-01-05T10:20:30.Z", NONE},
    {"2026-01-05T10:20:30,5Z", NONE},
    {"2026-01-05T10:20:30+0100", NONE},
    {"2026-01-05T10:20:30+24:00", NONE},
    {"2026-01-05T10:20:30+01:60", NONE},
    {"2026-01-05T10:20:30+01:0", NONE},
    {"2026-01-05T10:20:30ZZ", NONE},
    {"2026-01-05T10:20:30 Z", NONE},
    {"2026-01-05T10:20:3Z", NONE},
    {"2026-01-05T10:20Z", NONE},
    {"2026-01-05", NONE},
    {"2026-1-05T10:20:30Z", NONE},
    {"2026-01-05_10:20:30Z", NONE},
    {"2o26-01-05T10:20:30Z", NONE},
    {"-026-01-05T10:20:30Z", NONE},
    {" 2026-01-05T10:20:30Z", NONE},
    {"", NONE},
};

START_TEST(test_time)
{
    check_parse(parse_time, times[_i].text, times[_i].want);
}
END_TEST

// Each day from 1970 to 9999 at a moment of its own, by the C library's calendar and back.
START_TEST(test_calendar)
{
    for (int64_t day = 0; day <= TIME_MS_MAX / MS_PER_DAY; day++) {
        int64_t ms = day * MS_PER_DAY + day * 7919 % MS_PER_DAY;
        time_t seconds = (time_t)(ms / 1000);
        struct tm tm;
        gmtime_r(&seconds, &tm);
        char want[64], got[TIME_TEXT_BYTES];
        size_t n = strftime(want, sizeof(want), "%Y-%m-%dT%H:%M:%S", &tm);
        snprintf(want + n, sizeof(want) - n, ".%03dZ", (int)(ms % 1000));
        format_time(ms, got);
        int64_t back = NONE;
        // A check in check costs a message to its parent: only for what is wrong.
        if (strcmp(got, want) != 0 || parse_time(got, strlen(got), &back) != 0 || back != ms)
            ck_abort_msg("%jd is '%s', not '%s', and reads as %jd", (intmax_t)ms, got, want, (intmax_t)back);
    }
}
END_TEST

START_TEST(test_time_without_text)
{
    char text[TIME_TEXT_BYTES];
    format_time(NEVER, text);
    ck_assert_str_eq(text, "9999-12-31T23:59:59.999Z");
    format_time(-1, text);
    ck_assert_str_eq(text, "1970-01-01T00:00:00.000Z");
}
END_TEST

static const struct {
    const char *text;
    int64_t want; // thousandths
} decimals[] = {
    {"0", 0}, {"-0", 0}, {"25.00", 25000}, {"-12.3456", -12346}, {"+1.5", 1500}, {"007", 7000}, {".5", 500},
    {"5.", 5000}, {"1e3", 1000000}, {"1E+3", 1000000}, {"1.5e-3", 2}, {"25e-1", 2500}, {"0.0001e3", 100},
    {"0.0005", 1}, {"-0.0005", -1}, {"0.00049999999999999999999", 0}, {"0.0015", 2}, {"0.0025", 3},
    {"1.0005", 1001}, {"0.9995", 1000}, {"999.9995", 1000000}, {"0.05e-2", 1}, {"4.9e-4", 0}, {"5e-4", 1},
    {"999999999999.9994", VALUE_MILLI_MAX - 1}, {"-999999999999.9994", 1 - VALUE_MILLI_MAX},
    {"0.00000000000000000001e20", 1000}, {"100000000000000000000e-20", 1000}, {"1e-999999999999999999999", 0},
    {"0e999999999999999999999", 0}, {"0.000000000000000000000000000000", 0},
    {"999999999999.9995", NONE}, {"1000000000000", NONE}, {"-1e12", NONE}, {"1e999999999999999999999", NONE},
    {"9223372036854775808", NONE}, {"18446744073709551616", NONE},
    {"", NONE}, {"-", NONE}, {".", NONE}, {"-.", NONE}, {"e3", NONE}, {"1e", NONE}, {"1e+", NONE},
    {"1.2.3", NONE}, {"1 ", NONE}, {" 1", NONE}, {"1,5", NONE}, {"--1", NONE}, {"0x10", NONE},
    {"1e1.5", NONE}, {"NaN", NONE}, {"Infinity", NONE}, {"1_000", NONE}, {"5 EUR", NONE},
};

START_TEST(test_decimal)
{
    check_parse(parse_decimal, decimals[_i].text, decimals[_i].want);
}
END_TEST

static const struct {
    const char *text;
    int64_t want;
} wholes[] = {
    {"0", 0}, {"-0", 0}, {"1767608430123", INT64_C(1767608430123)},
    {"1767608430123.000", INT64_C(1767608430123)}, {"1.767608430123e12", INT64_C(1767608430123)}, {"-5", -5},
    {"1e3", 1000}, {"1000e-3", 1}, {"999999999999999999", INT64_C(999999999999999999)},
    {"1000000000000000000", NONE}, {"1e18", NONE}, {"1767608430123.5", NONE}, {"1e-1", NONE}, {"0.001", NONE},
    {"1e-99999999999999999999", NONE}, {"", NONE}, {"x", NONE},
};

START_TEST(test_whole)
{
    check_parse(parse_whole, wholes[_i].text, wholes[_i].want);
}
END_TEST

static const struct {
    int64_t milli;
    const char *text;
} decimal_texts[] = {
    {0, "0.0"}, {25000, "25.0"}, {-125, "-0.125"}, {1, "0.001"}, {-1, "-0.001"}, {10, "0.01"}, {100, "0.1"},
    {1230, "1.23"}, {VALUE_MILLI_MAX - 1, "999999999999.999"}, {INT64_MAX, "9223372036854775.807"},
    {INT64_MIN, "-9223372036854775.808"},
};

START_TEST(test_decimal_text)
{
    char text[DECIMAL_TEXT_BYTES];
    size_t n = format_decimal(decimal_texts[_i].milli, text);
    ck_assert_str_eq(text, decimal_texts[_i].text);
    ck_assert_uint_eq(n, strlen(text));
}
END_TEST

static const struct {
    const char *text;
    size_t n;
    bool valid;
} utf8_texts[] = {
    {"", 0, true}, {"abc", 3, true}, {"\x7f", 1, true}, {"a\0b", 3, false},
    {"\xc2\x80", 2, true}, {"\xdf\xbf", 2, true}, {"\xe0\xa0\x80", 3, true}, {"\xef\xbf\xbf", 3, true},
    {"\xed\x9f\xbf", 3, true}, {"\xee\x80\x80", 3, true}, {"\xf0\x90\x80\x80", 4, true},
    {"\xf4\x8f\xbf\xbf", 4, true}, {"x\xc3\xa9y", 4, true},
    {"\x80", 1, false}, {"\xbf", 1, false}, {"\xc0\x80", 2, false}, {"\xc1\xbf", 2, false},
    {"\xe0\x9f\xbf", 3, false}, {"\xf0\x8f\xbf\xbf", 4, false}, {"\xed\xa0\x80", 3, false},
    {"\xed\xbf\xbf", 3, false}, {"\xf4\x90\x80\x80", 4, false}, {"\xf5\x80\x80\x80", 4, false},
    {"\xff", 1, false}, {"\xc3", 1, false}, {"\xe2\x82", 2, false}, {"\xf0\x9f\x98", 3, false},
    {"\xc3\xa9", 1, false}, {"\xe2\x82\xac", 2, false}, {"\xf0\x9f\x98\x80", 3, false}, // cut
    {"\xc3x", 2, false}, {"\xe2\x82x", 3, false}, {"\xe2x\x82", 3, false},
    {"\x01\x7f" "cdefgh", 8, true}, {"abcdefg\0", 8, false}, {"abcdefg\x80", 8, false}, {"abcdefghi\xff", 10, false},
    {"abcdefg\xc3\xa9hijklmno", 17, true}, {"\xc3\xa9" "abcdefgh\0", 11, false},
};

START_TEST(test_utf8)
{
    ck_assert_int_eq(utf8_valid(utf8_texts[_i].text, utf8_texts[_i].n), utf8_texts[_i].valid);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("units");
    TCase *t = tcase_create("units");
    tcase_add_loop_test(t, test_duration, 0, ROWS(durations));
    tcase_add_loop_test(t, test_duration_text, 0, ROWS(duration_texts));
    tcase_add_loop_test(t, test_time, 0, ROWS(times));
    tcase_add_test(t, test_calendar);
    tcase_add_test(t, test_time_without_text);
    tcase_add_loop_test(t, test_decimal, 0, ROWS(decimals));
    tcase_add_loop_test(t, test_whole, 0, ROWS(wholes));
    tcase_add_loop_test(t, test_decimal_text, 0, ROWS(decimal_texts));
    tcase_add_loop_test(t, test_utf8, 0, ROWS(utf8_texts));
    suite_add_tcase(suite, t);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
