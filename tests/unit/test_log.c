// Log lines as they reach the standard error: their form, their levels, and how repetitions are held back.
#include "log.h"

#include <check.h>
#include <unistd.h>

#include "buffer.h"
#include "config.h"

static int saved, fds[2];

static void setup(void)
{
    saved = dup(STDERR_FILENO);
    ck_assert(pipe(fds) == 0 && dup2(fds[1], STDERR_FILENO) >= 0);
    close(fds[1]);
    setenv("JOURNAL_STREAM", "1:1", 1); // another's
    log_open(NOTE_INFO, LOG_FORMAT_AUTO);
}

static void teardown(void)
{
    close(fds[0]);
    close(saved);
}

// All that was written, without the times, which are checked; the caller's.
static char *written(void)
{
    struct buffer b = {0};
    char line[4096];
    log_flush(true);
    dup2(saved, STDERR_FILENO); // closes the pipe's end: the reader sees it
    FILE *f = fdopen(dup(fds[0]), "r");
    while (fgets(line, sizeof(line), f)) {
        int64_t ms;
        ck_assert_msg(strncmp(line, "ts=", 3) == 0 && parse_time(line + 3, 24, &ms) == 0 && line[27] == ' ', "%s",
                      line);
        buffer_text(&b, line + 28);
    }
    fclose(f);
    buffer_byte(&b, '\0');
    return b.p;
}

static void assert_written(const char *expected)
{
    char *text = written();
    ck_assert_str_eq(text, expected);
    free(text);
}

START_TEST(test_form)
{
    log_note(NOTE_INFO, LOG_MESSAGE("took the partition"), LOG_TEXT("topic", "clicks"), LOG_INT("partition", -3));
    log_note(NOTE_ERROR, LOG_MESSAGE("a\"b\\c\nd\x01"), LOG_TEXT("none", NULL), LOG_TEXT("eq", "a=b"));
    log_note(NOTE_WARNING, LOG_MESSAGE("gr\xc3\xbc\xc3\x9f"));
    assert_written("level=info msg=\"took the partition\" topic=clicks partition=-3\n"
                   "level=error msg=\"a\\\"b\\\\c\\nd\\x01\" none=\"\" eq=\"a=b\"\n"
                   "level=warning msg=gr\xc3\xbc\xc3\x9f\n");
}
END_TEST

START_TEST(test_levels)
{
    log_note(NOTE_DEBUG, LOG_MESSAGE("one"));
    log_level_set(NOTE_DEBUG);
    ck_assert(log_wants(NOTE_DEBUG));
    log_note(NOTE_DEBUG, LOG_MESSAGE("two"));
    log_level_set(NOTE_ERROR);
    ck_assert(!log_wants(NOTE_WARNING));
    log_note(NOTE_WARNING, LOG_MESSAGE("three"));
    log_note(NOTE_ERROR, LOG_MESSAGE("four"));
    assert_written("level=debug msg=two\nlevel=error msg=four\n");
}
END_TEST

START_TEST(test_repetitions)
{
    for (int i = 0; i < LOG_BURST + 7; i++)
        log_note(NOTE_WARNING, LOG_MESSAGE("away"), LOG_TEXT("host", "a"));
    for (int i = 0; i < 3; i++)
        log_note(NOTE_WARNING, LOG_MESSAGE("away"), LOG_INT("attempt", i)); // each another line
    assert_written("level=warning msg=away host=a\nlevel=warning msg=away host=a\nlevel=warning msg=away host=a\n"
                   "level=warning msg=away host=a\nlevel=warning msg=away host=a\n"
                   "level=warning msg=away attempt=0\nlevel=warning msg=away attempt=1\n"
                   "level=warning msg=away attempt=2\n"
                   "level=warning msg=away repeated=7\n");
}
END_TEST

// More different lines than are remembered: none is lost, and what was held back is told when it is
// forgotten.
START_TEST(test_many)
{
    for (int i = 0; i < LOG_BURST + 1; i++)
        log_note(NOTE_INFO, LOG_MESSAGE("first"));
    for (int i = 0; i < 500; i++)
        log_note(NOTE_INFO, LOG_MESSAGE("other"), LOG_INT("i", i));
    char *text = written();
    size_t lines = 0;
    for (const char *s = text; (s = strchr(s, '\n')) != NULL; s++)
        lines++;
    ck_assert_uint_eq(lines, LOG_BURST + 500 + 1);
    ck_assert_ptr_nonnull(strstr(text, "level=info msg=first repeated=1\n"));
    free(text);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("log");
    TCase *t = tcase_create("lines");
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_test(t, test_form);
    tcase_add_test(t, test_levels);
    tcase_add_test(t, test_repetitions);
    tcase_add_test(t, test_many);
    suite_add_tcase(suite, t);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
