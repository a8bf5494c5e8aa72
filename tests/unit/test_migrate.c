// States of a former version read by the next one: what has a name on both sides is carried over.
#include "load.h"
#include "migrate.h"
#include "step.h"

#include <check.h>

#define SIGNALS "signals: {a: [a], b: {events: [b], value: true}}\n"

static const char former[] =
    "model: m\nversion: 1\n" SIGNALS "report: [count(a), sum(b)]\n"
    "stages: {one: {}, two: {objective: {name: o, when: b, within: 9d}}, three: {}}\n"
    "transitions: [{name: r, from: one, to: two, when: a}, {name: s, from: two, to: three, after: 60d}]\n"
    "triggers: [{name: t, campaign: c, in: two, when: a}, {name: u, campaign: c, enter: two, once: ever}]\n"
    "caps: {c: {max: 3, per: 5d}}\n";

static const char next[] =
    "model: m\nversion: 2\nmigrate: {two: deux}\n" SIGNALS "report: [count(a), sum(b), count(b)]\n"
    "stages: {one: {}, deux: {objective: {name: o, when: b, within: 9d}}, three: {}}\n"
    "transitions: [{name: r, from: one, to: deux, when: a}, {name: s, from: deux, to: three, after: 7d}]\n"
    "triggers: [{name: t, campaign: c, in: deux, when: a}, {name: u, campaign: c, enter: deux, once: ever}]\n"
    "caps: {c: {max: 2, per: 5d}}\n";

static void event(const struct model *m, struct customer *c, bool created, int64_t t, char type, int64_t value)
{
    struct event e = {.type = {&type, 1}};
    struct effects fx = {0};
    bool late;
    ck_assert_int_eq(step_event(m, c, created, t, value ? &value : NULL, model_match(m, &e), &fx, &late), 0);
    effects_clear(&fx);
}

START_TEST(test_carried)
{
    char *found = NULL;
    struct model *m = load(former, &found);
    ck_assert_msg(m != NULL, "%s", found);
    free(found);
    struct model *n = load(next, &found);
    ck_assert_msg(n != NULL, "%s", found);
    free(found);
    struct customer *old = malloc(customer_bytes(m)), *c = malloc(customer_bytes(n));
    event(m, old, true, 1000, 'a', 0); // moves to two: transition 1, triggers u 2 and t 3
    event(m, old, false, 2000, 'a', 0);
    event(m, old, false, 3000, 'b', 4500); // objective met 4
    ck_assert_uint_eq(old->ordinal, 4);
    migrate_customer(m, old, n, c, 5000);
    step_due(n, c);

    int a = model_signal(n, "a", 1), b = model_signal(n, "b", 1), deux = model_stage(n, "deux", 4);
    ck_assert_int_eq(c->stage, deux);
    ck_assert_uint_eq(c->ordinal, 4);
    ck_assert_int_eq(c->clock, 5000); // nothing happens before the new version came
    ck_assert_int_eq(c->entered, 1000);
    ck_assert_int_eq(c->slot[n->signals[a].slots.count], 2);
    ck_assert_int_eq(c->slot[n->signals[b].slots.sum], 4500);
    ck_assert_int_eq(c->slot[n->signals[b].slots.count], 0); // not kept before: starts empty
    ck_assert_int_eq(c->slot[n->visits + deux], 1);
    ck_assert(c->objective_done);
    ck_assert_uint_eq(c->ever, 1);
    ck_assert_uint_eq(c->spent, 1);
    ck_assert_int_eq(c->slot[n->caps[0].recent], 2); // the latest that the smaller cap keeps
    ck_assert_int_eq(c->slot[n->caps[0].recent + 1], 1000);
    ck_assert_int_eq(c->due, 1000 + 7 * MS_PER_DAY); // a shortened delay reaches who waits already
    free(old);
    free(c);
    model_free(m);
    model_free(n);
}
END_TEST

START_TEST(test_stranded)
{
    char *found = NULL;
    struct model *m = load(former, &found), *n;
    free(found);
    n = load("model: m\nversion: 2\n" SIGNALS "stages: {one: {}, three: {}}\n"
             "transitions: [{name: r, from: one, to: three, when: a}]\n",
             &found);
    ck_assert_msg(n != NULL, "%s", found);
    free(found);
    ck_assert_int_eq(migrate_stage(m, 0, n), 0);
    ck_assert_int_eq(migrate_stage(m, 1, n), NONE);
    ck_assert_int_eq(migrate_stage(m, 2, n), 1);
    model_free(m);
    model_free(n);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("migrate");
    TCase *t = tcase_create("migrate");
    tcase_add_test(t, test_carried);
    tcase_add_test(t, test_stranded);
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_ENV);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed != 0;
}
