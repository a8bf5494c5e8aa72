// The metrics as Prometheus reads them: every line is parsed again, by the rules of its text format and of
// its naming conventions; and then the values.
#include "metrics.h"

#include <check.h>
#include <ctype.h>

#include "cleanup.h"

static struct counters sets[2];
static struct buffer text;

static const struct status_stat stats[] = {
    {"life:stage:active", NULL, 30},
    {"life:stage:at-risk", NULL, 4},
};
static struct status_stat counts[] = {
    {"life:rule:lapse", NULL, 8},
    {"life:trigger:onboarding.welcome", "onboarding", 15},
};
static struct status_part parts[] = {
    {.topic = "clicks",
     .partition = 0,
     .state = PART_LIVE,
     .offset = 90,
     .end = 100,
     .clock = 1500,
     .stats = stats},
    {.topic = "clicks", .partition = 1, .state = PART_HALTED, .offset = 7, .end = -1, .clock = INT64_MIN},
    {.topic = "a\"b\\c\nd", .partition = 2, .state = PART_REPLAYING, .offset = 5, .end = 3, .clock = 0},
    {.topic = "clicks", .partition = 3, .state = PART_TAKING, .offset = 0, .end = 50, .clock = 0},
};

static void setup(void)
{
    const struct counters *both[] = {&sets[0], &sets[1]};
    struct status s = {.app = "shop",
                       .instance = "web-7",
                       .started_ms = 1767608430005,
                       .kafka = true,
                       .redis = true,
                       .parts = parts,
                       .nparts = 4,
                       .populations = (struct status_stat *)stats,
                       .npopulations = 2,
                       .counts = counts,
                       .ncounts = 2};
    count_add(&sets[0].events, 40);
    count_add(&sets[1].events, 2);
    histogram_add(&sets[0].flush_seconds, 900);      // first bucket
    histogram_add(&sets[0].flush_seconds, 1000);     // just so
    histogram_add(&sets[1].flush_seconds, 3000);     // le 0.004
    histogram_add(&sets[1].flush_seconds, 60000000); // beyond all
    metrics_write(&s, both, 2, &text);
    buffer_byte(&text, '\0');
    ck_assert(!text.failed);
}

static void teardown(void)
{
    buffer_clear(&text);
    memset(sets, 0, sizeof(sets));
}

static const char *const lines[] = {
    "engaged_up 1",
    "engaged_build_info{version=\"0.1.0\",app=\"shop\",instance_name=\"web-7\"} 1",
    "engaged_start_time_seconds 1767608430.005",
    "# TYPE engaged_events_total counter",
    "engaged_events_total 42",
    "# TYPE engaged_flush_seconds histogram",
    "engaged_flush_seconds_bucket{le=\"0.001\"} 2",
    "engaged_flush_seconds_bucket{le=\"0.002\"} 2",
    "engaged_flush_seconds_bucket{le=\"0.004\"} 3",
    "engaged_flush_seconds_bucket{le=\"16.384\"} 3",
    "engaged_flush_seconds_bucket{le=\"+Inf\"} 4",
    "engaged_flush_seconds_sum 60.004900",
    "engaged_flush_seconds_count 4",
    "engaged_lag_events{topic=\"clicks\",partition=\"0\"} 10",
    "engaged_lag_events{topic=\"a\\\"b\\\\c\\nd\",partition=\"2\"} 0",
    "engaged_partition_offset{topic=\"clicks\",partition=\"0\"} 90",
    "engaged_partition_clock_seconds{topic=\"clicks\",partition=\"0\"} 1.500",
    "engaged_partition_halted{topic=\"clicks\",partition=\"0\"} 0",
    "engaged_partition_halted{topic=\"clicks\",partition=\"1\"} 1",
    "engaged_partition_replaying{topic=\"a\\\"b\\\\c\\nd\",partition=\"2\"} 1",
    "engaged_customers{model=\"life\",stage=\"active\"} 30",
    "engaged_customers{model=\"life\",stage=\"at-risk\"} 4",
    "engaged_transitions_by_rule_total{model=\"life\",rule=\"lapse\"} 8",
    "engaged_triggers_by_name_total{model=\"life\",trigger=\"onboarding.welcome\",campaign=\"onboarding\"} "
    "15",
};
enum { LINES = sizeof(lines) / sizeof(lines[0]) };

static bool has_line(const char *line)
{
    size_t n = strlen(line);
    for (const char *at = text.p; (at = strstr(at, line)) != NULL; at++)
        if ((at == text.p || at[-1] == '\n') && at[n] == '\n')
            return true;
    return false;
}

START_TEST(test_line)
{
    ck_assert_msg(has_line(lines[_i]), "no line %s in:\n%s", lines[_i], text.p);
}
END_TEST

// What is not known has no sample.
START_TEST(test_unknown)
{
    static const char *const absent[] = {"engaged_lag_events{topic=\"clicks\",partition=\"1\"}",
                                         "engaged_partition_clock_seconds{topic=\"clicks\",partition=\"1\"}",
                                         "engaged_partition_offset{topic=\"clicks\",partition=\"3\"}"};
    for (size_t i = 0; i < sizeof(absent) / sizeof(absent[0]); i++)
        ck_assert_msg(!strstr(text.p, absent[i]), "%s", absent[i]);
}
END_TEST

// {name="value",...}: returns what follows it, NULL: malformed.
static const char *skip_labels(const char *s)
{
    do {
        s++;
        size_t n = strspn(s, "abcdefghijklmnopqrstuvwxyz_");
        if (n == 0 || s[n] != '=' || s[n + 1] != '"')
            return NULL;
        for (s += n + 2; *s != '"'; s++) {
            if (*s == '\n' || (*s == '\\' && !strchr("\\\"n", s[1])))
                return NULL;
            s += *s == '\\';
        }
        s++;
    } while (*s == ',');
    return *s == '}' ? s + 1 : NULL;
}

static bool ends_with(const char *s, size_t n, const char *end)
{
    return n >= strlen(end) && memcmp(s + n - strlen(end), end, strlen(end)) == 0;
}

struct current { // the family that samples belong to
    char name[96], type[16];
};

static void check_sample(const struct current *c, const char *line)
{
    size_t n = strspn(line, "abcdefghijklmnopqrstuvwxyz_"), own = n;
    if (strcmp(c->type, "histogram") == 0) {
        static const char *const ends[] = {"_bucket", "_sum", "_count"};
        for (int i = 0; i < 3; i++)
            if (ends_with(line, n, ends[i]))
                own = n - strlen(ends[i]);
    }
    ck_assert_msg(own == strlen(c->name) && memcmp(line, c->name, own) == 0, "not of %s: %s", c->name, line);
    const char *rest = line[n] == '{' ? skip_labels(line + n) : line + n;
    ck_assert_msg(rest && *rest == ' ', "malformed: %s", line);
    char *end;
    (void)strtod(rest + 1, &end);
    ck_assert_msg(end > rest + 1 && !*end, "no number: %s", line);
}

static void check_family(struct current *c, const char *line, char seen[][96], size_t *nseen)
{
    char help[96];
    if (sscanf(line, "# HELP %95s", help) == 1) {
        for (size_t i = 0; i < *nseen; i++)
            ck_assert_msg(strcmp(seen[i], help) != 0, "twice: %s", help);
        snprintf(seen[(*nseen)++], 96, "%s", help);
        ck_assert_msg(strlen(line) > strlen("# HELP ") + strlen(help) + 10, "no help: %s", line);
        ck_assert_msg(strncmp(help, "engaged_", 8) == 0, "%s", help);
        return;
    }
    ck_assert_int_eq(sscanf(line, "# TYPE %95s %15s", c->name, c->type), 2);
    ck_assert_str_eq(c->name, seen[*nseen - 1]); // help comes first
    bool total = ends_with(c->name, strlen(c->name), "_total"), counter = strcmp(c->type, "counter") == 0;
    ck_assert_msg(total == counter, "%s is a %s", c->name, c->type);
    ck_assert(counter || strcmp(c->type, "gauge") == 0 || strcmp(c->type, "histogram") == 0);
    ck_assert_msg(!strstr(c->name, "_ms") && !strstr(c->name, "millis"), "no base unit: %s", c->name);
}

START_TEST(test_format)
{
    static char seen[128][96];
    size_t nseen = 0, samples = 0;
    struct current c = {{0}, {0}};
    ck_assert(text.n > 1 && text.p[text.n - 2] == '\n'); // the last line, too, ends
    for (char *line = strtok(text.p, "\n"); line; line = strtok(NULL, "\n")) {
        if (line[0] == '#')
            check_family(&c, line, seen, &nseen);
        else
            check_sample(&c, line);
        samples += line[0] != '#';
    }
    ck_assert(nseen > 25 && samples > 100);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("metrics");
    TCase *t = tcase_create("text");
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_loop_test(t, test_line, 0, LINES);
    tcase_add_test(t, test_unknown);
    tcase_add_test(t, test_format);
    suite_add_tcase(suite, t);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
