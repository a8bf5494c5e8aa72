// The status board: what a reader sees of several workers, what counts as progress, and counts that never
// fall although partitions come and go with all that they ever counted.
#include "status.h"

#include <check.h>
#include <pthread.h>

#include "cleanup.h"

static struct status_board *board;

static void setup(void)
{
    board = status_board_new("shop", "web-7", 2, 1000);
    ck_assert_ptr_nonnull(board);
}

static void teardown(void)
{
    board = status_board_free(board);
}

static void publish(int worker, int32_t partition, enum part_state state, int64_t active, int64_t lapsed, int64_t hello)
{
    const struct status_stat stats[] = {
        {"life:stage:active", NULL, active},
        {"life:stage:lapsed", NULL, lapsed},
        {"life:rule:lapse", NULL, lapsed},
        {"life:trigger:hello", "onboarding", hello},
    };
    const struct status_part p = {.topic = "clicks",
                                  .partition = partition,
                                  .state = state,
                                  .offset = 7,
                                  .end = 9,
                                  .clock = INT64_MIN,
                                  .stats = stats,
                                  .nstats = 4};
    const struct status_worker w = {
        .worker = worker, .kafka = true, .redis = true, .parts = &p, .nparts = partition >= 0};
    ck_assert_int_eq(status_publish(board, &w), 0);
}

static void assert_stats(const char *field, int64_t expected)
{
    _cleanup_(status_clear) struct status s = {0};
    ck_assert_int_eq(status_take(board, &s), 0);
    int64_t found = -1;
    for (size_t i = 0; i < s.npopulations; i++)
        if (strcmp(s.populations[i].field, field) == 0)
            found = s.populations[i].value;
    for (size_t i = 0; i < s.ncounts; i++)
        if (strcmp(s.counts[i].field, field) == 0)
            found = s.counts[i].value;
    ck_assert_int_eq(found, expected);
}

START_TEST(test_nothing_yet)
{
    _cleanup_(status_clear) struct status s = {0};
    ck_assert_int_eq(status_take(board, &s), 0);
    ck_assert_str_eq(s.app, "shop");
    ck_assert_str_eq(s.instance, "web-7");
    ck_assert(!s.kafka && !s.redis && s.nparts == 0 && s.nreporting == 0 && s.nworkers == 2);
}
END_TEST

START_TEST(test_workers_together)
{
    publish(1, 3, PART_LIVE, 10, 1, 5);
    publish(0, 4, PART_LIVE, 20, 2, 6);
    _cleanup_(status_clear) struct status s = {0};
    ck_assert_int_eq(status_take(board, &s), 0);
    ck_assert(s.kafka && s.redis);
    ck_assert_uint_eq(s.nparts, 2);
    ck_assert_int_eq(s.parts[0].partition, 3);
    ck_assert_int_eq(s.parts[0].worker, 1);
    ck_assert_int_eq(s.parts[1].worker, 0);
    ck_assert_int_eq(status_lag(&s.parts[0]), 2);
    assert_stats("life:stage:active", 30);
    assert_stats("life:stage:lapsed", 3);
    assert_stats("life:rule:lapse", 0); // what they brought along
    struct buffer line = {0};
    status_line(&s, &line);
    buffer_byte(&line, '\0');
    ck_assert_str_eq(line.p, "2 partitions; lag 4; life: active 30, lapsed 3");
    buffer_clear(&line);
}
END_TEST

// A worker that cannot reach Redis makes the whole unready, and says why.
START_TEST(test_trouble)
{
    publish(0, 1, PART_HALTED, 1, 1, 1);
    const struct status_worker w = {.worker = 1, .kafka = true, .trouble = "Redis: timed out"};
    ck_assert_int_eq(status_publish(board, &w), 0);
    _cleanup_(status_clear) struct status s = {0};
    ck_assert_int_eq(status_take(board, &s), 0);
    ck_assert(s.kafka && !s.redis);
    ck_assert_str_eq(s.trouble, "Redis: timed out");
    struct buffer line = {0};
    status_line(&s, &line);
    buffer_byte(&line, '\0');
    ck_assert_str_eq(line.p, "1 partitions, 1 halted; lag 2; Redis: timed out; life: active 1, lapsed 1");
    buffer_clear(&line);
}
END_TEST

START_TEST(test_counts_rise_only)
{
    publish(0, 1, PART_TAKING, 0, 0, 0); // knows nothing yet
    assert_stats("life:trigger:hello", -1);
    publish(0, 1, PART_REPLAYING, 5, 5, 100); // brought along
    assert_stats("life:trigger:hello", 0);
    publish(0, 1, PART_LIVE, 5, 5, 110);
    assert_stats("life:trigger:hello", 10);
    publish(0, 1, PART_TAKING, 0, 0, 0); // a doubt: keeps what it said
    assert_stats("life:trigger:hello", 10);
    assert_stats("life:stage:active", 5);
    publish(0, 1, PART_REPLAYING, 5, 5, 104); // back to what is stored, six unflushed
    assert_stats("life:trigger:hello", 10);
    publish(0, 1, PART_LIVE, 5, 5, 112); // stepped again, and two new
    assert_stats("life:trigger:hello", 12);
    publish(0, -1, PART_LIVE, 0, 0, 0); // revoked
    assert_stats("life:trigger:hello", 12);
    assert_stats("life:stage:active", -1);
    publish(1, 1, PART_LIVE, 5, 5, 500); // comes back, to another worker, counted on by another daemon
    assert_stats("life:trigger:hello", 12);
    publish(1, 1, PART_LIVE, 5, 5, 501);
    assert_stats("life:trigger:hello", 13);
}
END_TEST

START_TEST(test_progress)
{
    ck_assert_int_eq(status_stalled(board, 5000, 100), -1); // not started yet
    status_progress(board, 0, 5000);
    status_progress(board, 1, 5050);
    ck_assert_int_eq(status_stalled(board, 5100, 100), -1);
    ck_assert_int_eq(status_stalled(board, 5101, 100), 0);
    status_progress(board, 0, 5101);
    ck_assert_int_eq(status_stalled(board, 5151, 100), 1);
}
END_TEST

static void *publish_often(void *arg)
{
    for (int i = 0; i < 2000; i++)
        publish(*(int *)arg, *(int *)arg, PART_LIVE, i, i, i);
    return NULL;
}

// Readers see whole publications, however often they are replaced meanwhile.
START_TEST(test_concurrently)
{
    int workers[] = {0, 1};
    pthread_t threads[2];
    for (int i = 0; i < 2; i++)
        ck_assert_int_eq(pthread_create(&threads[i], NULL, publish_often, &workers[i]), 0);
    for (int i = 0; i < 2000; i++) {
        _cleanup_(status_clear) struct status s = {0};
        ck_assert_int_eq(status_take(board, &s), 0);
        for (size_t p = 0; p < s.nparts; p++)
            ck_assert_int_eq(s.parts[p].stats[0].value, s.parts[p].stats[3].value);
    }
    for (int i = 0; i < 2; i++)
        pthread_join(threads[i], NULL);
    assert_stats("life:stage:active", 2 * 1999);
    assert_stats("life:rule:lapse", 2 * 1999);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("status");
    TCase *t = tcase_create("board");
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_test(t, test_nothing_yet);
    tcase_add_test(t, test_workers_together);
    tcase_add_test(t, test_trouble);
    tcase_add_test(t, test_counts_rise_only);
    tcase_add_test(t, test_progress);
    tcase_add_test(t, test_concurrently);
    suite_add_tcase(suite, t);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
