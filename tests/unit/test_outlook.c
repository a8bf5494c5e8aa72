// What may happen next to a customer, row by row; the earliest instant told is the customer's deadline.
#include "load.h"
#include "model_explain.h"
#include "outlook.h"

#include <check.h>
#include <inttypes.h>

#define HEAD "model: m\nversion: 1\nsignals: {a: [a], b: [b], v: {events: [v], value: true}}\n"
#define STAGES "stages: {one: {}, two: {}, three: {}}\n"

// Events "TIME TYPE[=VALUE in thousandths]", then the instant that is looked from. The outlook: "NAME" with
// "SIGNAL!" (one is enough), "SIGNAL>RULE" (that rule instead), "SIGNAL?" (its value decides), "SIGNAL~"
// (silenced), "SIGNAL^" (over a cap); "@INSTANT" by time alone, with "~" and "^"; "over", "rests". Then, in
// brackets, what its condition needs: "+" holds or "-" lacks, "after", "quiet" or a fact, with its value now.
static const struct {
    const char *about, *model, *events;
    int64_t now;
    const char *outlook;
} rows[] = {
    {"one more is enough, though one is lacking", HEAD STAGES
     "transitions: [{name: r, from: one, to: two, when: a, if: \"count(a) >= 2\"}]\n", "5 a", 5,
     "r a! [-count(a) >= 2=1000]"},
    {"one more is not enough", HEAD STAGES
     "transitions: [{name: r, from: one, to: two, when: a, if: \"count(a) >= 3\"}]\n", "5 a", 5,
     "r [-count(a) >= 3=1000]"},
    {"only rules out of the stage", HEAD STAGES
     "transitions: [{name: r, from: two, to: one, when: a}, {name: s, from: one, to: two, when: b}]\n",
     "5 a", 5, "s b!"},
    {"a later rule that is content with less", HEAD STAGES
     "transitions: [{name: r, from: one, to: three, when: a, if: \"count(a) >= 2\"},\n"
     "              {name: s, from: one, to: two, when: [a, b], if: \"count(a) >= 1\"}]\n", "5 v=1", 5,
     "r a>s [-count(a) >= 2=0], s a! [-count(a) >= 1=0]"},
    {"an earlier rule comes first", HEAD STAGES
     "transitions: [{name: r, from: one, to: three, when: a, if: \"count(b) >= 1\"},\n"
     "              {name: s, from: one, to: two, when: [a, b], if: \"count(b) >= 3\"}]\n", "5 b", 5,
     "r a! [+count(b) >= 1=1000], s a>r [-count(b) >= 3=1000]"},
    {"values that nobody knows", HEAD STAGES
     "transitions: [{name: r, from: one, to: two, when: v, if: \"value(v) > 2\"}]\n", "5 a", 5,
     "r v? [-value(v) > 2=none]"},
    {"another's value is known", HEAD STAGES
     "transitions: [{name: r, from: one, to: two, when: [a, v],\n"
     "               if: \"mean(v) > 2 and count(a) >= 1\"}]\n", "5 v=3000, 6 v=4000", 6,
     "r a! v? [+mean(v) > 2=3500 -count(a) >= 1=0]"},
    {"after, quiet and the instant of both", HEAD STAGES
     "transitions: [{name: r, from: one, to: two, after: 10ms, quiet: {of: b, for: 20ms}}]\n",
     "5 a, 8 b, 9 a", 16, "r @28 [+after=11 -quiet=8]"},
    {"a window empties", HEAD STAGES
     "transitions: [{name: r, from: one, to: two, if: \"count(a, 10ms) == 0\"}]\n", "5 a", 9,
     "r @15 [-count(a, 10ms) == 0=1000]"},
    {"never by time alone", HEAD STAGES
     "transitions: [{name: r, from: one, to: two, after: 5ms, if: \"count(b) >= 1 and since(v) > 1ms\"}]\n",
     "5 a", 20, "r @never [+after=15 -count(b) >= 1=0 -since(v) > 1ms=none]"},
    {"not: holds where the comparison does not", HEAD STAGES
     "transitions: [{name: r, from: one, to: two, when: b, if: \"not (gap(a) > 3ms or visits(two) > 0)\"}]\n",
     "5 a, 7 a", 7, "r b! [+not gap(a) > 3ms=2 +not visits(two) > 0=0]"},
    {"triggers, fired and silenced and capped", HEAD STAGES
     "triggers: [{name: t, campaign: c, in: one, when: a}, {name: u, campaign: c, in: one, when: b},\n"
     "           {name: w, campaign: d, in: one, when: b, unless: \"count(a) >= 1\"},\n"
     "           {name: x, campaign: d, in: one, after: 9ms, unless: \"count(a) >= 1\"},\n"
     "           {name: y, campaign: c, in: one, after: 9ms}, {name: z, campaign: c, in: one, after: 99ms},\n"
     "           {name: e, campaign: d, enter: two}]\ncaps: {c: {max: 1, per: 50ms}}\n", "5 a", 5,
     "t over, u b^, w b~, x @14~ [-after=0], y @14^ [-after=0], z @104 [-after=0]"},
    {"an event that leaves the stage sends nothing there", HEAD STAGES
     "transitions: [{name: r, from: one, to: two, when: b}]\n"
     "triggers: [{name: t, campaign: c, in: one, when: [a, b]}]\n", "5 v=1", 5, "r b!, t a! b>r"},
    {"an objective, open", HEAD
     "stages: {one: {objective: {name: o, when: b, within: 10ms}}, two: {}}\n", "5 a", 5, "one @15"},
    {"and met", HEAD
     "stages: {one: {objective: {name: o, when: b, within: 10ms}}, two: {}}\n", "5 b", 5, "one @15 over"},
    {"trend and score, cut to thousandths", HEAD STAGES
     "score: {half_life: 10ms, potential: 3, weights: {a: 1}}\n"
     "transitions: [{name: r, from: one, to: two, when: b, if: \"trend(a, 10ms) > 50 and score > 99\"}]\n",
     "1 a, 2 a, 2 a, 12 a", 12, "r [-trend(a, 10ms) > 50=33333 -score > 99=82217]"},
};

static int64_t integer(const char **s)
{
    char *end;
    int64_t v = strtoll(*s, &end, 10);
    ck_assert_msg(end != *s, "a number is wanted at '%s'", *s);
    *s = end;
    return v;
}

static struct customer *live(const struct model *m, const char *s)
{
    struct customer *c = malloc(customer_bytes(m));
    struct effects fx = {0};
    bool late;
    for (bool created = true; *s; s += *s == ',' ? 2 : 0, created = false) {
        int64_t t = integer(&s), value = 0;
        struct event e = {.type = {s + 1, 1}};
        s += 2;
        bool has = *s == '=';
        if (has)
            s++, value = integer(&s);
        if (!created)
            ck_assert_int_eq(step_time(m, c, step_before(c, t, INT64_MIN), &fx), 0);
        const int64_t *v = has ? &value : NULL;
        ck_assert_int_eq(step_event(m, c, created, t, v, model_match(m, &e), &fx, &late), 0);
    }
    effects_clear(&fx);
    return c;
}

// ---- the outlook in words

struct telling {
    const struct model *m;
    const struct customer *c;
    int64_t now;
    struct buffer out;
    bool needs;
};

static void put_need(void *arg, const struct need *n)
{
    struct telling *t = arg;
    buffer_printf(&t->out, "%s%c", t->needs ? " " : " [", n->holds ? '+' : '-');
    t->needs = true;
    if (n->kind == NEED_FACT) {
        buffer_text(&t->out, n->negated ? "not " : "");
        ck_assert_int_eq(expr_text(t->m, n->node, &t->out), 0);
    } else {
        buffer_text(&t->out, n->kind == NEED_AFTER ? "after" : "quiet");
    }
    if (n->known)
        buffer_printf(&t->out, "=%" PRId64, n->value);
    else
        buffer_text(&t->out, "=none");
}

static void put_signals(struct telling *t, const struct outlook *o)
{
    for (int s = 0; s < t->m->nsignals; s++) {
        const char *name = t->m->signals[s].name;
        if (o->moves >> s & 1)
            buffer_printf(&t->out, " %s!", name);
        if (o->overtaken >> s & 1)
            buffer_printf(&t->out, " %s>%s", name, t->m->rules[o->other].name);
        if (o->by_value >> s & 1)
            buffer_printf(&t->out, " %s?", name);
        if (o->silent_by >> s & 1)
            buffer_printf(&t->out, " %s~", name);
        if (o->capped_by >> s & 1)
            buffer_printf(&t->out, " %s^", name);
    }
}

static void put_outlook(void *arg, const struct outlook *o)
{
    struct telling *t = arg;
    buffer_printf(&t->out, "%s%s", t->out.n ? ", " : "",
                  o->kind == OUTLOOK_RULE      ? t->m->rules[o->index].name
                  : o->kind == OUTLOOK_TRIGGER ? t->m->triggers[o->index].name
                                               : t->m->stages[o->index].name);
    put_signals(t, o);
    if (o->on && !o->on->when && !o->over && o->at == NEVER)
        buffer_text(&t->out, " @never");
    else if (o->at != NEVER)
        buffer_printf(&t->out, " @%" PRId64 "%s%s", o->at, o->silent ? "~" : "", o->capped ? "^" : "");
    buffer_printf(&t->out, "%s%s", o->over ? " over" : "", o->resting ? " rests" : "");
    t->needs = false;
    if (o->on && !o->over)
        outlook_needs(t->m, o->on, t->c, t->now, put_need, t);
    buffer_text(&t->out, t->needs ? "]" : "");
}

START_TEST(test_outlook)
{
    char *found = NULL;
    struct model *m = load(rows[_i].model, &found);
    ck_assert_msg(m != NULL, "%s: %s", rows[_i].about, found);
    struct customer *c = live(m, rows[_i].events), *before = malloc(customer_bytes(m));
    memcpy(before, c, customer_bytes(m));
    struct telling t = {.m = m, .c = c, .now = rows[_i].now};
    ck_assert_int_eq(outlook_each(m, c, t.now, put_outlook, &t), 0);
    ck_assert_mem_eq(before, c, customer_bytes(m));
    buffer_byte(&t.out, '\0');
    ck_assert_msg(!strcmp(t.out.p, rows[_i].outlook), "%s: got '%s', want '%s'", rows[_i].about, t.out.p,
                  rows[_i].outlook);
    buffer_clear(&t.out);
    free(before);
    free(c);
    model_free(m);
    free(found);
}
END_TEST

// ---- it comes true

static void sooner(void *arg, const struct outlook *o)
{
    int64_t *next = arg;
    if (!o->over && !o->resting && o->at < *next)
        *next = o->at;
}

// The earliest instant of an outlook is the customer's deadline, in each row.
START_TEST(test_next)
{
    char *found = NULL;
    struct model *m = load(rows[_i].model, &found);
    struct customer *c = live(m, rows[_i].events);
    int64_t next = NEVER;
    ck_assert_int_eq(outlook_each(m, c, rows[_i].now, sooner, &next), 0);
    ck_assert_msg(next == c->due, "%s: %" PRId64 ", not %" PRId64, rows[_i].about, next, c->due);
    free(c);
    model_free(m);
    free(found);
}
END_TEST

static void resting(void *arg, const struct outlook *o)
{
    *(int *)arg += o->resting;
}

START_TEST(test_rest)
{
    char *found = NULL;
    struct model *m = load(HEAD STAGES "transitions: [{name: r, from: one, to: two, after: 1ms},\n"
                                       "              {name: s, from: two, to: one, after: 1ms}]\n",
                           &found);
    struct customer *c = live(m, "5 a");
    struct effects fx = {0};
    int n = 0;
    ck_assert_int_eq(outlook_each(m, c, 5, resting, &n), 0);
    ck_assert_int_eq(n, 0);
    ck_assert_int_eq(step_time(m, c, 1000, &fx), 0);
    ck_assert_int_eq(outlook_each(m, c, 1000, resting, &n), 0);
    ck_assert_int_eq(n, 1);
    effects_clear(&fx);
    free(c);
    model_free(m);
    free(found);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("outlook");
    TCase *tests = tcase_create("rows");
    tcase_add_loop_test(tests, test_outlook, 0, sizeof rows / sizeof *rows);
    tcase_add_loop_test(tests, test_next, 0, sizeof rows / sizeof *rows);
    tcase_add_test(tests, test_rest);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
