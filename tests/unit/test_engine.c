// What the engine must do in situations that take more than chance to arrive at: long outages with many partitions,
// contradictions, changes of mind. Each case drives one engine between ports in memory.
#include "engine_world.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

// A worker of many can be given nothing, and later something again.
START_TEST(nothing_assigned)
{
    struct world *w = world_new(MODEL("1", ""));
    world_begin(w, 1);
    world_run(w, 3);
    world_revoke(w, 0, 1);
    world_assign(w, 0, 0);
    world_assign(w, 0, 2);
    world_two_events(w, 1, "x");
    world_run(w, 20);
    ck_assert_str_eq(w->notes, "");
    ck_assert_int_eq(world_part(w, 0).state, PART_LIVE);
    ck_assert_int_eq(world_part(w, 1).cursor, 2);
    world_free(w);
}
END_TEST

// An output that nobody can account for is looked at twice, and then halts the partition.
START_TEST(contradicted)
{
    struct world *w = world_that_moved();
    world_kill(w);
    world_forge(w, MOVES, 0, 0, "m:x:7");
    world_begin(w, 1);
    world_run(w, 50);
    ck_assert_ptr_nonnull(strstr(w->notes, "0: a contradiction: output m:x:7"));
    ck_assert_ptr_nonnull(strstr(w->notes, "0: partition halted: output m:x:7"));
    world_free(w);
}
END_TEST

// A record that fails undoes what others have in the same transaction: nobody's outputs are taken for published.
START_TEST(undone_by_another)
{
    struct world *w = world_new(MODEL("1", ""));
    w->config.exactly_once = _i == 0;
    world_begin(w, 2);
    world_run(w, 10);
    w->fails_once[1] = true;
    world_two_events(w, 0, "x");
    world_two_events(w, 1, "y");
    world_run(w, 50);
    ck_assert_ptr_nonnull(strstr(w->notes, "0: publishing: not acknowledged"));
    ck_assert_ptr_nonnull(strstr(w->notes, "1: publishing: not acknowledged"));
    for (int32_t i = 0; i < 2; i++) {
        ck_assert_uint_eq(w->n[MOVES][i], 1);
        ck_assert_int_eq(world_part(w, i).cursor, 2);
    }
    world_free(w);
}
END_TEST

// What is published and was not met again is asked of the store in one go, however much it is.
START_TEST(accounted_for)
{
    struct world *w = world_new(MODEL("1", ""));
    char customer[16], id[24];
    world_begin(w, 1);
    for (int i = 0; i < 300; i++) {
        snprintf(customer, sizeof customer, "c%d", i);
        world_two_events(w, 0, customer);
    }
    world_run(w, 50);
    ck_assert_int_eq(world_part(w, 0).cursor, 600);
    world_kill(w);
    for (int i = 0; i < 300; i++) {
        snprintf(id, sizeof id, "m:c%d:1", i);
        world_forge(w, MOVES, 0, 0, id);
    }
    w->late_ms = 100;
    world_begin(w, 1);
    int64_t began = w->mono;
    while (world_part(w, 0).state != PART_LIVE && w->mono < began + 60000)
        world_run(w, 1);
    ck_assert_int_lt(w->mono - began, 2000);
    ck_assert_str_eq(w->notes, "");
    world_free(w);
}
END_TEST

// Whatever is away, a round ends in time: a minute without one looks like a worker that has stopped.
static void all_away(bool wall, int events)
{
    struct world *w = world_new(MODEL("1", ", {name: s, from: two, to: one, after: 1m}"));
    w->program.wall = wall;
    world_model(w, MODEL("1", ", {name: s, from: two, to: one, after: 1m}"));
    world_begin(w, PARTS);
    for (int p = 0; p < PARTS; p++)
        world_two_events(w, p, "x");
    world_run(w, 100);
    ck_assert_int_eq(world_part(w, PARTS - 1).cursor, 2);
    w->wall += 120000;
    for (int p = 0; p < PARTS && events; p++)
        world_two_events(w, p, "x");
    w->away_ms = 5000;
    for (int i = 0; i < 20; i++) {
        int64_t began = w->mono;
        world_run(w, 1);
        ck_assert_int_lt(w->mono - began, 30000);
    }
    w->away_ms = 0;
    world_run(w, 1500);
    for (int p = 0; p < PARTS; p++) {
        ck_assert_int_eq(world_part(w, p).state, PART_LIVE);
        ck_assert_int_eq(world_part(w, p).cursor, 2 + 2 * events);
        ck_assert_uint_eq(w->n[MOVES][p], events ? 3 : 2);
    }
    world_free(w);
}

START_TEST(away)
{
    all_away(false, 1);
}
END_TEST

START_TEST(away_deadlines)
{
    all_away(true, 0);
}
END_TEST

START_TEST(away_store)
{
    struct world *w = world_new(MODEL("1", ""));
    w->config.cache_bytes = 1;
    world_begin(w, PARTS);
    for (int p = 0; p < PARTS; p++)
        world_two_events(w, p, "x");
    world_run(w, 100);
    for (int p = 0; p < PARTS; p++)
        world_two_events(w, p, "x");
    w->late_ms = 5000;
    w->late_result = PORT_AWAY;
    for (int i = 0; i < 5; i++) {
        int64_t began = w->mono;
        world_run(w, 1);
        ck_assert_int_lt(w->mono - began, 30000);
    }
    w->late_ms = w->late_result = 0;
    world_run(w, 1500);
    for (int p = 0; p < PARTS; p++)
        ck_assert_int_eq(world_part(w, p).cursor, 4);
    world_free(w);
}
END_TEST

// An outage is no transaction that hangs: only its own time counts.
START_TEST(blocked)
{
    struct world *w = world_that_moved();
    world_kill(w);
    world_forge(w, MOVES, 0, 0, "m:x:1");
    world_begin(w, 1);
    w->away_ms = 5000;
    for (int64_t end = w->mono + 60000; w->mono < end;)
        world_run(w, 1);
    w->away_ms = 0;
    w->stuck[MOVES] = true;
    world_run(w, 1500); // 30 s
    ck_assert_int_eq(world_part(w, 0).state, PART_TAKING);
    world_run(w, 1500);
    ck_assert_int_eq(world_part(w, 0).state, PART_HALTED);
    ck_assert_ptr_nonnull(strstr(w->notes, "a transaction in moves/0 stays open"));
    world_free(w);
}
END_TEST

// Events that were stepped, and are gone before their states were stored: nothing to wait for.
START_TEST(log_cut)
{
    struct world *w = world_new(MODEL("1", ""));
    world_begin(w, 1);
    world_run(w, 2);
    world_two_events(w, 0, "x");
    world_run(w, 2);
    ck_assert_int_eq(w->committed[0], 2);
    ck_assert_int_eq(world_part(w, 0).cursor, 0);
    world_kill(w);
    world_cut(w, EVENTS, 0, 1);
    world_begin(w, 1);
    world_run(w, 20);
    ck_assert_int_eq(world_part(w, 0).state, PART_HALTED);
    ck_assert_ptr_nonnull(strstr(w->notes, "the log holds offsets 0 to 1, the next event is to be 2"));
    world_free(w);
}
END_TEST

// At least once: offsets that did not go with a batch follow, of partitions without outputs in it, too.
START_TEST(offsets_follow)
{
    struct world *w = world_new(MODEL("1", ""));
    w->config.exactly_once = false;
    world_begin(w, 2);
    world_run(w, 2);
    world_two_events(w, 0, "x");
    world_event(w, 1, "y", "a", w->wall);
    world_run(w, 2);
    ck_assert_uint_eq(w->n[MOVES][0], 1);
    world_run(w, 1000); // 20 s
    ck_assert_int_eq(w->committed[0], 2);
    ck_assert_int_eq(w->committed[1], 1);
    world_free(w);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("engine");
    TCase *t = tcase_create("engine");
    tcase_add_test(t, nothing_assigned);
    tcase_add_test(t, contradicted);
    tcase_add_loop_test(t, undone_by_another, 0, 2);
    tcase_add_test(t, accounted_for);
    tcase_add_test(t, blocked);
    tcase_add_test(t, log_cut);
    tcase_add_test(t, offsets_follow);
    tcase_add_test(t, away);
    tcase_add_test(t, away_deadlines);
    tcase_add_test(t, away_store);
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_ENV);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed > 0;
}
