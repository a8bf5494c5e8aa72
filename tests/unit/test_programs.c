// What the engine makes of another program than the one at work, and of a store that has lost keys.
#include "engine_world.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

// A change of program that broke off after it was journaled, and is given up, is not the journal's last word.
START_TEST(taken_back)
{
    struct world *w = world_that_moved();
    world_kill(w);
    world_model(w, MODEL("2", ""));
    world_start(w);
    mem_client_fail(w->client, MEM_FLUSH, 1, PORT_REFUSED, false);
    world_assign(w, 0, 1);
    world_run(w, 1);
    ck_assert_int_eq(world_part(w, 0).state, PART_TAKING);
    ck_assert_uint_eq(w->n[JOURNAL][0], 2);
    world_restart(w, MODEL("1", ""));
    world_run(w, 20);
    ck_assert_int_eq(world_part(w, 0).state, PART_LIVE);
    ck_assert_uint_eq(w->n[JOURNAL][0], 3);
    ck_assert_ptr_nonnull(strstr(w->log[JOURNAL][0][2].value, w->program.digest));
    world_kill(w); // and once is enough
    world_begin(w, 1);
    world_run(w, 20);
    ck_assert_uint_eq(w->n[JOURNAL][0], 3);
    world_free(w);
}
END_TEST

#define QUIET(version, time) \
    "model: m\nversion: " version "\nsignals: {a: [a]}\nstages: {one: {}, two: {}}\n" \
    "transitions: [{name: r, from: one, to: two, quiet: " time "}]\n"

// What is due by the rules of one program fires by them, even if a stop or a kill came in between: the next program has
// to wait until the former one was back.
START_TEST(due_by_the_former_program)
{
    enum { CUSTOMERS = 2400, BEGIN = 100000 }; // more than a stop has time for
    struct world *w = world_new(QUIET("1", "10s"));
    char name[24];
    w->config.bucket_customers = 1;
    w->config.cache_bytes = 1; // deadlines are in the store, and take their time
    world_begin(w, 1);
    for (int i = 0; i < CUSTOMERS; i++) {
        snprintf(name, sizeof name, "c-%d", i);
        world_event(w, 0, name, "a", BEGIN + i);
    }
    world_run(w, 200);
    ck_assert_int_eq(world_part(w, 0).cursor, CUSTOMERS);
    ck_assert_uint_eq(w->n[MOVES][0], 0);
    world_event(w, 0, "late", "a", BEGIN + 60000);
    w->late_ms = 900;
    world_run(w, 1);
    ck_assert_int_eq(engine_stop(w->engine), 0);
    w->late_ms = 0;
    size_t fired = w->n[MOVES][0], decisions = w->n[JOURNAL][0];
    ck_assert_uint_gt(fired, 0);
    ck_assert_uint_lt(fired, CUSTOMERS);

    world_restart(w, QUIET("2", "12s"));
    world_run(w, 50);
    ck_assert_int_eq(world_part(w, 0).state, PART_HALTED);
    ck_assert_ptr_nonnull(strstr(w->notes, "has deadlines left that are due, and this is program"));
    ck_assert_int_eq(engine_stop(w->engine), 0);
    ck_assert_uint_eq(w->n[MOVES][0], fired);

    world_restart(w, QUIET("1", "10s"));
    world_run(w, 200);
    ck_assert_int_eq(world_part(w, 0).state, PART_LIVE);
    ck_assert_uint_eq(w->n[MOVES][0], CUSTOMERS);

    world_restart(w, QUIET("2", "12s")); // after a kill: the cursor says that all has fired
    world_run(w, 50);
    ck_assert_int_eq(world_part(w, 0).state, PART_LIVE);
    ck_assert_uint_eq(w->n[MOVES][0], CUSTOMERS);
    ck_assert_uint_eq(w->n[JOURNAL][0], decisions + 1);
    world_free(w);
}
END_TEST

// Programs at work in turn (1, 2, 3), customers who move (x) or only come (o), writes that Redis loses: all (<) since
// a moment (!).
static const struct {
    const char *script, *halt; // halt: NULL if the partition is live in the end
} turns[] = {
    {"1x!2x1<1", "another program than this one"},
    {"1x!21<1", NULL},                                  // the other one had done nothing
    {"1x!2x3x1<1", "another program than this one"}, // several others
    {"1x!2x1x2x1<1", "another program than this one"},
    {"1x2!x1<22", NULL}, // 1 had done nothing, and what 2 said is its own
    {"1!21x21<1", NULL}, // the same twice
    {"1x2!x1x2<2", "another program than this one"},
    {"1x!2o1<1", "another program than this one"}, // which has said nothing
    {"1x!2o<1", "is at work from offset 2 on, but Redis holds states from before that"},
};

START_TEST(programs_in_turn)
{
    struct world *w = world_new(MODEL("1", ""));
    struct mem_store *then = mem_store_new();
    char model[400], customer[] = "a";
    for (const char *s = turns[_i].script; *s; s++) {
        if (*s == '!') {
            mem_store_restore(then, w->store);
        } else if (*s == '<') {
            mem_store_restore(w->store, then); // the next one is a program
        } else if (*s == 'o') {
            world_event(w, 0, "o", "a", w->wall - 5);
            world_run(w, 600); // 12 s: until the group's offset tells it
        } else if (*s == 'x') {
            world_two_events(w, 0, customer);
            (*customer)++;
            world_run(w, 20);
        } else {
            snprintf(model, sizeof model, MODEL("%c", ""), *s);
            world_restart(w, model);
            world_run(w, 20);
        }
    }
    const char *halt = turns[_i].halt;
    ck_assert_int_eq(world_part(w, 0).state, halt ? PART_HALTED : PART_LIVE);
    ck_assert_msg(strstr(w->notes, halt ? halt : "") && !halt == !strstr(w->notes, "halted"), "%s", w->notes);
    ck_assert_uint_eq(w->n[MOVES][0], (size_t)(*customer - 'a'));
    mem_store_free(then);
    world_free(w);
}
END_TEST

// ---- keys that are lost

// An engine that has flushed a customer who has moved and has a deadline.
static struct world *world_with_a_deadline(void)
{
    return world_moved_in(MODEL("1", ", {name: s, from: two, to: one, after: 9d}"));
}

static const struct {
    enum mem_loss loss;
    const char *note;
} losses[] = {
    {LOSE_BUCKET, "Redis holds 0 customers of model m, the cursor counts 1"},
    {LOSE_DUES, "Redis lacks 1 entries of :due and 0 of :stat"},
    {LOSE_STATS, "Redis lacks 0 entries of :due and 2 of :stat"},
};
enum { LOSSES_SEEN_AT_WORK = 1 }; // the first in losses

static void check_halted(struct world *w, const char *note)
{
    ck_assert_int_eq(world_part(w, 0).state, PART_HALTED);
    ck_assert_ptr_nonnull(strstr(w->notes, "0: partition halted: "));
    ck_assert_msg(strstr(w->notes, note), "no \"%s\": %s", note, w->notes);
    ck_assert_uint_eq(w->n[MOVES][0], 1);
}

START_TEST(lost_while_away)
{
    struct world *w = world_with_a_deadline();
    world_kill(w);
    ck_assert(mem_store_lose(w->store, &(struct part_key){topic_names[EVENTS], 0}, losses[_i].loss, 0));
    world_two_events(w, 0, "x");
    world_begin(w, 1);
    world_run(w, 50);
    check_halted(w, losses[_i].note);
    world_free(w);
}
END_TEST

// At work these two are missed by the next look, with nothing to read.
START_TEST(lost_while_idle)
{
    struct world *w = world_with_a_deadline();
    ck_assert(mem_store_lose(w->store, &(struct part_key){topic_names[EVENTS], 0}, losses[_i].loss, 0));
    world_run(w, 600); // 12 s
    check_halted(w, losses[_i].note);
    world_free(w);
}
END_TEST

// Each customer is in one stage: another sum is a loss, too.
START_TEST(other_counts)
{
    struct world *w = world_that_moved();
    struct part_key p = {topic_names[EVENTS], 0};
    struct owner owner = mem_store_owner(w->store, &p);
    struct cursor c = mem_store_cursor(w->store, &p);
    struct flush_stat stat = {"m:stage:one", 1};
    struct flush f = {.cursor = &c, .stats = &stat, .nstats = 1};
    struct why why;
    ck_assert_int_eq(mem_store_ops.flush(w->client, &p, &owner, &f, &why), 0);
    world_kill(w);
    world_begin(w, 1);
    world_run(w, 50);
    check_halted(w, "Redis counts 2 customers in the stages of model m (:stat), the cursor 1");
    world_free(w);
}
END_TEST

// The texts of models are put back by the program at work; those of former versions are gone with their states.
START_TEST(lost_models)
{
    struct part_key p = {topic_names[EVENTS], 0};
    struct world *w = world_that_moved();
    world_kill(w);
    ck_assert(mem_store_lose(w->store, &p, LOSE_MODELS, 0));
    world_restart(w, MODEL("2", ""));
    world_run(w, 20);
    check_halted(w, "Redis has 1 customers of model m and no text of any version of it (:models)");
    ck_assert_uint_eq(w->n[JOURNAL][0], 1); // no change of program
    world_restart(w, MODEL("1", ""));
    world_run(w, 20);
    ck_assert_int_eq(world_part(w, 0).state, PART_LIVE);
    world_restart(w, MODEL("2", ""));
    world_run(w, 20);
    ck_assert_int_eq(world_part(w, 0).state, PART_LIVE);

    world_kill(w);
    ck_assert(mem_store_lose(w->store, &p, LOSE_MODELS, 0));
    world_two_events(w, 0, "x");
    world_begin(w, 1);
    world_run(w, 20);
    check_halted(w, "version 1) cannot be read: it is damaged, or the text of that version is lost");
    world_free(w);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("programs");
    TCase *t = tcase_create("programs");
    tcase_add_test(t, taken_back);
    tcase_add_test(t, due_by_the_former_program);
    tcase_add_loop_test(t, programs_in_turn, 0, sizeof turns / sizeof turns[0]);
    tcase_add_loop_test(t, lost_while_away, 0, sizeof losses / sizeof losses[0]);
    tcase_add_loop_test(t, lost_while_idle, LOSSES_SEEN_AT_WORK, sizeof losses / sizeof losses[0]);
    tcase_add_test(t, other_counts);
    tcase_add_test(t, lost_models);
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_ENV);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed > 0;
}
