// The configuration: its defaults, what can be written, and every mistake with its exact place. Each row is a
// file in a folder of its own, beside one small model and one secret.
#include "config.h"

#include <check.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "buffer.h"
#include "ports.h"
#include "test_config_mistakes.h"

#define MODELS "models: [model.yaml]\n"
#define SOURCES "sources: [{topics: [clicks], preset: plain}]\n"
#define BASE MODELS SOURCES

static char folder[] = "/tmp/engaged-test-config-XXXXXX";

static void write_file(const char *name, const char *text, size_t len)
{
    FILE *f = fopen(name, "w");
    ck_assert(f && fwrite(text, 1, len, f) == len && fclose(f) == 0);
}

static void setup(void)
{
    static const char model[] = "model: tiny\n"
                                "version: 1\n"
                                "signals: {purchase: [purchase]}\n"
                                "stages: {one: {}, two: {}}\n"
                                "transitions: [{name: go, from: one, to: two, when: purchase}]\n"
                                "triggers: [{name: hello, campaign: onboarding, enter: two}]\n";
    static const char broken[] = "model: broken\nversion: 1\nsignals: {a: [a]}\nstages: {one: {}}\ntrigger: []\n";
    ck_assert(mkdtemp(folder) && chdir(folder) == 0);
    write_file("model.yaml", model, sizeof(model) - 1);
    write_file("broken.yaml", broken, sizeof(broken) - 1);
    write_file("secret", "s3cret\n", 7);
    write_file("two-lines", "a\nb\r\n", 5);
    write_file("nothing", "\n", 1);
    write_file("zero", "a\0b", 3);
    setenv("ENGAGED_TEST_NAME", "from-env", 1);
    setenv("ENGAGED_TEST_EMPTY", "", 1);
    setenv("ENGAGED_TEST_DIR", folder, 1);
    unsetenv("ENGAGED_TEST_UNSET");
}

static void teardown(void)
{
    static const char *const files[] = {"model.yaml", "broken.yaml", "secret", "two-lines",
                                        "nothing",    "zero",        "c.yaml"};
    for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++)
        unlink(files[i]);
    ck_assert(chdir("/") == 0 && rmdir(folder) == 0);
}

// Loads the text; NULL and *ret_mistakes (the caller's), or the configuration and its warnings.
static struct config *load(const char *text, const char *const *overrides, char **ret_mistakes)
{
    struct config *c = NULL;
    struct diags d = {0};
    write_file("c.yaml", text, strlen(text));
    int k = config_load("c.yaml", overrides, &c, &d);
    ck_assert_int_eq(k, d.errors > 0);
    ck_assert((c != NULL) == (k == 0));
    *ret_mistakes = diags_format(&d);
    diags_clear(&d);
    return c;
}

static struct config *load_good(const char *text)
{
    char *mistakes;
    struct config *c = load(text, NULL, &mistakes);
    ck_assert_msg(c && !*mistakes, "%s", mistakes);
    free(mistakes);
    return c;
}

enum { BAD = sizeof(bad) / sizeof(bad[0]) };

START_TEST(test_mistake)
{
    char *mistakes;
    struct config *c = load(bad[_i].text, NULL, &mistakes);
    ck_assert_ptr_null(c);
    ck_assert_str_eq(mistakes, bad[_i].mistakes);
    free(mistakes);
}
END_TEST

// Each property that would break the promise, by name.
static const char *const reserved[] = {
    "enable.auto.commit",
    "enable.auto.offset.store",
    "isolation.level",
    "group.id",
    "group.instance.id",
    "group.protocol",
    "transactional.id",
    "transaction.timeout.ms",
    "auto.offset.reset",
    "acks",
    "enable.idempotence",
    "partitioner",
    "bootstrap.servers",
    "metadata.broker.list",
    "request.required.acks",
    "enable.partition.eof",
    "partition.assignment.strategy",
    "allow.auto.create.topics",
};
enum { RESERVED = sizeof(reserved) / sizeof(reserved[0]) };

START_TEST(test_reserved_property)
{
    char text[256], expected[64], *mistakes;
    snprintf(text, sizeof(text), BASE "kafka: {properties: {client.rack: a, %s: b}}\n", reserved[_i]);
    snprintf(expected, sizeof(expected), "c.yaml:3:38: the property '%s' is ", reserved[_i]);
    ck_assert_ptr_null(load(text, NULL, &mistakes));
    ck_assert_msg(strncmp(mistakes, expected, strlen(expected)) == 0, "%s", mistakes);
    free(mistakes);
}
END_TEST

// ---- what can be written

START_TEST(test_defaults)
{
    char host[256] = "";
    gethostname(host, sizeof(host) - 1);
    struct config *c = load_good(BASE);
    ck_assert_str_eq(c->app, "engaged");
    ck_assert_str_eq(c->instance, host);
    ck_assert_int_eq(c->program.nmodels, 1);
    ck_assert_str_eq(c->program.models[0]->name, "tiny");
    ck_assert_str_eq(c->kafka.brokers, "localhost:9092");
    ck_assert_uint_eq(c->kafka.nproperties, 0);
    ck_assert_str_eq(c->source.topic, "clicks");
    ck_assert_int_eq(c->source.reset, RESET_EARLIEST);
    ck_assert_int_eq(c->program.map.preset, PRESET_PLAIN);
    ck_assert_int_eq(c->program.map.format, FORMAT_AUTO);
    ck_assert(c->program.map.key_is_customer);
    ck_assert_str_eq(c->redis.url.hosts[0].name, "localhost");
    ck_assert_int_eq(c->redis.url.hosts[0].port, 6379);
    ck_assert_int_eq(c->redis.timeout_ms, 2000);
    ck_assert_str_eq(c->outputs.transitions, "engaged.transitions");
    ck_assert_str_eq(c->outputs.triggers, "engaged.triggers");
    ck_assert_str_eq(c->outputs.dead_letters, "engaged.dead-letters");
    ck_assert_str_eq(c->outputs.journal, "engaged.journal");
    ck_assert_uint_eq(c->outputs.ncampaigns, 0);
    ck_assert_int_eq(c->outputs.format, OUTPUT_JSON);
    ck_assert_int_eq(c->outputs.cloudevents, CLOUDEVENTS_STRUCTURED);
    ck_assert_int_eq(c->outputs.max_age_ms, 2 * MS_PER_DAY);
    ck_assert(c->outputs.create);
    ck_assert_int_eq(c->delivery, DELIVERY_EXACTLY_ONCE);
    ck_assert(c->program.wall);
    ck_assert_int_eq(c->program.grace_ms, 10000);
    ck_assert_int_eq(c->program.max_future_ms, 300000);
    ck_assert_int_eq(strlen(c->program.digest), 16);
    ck_assert(c->workers >= 2 && c->workers % 2 == 0);
    ck_assert_int_eq(c->batch_events, 10000);
    ck_assert_int_eq(c->flush_customers, 5000);
    ck_assert_int_eq(c->flush_every_ms, 200);
    ck_assert_int_eq(c->cache_bytes, 256 << 20);
    ck_assert_str_eq(c->http.host, "127.0.0.1");
    ck_assert_str_eq(c->http.port, "9464");
    ck_assert_int_eq(c->log.level, NOTE_INFO);
    ck_assert_int_eq(c->log.format, LOG_FORMAT_AUTO);
    config_free(c);
}
END_TEST

START_TEST(test_everything)
{
    struct config *c = load_good("app: shop\n"
                                 "instance: web-7\n"
                                 "models: model.yaml\n"
                                 "kafka: {brokers: 'a:1,b:2', properties: {client.rack: r1, linger.ms: 5}}\n"
                                 "sources:\n"
                                 "  - topics: [clicks]\n"
                                 "    fields: {customer: [/userId, /anonymousId], type: /event, time: /ts, "
                                 "id: /id, value: /v, properties: /p}\n"
                                 "    format: msgpack\n"
                                 "    reset: latest\n"
                                 "    key: customer\n"
                                 "redis: {timeout: 500ms, url: 'unix:///run/redis.sock'}\n"
                                 "outputs:\n"
                                 "  transitions: null\n"
                                 "  triggers: t\n"
                                 "  campaigns: {onboarding: t.onboarding, objective: ~}\n"
                                 "  dead_letters: d\n"
                                 "  format: msgpack\n"
                                 "  cloudevents: binary\n"
                                 "  max_age: null\n"
                                 "  create: false\n"
                                 "delivery: at-least-once\n"
                                 "time: {mode: event, grace: 0s, max_future: 1d}\n"
                                 "workers: 3\n"
                                 "batch: {events: 1}\n"
                                 "flush: {customers: 20000, every: 1m}\n"
                                 "cache: 1GiB\n"
                                 "http: {listen: '[::1]:0'}\n"
                                 "log: {level: debug, format: journald}\n");
    ck_assert_str_eq(c->app, "shop");
    ck_assert_str_eq(c->instance, "web-7");
    ck_assert_str_eq(c->kafka.brokers, "a:1,b:2");
    ck_assert_uint_eq(c->kafka.nproperties, 2);
    ck_assert_str_eq(c->kafka.properties[1].name, "linger.ms");
    ck_assert_str_eq(c->kafka.properties[1].value, "5");
    ck_assert_int_eq(c->program.map.preset, PRESET_FIELDS);
    ck_assert_int_eq(c->program.map.format, FORMAT_MSGPACK);
    ck_assert_int_eq(c->program.map.customer.n, 2);
    ck_assert_int_eq(c->program.map.value.n, 1);
    ck_assert_int_eq(c->source.reset, RESET_LATEST);
    ck_assert_str_eq(c->redis.url.path, "/run/redis.sock");
    ck_assert_int_eq(c->redis.timeout_ms, 500);
    ck_assert_ptr_null(c->outputs.transitions);
    ck_assert_str_eq(c->outputs.triggers, "t");
    ck_assert_str_eq(c->outputs.journal, "shop.journal");
    ck_assert_uint_eq(c->outputs.ncampaigns, 2);
    ck_assert_str_eq(c->outputs.campaigns[0].campaign, "onboarding");
    ck_assert_str_eq(c->outputs.campaigns[0].topic, "t.onboarding");
    ck_assert_ptr_null(c->outputs.campaigns[1].topic);
    ck_assert_str_eq(c->outputs.dead_letters, "d");
    ck_assert_int_eq(c->outputs.format, OUTPUT_MSGPACK);
    ck_assert_int_eq(c->outputs.cloudevents, CLOUDEVENTS_BINARY);
    ck_assert(c->outputs.max_age_ms == NEVER);
    ck_assert(!c->outputs.create);
    ck_assert_int_eq(c->delivery, DELIVERY_AT_LEAST_ONCE);
    ck_assert(!c->program.wall);
    ck_assert_int_eq(c->program.grace_ms, 0);
    ck_assert_int_eq(c->program.max_future_ms, MS_PER_DAY);
    ck_assert_int_eq(c->workers, 3);
    ck_assert_int_eq(c->batch_events, 1);
    ck_assert_int_eq(c->flush_customers, 20000);
    ck_assert_int_eq(c->flush_every_ms, 60000);
    ck_assert_int_eq(c->cache_bytes, 1 << 30);
    ck_assert(!strcmp(c->http.host, "::1") && !strcmp(c->http.port, "0"));
    ck_assert_int_eq(c->log.level, NOTE_DEBUG);
    ck_assert_int_eq(c->log.format, LOG_FORMAT_JOURNALD);
    config_free(c);
}
END_TEST

// `brokers` takes any text: what it becomes.
static const struct {
    const char *written, *becomes;
} texts[] = {
    {"${ENGAGED_TEST_NAME}", "from-env"},
    {"a${ENGAGED_TEST_NAME}b${ENGAGED_TEST_EMPTY}c", "afrom-envbc"},
    {"${file:secret}", "s3cret"},
    {"x:${file:two-lines}:y", "x:a\nb:y"},
    {"${file:$ENGAGED_TEST_DIR/secret}", "s3cret"},
    {"${file:${ENGAGED_TEST_DIR}/secret}", "s3cret"},
    {"$${ENGAGED_TEST_NAME}", "${ENGAGED_TEST_NAME}"},
    {"cost: 5$ or $x", "cost: 5$ or $x"},
    {"null", "null"}, // quoted: a text
};
enum { TEXTS = sizeof(texts) / sizeof(texts[0]) };

START_TEST(test_text)
{
    char text[256];
    snprintf(text, sizeof(text), BASE "kafka: {brokers: '%s'}\n", texts[_i].written);
    struct config *c = load_good(text);
    ck_assert_str_eq(c->kafka.brokers, texts[_i].becomes);
    config_free(c);
}
END_TEST

static const struct {
    const char *text, *host, *port;
} listens[] = {
    {"http: {listen: 0.0.0.0:80}\n", "0.0.0.0", "80"},
    {"http: {listen: ':9464'}\n", "", "9464"},
    {"http: {listen: metrics.local:9464}\n", "metrics.local", "9464"},
    {"http: {listen: null}\n", NULL, NULL},
    {"http: null\n", NULL, NULL},
    {"http:\n", "127.0.0.1", "9464"}, // all its keys left out
};
enum { LISTENS = sizeof(listens) / sizeof(listens[0]) };

START_TEST(test_listen)
{
    char text[256];
    snprintf(text, sizeof(text), BASE "%s", listens[_i].text);
    struct config *c = load_good(text);
    ck_assert_pstr_eq(c->http.host, listens[_i].host);
    ck_assert_pstr_eq(c->http.port, listens[_i].port);
    config_free(c);
}
END_TEST

START_TEST(test_override)
{
    static const char *const good[] = {"cache=2GiB",
                                       "redis.url=redis://other:7000/2",
                                       "workers=${ENGAGED_TEST_SIX}",
                                       "kafka.properties={client.rack: r2}",
                                       "cache=3GiB",
                                       NULL};
    setenv("ENGAGED_TEST_SIX", "6", 1);
    char *mistakes;
    struct config *c = load(BASE "cache: 1GiB\nkafka: {properties: {client.rack: r1}}\n", good, &mistakes);
    ck_assert_msg(c && !*mistakes, "%s", mistakes);
    ck_assert_int_eq(c->cache_bytes, INT64_C(3) << 30);
    ck_assert_str_eq(c->redis.url.hosts[0].name, "other");
    ck_assert_int_eq(c->workers, 6);
    ck_assert_str_eq(c->kafka.properties[0].value, "r2");
    free(mistakes);
    config_free(c);

    static const char *const wrong[] = {"redis.uri=x", "workers", "workers=x", "app={a", NULL};
    ck_assert_ptr_null(load(BASE, wrong, &mistakes));
    ck_assert_msg(
        strstr(mistakes, "--set: 'redis.uri' is no KEY=VALUE of this configuration; such as redis.url=VALUE\n"), "%s",
        mistakes);
    ck_assert_msg(strstr(mistakes, "--set: 'workers' is no KEY=VALUE of this"), "%s", mistakes);
    ck_assert_msg(strstr(mistakes, "--set:1:10: workers 'x' is no whole number from 0 to 256\n"), "%s", mistakes);
    ck_assert_msg(strstr(mistakes, "--set:2:1: "), "%s", mistakes);
    free(mistakes);
}
END_TEST

START_TEST(test_unknown_campaign_warns)
{
    char *mistakes;
    struct config *c = load(BASE "outputs: {campaigns: {onbording: a, x: b, objective: c}}\n", NULL, &mistakes);
    ck_assert_ptr_nonnull(c);
    ck_assert_str_eq(mistakes,
                     "c.yaml:3:23: warning: no trigger has the campaign 'onbording'; did you mean 'onboarding'?\n"
                     "c.yaml:3:37: warning: no trigger has the campaign 'x'\n");
    free(mistakes);
    config_free(c);
}
END_TEST

START_TEST(test_too_many_campaigns)
{
    struct buffer b = {0};
    char *mistakes;
    buffer_text(&b, BASE "outputs:\n  campaigns:\n");
    for (int i = 0; i < TOPICS_MAX - 3; i++)
        buffer_printf(&b, "    c%d: t%d\n", i, i);
    buffer_byte(&b, '\0');
    ck_assert_ptr_null(load(b.p, NULL, &mistakes));
    ck_assert_str_eq(mistakes, "c.yaml:5:5: outputs.campaigns has 61 topics; it can have 60\n");
    free(mistakes);
    buffer_clear(&b);
}
END_TEST

START_TEST(test_no_file)
{
    struct config *c = NULL;
    struct diags d = {0};
    ck_assert_int_eq(config_load("none.yaml", NULL, &c, &d), 1);
    ck_assert_uint_eq(d.errors, 1);
    ck_assert_str_eq(d.v[0].text,
                     "cannot be read: No such file or directory; name the configuration with --config FILE");
    diags_clear(&d);
    ck_assert_ptr_null(c);
}
END_TEST

// A model's path counts from the configuration's folder, wherever the daemon was started.
START_TEST(test_elsewhere)
{
    char path[64], *mistakes;
    config_free(load(BASE, NULL, &mistakes));
    free(mistakes);
    snprintf(path, sizeof(path), "%s/c.yaml", folder);
    ck_assert_int_eq(chdir("/"), 0);
    struct config *c = NULL;
    struct diags d = {0};
    ck_assert_int_eq(config_load(path, NULL, &c, &d), 0);
    ck_assert_int_eq(chdir(folder), 0);
    config_free(c);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("config");
    TCase *t = tcase_create("mistakes");
    tcase_add_unchecked_fixture(t, setup, teardown);
    tcase_add_loop_test(t, test_mistake, 0, BAD);
    tcase_add_loop_test(t, test_reserved_property, 0, RESERVED);
    tcase_add_loop_test(t, test_text, 0, TEXTS);
    tcase_add_loop_test(t, test_listen, 0, LISTENS);
    tcase_add_test(t, test_defaults);
    tcase_add_test(t, test_everything);
    tcase_add_test(t, test_override);
    tcase_add_test(t, test_unknown_campaign_warns);
    tcase_add_test(t, test_too_many_campaigns);
    tcase_add_test(t, test_no_file);
    tcase_add_test(t, test_elsewhere);
    suite_add_tcase(suite, t);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
