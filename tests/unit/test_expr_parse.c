// Expressions: every mistake at its own column, wherever in the file the text stands; and what a good one
// becomes.
#include "load.h"
#include "model_explain.h"

#include <check.h>

// The expression begins at line 6, column 34.
#define HEAD \
    "model: m\n" \
    "version: 1\n" \
    "signals: {buy: {events: [order], value: true}, view: [page], sad: [complaint], quiet-end.1: [q]}\n" \
    "stages: {a: , b: , c_1.x: }\n"
#define RULE "transitions:\n- {name: x, from: a, to: b, if: \""
#define SCORE "score: {half_life: 1d, potential: 9, weights: {buy: 1}}\n"

static struct model *load_expr(const char *expr, const char *more, char **ret_found)
{
    _cleanup_(buffer_clear) struct buffer text = {0};
    buffer_printf(&text, HEAD RULE "%s\"}\n%s", expr, more);
    buffer_byte(&text, 0);
    return load(text.p, ret_found);
}

// ---- mistakes

static const struct {
    const char *expr, *wanted; // offset within the expression: message
} mistakes[] = {
    {"count(buy)", "10: expected a comparison (<, <=, >, >=, ==, !=), but the expression ends\n"},
    {"count(buy) >", "12: expected a number, but the expression ends\n"},
    {"count(buy) = 1", "11: expected a comparison (<, <=, >, >=, ==, !=), found '='; write '=='\n"},
    {"count(buy) => 1", "11: expected a comparison (<, <=, >, >=, ==, !=), found '=>'; write '>='\n"},
    {"count(buy) > 1 && score > 2", "15: expected 'and', 'or' or the end, found '&&'; write 'and'\n"},
    {"count(buy) > 1 || 1", "15: expected 'and', 'or' or the end, found '||'; write 'or'\n"},
    {"!count(buy) > 1", "0: expected a fact such as count(purchase), found '!'; write 'not'\n"},
    {"count(buy) > 1 AND age > 1d", "15: expected 'and', 'or' or the end, found 'AND'; write 'and'\n"},
    {"count buy > 1", "6: expected '(', found 'buy'\n"},
    {"count(", "6: expected the name of a signal, but the expression ends\n"},
    {"count()", "6: expected the name of a signal, found ')'\n"},
    {"count(buy", "9: expected ')', but the expression ends\n"},
    {"count(buy, )", "11: expected a duration such as 30d, or 'stage', found ')'\n"},
    {"count(buy, 30) > 1", "11: expected a duration such as 30d, or 'stage', found '30'\n"},
    {"count(buy, 0d) > 1", "11: the window is empty; it should be longer than 0\n"},
    {"count(buy, stage, 3d) > 1", "16: expected ')', found ','\n"},
    {"count(by) > 1 and count(vew) > 2", "6: unknown signal 'by'; use one of the model's signals\n"
                                         "24: unknown signal 'vew'; did you mean 'view'?\n"},
    {"cuont(buy) > 1", "0: unknown fact 'cuont'; did you mean 'count'?\n"},
    {"frequency > 1",
     "0: unknown fact 'frequency'; a comparison begins with count(...), sum(...), mean(...), value(...), "
     "since(...), gap(...), in_stage, age, visits(...), score or trend(...)\n"},
    {"5 > count(buy)", "0: unknown fact '5'; a comparison begins with count(...), sum(...), mean(...), "
                       "value(...), since(...), gap(...), in_stage, age, visits(...), score or trend(...)\n"},
    {"(count(buy) > 1", "15: expected 'and', 'or' or ')', but the expression ends\n"},
    {"count(buy) > 1)", "14: expected 'and', 'or' or the end, found ')'\n"},
    {"()", "1: expected a fact such as count(purchase), found ')'\n"},
    {"not", "3: expected a fact such as count(purchase), but the expression ends\n"},
    {"count(buy) > 3d",
     "13: 'count' is compared with a number, but '3d' is a duration; write one, such as 3\n"},
    {"since(buy) > 3", "13: 'since' is compared with a duration, but '3' is none; write a whole number and a "
                       "unit, such as 30d\n"},
    {"since(buy) > 3x", "13: 'since' is compared with a duration, but '3x' is none; write a whole number and "
                        "a unit, such as 30d\n"},
    {"score > 50", "0: the model has no score; add 'score:' with half_life, potential and weights\n"},
    {"sum(view) > 1", "0: signal 'view' keeps no values; give it 'value: true'\n"},
    {"value(sad) > 1 and mean(sad) > 1", "0: signal 'sad' keeps no values; give it 'value: true'\n"
                                         "19: signal 'sad' keeps no values; give it 'value: true'\n"},
    {"visits(d) > 1", "7: unknown stage 'd'; use one of the model's stages\n"},
    {"visits(1, 2) > 1", "7: unknown stage '1'; use one of the model's stages\n"
                         "8: expected ')', found ','\n"},
    {"trend(buy) < 50", "9: expected ',' and a duration, found ')'\n"},
    {"trend(buy, stage) < 50", "11: expected a duration such as 30d, found 'stage'\n"},
    {"gap(buy, 3d) > 1d", "7: expected ')', found ','\n"},
    {"count(buy, 1d) > 1024", "17: a count in a window is exact up to 1024; use a smaller number\n"},
    {"count(buy, 1d) >= 1025", "18: a count in a window is exact up to 1024; use a smaller number\n"},
    {"in_stage() > 1d", "8: expected a comparison (<, <=, >, >=, ==, !=), found '('\n"},
    {"age > 30d or", "12: expected a fact such as count(purchase), but the expression ends\n"},
    {"count(buy) > 1 count(buy) > 1", "15: expected 'and', 'or' or the end, found 'count'\n"},
    {"count(bü) > 1", "6: unknown signal 'bü'; use one of the model's signals\n"},
    {"größe > 1", "0: unknown fact 'größe'; a comparison begins with count(...), sum(...), mean(...), "
                  "value(...), since(...), gap(...), in_stage, age, visits(...), score or trend(...)\n"},
    {"count(buy) > 1; age > 1d", "14: expected 'and', 'or' or the end, found ';'\n"},
    {"count(buy) > 1,5", "14: expected 'and', 'or' or the end, found ','\n"},
    {"count(buy) >= 1000000000000",
     "14: 'count' is compared with a number, but '1000000000000' is none; write one, such as 3\n"},
    {"count(buy) > many",
     "13: 'count' is compared with a number, but 'many' is none; write one, such as 3\n"},
};

START_TEST(expr_mistakes)
{
    _cleanup_free_ char *found = NULL;
    ck_assert_ptr_null(load_expr(mistakes[_i].expr, "", &found));
    _cleanup_(buffer_clear) struct buffer wanted = {0};
    for (const char *line = mistakes[_i].wanted; *line; line = strchr(line, '\n') + 1) {
        char *rest;
        long offset = strtol(line, &rest, 10);
        buffer_printf(&wanted, "m.yaml:6:%ld%.*s", 34 + offset, (int)(strchr(rest, '\n') + 1 - rest), rest);
    }
    buffer_byte(&wanted, 0);
    ck_assert_str_eq(found, wanted.p);
}
END_TEST

// ---- places: the same mistake, an unknown signal `bye`, in every way to write a text

static const struct {
    const char *text;
    int line, column;
} places[] = {
    {"- {name: x, from: a, to: b, if: count(bye) > 1}", 6, 39},
    {"- {name: x, from: a, to: b, if: 'count(bye) > 1'}", 6, 40},
    {"- name: x\n  from: a\n  to: b\n  if: age > 1d\n    and count(bye) > 1", 10, 15},
    {"- name: x\n  from: a\n  to: b\n  if: \"age > 1d\n\n    and\n    count(bye) > 1\"", 12, 11},
    {"- name: x\n  from: a\n  to: b\n  if: >-\n    age > 1d and\n    count(bye) > 1", 11, 11},
    {"- name: x\n  from: a\n  to: b\n  if: |\n    age > 1d and\n    count(bye) > 1", 11, 11},
    {"- name: x\n  from: a\n  to: b\n  if: >-\n\n    age > 1d and\n    count(bye) > 1", 12, 11},
    {"- {name: x, from: a, to: b, if: \"age > 1d\\x20and count(bye) > 1\"}", 6, 33}, // escaped: its beginning
    {"- {name: \"\\xe4\", from: a, to: b, if: &e 'count(bye) > 1'}", 6, 38},         // anchored: likewise
    {"- {name: x, from: a, if: 'age > 1d and\r\n    count(bye) > 1', to: b}", 7, 11},
};

START_TEST(expr_places)
{
    _cleanup_free_ char *found = NULL;
    _cleanup_(buffer_clear) struct buffer text = {0}, wanted = {0};
    buffer_printf(&text, HEAD "transitions:\n%s\n", places[_i].text);
    buffer_byte(&text, 0);
    buffer_printf(&wanted, "m.yaml:%d:%d: unknown signal 'bye'", places[_i].line, places[_i].column);
    buffer_byte(&wanted, 0);
    ck_assert_ptr_null(load(text.p, &found));
    ck_assert_msg(strstr(found, wanted.p), "%s is not in\n%s", wanted.p, found);
}
END_TEST

// ---- meaning

static const struct {
    const char *expr, *wanted; // the tree, written as an expression again
} good[] = {
    {"count(buy)>=3", "count(buy) >= 3"},
    {" count( buy , 48h ) < 2.50 ", "count(buy, 2d) < 2.5"},
    {"count(buy, stage) != 0", "count(buy, stage) != 0"},
    {"sum(buy) <= -0.5", "sum(buy) <= -0.5"},
    {"mean(buy) > 1e3", "mean(buy) > 1000"},
    {"value(buy) == 9", "value(buy) == 9"},
    {"since(buy) >= 90m", "since(buy) >= 90m"},
    {"gap(quiet-end.1) > 1w", "gap(quiet-end.1) > 7d"},
    {"in_stage > 0s", "in_stage > 0s"},
    {"age < 1500ms", "age < 1500ms"},
    {"visits(c_1.x) >= 2", "visits(c_1.x) >= 2"},
    {"score < 20", "score < 20"},
    {"trend(view, 14d) < 50", "trend(view, 14d) < 50"},
    {"age > 1d or age > 2d and age > 3d", "age > 1d or age > 2d and age > 3d"},
    {"(age > 1d or age > 2d) and age > 3d", "(age > 1d or age > 2d) and age > 3d"},
    {"((age > 1d)) or (age > 2d and age > 3d)", "age > 1d or age > 2d and age > 3d"},
    {"not age > 1d and age > 2d", "not age > 1d and age > 2d"},
    {"not (age > 1d and age > 2d)", "not (age > 1d and age > 2d)"},
    {"not not age > 1d", "not not age > 1d"},
};

START_TEST(expr_meaning)
{
    _cleanup_free_ char *found = NULL;
    struct model *m = load_expr(good[_i].expr, SCORE, &found);
    ck_assert_msg(m, "%s", found);
    _cleanup_(buffer_clear) struct buffer text = {0};
    ck_assert_int_eq(expr_text(m, m->rules[0].on.expr, &text), 0);
    buffer_byte(&text, 0);
    ck_assert_str_eq(text.p, good[_i].wanted);
    for (int i = 0; i < m->nnodes; i++)
        ck_assert(m->nodes[i].a < i && m->nodes[i].b < i);
    model_free(m);
}
END_TEST

// How many recent times a windowed comparison needs to be exact: k events decide `>= k`, k + 1 decide `> k`.
static const struct {
    const char *expr;
    int recent_max;
} recents[] = {
    {"count(buy, 3d) >= 3", 3},
    {"count(buy, 3d) < 3", 3},
    {"count(buy, 3d) > 3", 4},
    {"count(buy, 3d) <= 3", 4},
    {"count(buy, 3d) == 3", 4},
    {"count(buy, 3d) != 3", 4},
    {"count(buy, 3d) > 2.5", 3},
    {"count(buy, 3d) >= 2.5", 3},
    {"count(buy, 3d) == 2.5", 3},
    {"count(buy, 3d) >= 0", 1},
    {"count(buy, 3d) > -2.5", 1},
    {"count(buy, 3d) >= 1024", 1024},
    {"trend(buy, 3d) > 50", 128},
    {"count(buy) > 50", 0},
    {"count(buy, 3d) > 5 or count(buy, 9d) < 8", 8},
    {"trend(buy, 3d) > 50 and count(buy, 3d) > 200", 201},
};

START_TEST(expr_recents)
{
    _cleanup_free_ char *found = NULL;
    struct model *m = load_expr(recents[_i].expr, "", &found);
    ck_assert_msg(m, "%s", found);
    const struct signal_slots *s = &m->signals[0].slots;
    ck_assert_int_eq(s->recent_max, recents[_i].recent_max);
    ck_assert_int_eq(s->recent != NONE, recents[_i].recent_max > 0);
    model_free(m);
}
END_TEST

#define ROWS(table) ((int)(sizeof(table) / sizeof((table)[0])))

int main(void)
{
    Suite *suite = suite_create("expr_parse");
    TCase *tests = tcase_create("expressions");
    tcase_add_loop_test(tests, expr_mistakes, 0, ROWS(mistakes));
    tcase_add_loop_test(tests, expr_places, 0, ROWS(places));
    tcase_add_loop_test(tests, expr_meaning, 0, ROWS(good));
    tcase_add_loop_test(tests, expr_recents, 0, ROWS(recents));
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
