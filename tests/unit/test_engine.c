// What the engine must do in situations that take more than chance to arrive at: long outages with many partitions,
// contradictions, changes of mind. Each case drives one engine between ports in memory.
#include "engine_world.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

#define MODEL(version, more) \
    "model: m\nversion: " version "\nsignals: {a: [a]}\nstages: {one: {}, two: {}}\n" \
    "transitions: [{name: r, from: one, to: two, when: a, if: \"count(a) >= 2\"}" more "]\n"

static void two_events(struct world *w, int32_t partition, const char *customer)
{
    world_event(w, partition, customer, "a", w->wall - 10);
    world_event(w, partition, customer, "a", w->wall - 5);
}

static void start(struct world *w, int32_t partitions)
{
    world_start(w);
    world_assign(w, 0, partitions);
}

// kill -9, and a start with this model, of one partition.
static void start_with(struct world *w, const char *model)
{
    world_kill(w);
    world_model(w, model);
    start(w, 1);
}

// An engine that has a partition and has stepped and flushed what makes customer x move.
static struct world *world_moved_in(const char *model)
{
    struct world *w = world_new(model);
    start(w, 1);
    two_events(w, 0, "x");
    world_run(w, 20);
    ck_assert_int_eq(world_part(w, 0).cursor, 2);
    return w;
}

static struct world *world_that_moved(void)
{
    return world_moved_in(MODEL("1", ""));
}

// A worker of many can be given nothing, and later something again.
START_TEST(nothing_assigned)
{
    struct world *w = world_new(MODEL("1", ""));
    start(w, 1);
    world_run(w, 3);
    world_revoke(w, 0, 1);
    world_assign(w, 0, 0);
    world_assign(w, 0, 2);
    two_events(w, 1, "x");
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
    start(w, 1);
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
    start(w, 2);
    world_run(w, 10);
    w->fails_once[1] = true;
    two_events(w, 0, "x");
    two_events(w, 1, "y");
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
    start(w, 1);
    for (int i = 0; i < 300; i++) {
        snprintf(customer, sizeof customer, "c%d", i);
        two_events(w, 0, customer);
    }
    world_run(w, 50);
    ck_assert_int_eq(world_part(w, 0).cursor, 600);
    world_kill(w);
    for (int i = 0; i < 300; i++) {
        snprintf(id, sizeof id, "m:c%d:1", i);
        world_forge(w, MOVES, 0, 0, id);
    }
    w->late_ms = 100;
    start(w, 1);
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
    start(w, PARTS);
    for (int p = 0; p < PARTS; p++)
        two_events(w, p, "x");
    world_run(w, 100);
    ck_assert_int_eq(world_part(w, PARTS - 1).cursor, 2);
    w->wall += 120000;
    for (int p = 0; p < PARTS && events; p++)
        two_events(w, p, "x");
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
    start(w, PARTS);
    for (int p = 0; p < PARTS; p++)
        two_events(w, p, "x");
    world_run(w, 100);
    for (int p = 0; p < PARTS; p++)
        two_events(w, p, "x");
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
    start(w, 1);
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
    start(w, 1);
    world_run(w, 2);
    two_events(w, 0, "x");
    world_run(w, 2);
    ck_assert_int_eq(w->committed[0], 2);
    ck_assert_int_eq(world_part(w, 0).cursor, 0);
    world_kill(w);
    world_cut(w, EVENTS, 0, 1);
    start(w, 1);
    world_run(w, 20);
    ck_assert_int_eq(world_part(w, 0).state, PART_HALTED);
    ck_assert_ptr_nonnull(strstr(w->notes, "the log holds offsets 0 to 1, the next event is to be 2"));
    world_free(w);
}
END_TEST

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
    start_with(w, MODEL("1", ""));
    world_run(w, 20);
    ck_assert_int_eq(world_part(w, 0).state, PART_LIVE);
    ck_assert_uint_eq(w->n[JOURNAL][0], 3);
    ck_assert_ptr_nonnull(strstr(w->log[JOURNAL][0][2].value, w->program.digest));
    world_kill(w); // and once is enough
    start(w, 1);
    world_run(w, 20);
    ck_assert_uint_eq(w->n[JOURNAL][0], 3);
    world_free(w);
}
END_TEST

// At least once: offsets that did not go with a batch follow, of partitions without outputs in it, too.
START_TEST(offsets_follow)
{
    struct world *w = world_new(MODEL("1", ""));
    w->config.exactly_once = false;
    start(w, 2);
    world_run(w, 2);
    two_events(w, 0, "x");
    world_event(w, 1, "y", "a", w->wall);
    world_run(w, 2);
    ck_assert_uint_eq(w->n[MOVES][0], 1);
    world_run(w, 1000); // 20 s
    ck_assert_int_eq(w->committed[0], 2);
    ck_assert_int_eq(w->committed[1], 1);
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
    start(w, 1);
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

    start_with(w, QUIET("2", "12s"));
    world_run(w, 50);
    ck_assert_int_eq(world_part(w, 0).state, PART_HALTED);
    ck_assert_ptr_nonnull(strstr(w->notes, "has deadlines left that are due, and this is program"));
    ck_assert_int_eq(engine_stop(w->engine), 0);
    ck_assert_uint_eq(w->n[MOVES][0], fired);

    start_with(w, QUIET("1", "10s"));
    world_run(w, 200);
    ck_assert_int_eq(world_part(w, 0).state, PART_LIVE);
    ck_assert_uint_eq(w->n[MOVES][0], CUSTOMERS);

    start_with(w, QUIET("2", "12s")); // after a kill: the cursor says that all has fired
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
            two_events(w, 0, customer);
            (*customer)++;
            world_run(w, 20);
        } else {
            snprintf(model, sizeof model, MODEL("%c", ""), *s);
            start_with(w, model);
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
    two_events(w, 0, "x");
    start(w, 1);
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
    start(w, 1);
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
    start_with(w, MODEL("2", ""));
    world_run(w, 20);
    check_halted(w, "Redis has 1 customers of model m and no text of any version of it (:models)");
    ck_assert_uint_eq(w->n[JOURNAL][0], 1); // no change of program
    start_with(w, MODEL("1", ""));
    world_run(w, 20);
    ck_assert_int_eq(world_part(w, 0).state, PART_LIVE);
    start_with(w, MODEL("2", ""));
    world_run(w, 20);
    ck_assert_int_eq(world_part(w, 0).state, PART_LIVE);

    world_kill(w);
    ck_assert(mem_store_lose(w->store, &p, LOSE_MODELS, 0));
    two_events(w, 0, "x");
    start(w, 1);
    world_run(w, 20);
    check_halted(w, "version 1) cannot be read: it is damaged, or the text of that version is lost");
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
    tcase_add_test(t, taken_back);
    tcase_add_test(t, offsets_follow);
    tcase_add_test(t, away);
    tcase_add_test(t, away_deadlines);
    tcase_add_test(t, away_store);
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
