// What every store must do with states, owners and splits: each scenario runs in memory (row 0), on a real
// Redis (row 1) and on a cluster (row 2).
#include <string.h>

#include "world.h"

static const char *const durable[] = {"--appendonly", "yes", "--appendfsync", "always", NULL};

static struct span text(const char *s)
{
    return (struct span){s, strlen(s)};
}

// ---- claims

START_TEST(test_claim_returns_what_was_stored)
{
    struct world w;
    struct cursor got;
    struct why why;
    bool empty = false;
    world_open(&w, _i, NULL);
    ck_assert_int_eq(w.ops->claim(w.a, &P, &ALICE, &got, &empty, &why), 0);
    ck_assert(!got.exists && empty);

    struct cursor c = {.offset = 7,
                       .clock = -5,
                       .start = 3,
                       .n = 41,
                       .partitions = 12,
                       .format = 2,
                       .program = "fedcba9876543210",
                       .buckets = {16, 1000000007},
                       .customers = {700, UINT64_MAX},
                       .tails = {{"shop.transitions", 99}, {"shop.triggers.win-back", INT64_MAX}},
                       .ntails = 2};
    ck_assert_int_eq(w.ops->create(w.a, &P, &ALICE, &c, &why), 0);
    ck_assert_int_eq(w.ops->create(w.a, &P, &ALICE, &c, &why), PORT_FENCED);
    ck_assert_int_eq(w.ops->create(w.b, &P, &BOB, &c, &why), PORT_FENCED);

    got = world_claim(&w, w.b, &BOB);
    ck_assert(got.exists);
    ck_assert_int_eq(got.offset, 7);
    ck_assert_int_eq(got.clock, -5);
    ck_assert_int_eq(got.start, 3);
    ck_assert_uint_eq(got.n, 41);
    ck_assert_int_eq(got.partitions, 12);
    ck_assert_uint_eq(got.format, 2);
    ck_assert_str_eq(got.program, "fedcba9876543210");
    ck_assert_uint_eq(got.buckets[1], 1000000007);
    ck_assert_uint_eq(got.customers[0], 700);
    ck_assert_uint_eq(got.customers[1], UINT64_MAX);
    ck_assert_int_eq(got.ntails, 2);
    ck_assert_str_eq(got.tails[1].topic, "shop.triggers.win-back");
    ck_assert_int_eq(got.tails[1].offset, INT64_MAX);
    ck_assert_int_eq(got.tails[0].offset, 99);
    world_close(&w);
}
END_TEST

START_TEST(test_claim_fences_the_former_owner)
{
    struct world w;
    world_open(&w, _i, NULL);
    struct cursor a = world_begin(&w, w.a, &ALICE), b;
    struct flush_write put = {.customer = SPAN("c-1"), .state = SPAN("alice")};
    ck_assert_int_eq(world_write(&w, w.a, &ALICE, &a, &put, 1), 0);

    b = world_claim(&w, w.b, &BOB);
    ck_assert_uint_eq(b.n, 1);
    put.state = SPAN("late");
    ck_assert_int_eq(world_write(&w, w.a, &ALICE, &a, &put, 1), PORT_FENCED);
    check_span(world_read(&w, w.a, &ALICE, &a, 0, 0, SPAN("c-1")), SPAN("fenced"), "the former owner's read");
    check_span(world_read(&w, w.b, &BOB, &b, 0, 0, SPAN("c-1")), SPAN("alice"), "the new owner's");
    put.state = SPAN("bob");
    ck_assert_int_eq(world_write(&w, w.b, &BOB, &b, &put, 1), 0);
    check_span(world_read(&w, w.b, &BOB, &b, 0, 0, SPAN("c-1")), SPAN("bob"), "the state");
    world_close(&w);
}
END_TEST

START_TEST(test_flush_and_load_want_the_right_n)
{
    struct world w;
    world_open(&w, _i, NULL);
    struct cursor c = world_begin(&w, w.a, &ALICE), old = c;
    struct flush_write put = {.customer = SPAN("c-1"), .state = SPAN("first")};
    ck_assert_int_eq(world_write(&w, w.a, &ALICE, &c, &put, 1), 0);
    put.state = SPAN("again");
    ck_assert_int_eq(world_write(&w, w.a, &ALICE, &old, &put, 1), PORT_FENCED);
    check_span(world_read(&w, w.a, &ALICE, &old, 0, 0, SPAN("c-1")), SPAN("fenced"), "a read at the older n");
    check_span(world_read(&w, w.a, &ALICE, &c, 0, 0, SPAN("c-1")), SPAN("first"), "the state");
    ck_assert_uint_eq(world_claim(&w, w.b, &BOB).n, 1);
    world_close(&w);
}
END_TEST

START_TEST(test_a_lost_cursor_is_noticed)
{
    struct world w;
    struct cursor got;
    struct why why;
    bool empty = true;
    world_open(&w, _i, NULL);
    struct cursor c = world_begin(&w, w.a, &ALICE);
    struct flush_write put = {.model = 1, .bucket = 2, .customer = SPAN("c-1"), .state = SPAN("s")};
    ck_assert_int_eq(world_write(&w, w.a, &ALICE, &c, &put, 1), 0);
    world_lose(&w, LOSE_CURSOR);
    ck_assert_int_eq(world_write(&w, w.a, &ALICE, &c, &put, 1), PORT_FENCED);
    ck_assert_int_eq(w.ops->claim(w.a, &P, &ALICE, &got, &empty, &why), 0);
    ck_assert(!got.exists && !empty);
    world_lose(&w, LOSE_ALL);
    ck_assert_int_eq(w.ops->claim(w.a, &P, &ALICE, &got, &empty, &why), 0);
    ck_assert(!got.exists && empty);
    world_close(&w);
}
END_TEST

// Each loss fences, so that nothing builds on it, until a claim says what it is; and so does every later one.
START_TEST(test_lost_deadlines_and_statistics_are_noticed)
{
    static const struct {
        enum mem_loss loss;
        int64_t dues, stats;
    } rows[] = {{LOSE_DUE, 1, 0}, {LOSE_DUES, 2, 0}, {LOSE_STATS, 0, 3}};
    struct world w;
    struct why why;
    world_open(&w, _i, NULL);
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct cursor c = world_begin(&w, w.a, &ALICE);
        ck_assert(!c.lost_dues && !c.lost_stats);
        struct flush_due dues[] = {{.bucket = 0, .at = 5}, {.bucket = 1, .at = 7}, {.bucket = 2, .at = 9},
                                   {.bucket = 2, .at = NEVER}};
        struct flush_stat stats[] = {{"lifecycle:stage:a", 3}, {"lifecycle:stage:b", 0}, {"lifecycle:rule:x", 1}};
        struct flush f = {.cursor = &c, .dues = dues, .ndues = 3, .stats = stats, .nstats = 3};
        ck_assert_int_eq(w.ops->flush(w.a, &P, &ALICE, &f, &why), 0);
        c.n++;
        f = (struct flush){.cursor = &c, .dues = &dues[3], .ndues = 1};
        ck_assert_int_eq(w.ops->flush(w.a, &P, &ALICE, &f, &why), 0);
        c = world_claim(&w, w.a, &ALICE);
        ck_assert(c.n == 2 && !c.lost_dues && !c.lost_stats);
        ck_assert_int_eq(world_write(&w, w.a, &ALICE, &c, NULL, 0), 0);
        ck_assert_int_eq(w.ops->load(w.a, &P, &ALICE, c.n, NULL, 0, &why), 0);
        world_lose(&w, rows[i].loss);
        ck_assert_int_eq(w.ops->load(w.a, &P, &ALICE, c.n, NULL, 0, &why), PORT_FENCED);
        for (int again = 0; again < 2; again++) {
            f = (struct flush){.cursor = &c, .dues = dues, .ndues = 2, .stats = stats, .nstats = 3};
            ck_assert_int_eq(w.ops->flush(w.a, &P, &ALICE, &f, &why), PORT_FENCED);
            ck_assert(*why.text);
            c = world_claim(&w, w.a, &ALICE);
            ck_assert_int_eq(c.n, 3);
            ck_assert_int_eq(c.lost_dues, rows[i].dues);
            ck_assert_int_eq(c.lost_stats, rows[i].stats);
        }
        world_lose(&w, LOSE_ALL);
    }
    world_close(&w);
}
END_TEST

START_TEST(test_another_server_fences_each_partition_once)
{
    struct world w;
    struct why why;
    bool empty;
    struct cursor q;
    world_open(&w, _i, durable);
    struct cursor c = world_begin(&w, w.a, &ALICE);
    ck_assert_int_eq(w.ops->claim(w.a, &Q, &ALICE, &q, &empty, &why), 0);
    world_restart(&w);
    check_span(world_read(&w, w.a, &ALICE, &c, 0, 0, SPAN("c-1")), SPAN("fenced"), "a read after the restart");
    ck_assert_int_eq(world_write(&w, w.a, &ALICE, &c, NULL, 0), PORT_FENCED);
    ck_assert_int_eq(w.ops->create(w.a, &Q, &ALICE, &q, &why), PORT_FENCED);
    c = world_claim(&w, w.a, &ALICE);
    ck_assert(c.exists);
    ck_assert_int_eq(world_write(&w, w.a, &ALICE, &c, NULL, 0), 0);
    ck_assert_int_eq(w.ops->create(w.a, &Q, &ALICE, &c, &why), PORT_FENCED);
    ck_assert_int_eq(w.ops->claim(w.a, &Q, &ALICE, &q, &empty, &why), 0);
    ck_assert(empty);
    ck_assert_int_eq(w.ops->create(w.a, &Q, &ALICE, &c, &why), 0);
    world_close(&w);
}
END_TEST

// ---- states

static const char *const ids[] = {
    "c-1",
    "a",
    "0b4c5d6e-1111-2222-3333-444455556666",
    "Ab4c5d6e-1111-2222-3333-444455556666", // only lower case packs
    "0b4c5d6e-1111-2222-3333-44445555666g",
    "0b4c5d6e-1111-2222-3333-4444555566661",
    "0b4c5d6e1111-2222-3333-4444555566667",
    "00000000-0000-0000-0000-000000000000",
    "ffffffff-ffff-ffff-ffff-ffffffffffff",
    "seventeen bytes!!",
    "Zo\xc3\xab",
};
enum { IDS = sizeof(ids) / sizeof(ids[0]) };

START_TEST(test_load_gives_back_what_was_flushed)
{
    struct world w;
    struct why why;
    world_open(&w, _i, NULL);
    struct cursor c = world_begin(&w, w.a, &ALICE);
    struct flush_write puts[IDS];
    for (int i = 0; i < IDS; i++) // sorted: three in bucket 0, the rest in bucket 9 of another model
        puts[i] = (struct flush_write){.model = i > 2,
                                       .bucket = i > 2 ? 9 : 0,
                                       .customer = text(ids[i]),
                                       .state = {&"\0\r\n\xff state of some length"[i], 20 - (size_t)i}};
    ck_assert_int_eq(world_write(&w, w.a, &ALICE, &c, puts, IDS), 0);

    struct load_item items[IDS + 4] = {{.customer = SPAN("nobody")}};
    for (int i = 0; i < IDS; i++)
        items[i + 1] = (struct load_item){.model = puts[i].model, .bucket = puts[i].bucket, .customer = text(ids[i])};
    items[IDS + 1] = (struct load_item){.model = 1, .bucket = 9};
    items[IDS + 2] = (struct load_item){.model = 0, .bucket = 9};
    items[IDS + 3] = (struct load_item){.model = 1, .bucket = 9, .customer = text(ids[0])};
    ck_assert_int_eq(w.ops->load(w.a, &P, &ALICE, c.n, items, IDS + 4, &why), 0);
    ck_assert_ptr_null(items[0].state.p);
    ck_assert_ptr_null(items[IDS + 3].state.p);
    for (int i = 0; i < IDS; i++) {
        ck_assert_ptr_nonnull(items[i + 1].state.p);
        check_span(items[i + 1].state, puts[i].state, ids[i]);
    }
    ck_assert_uint_eq(items[IDS + 2].nfields, 0);
    ck_assert_uint_eq(items[IDS + 1].nfields, IDS - 3);
    for (int i = 3; i < IDS; i++) {
        int found = 0;
        for (size_t k = 0; k < items[IDS + 1].nfields; k++) {
            const struct load_field *f = &items[IDS + 1].fields[k];
            if (f->customer.n == strlen(ids[i]) && !memcmp(f->customer.p, ids[i], f->customer.n)) {
                check_span(f->state, puts[i].state, ids[i]);
                found++;
            }
        }
        ck_assert_msg(found == 1, "%s is %d times in its bucket", ids[i], found);
    }
    world_close(&w);
}
END_TEST

START_TEST(test_load_of_nothing_still_checks_the_owner)
{
    struct world w;
    struct why why;
    world_open(&w, _i, NULL);
    struct cursor c = world_begin(&w, w.a, &ALICE);
    ck_assert_int_eq(w.ops->load(w.a, &P, &ALICE, c.n, NULL, 0, &why), 0);
    ck_assert_int_eq(w.ops->load(w.a, &P, &BOB, c.n, NULL, 0, &why), PORT_FENCED);
    ck_assert_int_eq(w.ops->load(w.a, &Q, &ALICE, c.n, NULL, 0, &why), PORT_FENCED);
    world_close(&w);
}
END_TEST

enum { MANY = 5000 };

// Many in one bucket, and many buckets: beyond what one HSET, one unpack or one page takes.
START_TEST(test_many)
{
    struct world w;
    struct why why;
    static char names[MANY][8];
    static struct flush_write puts[MANY];
    static struct flush_due dues[MANY];
    static struct due_bucket due[MANY];
    world_open(&w, _i, NULL);
    struct cursor c = world_begin(&w, w.a, &ALICE);
    for (int i = 0; i < MANY; i++) {
        snprintf(names[i], sizeof(names[i]), "c%05d", i);
        puts[i] = (struct flush_write){.bucket = i < MANY / 2 ? 0 : (uint64_t)i,
                                       .customer = {names[i], 6},
                                       .state = {names[i] + 1, 5}};
        dues[i] = (struct flush_due){.model = 1, .bucket = (uint64_t)i, .at = 1000 + i, .exact = i % 2};
    }
    struct flush f = {.cursor = &c, .writes = puts, .nwrites = MANY, .dues = dues, .ndues = MANY};
    ck_assert_int_eq(w.ops->flush(w.a, &P, &ALICE, &f, &why), 0);
    c.n++;

    struct load_item whole = {.bucket = 0}, one = {.bucket = MANY - 1, .customer = {names[MANY - 1], 6}};
    struct load_item items[] = {whole, one};
    ck_assert_int_eq(w.ops->load(w.a, &P, &ALICE, c.n, items, 2, &why), 0);
    ck_assert_uint_eq(items[0].nfields, MANY / 2);
    check_span(items[1].state, SPAN("04999"), "the last state");

    size_t n = 0;
    int64_t next = 0;
    ck_assert_int_eq(w.ops->due(w.a, &P, 1000 + MANY - 1, MANY, due, &n, &next, &why), 0);
    ck_assert_uint_eq(n, MANY - 1);
    ck_assert_int_eq(next, 1000 + MANY - 1);
    for (size_t i = 0; i < n; i++)
        ck_assert(due[i].model == 1 && due[i].bucket == i && due[i].at == 1000 + (int64_t)i);

    for (int i = 0; i < MANY; i++)
        dues[i].at = NEVER;
    f = (struct flush){.cursor = &c, .dues = dues, .ndues = MANY};
    ck_assert_int_eq(w.ops->flush(w.a, &P, &ALICE, &f, &why), 0);
    ck_assert_int_eq(w.ops->due(w.a, &P, NEVER, MANY, due, &n, &next, &why), 0);
    ck_assert_uint_eq(n, 0);
    ck_assert_int_eq(next, NEVER);
    world_close(&w);
}
END_TEST

// ---- splits

START_TEST(test_split)
{
    struct world w;
    struct why why;
    world_open(&w, _i, NULL);
    struct cursor c = world_begin(&w, w.a, &ALICE);
    struct flush_write puts[] = {{.customer = SPAN("a"), .state = SPAN("1")},
                                 {.customer = SPAN("b"), .state = SPAN("2")},
                                 {.customer = SPAN("c"), .state = SPAN("3")}};
    struct flush_due at = {.at = 500, .exact = true};
    struct flush f = {.cursor = &c, .writes = puts, .nwrites = 3, .dues = &at, .ndues = 1};
    ck_assert_int_eq(w.ops->flush(w.a, &P, &ALICE, &f, &why), 0);
    c.n++;

    // one more is expected than there is: nothing happens
    struct load_field moved[] = {{SPAN("b"), SPAN("2")}, {SPAN("c"), SPAN("3")}}, again[] = {{SPAN("c"), SPAN("3")}};
    struct flush_split splits[] = {{.from = 0, .to = 1, .expected = 4, .moved = moved, .nmoved = 2},
                                   {.from = 1, .to = 2, .expected = 2, .moved = again, .nmoved = 1}};
    struct flush_write changed = {.bucket = 1, .customer = SPAN("b"), .state = SPAN("22")};
    struct flush_due lower = {.bucket = 1, .at = 400};
    f = (struct flush){.cursor = &c,
                       .splits = splits,
                       .nsplits = 2,
                       .writes = &changed,
                       .nwrites = 1,
                       .dues = &lower,
                       .ndues = 1};
    ck_assert_int_eq(w.ops->flush(w.a, &P, &ALICE, &f, &why), PORT_REFUSED);
    check_span(world_read(&w, w.a, &ALICE, &c, 0, 0, SPAN("b")), SPAN("2"), "b where it was");
    check_span(world_read(&w, w.a, &ALICE, &c, 0, 1, SPAN("b")), SPAN("-"), "b where it did not go");

    // the second split is of the bucket that the first one makes; its count is wrong, so neither is done
    splits[0].expected = 3;
    splits[1].expected = 1;
    ck_assert_int_eq(w.ops->flush(w.a, &P, &ALICE, &f, &why), PORT_REFUSED);
    check_span(world_read(&w, w.a, &ALICE, &c, 0, 0, SPAN("b")), SPAN("2"), "b where it was");

    splits[1].expected = 2;
    ck_assert_int_eq(w.ops->flush(w.a, &P, &ALICE, &f, &why), 0);
    c.n++;
    check_span(world_read(&w, w.a, &ALICE, &c, 0, 0, SPAN("a")), SPAN("1"), "a stays");
    check_span(world_read(&w, w.a, &ALICE, &c, 0, 0, SPAN("b")), SPAN("-"), "b has left");
    check_span(world_read(&w, w.a, &ALICE, &c, 0, 1, SPAN("b")), SPAN("22"), "b is written where it went");
    check_span(world_read(&w, w.a, &ALICE, &c, 0, 1, SPAN("c")), SPAN("-"), "c went on");
    check_span(world_read(&w, w.a, &ALICE, &c, 0, 2, SPAN("c")), SPAN("3"), "c went twice");

    struct due_bucket due[4];
    size_t n;
    int64_t next;
    ck_assert_int_eq(w.ops->due(w.a, &P, 501, 4, due, &n, &next, &why), 0);
    ck_assert_uint_eq(n, 3); // both new buckets inherit 500 before one is lowered
    ck_assert(due[0].bucket == 1 && due[0].at == 400 && due[1].at == 500 && due[2].at == 500);

    // a bucket that should be new, but holds somebody
    splits[0] = (struct flush_split){.from = 0, .to = 2, .expected = 1};
    f = (struct flush){.cursor = &c, .splits = splits, .nsplits = 1};
    ck_assert_int_eq(w.ops->flush(w.a, &P, &ALICE, &f, &why), PORT_REFUSED);
    // and one whose customers are all still to be written
    splits[0] = (struct flush_split){.from = 7, .to = 8, .expected = 0};
    ck_assert_int_eq(w.ops->flush(w.a, &P, &ALICE, &f, &why), 0);
    world_close(&w);
}
END_TEST

START_TEST(test_a_big_split)
{
    struct world w;
    struct why why;
    static char names[MANY][8];
    static struct flush_write puts[MANY];
    static struct load_field moved[MANY];
    world_open(&w, _i, NULL);
    struct cursor c = world_begin(&w, w.a, &ALICE);
    for (int i = 0; i < MANY; i++) {
        snprintf(names[i], sizeof(names[i]), "c%05d", i);
        puts[i] = (struct flush_write){.customer = {names[i], 6}, .state = {names[i] + 1, 5}};
        moved[i] = (struct load_field){puts[i].customer, puts[i].state};
    }
    ck_assert_int_eq(world_write(&w, w.a, &ALICE, &c, puts, MANY), 0);
    struct flush_split split = {.from = 0, .to = 1, .expected = MANY, .moved = moved, .nmoved = MANY - 1};
    struct flush f = {.cursor = &c, .splits = &split, .nsplits = 1};
    ck_assert_int_eq(w.ops->flush(w.a, &P, &ALICE, &f, &why), 0);
    c.n++;
    struct load_item items[] = {{.bucket = 0}, {.bucket = 1}};
    ck_assert_int_eq(w.ops->load(w.a, &P, &ALICE, c.n, items, 2, &why), 0);
    ck_assert_uint_eq(items[0].nfields, 1);
    check_span(items[0].fields[0].customer, SPAN("c04999"), "who stays");
    ck_assert_uint_eq(items[1].nfields, MANY - 1);
    world_close(&w);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("store");
    TCase *t = tcase_create("both");
    tcase_add_unchecked_fixture(t, world_cluster_start, world_cluster_stop);
    tcase_add_loop_test(t, test_claim_returns_what_was_stored, 0, WORLD_KINDS);
    tcase_add_loop_test(t, test_claim_fences_the_former_owner, 0, WORLD_KINDS);
    tcase_add_loop_test(t, test_flush_and_load_want_the_right_n, 0, WORLD_KINDS);
    tcase_add_loop_test(t, test_a_lost_cursor_is_noticed, 0, WORLD_KINDS);
    tcase_add_loop_test(t, test_lost_deadlines_and_statistics_are_noticed, 0, WORLD_KINDS);
    tcase_add_loop_test(t, test_another_server_fences_each_partition_once, 0, WORLD_CLUSTER);
    tcase_add_loop_test(t, test_load_gives_back_what_was_flushed, 0, WORLD_KINDS);
    tcase_add_loop_test(t, test_load_of_nothing_still_checks_the_owner, 0, WORLD_KINDS);
    tcase_add_loop_test(t, test_many, 0, WORLD_KINDS);
    tcase_add_loop_test(t, test_split, 0, WORLD_KINDS);
    tcase_add_loop_test(t, test_a_big_split, 0, WORLD_KINDS);
    suite_add_tcase(s, t);
    return world_run(s);
}
