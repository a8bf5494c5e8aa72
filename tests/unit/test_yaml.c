// The YAML tree: texts with the tree that they make, each node with its place, or with the mistakes that are
// reported instead. Diagnostics and the nearest name have their rows here too, for it is here that they are
// first made.
#define _GNU_SOURCE // open_memstream
#include "yaml_tree.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bounds.h"

#define ROWS(table) (int)(sizeof(table) / sizeof((table)[0]))

// text@line:column, quoted when it was; lists in brackets, maps in braces.
static void dump(FILE *f, const struct yaml_node *n)
{
    if (n->kind == YAML_SCALAR) {
        fprintf(f, n->plain ? "%s" : "'%s'", n->text);
    } else {
        fputc(n->kind == YAML_LIST ? '[' : '{', f);
        for (size_t i = 0; i < n->n; i++) {
            fputs(i > 0 ? ", " : "", f);
            if (n->kind == YAML_MAP) {
                dump(f, n->keys[i]);
                fputs(": ", f);
            }
            dump(f, n->items[i]);
        }
        fputc(n->kind == YAML_LIST ? ']' : '}', f);
    }
    fprintf(f, "@%d:%d", n->line, n->column);
}

// The tree, or the mistakes; the caller frees.
static char *parse(const char *text, size_t len)
{
    struct diags d = {0};
    struct yaml_doc *doc = NULL;
    int k = yaml_parse("f", text, len, &doc, &d);
    char *out;
    if (k == 0) {
        size_t size;
        FILE *f = open_memstream(&out, &size);
        ck_assert_ptr_nonnull(f);
        dump(f, yaml_root(doc));
        fclose(f);
        ck_assert_uint_eq(d.errors, 0);
        ck_assert_str_eq(yaml_file(doc), "f");
        yaml_doc_free(doc);
    } else {
        ck_assert_int_eq(k, 1);
        ck_assert_uint_gt(d.errors, 0);
        ck_assert_ptr_null(doc);
        diags_sort(&d);
        out = diags_format(&d);
        ck_assert_ptr_nonnull(out);
    }
    diags_clear(&d);
    return out;
}

static const struct {
    const char *text, *tree;
} trees[] = {
    {"", "{}@1:1"},
    {"# nothing\n", "{}@1:1"},
    {"---\n...\n", "{}@1:1"},
    {"~", "{}@1:1"},
    {"a: 1\nb:\n  c: 30d\n", "{a@1:1: 1@1:4, b@2:1: {c@3:3: 30d@3:6}@3:3}@1:1"},
    {"a: [x, \"y\", 'z']", "{a@1:1: [x@1:5, 'y'@1:8, 'z'@1:13]@1:4}@1:1"},
    {"a:\n- x\n- y\n", "{a@1:1: [x@2:3, y@3:3]@2:1}@1:1"},
    {"{a: {b: 1}, c: []}", "{a@1:2: {b@1:6: 1@1:9}@1:5, c@1:13: []@1:16}@1:1"},
    {"on: yes\nn: null\ne:\nx: 1e3\n", "{on@1:1: yes@1:5, n@2:1: null@2:4, e@3:1: @3:3, x@4:1: 1e3@4:4}@1:1"},
    {"a: |\n  two\n  lines\n", "{a@1:1: 'two\nlines\n'@1:4}@1:1"},
    {"a: >-\n  folded\n  text\n", "{a@1:1: 'folded text'@1:4}@1:1"},
    {"\xc3\xa9: \xe2\x82\xac # columns count letters\n\xc3\xa9x: y\n",
     "{\xc3\xa9@1:1: \xe2\x82\xac@1:4, \xc3\xa9x@2:1: y@2:5}@1:1"},
    {"\xef\xbb\xbf" "a: 1\n", "{a@1:2: 1@1:5}@1:2"},
    {"a: 1\r\nb: 2\r\n", "{a@1:1: 1@1:4, b@2:1: 2@2:4}@1:1"},
    {"a: &x [1]\nb: *x\n", "{a@1:1: [1@1:8]@1:4, b@2:1: [1@1:8]@1:4}@1:1"},
    {"a: &x 1\nb: &x 2\nc: *x\n", "{a@1:1: 1@1:4, b@2:1: 2@2:4, c@3:1: 2@2:4}@1:1"},
    {"&k a: 1\nb: {*k : 2}\n", "{a@1:1: 1@1:7, b@2:1: {a@1:1: 2@2:10}@2:4}@1:1"},
    {"\"<<\": 1", "{'<<'@1:1: 1@1:7}@1:1"},
    {"%YAML 1.2\n---\na: 1\n", "{a@3:1: 1@3:4}@3:1"},
};

static const struct {
    const char *text, *mistakes;
} mistakes[] = {
    {"a: 1\nb: 2\na: 3\na: 4\n", "f:3:1: the key 'a' is already on line 1; keep one of them\n"
                                  "f:4:1: the key 'a' is already on line 3; keep one of them\n"},
    {"x: {a: 1, 'a': 2}", "f:1:11: the key 'a' is already on line 1; keep one of them\n"},
    {"a: &x {p: 1}\nb:\n  <<: *x\n", "f:3:3: merge keys do not work here; write the keys out\n"},
    {"? [1]\n: 2\n", "f:1:3: a key is a list or a map; write a name before the ':'\n"},
    {"a: *x", "f:1:4: this alias has no anchor; define it above with '&'\n"},
    {"a: *x\nb: &x 1\n", "f:1:4: this alias has no anchor; define it above with '&'\n"},
    {"a: &x {b: [*x]}", "f:1:12: this alias contains itself; refer to an anchor that ends above\n"},
    {"a: !!str 5", "f:1:4: tags such as !!str mean nothing here; quote what is to be a text\n"},
    {"a: !x [5]", "f:1:4: tags mean nothing here; remove it\n"},
    {"a: \"x\\0y\"", "f:1:4: a text cannot contain \\0; remove it\n"},
    {"- a\n- b\n", "f:1:1: the file is no map; it must begin with 'key: value'\n"},
    {"text", "f:1:1: the file is no map; it must begin with 'key: value'\n"},
    {"a: 1\n---\nb: 2\n", "f:2:1: a second document begins here; one file holds one\n"},
    {"a:\n\tb: 1\n",
     "f:2:1: found character that cannot start any token, while scanning for the next token from line 2; "
     "indent with spaces, not tabs, and quote a text that begins with @, % or `\n"},
    {"a: b: c\n",
     "f:1:5: mapping values are not allowed in this context; check the indentation, and quote a text that "
     "contains ': '\n"},
    {"a: 1\nbare\nc: 2\n",
     "f:3:1: could not find expected ':', while scanning a simple key from line 2; write 'key: value', with "
     "a space after the colon\n"},
    {"a: {b: 1\n",
     "f:2:1: did not find expected ',' or '}', while parsing a flow mapping from line 1; separate the "
     "entries with ',' and close the map with '}'\n"},
    {"a: [1\nb: 2\n",
     "f:2:2: did not find expected ',' or ']', while parsing a flow sequence from line 1; separate the items "
     "with ',' and close the list with ']'\n"},
    {"a: 'x\n",
     "f:2:1: found unexpected end of stream, while scanning a quoted scalar from line 1; check quotes, "
     "brackets and indentation\n"},
    {"a: x\n\xc3\xa9: \xff\n", "f:2:4: invalid leading UTF-8 octet; save the file as UTF-8 text\n"},
    {"a: x\nb: \x01\n",
     "f:2:4: control characters are not allowed; remove it, or write it as an escape in double quotes\n"},
    // What stands before a mistake that ends the reading is reported as well.
    {"x: {a: 1, a: 2}\ny: !!int 3\nz: [\n",
     "f:1:11: the key 'a' is already on line 1; keep one of them\n"
     "f:2:4: tags such as !!str mean nothing here; quote what is to be a text\n"
     "f:4:1: did not find expected node content, while parsing a flow node from line 4; check quotes, "
     "brackets and indentation\n"},
};

START_TEST(test_tree)
{
    char *got = parse(trees[_i].text, strlen(trees[_i].text));
    ck_assert_str_eq(got, trees[_i].tree);
    free(got);
}
END_TEST

START_TEST(test_mistakes)
{
    char *got = parse(mistakes[_i].text, strlen(mistakes[_i].text));
    ck_assert_str_eq(got, mistakes[_i].mistakes);
    free(got);
}
END_TEST

static char *repeat(char *to, const char *text, int n)
{
    for (int i = 0; i < n; i++)
        to = stpcpy(to, text);
    return to;
}

// The deepest that is allowed, and one level more; as written, and by way of an alias.
START_TEST(test_depth)
{
    char text[64 + 4 * YAML_DEPTH_MAX];
    for (int over = 0; over <= 1; over++) {
        int lists = YAML_DEPTH_MAX - 1 + over;
        repeat(repeat(stpcpy(text, "a: "), "[", lists), "]", lists);
        char *got = parse(text, strlen(text));
        ck_assert_int_eq(strcmp(got, "f:1:67: too deeply nested; write it flatter\n") == 0, over);
        free(got);

        char *end = repeat(repeat(stpcpy(text, "a: &x "), "[", 32), "]", 32);
        end = repeat(stpcpy(end, "\nb: "), "[", lists - 32);
        repeat(stpcpy(end, "*x"), "]", lists - 32);
        got = parse(text, strlen(text));
        ck_assert_int_eq(strstr(got, "too deeply nested") != NULL, over);
        free(got);
    }
}
END_TEST

// Nine lines, each ten times the one before: few bytes, and a thousand million nodes for whoever walks the
// tree.
START_TEST(test_aliases_that_multiply)
{
    char text[1024], *end = stpcpy(text, "a: &a [1, 1, 1, 1, 1, 1, 1, 1, 1, 1]\n");
    for (char c = 'b'; c <= 'i'; c++) {
        end += sprintf(end, "%c: &%c [", c, c);
        for (int i = 0; i < 10; i++)
            end += sprintf(end, "*%c,", c - 1);
        end = stpcpy(end, "]\n");
    }
    char *got = parse(text, strlen(text));
    ck_assert_str_eq(got, "f:6:4: too much in here, aliases included; write it smaller\n");
    free(got);
}
END_TEST

START_TEST(test_too_large)
{
    size_t n = YAML_BYTES_MAX + 1;
    char *text = malloc(n);
    memset(text, '\n', n);
    char *got = parse(text, n - 1);
    ck_assert_str_eq(got, "{}@1:1");
    free(got);
    got = parse(text, n);
    ck_assert_str_eq(got, "f: has 4194305 bytes; a file has at most 4194304\n");
    free(got);
    free(text);
}
END_TEST

static const struct {
    const char *value;
    bool null;
} nulls[] = {
    {"", true}, {"~", true}, {"null", true}, {"Null", true}, {"NULL", true}, {"nULL", false}, {"''", false},
    {"'null'", false}, {"\"~\"", false}, {"none", false}, {"0", false}, {"[]", false}, {"{}", false},
};

START_TEST(test_null)
{
    char text[64];
    snprintf(text, sizeof(text), "k: %s", nulls[_i].value);
    struct diags d = {0};
    struct yaml_doc *doc;
    ck_assert_int_eq(yaml_parse("f", text, strlen(text), &doc, &d), 0);
    const struct yaml_node *n = yaml_get(yaml_root(doc), "k");
    ck_assert_ptr_nonnull(n);
    ck_assert_ptr_null(yaml_get(yaml_root(doc), "K"));
    ck_assert_int_eq(yaml_is_null(n), nulls[_i].null);
    yaml_doc_free(doc);
}
END_TEST

START_TEST(test_check_keys)
{
    static const char text[] = "when: 1\nfrmo: 2\nTo: 3\nwhatever: 4\nfrom: 5\n";
    static const char *const known[] = {"from", "to", "when", NULL};
    struct diags d = {0};
    struct yaml_doc *doc;
    ck_assert_int_eq(yaml_parse("f", text, strlen(text), &doc, &d), 0);
    yaml_check_keys("f", yaml_root(doc), known, "a transition", &d);
    char *got = diags_format(&d);
    ck_assert_str_eq(got, "f:2:1: a transition has no key 'frmo'; did you mean 'from'?\n"
                          "f:3:1: a transition has no key 'To'; did you mean 'to'?\n"
                          "f:4:1: a transition has no key 'whatever'; it can have from, to, when\n");
    free(got);
    diags_clear(&d);
    yaml_doc_free(doc);
}
END_TEST

static const struct {
    const char *name, *nearest;
} names[] = {
    {"purchase", "purchase"}, {"purchse", "purchase"}, {"prucahse", "purchase"}, {"PURCHASE", "purchase"},
    {"purchases", "purchase"}, {"pur", "none"}, {"complaints", "complaint"}, {"referal", "referral"},
    {"nsp", "nps"}, {"np", "none"}, {"n", "none"}, {"", "none"}, {"sale", "none"}, {"xomplzinq", "complaint"},
    {"xomplzinqq", "none"},
};

START_TEST(test_nearest)
{
    static const char *const known[] = {"complaint", "nps", "purchase", "referral"};
    const char *got = name_nearest(names[_i].name, known, 4);
    ck_assert_msg(strcmp(got ? got : "none", names[_i].nearest) == 0, "'%s': '%s', not '%s'", names[_i].name,
                  got ? got : "none", names[_i].nearest);
}
END_TEST

START_TEST(test_nearest_of_the_longest)
{
    char name[1024];
    memset(name, 'a', sizeof(name));
    name[sizeof(name) - 1] = '\0';
    const char *const known[] = {name};
    ck_assert_ptr_null(name_nearest(name, known, 1)); // too long to look at
    ck_assert_ptr_null(name_nearest("a", known, 1));
    name[2 * NAME_BYTES_MAX] = '\0';
    ck_assert_ptr_eq(name_nearest(name, known, 1), name);
}
END_TEST

START_TEST(test_diags_in_order)
{
    struct diags d = {0};
    diag_add(&d, false, "b", 1, 1, "last");
    diag_add(&d, false, "a", 10, 2, "fifth");
    diag_add(&d, true, "a", 10, 1, "third, a warning");
    diag_add(&d, false, "a", 10, 1, "fourth: as it was added");
    diag_add(&d, false, "a", 2, 7, "second");
    diag_add(&d, false, "a", 0, 0, "first, of the %s file", "whole");
    diags_sort(&d);
    char *got = diags_format(&d);
    ck_assert_str_eq(got, "a: first, of the whole file\na:2:7: second\na:10:1: warning: third, a warning\n"
                          "a:10:1: fourth: as it was added\na:10:2: fifth\nb:1:1: last\n");
    ck_assert_uint_eq(d.errors, 5);
    ck_assert_uint_eq(d.warnings, 1);
    free(got);
    diags_clear(&d);
    got = diags_format(&d);
    ck_assert_str_eq(got, "");
    free(got);
}
END_TEST

START_TEST(test_diags_without_end)
{
    struct diags d = {0};
    for (int i = 0; i < DIAGS_MAX + 5; i++)
        diag_add(&d, false, "f", i + 1, 1, "x");
    ck_assert_uint_eq(d.n, DIAGS_MAX);
    ck_assert_uint_eq(d.errors, DIAGS_MAX + 5);
    char *got = diags_format(&d);
    ck_assert_str_eq(strrchr(got, ':'), ": x\nand 5 more\n");
    free(got);
    diags_clear(&d);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("yaml");
    TCase *t = tcase_create("tree");
    tcase_add_loop_test(t, test_tree, 0, ROWS(trees));
    tcase_add_loop_test(t, test_mistakes, 0, ROWS(mistakes));
    tcase_add_test(t, test_depth);
    tcase_add_test(t, test_aliases_that_multiply);
    tcase_add_test(t, test_too_large);
    tcase_add_loop_test(t, test_null, 0, ROWS(nulls));
    tcase_add_test(t, test_check_keys);
    suite_add_tcase(suite, t);
    t = tcase_create("diagnostics");
    tcase_add_loop_test(t, test_nearest, 0, ROWS(names));
    tcase_add_test(t, test_nearest_of_the_longest);
    tcase_add_test(t, test_diags_in_order);
    tcase_add_test(t, test_diags_without_end);
    suite_add_tcase(suite, t);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
