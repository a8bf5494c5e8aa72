// The demo's shop: it makes up a year of customers, feeds it to Kafka, and tells what the daemon has made of it. It
// knows of engaged only what any other client does: its topics, and the cursors that say how far it is.
// Where there is no Kafka, it can be one: `shop cluster` is librdkafka's mock cluster, in memory.
#include "shop.h"

#include <librdkafka/rdkafka_mock.h>
#include <stdarg.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

enum { CALL_MS = 30000, LOOK_MS = 50 };

const char *const output_topics[OUTPUT_TOPICS] = {"shop.transitions", "shop.triggers"};

// Without the clients' orderly ends: they take a second, or for ever when something has failed.
static _Noreturn void leave(int status)
{
    _exit(fflush(stdout) && status == 0 ? 1 : status);
}

void fail(const char *fmt, ...)
{
    va_list ap;
    fflush(stdout);
    fputs("\nshop: ", stderr);
    va_start(ap, fmt);
    vfprintf(stderr, fmt, ap);
    va_end(ap);
    fputc('\n', stderr);
    leave(1);
}

void *grow(void *v, size_t n, size_t *cap, size_t size)
{
    if (n < *cap)
        return v;
    *cap = *cap ? *cap * 2 : 64;
    if (!(v = realloc(v, *cap * size)))
        fail("out of memory");
    return v;
}

const char *number(int64_t n, char buf[static NUMBER_BYTES])
{
    char digits[NUMBER_BYTES];
    size_t len = (size_t)snprintf(digits, sizeof digits, "%" PRId64, n), to = 0;
    for (size_t i = 0; i < len; i++) {
        if (i > 0 && (len - i) % 3 == 0)
            buf[to++] = ',';
        buf[to++] = digits[i];
    }
    buf[to] = '\0';
    return buf;
}

FILE *open_in(const char *dir, const char *name, int n, const char *mode)
{
    char path[PATH_BYTES];
    snprintf(path, sizeof path, n < 0 ? "%s/%s" : "%s/%s-%d.jsonl", dir, name, n);
    return fopen(path, mode);
}

// ---- Kafka

rd_kafka_conf_t *client_conf(const char *brokers, ...)
{
    char why[512];
    va_list ap;
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    rd_kafka_conf_set(conf, "log_level", "2", why, sizeof why); // what matters is an error of a call's
    const char *name = "bootstrap.servers", *value = brokers;
    va_start(ap, brokers);
    do {
        if (rd_kafka_conf_set(conf, name, value, why, sizeof why) != RD_KAFKA_CONF_OK)
            fail("%s", why);
    } while ((name = va_arg(ap, const char *)) && (value = va_arg(ap, const char *)));
    va_end(ap);
    return conf;
}

static bool topic_exists(rd_kafka_t *rk, const char *name)
{
    const struct rd_kafka_metadata *m;
    rd_kafka_topic_t *topic = rd_kafka_topic_new(rk, name, NULL);
    rd_kafka_resp_err_t err = rd_kafka_metadata(rk, 0, topic, &m, CALL_MS);
    if (err)
        fail("Kafka does not tell its topics: %s", rd_kafka_err2str(err));
    bool exists = m->topic_cnt == 1 && m->topics[0].partition_cnt == PARTITIONS;
    rd_kafka_metadata_destroy(m);
    rd_kafka_topic_destroy(topic);
    return exists;
}

rd_kafka_queue_t *outputs_open(const char *brokers)
{
    char why[512];
    rd_kafka_conf_t *conf = client_conf(brokers, "group.id", "shop-reader", "enable.auto.commit", "false",
                                        "isolation.level", "read_committed", "auto.offset.reset", "earliest",
                                        "enable.partition.eof", "true", "fetch.wait.max.ms", "20", NULL);
    rd_kafka_t *rk = rd_kafka_new(RD_KAFKA_CONSUMER, conf, why, sizeof why);
    if (!rk)
        fail("no consumer: %s", why);
    rd_kafka_poll_set_consumer(rk);
    rd_kafka_topic_partition_list_t *all = rd_kafka_topic_partition_list_new(OUTPUT_TOPICS * PARTITIONS);
    for (int t = 0; t < OUTPUT_TOPICS; t++) {
        for (int tries = CALL_MS / LOOK_MS; !topic_exists(rk, output_topics[t]); usleep(LOOK_MS * 1000))
            if (tries-- == 0)
                fail("nobody has made topic %s", output_topics[t]);
        for (int p = 0; p < PARTITIONS; p++)
            rd_kafka_topic_partition_list_add(all, output_topics[t], p)->offset = RD_KAFKA_OFFSET_BEGINNING;
    }
    rd_kafka_resp_err_t err = rd_kafka_assign(rk, all);
    rd_kafka_topic_partition_list_destroy(all);
    if (err)
        fail("the outputs cannot be read: %s", rd_kafka_err2str(err));
    return rd_kafka_queue_get_consumer(rk);
}

// Lives until a signal ends it, or its parent has ended. FILE appears, with the brokers' address, when it is ready.
static int cluster(char **args)
{
    char why[512], part[PATH_BYTES];
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    rd_kafka_conf_t *conf = client_conf("127.0.0.1:1", NULL); // nobody: only the mock is wanted
    rd_kafka_t *rk = rd_kafka_new(RD_KAFKA_PRODUCER, conf, why, sizeof why);
    rd_kafka_mock_cluster_t *mock = rk ? rd_kafka_mock_cluster_new(rk, 1) : NULL;
    if (!mock)
        fail("no mock cluster: %s", rk ? "is the loopback up?" : why);
    rd_kafka_mock_group_initial_rebalance_delay_ms(mock, 0);
    for (char **topic = &args[1]; *topic; topic++)
        if (rd_kafka_mock_topic_create(mock, *topic, PARTITIONS, 1))
            fail("topic %s cannot be created", *topic);
    snprintf(part, sizeof part, "%s.part", args[0]);
    FILE *out = fopen(part, "we");
    if (!out || fprintf(out, "%s\n", rd_kafka_mock_cluster_bootstraps(mock)) < 0 || fclose(out) ||
        rename(part, args[0]))
        fail("%s cannot be written", args[0]);
    for (;;)
        pause();
}

int main(int argc, char **argv)
{
    static const struct {
        const char *name, *args;
        int nargs; // at least
        int (*run)(char **args);
    } commands[] = {
        {"cluster", "FILE TOPIC...", 2, cluster},
        {"generate", "CUSTOMERS SEED", 2, shop_generate},
        {"feed", "BROKERS REDIS DIR END", 4, shop_feed},
        {"report", "BROKERS DIR CUSTOMERS", 3, shop_report},
    };
    for (size_t i = 0; i < sizeof commands / sizeof *commands; i++)
        if (argc > 1 && argc >= 2 + commands[i].nargs && strcmp(argv[1], commands[i].name) == 0)
            leave(commands[i].run(argv + 2));
    fputs("usage: the tool of scripts/demo\n", stderr);
    for (size_t i = 0; i < sizeof commands / sizeof *commands; i++)
        fprintf(stderr, "  shop %s %s\n", commands[i].name, commands[i].args);
    return 64;
}
