// Feeds DIR/events.jsonl to Kafka and watches the daemon at work, until all that is expected has come out.
//
// Watching is from outside: what the daemon has stepped is said by its cursors in Redis, what it has published by
// its output topics. Each event goes into its partition's file, DIR/partition-N.jsonl, in the order that Kafka tells.
// DIR/fed appears when these files are complete. DIR/expected is then awaited: how many outputs there should be.
#include "shop.h"

#include <hiredis/hiredis.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { LOOK_MS = 50, TERMINAL_MS = 100, PLAIN_MS = 1000, PATIENCE_MS = 30000 };

struct progress {
    int64_t delivered, stepped, outputs;
};

struct feed {
    const char *dir;
    FILE *sent[PARTITIONS];
    int64_t offsets[PARTITIONS];        // next
    int64_t expected;                   // -1: not known yet
    struct progress now, before, shown; // before: at the last look
    int64_t start_ms, moved_ms, looked_ms, shown_ms;
    bool terminal;
    rd_kafka_t *producer;
    rd_kafka_queue_t *outputs;
    redisContext *redis;
};

static int64_t now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

// ---- watching

static void count_outputs(struct feed *f, int wait_ms)
{
    static rd_kafka_message_t *messages[10000];
    ssize_t n = rd_kafka_consume_batch_queue(f->outputs, wait_ms, messages, sizeof messages / sizeof *messages);
    for (ssize_t i = 0; i < n; i++) {
        f->now.outputs += !messages[i]->err;
        rd_kafka_message_destroy(messages[i]);
    }
}

static void look_at_cursors(struct feed *f)
{
    f->now.stepped = 0;
    for (int p = 0; p < PARTITIONS; p++)
        redisAppendCommand(f->redis, "HGET {shop:" SOURCE_TOPIC ":%d}:cursor offset", p);
    for (int p = 0; p < PARTITIONS; p++) {
        redisReply *r;
        if (redisGetReply(f->redis, (void **)&r) != REDIS_OK)
            fail("Redis does not answer: %s", f->redis->errstr);
        f->now.stepped += r->type == REDIS_REPLY_STRING ? strtoll(r->str, NULL, 10) : 0;
        freeReplyObject(r);
    }
}

static void look_for_expected(struct feed *f)
{
    FILE *in = f->expected < 0 ? open_in(f->dir, "expected", -1, "re") : NULL;
    if (!in)
        return;
    if (fscanf(in, "%" SCNd64, &f->expected) != 1)
        fail("%s/expected holds no number", f->dir);
    fclose(in);
}

static void show(struct feed *f, int64_t now)
{
    char fed[NUMBER_BYTES], stepped[NUMBER_BYTES], outputs[NUMBER_BYTES];
    printf("%s  %9s events fed  %9s stepped  %9s outputs  %5.1f s%s", f->terminal ? "\r" : "",
           number(f->now.delivered, fed), number(f->now.stepped, stepped), number(f->now.outputs, outputs),
           (double)(now - f->start_ms) / 1000, f->terminal ? "" : "\n");
    fflush(stdout);
    f->shown = f->now;
    f->shown_ms = now;
}

static void watch(struct feed *f, int wait_ms)
{
    rd_kafka_poll(f->producer, 0);
    count_outputs(f, wait_ms);
    int64_t now = now_ms();
    if (now - f->looked_ms < LOOK_MS)
        return;
    look_at_cursors(f);
    look_for_expected(f);
    if (memcmp(&f->now, &f->before, sizeof f->now) != 0)
        f->moved_ms = now;
    f->before = f->now;
    f->looked_ms = now;
    bool news = f->terminal || memcmp(&f->now, &f->shown, sizeof f->now) != 0;
    if (news && now - f->shown_ms >= (f->terminal ? TERMINAL_MS : PLAIN_MS))
        show(f, now);
    if (now - f->moved_ms > PATIENCE_MS)
        fail("for %d s nothing has moved", PATIENCE_MS / 1000);
}

// ---- feeding

static void on_delivered(rd_kafka_t *rk, const rd_kafka_message_t *m, void *arg)
{
    struct feed *f = arg;
    (void)rk;
    if (m->err)
        fail("an event could not be delivered: %s", rd_kafka_err2str(m->err));
    if (m->partition < 0 || m->partition >= PARTITIONS || m->offset != f->offsets[m->partition]++)
        fail("an event came to offset %" PRId64 " of partition %" PRId32 ", which is not the next one: who else "
             "writes there?",
             m->offset, m->partition);
    fwrite(m->payload, 1, m->len, f->sent[m->partition]);
    fputc('\n', f->sent[m->partition]);
    f->now.delivered++;
}

static void produce(struct feed *f, int32_t partition, const char *event, size_t n)
{
    static const char start[] = "{\"customer\":\"";
    const char *customer = event + sizeof start - 1;
    if (n < sizeof start || memcmp(event, start, sizeof start - 1) != 0)
        fail("an event does not begin with its customer: %.*s", (int)n, event);
    rd_kafka_resp_err_t err;
    while ((err = rd_kafka_producev(f->producer, RD_KAFKA_V_TOPIC(SOURCE_TOPIC), RD_KAFKA_V_PARTITION(partition),
                                    RD_KAFKA_V_KEY(customer, strcspn(customer, "\"")),
                                    RD_KAFKA_V_VALUE((void *)event, n), RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY),
                                    RD_KAFKA_V_END)) == RD_KAFKA_RESP_ERR__QUEUE_FULL)
        watch(f, 5);
    if (err)
        fail("an event could not be sent: %s", rd_kafka_err2str(err));
}

// At last one event of nobody in each partition, which no model knows: it moves the partition's clock to just after
// the year, so that all that is due within it fires.
static int64_t feed_all(struct feed *f, const char *end)
{
    char *line = NULL;
    size_t cap = 0;
    int64_t total = 0;
    FILE *events = open_in(f->dir, "events", -1, "re");
    if (!events)
        fail("%s/events cannot be read", f->dir);
    for (ssize_t n; (n = getline(&line, &cap, events)) > 0; total++) {
        produce(f, RD_KAFKA_PARTITION_UA, line, (size_t)n - (line[n - 1] == '\n'));
        if (total % 1000 == 0)
            watch(f, 0);
    }
    fclose(events);
    for (int p = 0; p < PARTITIONS; p++, total++) {
        char tick[128];
        int n = snprintf(tick, sizeof tick, "{\"customer\":\"nobody\",\"type\":\"tick\",\"time\":\"%s\"}", end);
        produce(f, p, tick, (size_t)n);
    }
    while (f->now.delivered < total)
        watch(f, 5);
    for (int p = 0; p < PARTITIONS; p++)
        if (fclose(f->sent[p]))
            fail("%s/partition-%d.jsonl cannot be written", f->dir, p);
    FILE *fed = open_in(f->dir, "fed", -1, "we");
    if (!fed || fclose(fed))
        fail("%s/fed cannot be written", f->dir);
    return total;
}

static redisContext *redis_open(const char *address)
{
    char host[256];
    const char *colon = strrchr(address, ':');
    redisContext *c;
    if (*address == '/') {
        c = redisConnectUnix(address);
    } else {
        snprintf(host, sizeof host, "%.*s", colon ? (int)(colon - address) : 0, address);
        c = redisConnect(host, colon ? atoi(colon + 1) : 0);
    }
    if (!c || c->err)
        fail("Redis at %s: %s", address, c ? c->errstr : "out of memory");
    return c;
}

int shop_feed(char **args)
{
    char why[512];
    struct feed f = {.dir = args[2], .expected = -1, .terminal = isatty(STDOUT_FILENO)};
    rd_kafka_conf_t *conf =
        client_conf(args[0], "partitioner", "murmur2_random", "linger.ms", "1", "compression.codec", "lz4", NULL);
    rd_kafka_conf_set_opaque(conf, &f);
    rd_kafka_conf_set_dr_msg_cb(conf, on_delivered);
    if (!(f.producer = rd_kafka_new(RD_KAFKA_PRODUCER, conf, why, sizeof why)))
        fail("no producer: %s", why);
    f.redis = redis_open(args[1]);
    f.outputs = outputs_open(args[0]);
    for (int p = 0; p < PARTITIONS; p++)
        if (!(f.sent[p] = open_in(f.dir, "partition", p, "we")))
            fail("%s/partition-%d.jsonl cannot be written", f.dir, p);
    f.start_ms = f.moved_ms = f.shown_ms = now_ms();

    int64_t total = feed_all(&f, args[3]);
    while (f.expected < 0 || f.now.stepped < total || f.now.outputs < f.expected)
        watch(&f, 20);
    show(&f, now_ms());
    fputs(f.terminal ? "\n" : "", stdout);
    return 0;
}
