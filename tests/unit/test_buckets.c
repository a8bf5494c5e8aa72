// Buckets of customers, and what is known of their deadlines.
#include "buckets.h"
#include "bounds.h"

#include <check.h>

// Linear hashing: adding a bucket moves customers only from the one that it splits.
START_TEST(linear_hashing)
{
    for (uint64_t n = 1; n < 200; n++)
        for (uint64_t h = 0; h < 1000; h++) {
            uint64_t hash = h * UINT64_C(0x9e3779b97f4a7c15), before = bucket_of(hash, n),
                     after = bucket_of(hash, n + 1);
            uint64_t level = UINT64_C(1) << (63 - __builtin_clzll(n));
            ck_assert(before < n);
            ck_assert(after == before || (after == n && before == n - level));
        }
}
END_TEST

// A bucket whose customers who are due before 100 are in memory: each row goes on with the one before.
static const struct {
    int64_t touched, clock, next; // INT64_MIN: not touched; the bucket must be read
} covers[] = {
    {INT64_MIN, 0, 20},      // as it was read
    {INT64_MIN, 21, 40},     // the first has fired
    {150, 21, 40},           // and is due later than is known
    {30, 21, 30},            // another came, or came to be due
    {30, 30, 30},            // what is due at the clock is due
    {INT64_MIN, 99, 100},    // beyond all that are in memory nobody knows
    {INT64_MIN, 100, INT64_MIN},
    {INT64_MIN, 0, INT64_MIN}, // over is over
};

START_TEST(cover)
{
    struct buckets b = {0};
    ck_assert_int_eq(buckets_grow(&b, 3), 0);
    ck_assert(bucket_next(&b, 2, 0) == INT64_MIN && b.v[2].bound == NEVER);
    ck_assert_int_eq(bucket_cover(&b, 2, 100, (const int64_t[]){40, 20, 100, NEVER}, 4), 0);
    ck_assert_uint_gt(b.bytes, 0);
    for (size_t i = 0; i < sizeof covers / sizeof *covers; i++) {
        if (covers[i].touched != INT64_MIN)
            bucket_touch(&b, 2, covers[i].touched);
        int64_t next = bucket_next(&b, 2, covers[i].clock);
        ck_assert_msg(next == covers[i].next, "row %zu: %lld", i, (long long)next);
    }
    ck_assert_uint_eq(b.bytes, 0);
    buckets_clear(&b);
}
END_TEST

// However many come to be due soon, none is forgotten: a cover without room ends.
START_TEST(full_cover)
{
    struct buckets b = {0};
    ck_assert_int_eq(buckets_grow(&b, 1), 0);
    ck_assert_int_eq(bucket_cover(&b, 0, 100, (const int64_t[]){99}, 1), 0);
    for (int64_t due = 98; due > 0 && b.bytes > 0; due--) {
        bucket_touch(&b, 0, due);
        bucket_touch(&b, 0, due); // the same again takes no room
        int64_t next = bucket_next(&b, 0, 0);
        ck_assert(next == due || next == INT64_MIN);
    }
    ck_assert_uint_eq(b.bytes, 0);
    ck_assert_int_eq(bucket_cover(&b, 0, 100, (const int64_t[]){100, 7}, 1), 0); // nobody is due before
    ck_assert(bucket_next(&b, 0, 0) == INT64_MIN);
    buckets_clear(&b);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("buckets");
    TCase *t = tcase_create("buckets");
    tcase_add_test(t, linear_hashing);
    tcase_add_test(t, cover);
    tcase_add_test(t, full_cover);
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_ENV);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed != 0;
}
