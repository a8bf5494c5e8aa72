// Feeds the shop's events to Kafka and watches the daemon at work, until all that is expected has come out.
//
// Watching is from outside: what the daemon has stepped is said by its cursors in Redis, what it has published by its
// output topics. Each event goes into the file of its partition, DIR/partition-N.jsonl, once Kafka has told where it is.
// - DIR/fed appears when these files are complete.
// - DIR/expected is then awaited from outside: how many outputs there should be.
#include "shop.h"
#include <hiredis/hiredis.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum {
    TERMINAL_MS = 100,  // between two looks at the line of progress
    PLAIN_MS = 1000,
    PATIENCE_MS = 60000, // without anything moving
};

struct progress {
    int64_t delivered, stepped, outputs;
};

struct feed {
    const char *dir, *brokers;
    FILE *sent[PARTITIONS]; // what partition has got
    int64_t offsets[PARTITIONS];
    int64_t total, expected; // expected: -1 until known
    struct progress now, shown;
    int64_t start_ms, moved_ms, shown_ms;
    bool terminal;
    rd_kafka_t *producer, *consumer;
    rd_kafka_queue_t *queue; // the consumer's
    redisContext *redis;
};

static int64_t now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static const char *path(const struct feed *f, char buf[static 4096], const char *name, int n)
{
    snprintf(buf, 4096, n < 0 ? "%s/%s" : "%s/%s-%d.jsonl", f->dir, name, n);
    return buf;
}

// ---- what moves

static void on_delivered(rd_kafka_t *rk, const rd_kafka_message_t *m, void *arg)
{
    struct feed *f = arg;
    (void)rk;
    if (m->err)
        fail("an event could not be delivered: %s", rd_kafka_err2str(m->err));
    if (m->partition >= PARTITIONS || m->offset != f->offsets[m->partition])
        fail("partition %" PRId32 " of " SOURCE_TOPIC " has an event at offset %" PRId64 " that is not the next one: who "
             "else writes there?", m->partition, m->offset);
    f->offsets[m->partition]++;
    fwrite(m->payload, 1, m->len, f->sent[m->partition]);
    fputc('\n', f->sent[m->partition]);
    f->now.delivered++;
}

static void count_outputs(struct feed *f)
{
    static rd_kafka_message_t *messages[10000];
    ssize_t n = rd_kafka_consume_batch_queue(f->queue, 0, messages, sizeof messages / sizeof *messages);
    for (ssize_t i = 0; i < n; i++) {
        f->now.outputs += !messages[i]->err;
        rd_kafka_message_destroy(messages[i]);
    }
}

static void look_at_cursors(struct feed *f)
{
    int64_t stepped = 0;
    for (int p = 0; p < PARTITIONS; p++)
        redisAppendCommand(f->redis, "HGET {shop:" SOURCE_TOPIC ":%d}:cursor offset", p);
    for (int p = 0; p < PARTITIONS; p++) {
        void *reply;
        if (redisGetReply(f->redis, &reply))
            fail("Redis does not answer: %s", f->redis->errstr);
        const redisReply *r = reply;
        stepped += r->type == REDIS_REPLY_STRING ? strtoll(r->str, NULL, 10) : 0;
        freeReplyObject(reply);
    }
    f->now.stepped = stepped;
}

static void look_for_expected(struct feed *f)
{
    char buf[4096];
    FILE *in = f->expected < 0 ? fopen(path(f, buf, "expected", -1), "re") : NULL;
    if (!in)
        return;
    if (fscanf(in, "%" SCNd64, &f->expected) != 1)
        fail("%s holds no number", buf);
    fclose(in);
}

static void show(struct feed *f, int64_t now)
{
    char fed[NUMBER_BYTES], stepped[NUMBER_BYTES], outputs[NUMBER_BYTES];
    printf("%s  %9s events fed  %9s stepped  %9s outputs  %5.1f s%s", f->terminal ? "\r" : "",
           number(f->now.delivered, fed), number(f->now.stepped, stepped), number(f->now.outputs, outputs),
           (double)(now - f->start_ms) / 1000, f->terminal ? "" : "\n");
    fflush(stdout);
}

static void watch(struct feed *f)
{
    int64_t now = now_ms();
    rd_kafka_poll(f->producer, 0);
    count_outputs(f);
    if (now - f->shown_ms < (f->terminal ? TERMINAL_MS : PLAIN_MS) && f->expected >= 0 && f->now.outputs < f->expected)
        return;
    look_at_cursors(f);
    look_for_expected(f);
    if (memcmp(&f->now, &f->shown, sizeof f->now) != 0)
        f->moved_ms = now;
    f->shown = f->now;
    if (now - f->shown_ms >= (f->terminal ? TERMINAL_MS : PLAIN_MS)) {
        show(f, now);
        f->shown_ms = now;
    }
    if (now - f->moved_ms > PATIENCE_MS)
        fail("nothing has moved for %d s", PATIENCE_MS / 1000);
}
