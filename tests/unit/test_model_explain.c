// A model in words and as a diagram. (Expressions as text are tested in test_expr_parse.c.)
#include "load.h"
#include "model_explain.h"

#include <check.h>

static const char words_wanted[] = "m, version 3: 3 stages, 2 transitions, 1 triggers; 7 numbers kept of a customer\n"
                                   "\n"
                                   "a\n"
                                   "  purpose     p q\n"
                                   "  owner       the \"A\" team\n"
                                   "  channels    web, ads\n"
                                   "  in          new customers begin here\n"
                                   "  out         to long-name: x: when buy or view, if age > 14d\n"
                                   "\n"
                                   "long-name\n"
                                   "  objective   o: when buy or view within 36h\n"
                                   "  in          from a, c: x: when buy or view, if age > 14d\n"
                                   "  out         to c: y: after 90m in the stage, after 2d without buy\n"
                                   "\n"
                                   "c\n"
                                   "  in          from long-name: y: after 90m in the stage, after 2d without buy\n"
                                   "  out         to long-name: x: when buy or view, if age > 14d\n"
                                   "  sends       t (k): on entry from long-name, unless visits(c) > 1; once ever\n"
                                   "\n"
                                   "Caps\n"
                                   "  k: at most 2 in 7d\n"
                                   "\n"
                                   "Transitions, tried in this order\n"
                                   "  transition  from       to         condition\n"
                                   "  x           a          long-name  when buy or view, if age > 14d\n"
                                   "              c\n"
                                   "  y           long-name  c          after 90m in the stage, after 2d without buy\n";

static const char dot_wanted[] =
    "digraph \"m\" {\n"
    "  rankdir=LR;\n"
    "  node [shape=box, style=rounded];\n"
    "  \"\" [shape=point];\n"
    "  \"\" -> \"a\";\n"
    "  \"a\" [label=\"a\\nthe \\\"A\\\" team\"];\n"
    "  \"long-name\" [label=\"long-name\"];\n"
    "  \"c\" [label=\"c\"];\n"
    "  \"a\" -> \"long-name\" [label=\"x\\nwhen buy or view, if age > 14d\"];\n"
    "  \"c\" -> \"long-name\" [label=\"x\\nwhen buy or view, if age > 14d\"];\n"
    "  \"long-name\" -> \"c\" [label=\"y\\nafter 90m in the stage, after 2d without buy\", style=dashed];\n"
    "}\n";

START_TEST(explains)
{
    _cleanup_free_ char *found = NULL;
    struct model *m =
        load("model: m\nversion: 3\nsignals: {buy: [order], view: page}\nstages:\n"
             "  a: {owner: 'the \"A\" team', channels: [web, ads], purpose: \"p\\nq\"}\n"
             "  long-name: {objective: {name: o, when: [buy, view], within: 36h}}\n  c:\n"
             "transitions:\n- {name: x, from: [a, c], to: long-name, when: [buy, view], if: age > 14d}\n"
             "- {name: y, from: long-name, to: c, after: 90m, quiet: {of: buy, for: 2d}}\n"
             "triggers:\n- {name: t, campaign: k, enter: c, from: long-name, unless: visits(c) > 1, once: ever}\n"
             "caps: {k: {max: 2, per: 1w}}\n",
             &found);
    ck_assert_str_eq(found, "");
    _cleanup_(buffer_clear) struct buffer words = {0}, dot = {0};
    ck_assert_int_eq(model_explain(m, &words), 0);
    ck_assert_int_eq(model_dot(m, &dot), 0);
    buffer_byte(&words, 0);
    buffer_byte(&dot, 0);
    ck_assert_str_eq(words.p, words_wanted);
    ck_assert_str_eq(dot.p, dot_wanted);
    model_free(m);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("model_explain");
    TCase *tests = tcase_create("words");
    tcase_add_test(tests, explains);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
