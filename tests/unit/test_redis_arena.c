// Answers made in the arena against those that hiredis makes by itself: the same, wherever the bytes are cut; and what
// the arena keeps is bounded, whatever came.
#include "redis_arena.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const answers[] = {
    "+OK\r\n",
    "-ERR unknown command\r\n",
    ":-42\r\n",
    "$5\r\nhello\r\n",
    "$0\r\n\r\n",
    "$-1\r\n",
    "*0\r\n",
    "*-1\r\n",
    "*3\r\n$1\r\na\r\n$-1\r\n*2\r\n:1\r\n+deep\r\n",
    "*2\r\n*1\r\n*1\r\n*0\r\n$3\r\nend\r\n",
    ",3.25\r\n",
    "#t\r\n",
    "_\r\n",
    "(123456789012345678901234567890\r\n",
    "=8\r\ntxt:text\r\n",
    "%1\r\n+key\r\n~2\r\n:1\r\n#f\r\n",
};
enum { ANSWERS = sizeof answers / sizeof *answers };

static void check_same(const redisReply *a, const redisReply *b)
{
    ck_assert_int_eq(a->type, b->type);
    ck_assert_int_eq(a->integer, b->integer);
    ck_assert(a->dval == b->dval);
    ck_assert_uint_eq(a->len, b->len);
    ck_assert_int_eq(!a->str, !b->str);
    if (a->str)
        ck_assert_mem_eq(a->str, b->str, a->len + 1);
    ck_assert_str_eq(a->vtype, b->vtype);
    ck_assert_uint_eq(a->elements, b->elements);
    for (size_t i = 0; i < a->elements; i++)
        check_same(a->element[i], b->element[i]);
}

static redisReader *reader_with(struct redis_arena *a)
{
    redisReader *r = redisReaderCreate();
    ck_assert_ptr_nonnull(r);
    redis_arena_use(a, r);
    return r;
}

static redisReply *read_one(redisReader *r)
{
    void *reply = NULL;
    ck_assert_msg(redisReaderGetReply(r, &reply) == REDIS_OK, "%s", r->errstr);
    return reply;
}

START_TEST(test_same_as_hiredis)
{
    struct redis_arena a = {0};
    redisReader *ours = reader_with(&a), *theirs = redisReaderCreate();
    size_t n = strlen(answers[_i]);
    for (size_t cut = 0; cut <= n; cut++) {
        ck_assert_int_eq(redisReaderFeed(theirs, answers[_i], n), REDIS_OK);
        ck_assert_int_eq(redisReaderFeed(ours, answers[_i], cut), REDIS_OK);
        redisReply *early = read_one(ours);
        ck_assert_int_eq(!!early, cut == n);
        ck_assert_int_eq(redisReaderFeed(ours, answers[_i] + cut, n - cut), REDIS_OK);
        redisReply *reply = early ? early : read_one(ours), *expected = read_one(theirs);
        check_same(reply, expected);
        freeReplyObject(expected);
        redis_arena_reset(&a);
    }
    redisReaderFree(ours);
    redisReaderFree(theirs);
    redis_arena_clear(&a);
}
END_TEST

// A bulk text of n bytes, all of them `c`.
static void feed_text(redisReader *r, size_t n, char c)
{
    char head[32], *text = malloc(n + 2);
    snprintf(head, sizeof head, "$%zu\r\n", n);
    memset(text, c, n);
    memcpy(text + n, "\r\n", 2);
    ck_assert_int_eq(redisReaderFeed(r, head, strlen(head)), REDIS_OK);
    ck_assert_int_eq(redisReaderFeed(r, text, n + 2), REDIS_OK);
    free(text);
}

START_TEST(test_all_answers_of_a_call_stay)
{
    enum { TEXTS = 5000, BYTES = 100 };
    struct redis_arena a = {0};
    redisReader *r = reader_with(&a);
    redisReply **replies = calloc(TEXTS, sizeof *replies);
    for (int call = 0; call < 3; call++) {
        for (int i = 0; i < TEXTS; i++) {
            feed_text(r, BYTES, (char)('a' + i % 26));
            replies[i] = read_one(r);
        }
        for (int i = 0; i < TEXTS; i++) {
            char expected[BYTES];
            memset(expected, 'a' + i % 26, BYTES);
            ck_assert_mem_eq(replies[i]->str, expected, BYTES);
        }
        redis_arena_reset(&a);
        ck_assert_uint_gt(a.bytes, call > 0 ? (size_t)TEXTS * BYTES : 0); // soon in one piece, which stays
    }
    free(replies);
    redisReaderFree(r);
    redis_arena_clear(&a);
    ck_assert_uint_eq(a.bytes, 0);
}
END_TEST

START_TEST(test_what_is_kept_is_bounded)
{
    static const size_t sizes[] = {1, 20 << 10, 3 << 20, 10, 600 << 10, 600 << 10, 600 << 10, 5 << 20};
    struct redis_arena a = {0};
    redisReader *r = reader_with(&a);
    for (int call = 0; call < 5; call++) {
        size_t sum = 0;
        for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
            feed_text(r, sizes[i], 'x');
            ck_assert_uint_eq(read_one(r)->len, sizes[i]);
            sum += sizes[i];
        }
        ck_assert_uint_ge(a.bytes, sum);
        ck_assert_uint_le(a.bytes, 2 * sum + REDIS_ARENA_KEPT_BYTES);
        redis_arena_reset(&a);
        ck_assert_uint_gt(a.bytes, 0);
        ck_assert_uint_le(a.bytes, REDIS_ARENA_KEPT_BYTES);
    }
    redisReaderFree(r);
    redis_arena_clear(&a);
}
END_TEST

START_TEST(test_broken_answers)
{
    static const char *const broken[] = {"*2\r\n$1\r\na\r\n?\r\n", "*10000000\r\n:1\r\nx", ",abc\r\n",
                                         "*9223372036854775807\r\n", "$-7\r\n"};
    struct redis_arena a = {0};
    redisReader *r = reader_with(&a);
    void *reply = NULL;
    ck_assert_int_eq(redisReaderFeed(r, broken[_i], strlen(broken[_i])), REDIS_OK);
    ck_assert_int_eq(redisReaderGetReply(r, &reply), REDIS_ERR);
    redisReaderFree(r);
    redis_arena_reset(&a);
    ck_assert_uint_le(a.bytes, REDIS_ARENA_KEPT_BYTES);
    redis_arena_clear(&a);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("redis_arena");
    TCase *c = tcase_create("answers");
    tcase_add_loop_test(c, test_same_as_hiredis, 0, ANSWERS);
    tcase_add_test(c, test_all_answers_of_a_call_stay);
    tcase_add_test(c, test_what_is_kept_is_bounded);
    tcase_add_loop_test(c, test_broken_answers, 0, 5);
    suite_add_tcase(s, c);
    SRunner *runner = srunner_create(s);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
