#include "cases.h"

#include <stdio.h>
#include <string.h>

static void prepare(struct worker *w, char out[3][64])
{
    worker_join(w, &(struct worker){0}, "host", 0);
    unique(w->app, sizeof(w->app), "app");
    unique(w->source, sizeof(w->source), "source");
    snprintf(w->journal, sizeof(w->journal), "%.50s.journal", w->app);
    for (int i = 0; i < 3; i++)
        unique(out[i], 64, "out");
}

static int ensure(const struct worker *w, char out[3][64], bool create, int32_t *ret_n, struct why *why)
{
    const char *const names[] = {out[0], out[1], out[2], out[0]}; // one topic may serve twice
    return kafka_ensure_topics(&w->options, names, 4, create, ret_n, why);
}

static void expect_text(const struct why *why, const char *part)
{
    ck_assert_msg(strstr(why->text, part) != NULL, "'%s' lacks '%s'", why->text, part);
}

START_TEST(missing_are_created)
{
    struct worker w;
    struct why why;
    char out[3][64];
    int32_t n = 0;
    prepare(&w, out);
    EXPECT(PORT_REFUSED, ensure(&w, out, true, &n, &why));
    expect_text(&why, "does not exist");
    expect_text(&why, w.source);
    topic_create(w.source, 3, NULL, NULL);
    EXPECT(PORT_REFUSED, ensure(&w, out, false, &n, &why));
    expect_text(&why, "create it with 3 partitions");
    ck_assert_int_eq(n, 0);
    EXPECT(PORT_OK, ensure(&w, out, true, &n, &why));
    ck_assert_int_eq(n, 3);
    EXPECT(PORT_OK, ensure(&w, out, false, &n, &why)); // the journal, too, is as it must be
    worker_open(&w);
    for (int i = 0; i < 4; i++) {
        const char *topic = i < 3 ? out[i] : w.journal;
        EXPECT(PORT_OK, kafka_log_ops.partitions(w.log, topic, &n, &why));
        ck_assert_int_eq(n, 3);
    }
    worker_close(&w);
}
END_TEST

static const struct {
    const char *what; // which topic is wrong
    int partitions;
    const char *config, *value, *text;
} wrong[] = {
    {"out", 2, NULL, NULL, "has 2 partitions and its source"},
    {"out", 3, "cleanup.policy", "compact", "is compacted (cleanup.policy=compact)"},
    {"out", 3, "cleanup.policy", "compact,delete", "is compacted"},
    {"source", 3, "cleanup.policy", "compact", "is compacted"},
    {"journal", 3, "cleanup.policy", "compact", "is compacted"},
    {"journal", 4, NULL, NULL, "has 4 partitions"},
    {"journal", 3, "retention.ms", "604800000", "would lose entries (retention.ms=604800000)"},
    {"journal", 3, "retention.bytes", "1000000", "would lose entries (retention.bytes=1000000)"},
};

START_TEST(wrong_are_refused)
{
    struct worker w;
    struct why why;
    char out[3][64];
    int32_t n = 0;
    prepare(&w, out);
    const char *what = wrong[_i].what;
    const char *topic = strcmp(what, "out") == 0 ? out[1] : strcmp(what, "source") == 0 ? w.source : w.journal;
    topic_create(topic, wrong[_i].partitions, wrong[_i].config, wrong[_i].value);
    if (topic != w.source)
        topic_create(w.source, 3, NULL, NULL);
    EXPECT(PORT_REFUSED, ensure(&w, out, true, &n, &why));
    expect_text(&why, wrong[_i].text);
    expect_text(&why, topic);
    ck_assert_int_eq(n, 0);
}
END_TEST

START_TEST(nobody_there)
{
    struct worker w;
    struct why why;
    char out[3][64];
    int32_t n = 0;
    prepare(&w, out);
    w.options.brokers = "127.0.0.1:1";
    EXPECT(PORT_AWAY, ensure(&w, out, true, &n, &why));
    snprintf(w.journal, sizeof(w.journal), "%s", w.source);
    EXPECT(PORT_REFUSED, ensure(&w, out, true, &n, &why));
}
END_TEST

void add_topics_cases(TCase *t)
{
    tcase_add_test(t, missing_are_created);
    tcase_add_loop_test(t, wrong_are_refused, 0, sizeof(wrong) / sizeof(wrong[0]));
    tcase_add_test(t, nobody_there);
}
