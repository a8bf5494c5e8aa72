// The heart, row by row: a model, events, and every effect with its ordinal and instant. After each event the state is
// stored and restored, so that all rows test the codec too.
#include "load.h"
#include "expr.h"
#include "step.h"

#include <check.h>
#include <inttypes.h>

#define HEAD "model: m\nversion: 1\nsignals: {a: [a], b: [b], v: {events: [v], value: true}}\n"
#define STAGES "stages: {one: {}, two: {}, three: {}}\n"

// Events: "TIME TYPE[=VALUE in thousandths]"; "clock TIME" fires deadlines before TIME. Effects:
// "ORDINAL@TIME from>to" or "ORDINAL@TIME trigger[!]" (! over a cap).
static const struct {
    const char *about, *model, *events, *effects;
} rows[] = {
    {"a rule at an event", HEAD STAGES "transitions: [{name: r, from: one, to: two, when: a}]\n", "5 a", "1@5 one>two"},
    {"one move an event", HEAD STAGES
     "transitions: [{name: r, from: one, to: two, when: a}, {name: s, from: two, to: three, when: a}]\n",
     "5 a, 6 a", "1@5 one>two 2@6 two>three"},
    {"the first rule in file order wins", HEAD STAGES
     "transitions: [{name: r, from: one, to: three, when: [a, b]}, {name: s, from: one, to: two, when: b}]\n",
     "5 b", "1@5 one>three"},
    {"after counts from entry, and fires at its own instant", HEAD STAGES
     "transitions: [{name: r, from: one, to: two, after: 10ms}]\n", "5 a, 100 a", "1@15 one>two"},
    {"a deadline passes strictly", HEAD STAGES "transitions: [{name: r, from: one, to: two, after: 10ms}]\n",
     "5 a, clock 15", ""},
    {"and then fires", HEAD STAGES "transitions: [{name: r, from: one, to: two, after: 10ms}]\n", "5 a, clock 16",
     "1@15 one>two"},
    {"an event at the deadline comes first", HEAD STAGES
     "transitions: [{name: r, from: one, to: two, quiet: 10ms}]\n", "5 a, 15 a, clock 26", "1@25 one>two"},
    {"quiet of a signal that never came counts from the first event", HEAD STAGES
     "transitions: [{name: r, from: one, to: two, quiet: {of: b, for: 10ms}}]\n", "5 a, 9 a, clock 99", "1@15 one>two"},
    {"a stage is left by a deadline a millisecond after entry at the earliest", HEAD STAGES
     "transitions: [{name: r, from: one, to: two, when: a}, {name: s, from: two, to: three, if: \"age >= 0s\"}]\n",
     "5 a, clock 99", "1@5 one>two 2@6 two>three"},
    {"a late event takes effect at the clock, its facts keep its time", HEAD STAGES
     "transitions: [{name: r, from: one, to: two, when: b, if: \"since(b) >= 5ms\"}]\n", "20 a, 15 b", "1@20 one>two"},
    {"counts in a window are exact", HEAD STAGES
     "transitions: [{name: r, from: one, to: two, when: a, if: \"count(a, 10ms) >= 2\"}]\n", "0 a, 10 a, 19 a",
     "1@19 one>two"},
    {"a window empties by time alone", HEAD STAGES
     "transitions: [{name: r, from: one, to: two, if: \"count(a, 10ms) < 1\"}]\n",
     "0 a, 4 a, clock 99", "1@14 one>two"},
    {"counts of a visit restart at the move", HEAD STAGES
     "transitions: [{name: r, from: one, to: two, when: a, if: \"count(a, stage) >= 2\"},\n"
     "              {name: s, from: two, to: one, when: a, if: \"count(a, stage) >= 2\"}]\n",
     "1 a, 2 a, 3 a, 4 a", "1@2 one>two 2@4 two>one"},
    {"sum, mean and value", HEAD STAGES
     "transitions: [{name: r, from: one, to: two, when: v, if: \"sum(v) > 5 and mean(v) == 2.5 and value(v) < 2\"}]\n",
     "1 v=5000, 2 v=1500, 3 v=1000", "1@3 one>two"},
    {"value is the latest by its own time, the later arrival among equals", HEAD STAGES
     "transitions: [{name: r, from: one, to: two, when: a, if: \"value(v) == 3\"}]\n",
     "5 v=1000, 9 v=2000, 9 v=3000, 7 v=9000, 9 a",
     "1@9 one>two"},
    {"nothing compares true before the first event", HEAD STAGES
     "transitions: [{name: r, from: one, to: two, when: a, if: \"value(v) != 3 or since(b) < 1d or gap(a) > 0s\"}]\n",
     "5 a",
     ""},
    {"gap is the silence that an event ended", HEAD STAGES
     "transitions: [{name: r, from: one, to: two, when: a, if: \"gap(a) >= 10ms\"}]\n",
     "0 a, 9 a, 19 a", "1@19 one>two"},
    {"trend compares with the customer's own former rate", HEAD STAGES
     "transitions: [{name: r, from: one, to: two, if: \"trend(a, 10ms) < 50\"}]\n",
     "1 a, 2 a, 3 a, 11 a, 12 a, clock 99",
     "1@21 one>two"},
    {"visits", HEAD STAGES
     "transitions: [{name: r, from: one, to: two, when: a, if: \"visits(two) < 1\"}, "
     "{name: s, from: two, to: one, when: b}]\n",
     "1 a, 2 b, 3 a", "1@1 one>two 2@2 two>one"},
    {"the score fades to a threshold, rounded up", HEAD STAGES
     "score: {half_life: 10ms, potential: 4, weights: {a: 2}}\n"
     "transitions: [{name: r, from: one, to: two, if: \"score < 30\"}]\n", "0 a, clock 99", "1@8 one>two"},
    {"enter and exit triggers, in order, then the objective", HEAD
     "stages: {one: {objective: {name: o, reach: two, within: 1s}}, two: {}}\n"
     "transitions: [{name: r, from: one, to: two, when: a}]\n"
     "triggers: [{name: in, campaign: c, enter: two}, {name: out, campaign: c, exit: one}, "
     "{name: no, campaign: c, enter: two, from: one, unless: \"count(a) >= 1\"}]\n",
     "5 a", "1@5 one>two 2@5 out 3@5 in 4@5 objective.met"},
    {"exit triggers look at the visit being left", HEAD STAGES
     "transitions: [{name: r, from: one, to: two, when: a}]\n"
     "triggers: [{name: x, campaign: c, exit: one, unless: \"count(a, stage) >= 1\"},\n"
     "           {name: e, campaign: c, enter: two, unless: \"count(a, stage) >= 1\"}]\n", "5 a", "1@5 one>two 2@5 e"},
    {"in triggers, by time and at events, once a visit", HEAD STAGES
     "triggers: [{name: t, campaign: c, in: one, after: 10ms}, {name: u, campaign: c, in: one, when: b}]\n",
     "0 a, 3 b, 4 b, clock 50, 60 a", "1@3 u 2@10 t"},
    {"true on entry: fires on entry", HEAD STAGES
     "transitions: [{name: r, from: one, to: two, when: b}]\n"
     "triggers: [{name: t, campaign: c, in: two, if: \"count(a) >= 1\"}]\n", "0 a, 3 b", "1@3 one>two 2@3 t"},
    {"spells are armed again by an event that ends the quiet", HEAD STAGES
     "triggers: [{name: t, campaign: c, in: one, quiet: 10ms, once: spell}]\n", "0 a, clock 50, 60 a, clock 99",
     "1@10 t 2@70 t"},
    {"once: ever outlives visits", HEAD STAGES
     "transitions: [{name: r, from: one, to: two, when: a}, {name: s, from: two, to: one, when: b}]\n"
     "triggers: [{name: t, campaign: c, enter: two, once: ever}]\n", "1 a, 2 b, 3 a",
     "1@1 one>two 2@1 t 3@2 two>one 4@3 one>two"},
    {"a silenced trigger is spent and takes no ordinal", HEAD STAGES
     "triggers: [{name: t, campaign: c, in: one, after: 10ms, unless: \"count(b) >= 1\"},\n"
     "           {name: u, campaign: c, in: one, after: 20ms}]\n", "0 b, clock 99", "1@20 u"},
    {"caps count what they let through, in a sliding window", HEAD STAGES
     "triggers: [{name: t, campaign: c, in: one, when: a}, {name: u, campaign: c, in: one, when: b},\n"
     "           {name: w, campaign: c, in: one, when: v}]\ncaps: {c: {max: 1, per: 10ms}}\n", "0 a, 9 b, 10 v=1",
     "1@0 t 2@9 u! 3@10 w"},
    {"a missed objective fires after the first event at its instant", HEAD
     "stages: {one: {objective: {name: o, when: b, within: 10ms}}, two: {}}\n", "0 a, 10 b, 10 a",
     "1@10 objective.met"},
    {"and before a second one", HEAD "stages: {one: {objective: {name: o, when: b, within: 10ms}}, two: {}}\n",
     "0 a, 10 a, 10 b", "1@10 objective.missed"},
    {"an objective is missed when the visit ends elsewhere", HEAD
     "stages: {one: {objective: {name: o, reach: three, within: 10d}}, two: {}, three: {}}\n"
     "transitions: [{name: r, from: one, to: two, when: a}, {name: s, from: two, to: three, when: b}]\n", "5 a",
     "1@5 one>two 2@5 objective.missed"},
    {"without `within` nothing is missed", HEAD
     "stages: {one: {objective: {name: o, reach: three}}, two: {}, three: {}}\n"
     "transitions: [{name: r, from: one, to: two, when: a}, {name: s, from: two, to: three, when: b}]\n", "5 a",
     "1@5 one>two"},
};

static int64_t integer(const char **s)
{
    char *end;
    int64_t v = strtoll(*s, &end, 10);
    ck_assert_msg(end != *s, "a number is wanted at '%s'", *s);
    *s = end;
    return v;
}

static void restore(const struct model *m, struct customer *c)
{
    uint8_t bytes[4096];
    size_t n = customer_encode(m, c, bytes);
    struct customer *copy = malloc(customer_bytes(m));
    ck_assert_uint_le(n, customer_state_max(m));
    ck_assert_int_eq(customer_decode(m, bytes, n, copy), 0);
    step_due(m, copy);
    ck_assert_mem_eq(copy, c, customer_bytes(m));
    ck_assert_int_eq(customer_decode(m, bytes, n - 1, copy), 1); // cut short
    memcpy(copy, c, customer_bytes(m));
    memcpy(c, copy, customer_bytes(m));
    free(copy);
}

static void show(const struct model *m, struct effects *fx, struct buffer *out)
{
    for (size_t i = 0; i < fx->n; i++) {
        const struct effect *e = &fx->v[i];
        buffer_printf(out, "%s%" PRIu32 "@%" PRId64 " ", out->n ? " " : "", e->ordinal, e->at);
        if (e->kind == EFFECT_TRANSITION)
            buffer_printf(out, "%s>%s", m->stages[e->from].name, m->stages[e->to].name);
        else
            buffer_printf(out, "%s%s",
                          e->kind == EFFECT_TRIGGER ? m->triggers[e->trigger].name
                          : e->kind == EFFECT_MET   ? "objective.met"
                                                    : "objective.missed",
                          e->capped ? "!" : "");
    }
    fx->n = 0;
}

static void run(const struct model *m, const char *s, struct buffer *out)
{
    struct customer *c = malloc(customer_bytes(m));
    struct effects fx = {0};
    bool created = true, late;
    for (; *s; s += *s == ',' ? 2 : 0) {
        if (!strncmp(s, "clock ", 6)) {
            s += 6;
            ck_assert_int_eq(step_time(m, c, integer(&s), &fx), 0);
        } else {
            int64_t t = integer(&s), value = 0;
            struct event e = {.type = {s + 1, 1}};
            s += 2;
            bool has = *s == '=';
            if (has)
                s++, value = integer(&s);
            if (!created)
                ck_assert_int_eq(step_time(m, c, step_before(c, t, INT64_MIN), &fx), 0);
            ck_assert_int_eq(step_event(m, c, created, t, has ? &value : NULL, model_match(m, &e), &fx, &late), 0);
            created = false;
        }
        show(m, &fx, out);
        restore(m, c);
    }
    effects_clear(&fx);
    free(c);
}

START_TEST(test_step)
{
    char *found = NULL;
    struct model *m = load(rows[_i].model, &found);
    ck_assert_msg(m != NULL, "%s: %s", rows[_i].about, found);
    struct buffer out = {0};
    run(m, rows[_i].events, &out);
    buffer_byte(&out, '\0');
    ck_assert_msg(!strcmp(out.p, rows[_i].effects), "%s: got '%s', want '%s'", rows[_i].about, out.p, rows[_i].effects);
    buffer_clear(&out);
    model_free(m);
    free(found);
}
END_TEST

// A cycle of deadline rules in silence comes to rest after 64 moves, until the next event.
START_TEST(test_rest)
{
    char *found = NULL;
    struct model *m = load(HEAD STAGES "transitions: [{name: r, from: one, to: two, after: 1ms}, {name: s, from: two, "
                                       "to: one, after: 1ms}]\n",
                           &found);
    ck_assert_msg(m != NULL, "%s", found);
    struct customer *c = malloc(customer_bytes(m));
    struct effects fx = {0};
    bool late;
    ck_assert_int_eq(step_event(m, c, true, 0, NULL, 1, &fx, &late), 0);
    ck_assert_int_eq(step_time(m, c, 1000, &fx), 0);
    ck_assert_uint_eq(fx.n, RESTING_MOVES);
    ck_assert_uint_eq(fx.rests, 1);
    ck_assert(c->due == NEVER);
    ck_assert_int_eq(step_event(m, c, false, 500, NULL, 1, &fx, &late), 0);
    ck_assert_int_eq(step_time(m, c, 510, &fx), 0);
    ck_assert_uint_gt(fx.n, RESTING_MOVES);
    effects_clear(&fx);
    free(c);
    model_free(m);
    free(found);
}
END_TEST

START_TEST(test_exp2)
{
    ck_assert(exp2_neg(0) == 1.0);
    ck_assert(exp2_neg(-1) == 0.5);
    ck_assert(exp2_neg(-1074) > 0);
    ck_assert(exp2_neg(-1100) == 0.0);
    double before = 1.0;
    for (double x = -0.001; x > -40; x -= 0.0137) {
        double y = exp2_neg(x), want = __builtin_exp2(x);
        ck_assert(y < before);
        ck_assert(y - want < want * 4e-16 && want - y < want * 4e-16);
        before = y;
    }
}
END_TEST

int main(void)
{
    Suite *s = suite_create("step");
    TCase *t = tcase_create("step");
    tcase_add_loop_test(t, test_step, 0, (int)(sizeof rows / sizeof *rows));
    tcase_add_test(t, test_rest);
    tcase_add_test(t, test_exp2);
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_ENV);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed != 0;
}
