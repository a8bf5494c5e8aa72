// Times, durations and values as people and machines write them. All times are integer milliseconds UTC since 1970;
// all values are decimal fixed point in thousandths. No floating point, no locale, no clock.
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct span { // bytes not owned
    const char *p;
    size_t n;
};

// "30d", "90m", "0s", "5000ms": a whole number and one of ms s m h d w. 0, or 1: not a duration (or over 100 years).
int parse_duration(const char *s, size_t n, int64_t *ret_ms);
// RFC 3339 ("2026-01-05T10:20:30.123Z", any offset, 't'/' ' as separator, leap second :60 counts as :59.999); digits
// beyond milliseconds are cut. A date-time without an offset is UTC. 0, or 1: not a time from 1970 to 9999.
int parse_time(const char *s, size_t n, int64_t *ret_ms);
// "2026-01-05T10:20:30.123Z"; always 24 bytes and a NUL.
enum { TIME_TEXT_BYTES = 25 };
void format_time(int64_t ms, char out[static TIME_TEXT_BYTES]);
// A decimal number ("-12.3456", "1e3", "25.00") as thousandths, half away from zero from the digits as written.
// 0, or 1: not a number, or its amount is 10^12 or more after rounding.
int parse_decimal(const char *s, size_t n, int64_t *ret_milli);
// A decimal number that is whole ("5", "-0", "1e3", "5.00"). 0, or 1: not a number, not whole, or of 10^18 or more.
int parse_whole(const char *s, size_t n, int64_t *ret);
// Thousandths with as few digits as needed and at least one after the point ("25.0", "-0.125"); returns its length.
enum { DECIMAL_TEXT_BYTES = 32 };
size_t format_decimal(int64_t milli, char out[static DECIMAL_TEXT_BYTES]);
// The largest unit up to days that divides it: 5400000 -> "90m".
enum { DURATION_TEXT_BYTES = 32 };
size_t format_duration(int64_t ms, char out[static DURATION_TEXT_BYTES]);
// Valid UTF-8 without NUL (RFC 3629: no surrogates, no overlong forms).
bool utf8_valid(const char *s, size_t n);
