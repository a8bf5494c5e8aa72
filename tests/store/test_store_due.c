// What every store must do with deadlines, statistics and models, in memory (row 0), on a real Redis (row
// 1) and on a cluster (row 2).
#include <stdio.h>
#include <string.h>

#include "world.h"

struct due_row {
    struct flush_due d;
    int64_t want; // score of bucket 1 afterwards
};

START_TEST(test_due)
{
    static const struct due_row rows[] = {
        {{.bucket = 1, .at = 100}, 100}, // lowers what is not there: sets it
        {{.bucket = 1, .at = 200}, 100}, // lowers only
        {{.bucket = 1, .at = 50}, 50},
        {{.bucket = 1, .at = 300, .exact = true}, 300},
        {{.bucket = 1, .at = 0, .exact = true}, 0}, // everything is to be looked at anew
        {{.bucket = 1, .at = NEVER}, NEVER},
        {{.bucket = 1, .at = TIME_MS_MAX, .exact = true}, TIME_MS_MAX},
        {{.bucket = 1, .at = NEVER, .exact = true}, NEVER},
    };
    struct world w;
    struct why why;
    world_open(&w, _i, NULL);
    struct cursor c = world_begin(&w, w.a, &ALICE);
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct flush f = {.cursor = &c, .dues = &rows[i].d, .ndues = 1};
        ck_assert_int_eq(w.ops->flush(w.a, &P, &ALICE, &f, &why), 0);
        c.n++;
        struct due_bucket due;
        size_t n;
        int64_t next;
        ck_assert_int_eq(w.ops->due(w.a, &P, rows[i].want, 1, &due, &n, &next, &why), 0);
        ck_assert_msg(n == 0 && next == rows[i].want, "row %zu: %zu before %ld, next %ld", i, n, (long)rows[i].want,
                      (long)next);
        if (rows[i].want == NEVER)
            continue;
        ck_assert_int_eq(w.ops->due(w.a, &P, rows[i].want + 1, 1, &due, &n, &next, &why), 0);
        ck_assert_msg(n == 1 && due.model == 0 && due.bucket == 1 && due.at == rows[i].want && next == NEVER,
                      "row %zu: %zu after", i, n);
    }
    world_close(&w);
}
END_TEST

// A bucket's score is known anew, and lowered for a state written in the same flush, whichever comes first.
START_TEST(test_due_known_then_lowered)
{
    static const int64_t known[] = {NEVER, 300, 300}, lower[] = {100, 100, 400}, want[] = {100, 100, 300};
    struct world w;
    struct why why;
    world_open(&w, _i, NULL);
    struct cursor c = world_begin(&w, w.a, &ALICE);
    for (int i = 0; i < 6; i++) {
        struct flush_due dues[2];
        dues[i % 2] = (struct flush_due){.bucket = 1, .at = known[i / 2], .exact = true};
        dues[!(i % 2)] = (struct flush_due){.bucket = 1, .at = lower[i / 2]};
        struct flush f = {.cursor = &c, .dues = dues, .ndues = 2};
        ck_assert_int_eq(w.ops->flush(w.a, &P, &ALICE, &f, &why), 0);
        c.n++;
        size_t n;
        int64_t next;
        ck_assert_int_eq(w.ops->due(w.a, &P, 0, 0, NULL, &n, &next, &why), 0);
        ck_assert_msg(next == want[i / 2], "round %d: %ld", i, (long)next);
    }
    world_close(&w);
}
END_TEST

START_TEST(test_due_next)
{
    struct world w;
    struct why why;
    struct due_bucket due[3];
    size_t n;
    int64_t next;
    struct flush_due set[] = {{.model = 0, .bucket = 5, .at = 30, .exact = true},
                              {.model = 1, .bucket = 5, .at = 10},
                              {.model = 0, .bucket = 6, .at = 20},
                              {.model = 1, .bucket = 0, .at = 99}};
    world_open(&w, _i, NULL);
    struct cursor c = world_begin(&w, w.a, &ALICE);
    struct flush f = {.cursor = &c, .dues = set, .ndues = 4};
    ck_assert_int_eq(w.ops->flush(w.a, &P, &ALICE, &f, &why), 0);
    ck_assert_int_eq(w.ops->due(w.a, &P, 50, 2, due, &n, &next, &why), 0);
    ck_assert(n == 2 && next == 30 && due[0].at == 10 && due[0].model == 1 && due[1].at == 20 && due[1].bucket == 6);
    ck_assert_int_eq(w.ops->due(w.a, &P, 50, 3, due, &n, &next, &why), 0);
    ck_assert(n == 3 && next == 99 && due[2].at == 30);
    ck_assert_int_eq(w.ops->due(w.a, &P, 50, 0, due, &n, &next, &why), 0);
    ck_assert(n == 0 && next == 10);
    ck_assert_int_eq(w.ops->due(w.a, &Q, NEVER, 3, due, &n, &next, &why), 0);
    ck_assert(n == 0 && next == NEVER);
    world_close(&w);
}
END_TEST

static void add_stat(void *arg, struct span field, int64_t value)
{
    int64_t *sums = arg;
    ck_assert(field.n == 22 && !memcmp(field.p, "lifecycle:stage:", 16));
    sums[0]++;
    sums[1] += value * (field.p[16] == 'a' ? 1 : 1000);
}

START_TEST(test_stats)
{
    struct world w;
    struct why why;
    int64_t sums[2] = {0};
    struct flush_stat stats[] = {{"lifecycle:stage:active", 7}, {"lifecycle:stage:lapsed", -2}};
    world_open(&w, _i, NULL);
    struct cursor c = world_begin(&w, w.a, &ALICE);
    struct flush f = {.cursor = &c, .stats = stats, .nstats = 2};
    ck_assert_int_eq(w.ops->flush(w.a, &P, &ALICE, &f, &why), 0);
    c.n++;
    stats[0].value = 9; // absolute, and the other one stays
    f.nstats = 1;
    ck_assert_int_eq(w.ops->flush(w.a, &P, &ALICE, &f, &why), 0);
    ck_assert_int_eq(w.ops->stats(w.a, &P, add_stat, sums, &why), 0);
    ck_assert_int_eq(sums[0], 2);
    ck_assert_int_eq(sums[1], 9 - 2000);
    ck_assert_int_eq(w.ops->stats(w.b, &Q, add_stat, sums, &why), 0);
    ck_assert_int_eq(sums[0], 2);
    world_close(&w);
}
END_TEST

// ---- texts of models

struct recalled {
    int n, stop_at;
    char text[256];
};

static int recall_one(void *arg, const struct model_text *t)
{
    struct recalled *r = arg;
    r->n++;
    if (t->version == 2)
        snprintf(r->text, sizeof(r->text), "%.*s %u %d %lld %.*s", (int)t->name.n, t->name.p, t->version, (int)t->order,
                 (long long)t->clock, (int)t->text.n, t->text.p);
    return r->n == r->stop_at ? -7 : 0;
}

START_TEST(test_models)
{
    struct world w;
    struct why why;
    world_open(&w, _i, NULL);
    struct recalled r = {0};
    struct model_text v[] = {
        {.name = SPAN("life:cycle"), .text = SPAN("model: x\n"), .version = 1, .order = 1, .clock = INT64_MIN},
        {.name = SPAN("life:cycle"), .text = SPAN("old"), .version = 2, .order = 2, .clock = -3},
    };
    ck_assert_int_eq(w.ops->remember(w.a, &P, &ALICE, 0, v, 2, &why), PORT_FENCED); // there is no cursor
    world_begin(&w, w.a, &ALICE);
    ck_assert_int_eq(w.ops->recall(w.a, &P, recall_one, &r, &why), 0);
    ck_assert_int_eq(r.n, 0);
    ck_assert_int_eq(w.ops->remember(w.a, &P, &ALICE, 1, v, 2, &why), PORT_FENCED); // n is 0
    ck_assert_int_eq(w.ops->remember(w.a, &P, &ALICE, 0, v, 2, &why), 0);
    ck_assert_uint_eq(world_claim(&w, w.b, &BOB).n, 1);
    v[1].text = SPAN(" new: \n - x ");
    v[1].order = 3;
    ck_assert_int_eq(w.ops->remember(w.b, &P, &BOB, 1, &v[1], 1, &why), 0);
    v[1].text = SPAN("late");
    ck_assert_int_eq(w.ops->remember(w.a, &P, &ALICE, 2, &v[1], 1, &why), PORT_FENCED);
    ck_assert_int_eq(w.ops->recall(w.a, &P, recall_one, &r, &why), 0);
    ck_assert_int_eq(r.n, 2);
    ck_assert_str_eq(r.text, "life:cycle 2 3 -3  new: \n - x ");
    r = (struct recalled){.stop_at = 1};
    ck_assert_int_eq(w.ops->recall(w.a, &P, recall_one, &r, &why), -7);
    ck_assert_int_eq(r.n, 1);
    world_close(&w);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("store_due");
    TCase *t = tcase_create("both");
    tcase_add_unchecked_fixture(t, world_cluster_start, world_cluster_stop);
    tcase_add_loop_test(t, test_due, 0, WORLD_KINDS);
    tcase_add_loop_test(t, test_due_known_then_lowered, 0, WORLD_KINDS);
    tcase_add_loop_test(t, test_due_next, 0, WORLD_KINDS);
    tcase_add_loop_test(t, test_stats, 0, WORLD_KINDS);
    tcase_add_loop_test(t, test_models, 0, WORLD_KINDS);
    suite_add_tcase(s, t);
    return world_run(s);
}
