// The clocks of the bench: how fast librdkafka can read at all, when outputs become visible to a reader of committed
// records, and how long after their causes.
#include "load.h"

#include <inttypes.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>

enum { BATCH = 1024, WAIT_MS = 20 };

// ---- raw

struct raw {
    int64_t events, bytes;
    double begun;
};

static void each_record(void *arg, const rd_kafka_message_t *m)
{
    struct raw *r = arg;
    if (r->events++ == 0)
        r->begun = mono_s();
    r->bytes += (int64_t)m->len;
}

int load_raw(const char *brokers, struct args *a)
{
    const char *topic = arg_text(a, "topic", NULL);
    args_end(a);
    struct raw r = {0};
    read_topic(brokers, topic, each_record, &r);
    double seconds = mono_s() - r.begun;
    struct rusage u;
    getrusage(RUSAGE_SELF, &u);
    double cpu =
        (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) + (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1e6;
    printf("{\"events\":%" PRId64 ",\"bytes\":%.0f,\"seconds\":%.3f,\"cpu\":%.3f,\"rss\":%ld,\"librdkafka\":\"%s\"}\n",
           r.events, r.events ? (double)r.bytes / (double)r.events : 0, seconds, cpu, u.ru_maxrss * 1024,
           rd_kafka_version_str());
    return 0;
}

// ---- watch

struct delays {
    int64_t *v; // ms; owned
    size_t n, cap;
};

static atomic_bool ended;

static void on_end(int signal)
{
    (void)signal;
    ended = true;
}

static void delays_add(struct delays *d, int64_t ms)
{
    if (d->n == d->cap)
        d->v = need(realloc(d->v, (d->cap = d->cap ? d->cap * 2 : 4096) * sizeof *d->v));
    d->v[d->n++] = ms;
}

static int by_size(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

static void delays_print(struct delays *d, const char *name)
{
    if (d->n)
        qsort(d->v, d->n, sizeof *d->v, by_size);
    printf(",\"%s\":{\"n\":%zu", name, d->n);
    static const struct {
        const char *name;
        size_t of_1000;
    } points[] = {{"p50", 500}, {"p90", 900}, {"p99", 990}};
    for (size_t i = 0; d->n && i < 3; i++)
        printf(",\"%s\":%" PRId64, points[i].name, d->v[d->n * points[i].of_1000 / 1000]);
    if (d->n)
        printf(",\"max\":%" PRId64, d->v[d->n - 1]);
    printf("}");
}

struct watch {
    const char *topic;
    int64_t count, warm, outputs, first, last; // first, last: wall ms of the arrival
    struct delays events, deadlines;
};

// Delays count the effective time of the cause, which for a paced event is when it was sent, to the arrival here.
static void arrived(struct watch *w, const rd_kafka_message_t *m)
{
    struct line l;
    int64_t now = wall_ms();
    if (w->outputs++ == 0)
        w->first = now;
    w->last = now;
    if (now - w->first < w->warm || w->count > 0)
        return;
    line_of_record(m, &l);
    delays_add(l.by_deadline ? &w->deadlines : &w->events, now - l.at);
}

static void watch(struct watch *w, rd_kafka_queue_t *q, double give_up)
{
    rd_kafka_message_t *messages[BATCH];
    while (!ended && (w->count == 0 || w->outputs < w->count) && mono_s() < give_up) {
        // One at a time while there is none: a batch would wait for its end.
        ssize_t n = rd_kafka_consume_batch_queue(q, 0, messages, BATCH);
        if (n <= 0)
            n = rd_kafka_consume_batch_queue(q, WAIT_MS, messages, 1);
        for (ssize_t i = 0; i < n; i++) {
            if (!messages[i]->err)
                arrived(w, messages[i]);
            else if (messages[i]->err != RD_KAFKA_RESP_ERR__PARTITION_EOF)
                fail("reading %s: %s", w->topic, rd_kafka_message_errstr(messages[i]));
            rd_kafka_message_destroy(messages[i]);
        }
    }
}

int load_watch(const char *brokers, struct args *a)
{
    struct watch w = {
        .topic = arg_text(a, "topic", NULL), .count = arg_int(a, "count", 0), .warm = arg_int(a, "warm", 0)};
    double give_up = mono_s() + (double)arg_int(a, "timeout", 3600);
    bool from_end = arg_text(a, "from", "")[0] == 'e';
    args_end(a);
    signal(SIGTERM, on_end);
    rd_kafka_t *rk = reader_new(brokers);
    int64_t ends[PARTITIONS_MAX];
    int32_t n = partitions_of(rk, w.topic);
    if (from_end)
        ends_of(rk, w.topic, n, ends);
    rd_kafka_queue_t *q = reader_start(rk, w.topic, n, from_end ? ends : NULL);
    printf("watching\n"); // outputs from here on are seen
    fflush(stdout);
    watch(&w, q, give_up);
    printf("{\"outputs\":%" PRId64 ",\"first\":%" PRId64 ",\"last\":%" PRId64, w.outputs, w.first, w.last);
    delays_print(&w.events, "events");
    delays_print(&w.deadlines, "deadlines");
    printf("}\n");
    return 0;
}
