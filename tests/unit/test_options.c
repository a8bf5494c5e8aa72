// Command lines of the daemon: what they set, or the status and message that they end with.
#include "options.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

enum { ARGS_MAX = 8 };

static const struct {
    const char *args[ARGS_MAX];
    int status;
    const char *config;
    bool check;
    const char *override; // the last one
    const char *says;     // on the standard output or error
} rows[] = {
    {{NULL}, OPTIONS_RUN, CONFIG_PATH_DEFAULT, false, NULL, ""},
    {{"--config", "a.yaml"}, OPTIONS_RUN, "a.yaml", false, NULL, ""},
    {{"-c", "a.yaml", "--check-config"}, OPTIONS_RUN, "a.yaml", true, NULL, ""},
    {{"--config=b", "--set", "x=1", "--set=y=2"}, OPTIONS_RUN, "b", false, "y=2", ""},
    {{"--version"}, EX_OK, NULL, false, NULL, "engaged 0.1.0\n"},
    {{"-h"},
     EX_OK,
     NULL,
     false,
     NULL,
     "  -c, --config FILE          configuration (/etc/engaged/engaged.yaml)\n"},
    {{"--help", "--nonsense"}, EX_OK, NULL, false, NULL, "usage: engaged [OPTION...]\n"},
    {{"--confg", "a"},
     EX_USAGE,
     NULL,
     false,
     NULL,
     "engaged: unknown option --confg; did you mean --config?; see engaged --help\n"},
    {{"-x"}, EX_USAGE, NULL, false, NULL, "engaged: unknown option -x; see engaged --help\n"},
    {{"-c"}, EX_USAGE, NULL, false, NULL, "engaged: no value after -c; see engaged --help\n"},
    {{"--config"}, EX_USAGE, NULL, false, NULL, "engaged: no value after --config; see engaged --help\n"},
    {{"--check-config=yes"},
     EX_USAGE,
     NULL,
     false,
     NULL,
     "engaged: no value is taken by --check-config=yes; see"},
    {{"extra"}, EX_USAGE, NULL, false, NULL, "engaged: unexpected argument extra; see engaged --help\n"},
};
enum { ROWS = sizeof(rows) / sizeof(rows[0]) };

START_TEST(test_row)
{
    char *argv[ARGS_MAX + 2] = {(char *)"engaged"}, said[4096] = "";
    int argc = 1;
    for (int i = 0; rows[_i].args[i]; i++)
        argv[argc++] = (char *)rows[_i].args[i];
    FILE *f = tmpfile();
    int out = dup(STDOUT_FILENO), err = dup(STDERR_FILENO);
    fflush(stdout);
    dup2(fileno(f), STDOUT_FILENO);
    dup2(fileno(f), STDERR_FILENO);
    struct engaged_options o;
    int status = engaged_options(argc, argv, &o);
    fflush(stdout);
    dup2(out, STDOUT_FILENO);
    dup2(err, STDERR_FILENO);
    rewind(f);
    said[fread(said, 1, sizeof(said) - 1, f)] = '\0';
    fclose(f);
    ck_assert_int_eq(status, rows[_i].status);
    ck_assert_msg(*rows[_i].says ? strstr(said, rows[_i].says) != NULL : !*said, "%s", said);
    if (status != OPTIONS_RUN)
        return;
    ck_assert_str_eq(o.config, rows[_i].config);
    ck_assert_int_eq(o.check_config, rows[_i].check);
    ck_assert_pstr_eq(o.overrides.n ? o.overrides.v[o.overrides.n - 1] : NULL, rows[_i].override);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("options");
    TCase *t = tcase_create("engaged");
    tcase_add_loop_test(t, test_row, 0, ROWS);
    suite_add_tcase(suite, t);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
