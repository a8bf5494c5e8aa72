// Deadlines of customers who are in the store, and not in memory.
#include "engine_world.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

// Twice `a` moves a customer, and a minute of silence moves it back.
static const char model[] = MODEL("1", ", {name: s, from: two, to: one, after: 1m}");

static struct world *wall_world(size_t bucket_customers, size_t cache_bytes)
{
    struct world *w = world_new(model);
    w->program.wall = true;
    world_model(w, model);
    w->config.bucket_customers = bucket_customers;
    w->config.cache_bytes = cache_bytes;
    world_begin(w, 1);
    return w;
}

// Moves so many customers, one each `every_ms`.
static void move(struct world *w, int customers, int64_t every_ms)
{
    char customer[16];
    for (int i = 0; i < customers; i++) {
        snprintf(customer, sizeof customer, "c%d", i);
        int64_t t = w->wall - (customers - i) * every_ms;
        world_event(w, 0, customer, "a", t - 1);
        world_event(w, 0, customer, "a", t);
    }
    world_run(w, 100);
    ck_assert_int_eq(world_part(w, 0).cursor, 2 * customers);
}

// A replay with many deadlines below its clock lets the worker do its other duties.
START_TEST(replay_of_deadlines)
{
    struct world *w = wall_world(1, 1);
    move(w, 1000, 0);
    w->wall += 120000;
    w->late_ms = 200;
    mem_client_fail(w->client, MEM_FLUSH, 1, PORT_AWAY, false);
    for (int i = 0; i < 1000 && w->n[MOVES][0] < 2000; i++) {
        int64_t began = w->mono;
        world_run(w, 1);
        ck_assert_int_lt(w->mono - began, 1500);
    }
    world_run(w, 10);
    ck_assert_uint_eq(w->n[MOVES][0], 2000);
    ck_assert_int_eq(world_part(w, 0).state, PART_LIVE);
    world_free(w);
}
END_TEST

// A bucket is read once for all of its deadlines that are near, as long as memory has room for its customers.
static const struct {
    size_t cache_bytes, reads_max, reads_min;
} rooms[] = {{1 << 20, 32, 1}, {1, SIZE_MAX, 41}};

START_TEST(near_deadlines)
{
    enum { CUSTOMERS = 100 }; // in sixteen buckets
    struct world *w = wall_world(1000, rooms[_i].cache_bytes);
    move(w, CUSTOMERS, 200); // they are due within 20 s
    world_kill(w);
    world_begin(w, 1);
    world_event(w, 0, "other", "a", w->wall); // those in memory are not all
    world_run(w, 10);
    ck_assert_uint_eq(w->n[MOVES][0], CUSTOMERS);
    w->buckets_read = 0;
    for (int i = 0; i < 5000 && w->n[MOVES][0] < 2 * CUSTOMERS; i++)
        world_run(w, 1);
    ck_assert_uint_eq(w->n[MOVES][0], 2 * CUSTOMERS);
    ck_assert_msg(w->buckets_read >= rooms[_i].reads_min && w->buckets_read <= rooms[_i].reads_max,
                  "%zu buckets were read", w->buckets_read);
    ck_assert_str_eq(w->notes, "");
    world_free(w);
}
END_TEST

// A deadline in a bucket that is not there: somebody else writes to the store.
START_TEST(foreign_deadline)
{
    struct world *w = wall_world(48, 1);
    struct part_key p = {topic_names[EVENTS], 0};
    struct why why;
    move(w, 1, 0);
    struct owner owner = mem_store_owner(w->store, &p);
    struct cursor c = mem_store_cursor(w->store, &p);
    struct flush_due due = {.bucket = 99, .at = 1, .exact = true};
    struct flush f = {.cursor = &c, .dues = &due, .ndues = 1};
    ck_assert_int_eq(mem_store_ops.flush(w->client, &p, &owner, &f, &why), 0);
    world_kill(w);
    world_begin(w, 1);
    world_event(w, 0, "other", "a", w->wall);
    world_run(w, 300);
    ck_assert_int_eq(world_part(w, 0).state, PART_HALTED);
    ck_assert_msg(strstr(w->notes, "the deadlines of model m name bucket 99, and there are 16"), "%s", w->notes);
    world_free(w);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("deadlines");
    TCase *t = tcase_create("deadlines");
    tcase_add_test(t, replay_of_deadlines);
    tcase_add_loop_test(t, near_deadlines, 0, sizeof rooms / sizeof *rooms);
    tcase_add_test(t, foreign_deadline);
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_ENV);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed > 0;
}
