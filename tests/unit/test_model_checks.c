// The checks of a model as a graph: what they report, and, as important, where they keep silent. Then the
// limits.
#include "model_rows.h"

// What the graph of stages and transitions tells, and where it is to keep silent.
static const struct row graphs[] = {
    // nothing to say
    {"transitions:\n"
     "- {name: ab, from: a, to: b, when: buy}\n"
     "- {name: bc, from: b, to: c, when: buy}\n",
     ""},
    // unreachable
    {"transitions:\n"
     "- {name: ab, from: a, to: b, when: buy}\n"
     "- {name: cb, from: c, to: b, when: buy}\n",
     "m.yaml:4:38: warning: nobody gets to stage 'c': no transition leads there from 'a'; add one, or remove "
     "the stage\n"},
    // unreachable chain
    {"transitions:\n"
     "- {name: bc, from: b, to: c, when: buy}\n",
     "m.yaml:4:15: warning: nobody gets to stage 'b': no transition leads there from 'a'; add one, or remove "
     "the stage\n"
     "m.yaml:4:38: warning: nobody gets to stage 'c': no transition leads there from 'a'; add one, or remove "
     "the stage\n"},
    // never wins, same signal
    {"transitions:\n"
     "- {name: ab, from: a, to: b, when: buy}\n"
     "- {name: bc, from: b, to: c, when: buy}\n"
     "- {name: x, from: a, to: c, when: buy}\n",
     "m.yaml:8:3: warning: transition 'x' never wins: others always come first; move it up, or remove it\n"},
    // never wins, subset with if
    {"transitions:\n"
     "- {name: ab, from: a, to: b, when: buy}\n"
     "- {name: bc, from: b, to: c, when: buy}\n"
     "- {name: x, from: a, to: c, when: buy, if: count(buy) > 3, after: 3d}\n",
     "m.yaml:8:3: warning: transition 'x' never wins: others always come first; move it up, or remove it\n"},
    // may win: another signal
    {"transitions:\n"
     "- {name: ab, from: a, to: b, when: buy}\n"
     "- {name: bc, from: b, to: c, when: buy}\n"
     "- {name: x, from: a, to: c, when: [buy, view]}\n",
     ""},
    // never wins: two rules cover
    {"transitions:\n"
     "- {name: ab, from: a, to: b, when: buy}\n"
     "- {name: bc, from: b, to: c, when: buy}\n"
     "- {name: y, from: a, to: c, when: view}\n"
     "- {name: x, from: a, to: c, when: [buy, view]}\n",
     "m.yaml:9:3: warning: transition 'x' never wins: others always come first; move it up, or remove it\n"},
    // may win in one stage
    {"transitions:\n"
     "- {name: ab, from: a, to: b, when: buy}\n"
     "- {name: bc, from: b, to: c, when: buy}\n"
     "- {name: x, from: [a, c], to: b, when: buy}\n",
     ""},
    // may win: earlier has if
    {"transitions:\n"
     "- {name: ab, from: a, to: b, when: buy, if: count(buy) > 1}\n"
     "- {name: x, from: a, to: c, when: buy}\n",
     ""},
    // never wins: deadline
    {"transitions:\n"
     "- {name: ab, from: a, to: b, when: buy}\n"
     "- {name: bc, from: b, to: c, when: buy}\n"
     "- {name: y, from: a, to: c, quiet: 30d}\n"
     "- {name: x, from: a, to: b, quiet: 40d, if: count(buy) == 0}\n",
     "m.yaml:9:3: warning: transition 'x' never wins: others always come first; move it up, or remove it\n"},
    // may win: sooner
    {"transitions:\n"
     "- {name: ab, from: a, to: b, when: buy}\n"
     "- {name: bc, from: b, to: c, when: buy}\n"
     "- {name: y, from: a, to: c, quiet: 30d}\n"
     "- {name: x, from: a, to: b, quiet: 20d}\n",
     ""},
    // may win: quiet of another
    {"transitions:\n"
     "- {name: ab, from: a, to: b, when: buy}\n"
     "- {name: bc, from: b, to: c, when: buy}\n"
     "- {name: y, from: a, to: c, quiet: {of: buy, for: 30d}}\n"
     "- {name: x, from: a, to: b, quiet: 30d}\n",
     ""},
    // never wins: all have left
    {"transitions:\n"
     "- {name: ab, from: a, to: b, when: buy}\n"
     "- {name: bc, from: b, to: c, when: buy}\n"
     "- {name: x, from: a, to: c, after: 31d, if: count(view) > 2}\n"
     "- {name: y, from: a, to: b, after: 30d}\n",
     "m.yaml:8:3: warning: transition 'x' never wins: others always come first; move it up, or remove it\n"},
    // event at the last instant
    {"transitions:\n"
     "- {name: ab, from: a, to: b, when: buy}\n"
     "- {name: bc, from: b, to: c, when: buy}\n"
     "- {name: x, from: a, to: c, when: view, after: 30d}\n"
     "- {name: y, from: a, to: b, after: 30d}\n",
     ""},
    // enter never
    {"transitions:\n"
     "- {name: ab, from: a, to: b, when: buy}\n"
     "- {name: bc, from: b, to: c, when: buy}\n"
     "triggers:\n"
     "- {name: t, campaign: k, enter: a}\n"
     "- {name: u, campaign: k, enter: c, from: a}\n"
     "- {name: v, campaign: k, enter: c, from: b}\n",
     "m.yaml:9:3: warning: trigger 't' never fires: no transition leads to 'a', where new customers begin; "
     "use 'in' to greet them\n"
     "m.yaml:10:3: warning: trigger 'u' never fires: no transition leads from 'a' to 'c'\n"},
    // exit never
    {"transitions:\n"
     "- {name: ab, from: a, to: b, when: buy}\n"
     "- {name: bc, from: b, to: c, when: buy}\n"
     "triggers:\n"
     "- {name: t, campaign: k, exit: c}\n"
     "- {name: u, campaign: k, exit: a, to: c}\n"
     "- {name: v, campaign: k, exit: a, to: b}\n",
     "m.yaml:9:3: warning: trigger 't' never fires: no transition leaves 'c'\n"
     "m.yaml:10:3: warning: trigger 'u' never fires: no transition leads from 'a' to 'c'\n"},
    // in a stage of nobody
    {"transitions:\n"
     "- {name: ab, from: a, to: b, when: buy}\n"
     "triggers:\n"
     "- {name: t, campaign: k, in: c, after: 1d}\n"
     "- {name: u, campaign: k, exit: c}\n",
     "m.yaml:4:38: warning: nobody gets to stage 'c': no transition leads there from 'a'; add one, or remove "
     "the stage\n"
     "m.yaml:8:3: warning: trigger 't' never fires: nobody gets to 'c'\n"
     "m.yaml:9:3: warning: trigger 'u' never fires: nobody gets to 'c'\n"},
    // in, too late
    {"transitions:\n"
     "- {name: ab, from: a, to: b, when: buy}\n"
     "- {name: bc, from: b, to: c, when: buy}\n"
     "- {name: y, from: a, to: b, after: 30d}\n"
     "triggers:\n"
     "- {name: t, campaign: k, in: a, after: 30d}\n"
     "- {name: u, campaign: k, in: a, after: 30d, when: view}\n"
     "- {name: v, campaign: k, in: a, after: 31d, when: view}\n"
     "- {name: w, campaign: k, in: a, after: 29d}\n",
     "m.yaml:10:3: warning: trigger 't' never fires: every customer has left 'a' after 30d\n"
     "m.yaml:12:3: warning: trigger 'v' never fires: every customer has left 'a' after 30d\n"},
    // objective
    {"model: m\n"
     "version: 1\n"
     "signals: {buy: {events: [order], value: true}, view: [page], sad: [complaint]}\n"
     "stages: {a: , b: {channels: [mail]}, c: , d: {objective: {name: won, reach: c}}}\n"
     "transitions:\n"
     "- {name: ad, from: a, to: d, when: buy}\n"
     "- {name: bd, from: d, to: b, when: view}\n"
     "- {name: bc, from: b, to: c, when: view}\n",
     "m.yaml:4:43: warning: objective 'won' is never met: no transition leads from 'd' to 'c'\n"},
    // cycle
    {"transitions:\n"
     "- {name: ab, from: a, to: b, when: buy}\n"
     "- {name: bc, from: b, to: c, when: buy}\n"
     "- {name: x, from: a, to: b, quiet: 30d}\n"
     "- {name: y, from: b, to: a, if: in_stage > 3d}\n",
     "m.yaml:8:3: warning: the transitions 'x', 'y' lead round and round without an event; a silent customer "
     "rests after 64 moves\n"},
    // cycle with an event
    {"transitions:\n"
     "- {name: ab, from: a, to: b, when: buy}\n"
     "- {name: bc, from: b, to: c, when: buy}\n"
     "- {name: x, from: a, to: b, quiet: 30d}\n"
     "- {name: y, from: b, to: a, when: view}\n",
     ""},
    // instant cycle
    {"transitions:\n"
     "- {name: ab, from: a, to: b, when: buy}\n"
     "- {name: bc, from: b, to: c, when: buy}\n"
     "- {name: x, from: a, to: b, if: count(buy) > 3}\n"
     "- {name: y, from: [b, c], to: a, after: 0s}\n",
     "m.yaml:8:3: the transitions 'x', 'y' lead round and round at one instant; make one of them wait: "
     "'after', 'quiet', or an 'if' with since, in_stage or age\n"},
    // two instant cycles
    {"model: m\n"
     "version: 1\n"
     "signals: {buy: {events: [order], value: true}, view: [page], sad: [complaint]}\n"
     "stages: {a: , b: {channels: [mail]}, c: , c2: }\n"
     "transitions:\n"
     "- {name: p, from: a, to: b, if: count(buy) > 3}\n"
     "- {name: q, from: b, to: a, if: not count(buy) > 4}\n"
     "- {name: r, from: c, to: c2, if: visits(a) > 2}\n"
     "- {name: s, from: c2, to: c, if: gap(buy) > 2d}\n"
     "- {name: u, from: a, to: c, after: 1d}\n",
     "m.yaml:6:3: the transitions 'p', 'q' lead round and round at one instant; make one of them wait: "
     "'after', 'quiet', or an 'if' with since, in_stage or age\n"
     "m.yaml:8:3: the transitions 'r', 's' lead round and round at one instant; make one of them wait: "
     "'after', 'quiet', or an 'if' with since, in_stage or age\n"},
};

START_TEST(graph_checks)
{
    check_row(&graphs[_i]);
}
END_TEST

// ---- limits: a text that repeats a line, `%d` in it counting up from 0

#define T(n) "- {name: t" #n ", campaign: k" #n ", exit: a}\n"
#define TRIGGERS_OF_17_CAMPAIGNS \
    T(0) T(1) T(2) T(3) T(4) T(5) T(6) T(7) T(8) T(9) T(10) T(11) T(12) T(13) T(14) T(15) T(16)

static const struct limit {
    const char *begin, *line, *end;
    int max;            // so many are allowed
    const char *wanted; // of one more
} limits[] = {
    {"model: m\nversion: 1\nstages: {a: }\nsignals:\n", "  s%d: [e]\n", "", SIGNALS_MAX,
     "m.yaml:69:3: there are 65 signals; a model has at most 64\n"},
    {"model: m\nversion: 1\nsignals: {s: [e]}\nstages:\n", "  a%d:\n", "", STAGES_MAX,
     "m.yaml:69:3: there are 65 stages; a model has at most 64\n"},
    {HEAD "transitions:\n", "- {name: x%d, from: a, to: b, when: buy, if: count(buy) == %d}\n", "", RULES_MAX,
     "m.yaml:262:3: there are 257 transitions; a model has at most 256\n"},
    {HEAD "triggers:\n", "- {name: t%d, campaign: k, exit: a}\n", "", TRIGGERS_MAX,
     "m.yaml:262:3: there are 257 triggers; a model has at most 256\n"},
    {HEAD "triggers:\n", "- {name: t%d, campaign: k, in: a, after: 1d}\n", "", STAGE_TRIGGERS_MAX,
     "m.yaml:70:3: stage 'a' has more than 64 'in' triggers; remove some\n"},
    {HEAD "triggers:\n", "- {name: t%d, campaign: k, enter: b, once: ever}\n", "", EVER_TRIGGERS_MAX,
     "m.yaml:70:3: there are more than 64 triggers with 'once: ever'; use 'once: visit' here\n"},
    {HEAD "triggers:\n" TRIGGERS_OF_17_CAMPAIGNS "caps:\n", "  k%d: {max: 1, per: 1d}\n", "", CAPS_MAX,
     "m.yaml:40:3: there are 17 caps; a model has at most 16\n"},
    {HEAD "transitions:\n- name: x\n  from: a\n  to: b\n  if: count(buy) > 0\n", "    and age > 1d\n", "",
     EXPR_DEPTH_MAX - 1, "m.yaml:73:5: the expression joins or nests more than 64 parts; make it smaller\n"},
    {HEAD "transitions:\n- name: x\n  from: a\n  to: b\n  if: not age > 1d and\n", "    (\n",
     "    age > 1d\n    ))))))))))))))))))))))))))))))))))))))))))))))))))))))))))))))))\n", EXPR_DEPTH_MAX,
     "m.yaml:74:5: the expression nests deeper than 64; make it flatter\n"},
};

static struct model *load_limit(const struct limit *l, int n, char **ret_found)
{
    _cleanup_(buffer_clear) struct buffer text = {0};
    buffer_text(&text, l->begin);
    for (int i = 0; i < n; i++) {
        for (const char *p = l->line; *p; p++) {
            bool number = p[0] == '%' && p[1] == 'd';
            if (number)
                buffer_printf(&text, "%d", i);
            else
                buffer_byte(&text, *p);
            p += number;
        }
    }
    buffer_put(&text, l->end, strlen(l->end) + 1);
    return load(text.p, ret_found);
}

START_TEST(limits_checks)
{
    const struct limit *l = &limits[_i];
    _cleanup_free_ char *fits = NULL, *found = NULL;
    struct model *m = load_limit(l, l->max, &fits);
    ck_assert_msg(m, "%s", fits);
    model_free(m);
    ck_assert_ptr_null(load_limit(l, l->max + 1, &found));
    ck_assert_str_eq(found, l->wanted);
}
END_TEST

// A state's slots are numbered by 16 bits: 32 signals of 1,024 recent times are too many.
START_TEST(too_many_slots)
{
    _cleanup_(buffer_clear) struct buffer text = {0};
    buffer_text(&text, "model: m\nversion: 1\nsignals:\n");
    for (int i = 0; i < 32; i++)
        buffer_printf(&text, "  s%d: [e]\n", i);
    buffer_text(&text, "stages: {a: , b: }\ntransitions:\n");
    for (int i = 0; i < 32; i++)
        buffer_printf(&text, "- {name: r%d, from: a, to: b, when: s0, if: 'count(s%d, 1d) >= 1024'}\n", i, i);
    buffer_byte(&text, 0);
    _cleanup_free_ char *found = NULL;
    ck_assert_ptr_null(load(text.p, &found));
    ck_assert_str_eq(found, "m.yaml: the model keeps 32802 numbers of each customer, at most 32767 are possible; use "
                            "smaller thresholds in windowed counts, and smaller caps\n");
}
END_TEST

#define ROWS(table) ((int)(sizeof(table) / sizeof((table)[0])))

int main(void)
{
    Suite *suite = suite_create("model_checks");
    TCase *tests = tcase_create("checks");
    tcase_add_loop_test(tests, graph_checks, 0, ROWS(graphs));
    tcase_add_loop_test(tests, limits_checks, 0, ROWS(limits));
    tcase_add_test(tests, too_many_slots);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
