// Readers and writers of times, durations and values. All of them are integers from end to end, so that a
// replay on another machine reads the same event alike. The readers are written by hand because each event
// goes through them: strptime and strtod would cost more than the rest of the parser, and look at the locale.
#include "units.h"

#include <string.h>

#include "bounds.h"

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static const struct unit {
    char name[3];
    int64_t ms;
} units[] = {
    // From days on the largest first, for format_duration; weeks are understood, but not written: two durations should
    // compare at a glance.
    {"w", 7 * MS_PER_DAY}, {"d", MS_PER_DAY}, {"h", 3600000}, {"m", 60000}, {"s", 1000}, {"ms", 1},
};
enum { UNITS = sizeof(units) / sizeof(units[0]) };

int parse_duration(const char *s, size_t n, int64_t *ret_ms)
{
    int64_t amount = 0;
    size_t i = 0;
    for (; i < n && is_digit(s[i]); i++) {
        amount = amount * 10 + (s[i] - '0');
        if (amount > DURATION_MS_MAX)
            return 1;
    }
    if (i == 0)
        return 1;
    for (size_t u = 0; u < UNITS; u++) {
        size_t len = strlen(units[u].name);
        if (n - i != len || memcmp(s + i, units[u].name, len) != 0)
            continue;
        if (amount > DURATION_MS_MAX / units[u].ms)
            return 1;
        *ret_ms = amount * units[u].ms;
        return 0;
    }
    return 1;
}

static size_t format_uint(uint64_t v, char *out)
{
    char digits[20];
    size_t n = 0;
    do
        digits[n++] = (char)('0' + v % 10);
    while ((v /= 10) > 0);
    for (size_t i = 0; i < n; i++)
        out[i] = digits[n - 1 - i];
    return n;
}

static uint64_t amount_of(int64_t v)
{
    return v < 0 ? -(uint64_t)v : (uint64_t)v;
}

size_t format_duration(int64_t ms, char out[static DURATION_TEXT_BYTES])
{
    const struct unit *u = &units[1];
    if (ms == 0)
        u = &units[4]; // "0s"
    while (ms % u->ms != 0)
        u++;
    size_t n = 0;
    if (ms < 0)
        out[n++] = '-';
    n += format_uint(amount_of(ms) / (uint64_t)u->ms, out + n);
    strcpy(out + n, u->name);
    return n + strlen(u->name);
}

// The number that `n` digits make; *bad is set when one of them is none.
static unsigned digits(const char *s, size_t n, bool *bad)
{
    unsigned v = 0;
    for (size_t i = 0; i < n; i++) {
        unsigned c = (unsigned char)s[i] - (unsigned)'0';
        *bad |= c > 9;
        v = v * 10 + c;
    }
    return v;
}

// Days from 1970-01-01, proleptic Gregorian. Years begin in March here: a leap day then comes last.
static int64_t days_from_date(int64_t year, int64_t month, int64_t day)
{
    int64_t y = month <= 2 ? year - 1 : year;
    int64_t leap_days = y >= 0 ? y / 4 - y / 100 + y / 400 : -1; // year 0: January and February only
    int64_t march_day = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
    return 365 * y + leap_days + march_day - 719468;
}

static unsigned days_in_month(unsigned year, unsigned month)
{
    static const unsigned char days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    bool leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    return days[month - 1] + (month == 2 && leap);
}

// "", "Z" or "+hh:mm" as minutes east. 0, or 1: none of them.
static int parse_offset(const char *s, size_t n, int64_t *ret_minutes)
{
    int64_t minutes = 0;
    if (n == 6 && (s[0] == '+' || s[0] == '-') && s[3] == ':') {
        bool bad = false;
        unsigned h = digits(s + 1, 2, &bad), m = digits(s + 4, 2, &bad);
        if (bad || h > 23 || m > 59)
            return 1;
        minutes = (int64_t)h * 60 + m;
        if (s[0] == '-')
            minutes = -minutes;
    } else if (n != 0 && !(n == 1 && (s[0] == 'Z' || s[0] == 'z'))) {
        return 1;
    }
    *ret_minutes = minutes;
    return 0;
}

int parse_time(const char *s, size_t n, int64_t *ret_ms)
{
    if (n < 19 || s[4] != '-' || s[7] != '-' || s[13] != ':' || s[16] != ':')
        return 1;
    if (s[10] != 'T' && s[10] != ' ' && s[10] != 't')
        return 1;
    bool bad = false;
    unsigned year = digits(s, 4, &bad), month = digits(s + 5, 2, &bad), day = digits(s + 8, 2, &bad);
    unsigned hour = digits(s + 11, 2, &bad), minute = digits(s + 14, 2, &bad);
    unsigned second = digits(s + 17, 2, &bad);
    if (bad || month < 1 || month > 12 || day < 1 || day > days_in_month(year, month))
        return 1;
    if (hour > 23 || minute > 59 || second > 60)
        return 1;

    size_t i = 19;
    unsigned ms = 0;
    if (i < n && s[i] == '.') {
        size_t first = ++i;
        for (unsigned weight = 100; i < n && is_digit(s[i]); i++, weight /= 10)
            ms += weight * (unsigned)(s[i] - '0');
        if (i == first)
            return 1;
    }
    if (second == 60) {
        second = 59;
        ms = 999;
    }
    int64_t east;
    if (parse_offset(s + i, n - i, &east) != 0)
        return 1;
    int64_t minutes = days_from_date(year, month, day) * 1440 + hour * 60 + minute - east;
    int64_t t = (minutes * 60 + second) * 1000 + ms;
    if (t < 0 || t > TIME_MS_MAX)
        return 1;
    *ret_ms = t;
    return 0;
}

static void put_digits(char *out, unsigned v, int n)
{
    for (int i = n - 1; i >= 0; i--, v /= 10)
        out[i] = (char)('0' + v % 10);
}

// A deadline can lie beyond 9999, where the text has no room: it shows as the last instant that has one. An
// instant before 1970 (no event has one) shows as 1970.
void format_time(int64_t ms, char out[static TIME_TEXT_BYTES])
{
    ms = ms < 0 ? 0 : ms > TIME_MS_MAX ? TIME_MS_MAX : ms;
    int64_t days = ms / MS_PER_DAY, rest = ms % MS_PER_DAY;

    // The inverse of days_from_date: eras of 400 years, years from March.
    int64_t z = days + 719468, era = z / 146097, doe = z % 146097;
    int64_t yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
    int64_t doy = doe - (365 * yoe + yoe / 4 - yoe / 100), march = (5 * doy + 2) / 153;
    int64_t month = march < 10 ? march + 3 : march - 9;

    memcpy(out, "0000-00-00T00:00:00.000Z", TIME_TEXT_BYTES);
    put_digits(out, (unsigned)(era * 400 + yoe + (month <= 2)), 4);
    put_digits(out + 5, (unsigned)month, 2);
    put_digits(out + 8, (unsigned)(doy - (153 * march + 2) / 5 + 1), 2);
    put_digits(out + 11, (unsigned)(rest / 3600000), 2);
    put_digits(out + 14, (unsigned)(rest / 60000 % 60), 2);
    put_digits(out + 17, (unsigned)(rest / 1000 % 60), 2);
    put_digits(out + 20, (unsigned)(rest % 1000), 3);
}

// "e-12": the exponent, held within ±10^12 (a record is far shorter, so that beyond it nothing changes).
// 0, or 1: none.
static int parse_exponent(const char *s, size_t n, int64_t *ret)
{
    size_t i = 1;
    bool negative = i < n && s[i] == '-';
    if (i < n && (s[i] == '-' || s[i] == '+'))
        i++;
    if (i >= n)
        return 1;
    int64_t v = 0;
    for (; i < n; i++) {
        if (!is_digit(s[i]))
            return 1;
        if (v < INT64_C(1000000000000))
            v = v * 10 + (s[i] - '0');
    }
    *ret = negative ? -v : v;
    return 0;
}

struct decimal {
    const char *p, *end; // digits, a point among them; the first is not 0, and none at all means zero
    int64_t tens;        // how many tens the first digit stands above one
    bool negative;
};

static int scan_decimal(const char *s, size_t n, struct decimal *ret)
{
    size_t i = n > 0 && (s[0] == '-' || s[0] == '+');
    size_t ndigits = 0, point = n, first = n; // first: the first digit that is not 0
    for (; i < n; i++) {
        if (s[i] == '.') {
            if (point < n)
                return 1;
            point = i;
        } else if (is_digit(s[i])) {
            ndigits++;
            if (s[i] != '0' && first == n)
                first = i;
        } else {
            break;
        }
    }
    if (ndigits == 0)
        return 1;
    int64_t exponent = 0;
    if (i < n && ((s[i] != 'e' && s[i] != 'E') || parse_exponent(s + i, n - i, &exponent) != 0))
        return 1;
    if (point == n)
        point = i;
    if (first > i)
        first = i;
    *ret = (struct decimal){.p = s + first, .end = s + i, .negative = s[0] == '-'};
    ret->tens = exponent + (first < point ? (int64_t)(point - first) - 1 : -(int64_t)(first - point));
    return 0;
}

struct amount {
    uint64_t whole; // what is above the point, below 10^18
    bool half;      // what is below it is one half or more
    bool exact;     // nothing is below it
};

// The amount with the point moved `places` to the right. 0, or 1: 10^18 or more.
static int amount_of_decimal(const struct decimal *d, int places, struct amount *ret)
{
    struct amount a = {.exact = true};
    int64_t weight = d->tens + places; // of the digit at p, in tens
    if (d->p < d->end && weight >= 18)
        return 1;
    for (const char *p = d->p; p < d->end; p++) {
        if (*p == '.')
            continue;
        if (weight >= 0)
            a.whole = a.whole * 10 + (uint64_t)(*p - '0');
        else
            a.exact &= *p == '0';
        a.half |= weight == -1 && *p >= '5';
        weight--;
    }
    for (; a.whole > 0 && weight >= 0; weight--)
        a.whole *= 10;
    *ret = a;
    return 0;
}

int parse_decimal(const char *s, size_t n, int64_t *ret_milli)
{
    struct decimal d;
    struct amount a;
    if (scan_decimal(s, n, &d) != 0 || amount_of_decimal(&d, 3, &a) != 0)
        return 1;
    int64_t milli = (int64_t)a.whole + a.half;
    if (milli >= VALUE_MILLI_MAX)
        return 1;
    *ret_milli = d.negative ? -milli : milli;
    return 0;
}

int parse_whole(const char *s, size_t n, int64_t *ret)
{
    struct decimal d;
    struct amount a;
    if (scan_decimal(s, n, &d) != 0 || amount_of_decimal(&d, 0, &a) != 0 || !a.exact)
        return 1;
    *ret = d.negative ? -(int64_t)a.whole : (int64_t)a.whole;
    return 0;
}

size_t format_decimal(int64_t milli, char out[static DECIMAL_TEXT_BYTES])
{
    uint64_t amount = amount_of(milli);
    size_t n = 0;
    if (milli < 0)
        out[n++] = '-';
    n += format_uint(amount / 1000, out + n);
    out[n++] = '.';
    put_digits(out + n, (unsigned)(amount % 1000), 3);
    n += 3;
    while (out[n - 1] == '0' && out[n - 2] != '.')
        n--;
    out[n] = '\0';
    return n;
}

// How many bytes follow a lead byte, and what the first of them may be: this alone excludes overlong forms,
// surrogates and code points beyond U+10FFFF (table 3-7 of the Unicode standard). 0: no lead byte.
static size_t utf8_follow(unsigned char lead, unsigned char *ret_low, unsigned char *ret_high)
{
    *ret_low = lead == 0xe0 ? 0xa0 : lead == 0xf0 ? 0x90 : 0x80;
    *ret_high = lead == 0xed ? 0x9f : lead == 0xf4 ? 0x8f : 0xbf;
    if (lead >= 0xc2 && lead <= 0xdf)
        return 1;
    if ((lead & 0xf0) == 0xe0)
        return 2;
    return lead >= 0xf0 && lead <= 0xf4 ? 3 : 0;
}

// Whether each of eight bytes is ASCII, and none a NUL.
static bool all_plain(const char s[static 8])
{
    uint64_t v;
    memcpy(&v, s, sizeof v);
    return !((v | (v - UINT64_C(0x0101010101010101))) & UINT64_C(0x8080808080808080));
}

bool utf8_valid(const char *s, size_t n)
{
    for (size_t i = 0; i < n;) {
        if (n - i >= 8 && all_plain(s + i)) {
            i += 8;
            continue;
        }
        unsigned char c = (unsigned char)s[i++];
        if (c < 0x80) {
            if (c == 0)
                return false;
            continue;
        }
        unsigned char low, high;
        size_t follow = utf8_follow(c, &low, &high);
        if (follow == 0 || n - i < follow)
            return false;
        for (; follow > 0; follow--, low = 0x80, high = 0xbf) {
            c = (unsigned char)s[i++];
            if (c < low || c > high)
                return false;
        }
    }
    return true;
}
