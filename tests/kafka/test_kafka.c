// The Kafka ports against the real thing: KAFKA=host:port names it. Without it only the cases on librdkafka's mock
// brokers run, which fail on demand but know no transactions. KAFKA_TEST_NOTES=1 shows librdkafka's notes.
#include "cases.h"

#include <stdio.h>

static void add(Suite *suite, const char *name, void (*fill)(TCase *t))
{
    TCase *t = tcase_create(name);
    tcase_set_timeout(t, 120);
    fill(t);
    suite_add_tcase(suite, t);
}

int main(void)
{
    brokers = getenv("KAFKA");
    Suite *suite = suite_create("kafka");
    add(suite, "mock", add_mock_cases);
    if (brokers) {
        add(suite, "log", add_log_cases);
        add(suite, "sink", add_sink_cases);
        add(suite, "cut", add_cut_cases);
        add(suite, "topics", add_topics_cases);
    } else {
        fprintf(stderr, "no KAFKA=host:port: cases that need a real one are left out\n");
    }
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
