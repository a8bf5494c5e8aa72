// Events of a shop in Segment's JSON, about 254 bytes each, the same for the same seed. Shapes:
//   session  visits of about 8 events each, a few visits at a time; some customers come far more often than others;
//            6 visits in 100 end with a purchase
//   uniform  each event is another customer's: nothing a cache could hope for
//   once     every customer buys once, one after the other: arms a deadline each
// Event times run from `start` over `days`, about in order: a customer's clock is up to three seconds slow. With a rate
// they are the wall time at which the event is sent.
#include "load.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { VISITS = 16, VISIT_EVENTS = 8, SLOW_MS = 3000, BODY_BYTES = 512, PACE_NS = 1000000, FLUSH_MS = 60000 };

struct visit {
    uint64_t customer;
    int left, goal; // goal: what it ends with, or -1
};

struct gen {
    const char *topic, *shape, *ids;
    int64_t events, customers, start, span, first, rate;
    uint64_t random;
    struct visit visits[VISITS];
    int64_t i;      // events made
    double t;       // ms since start
    uint8_t *known; // customers that came
    int64_t distinct, bytes, last;
};

struct one {
    uint64_t customer;
    enum type type;
    int64_t t;
};

static uint64_t next_random(struct gen *g) // xorshift64*
{
    g->random ^= g->random >> 12;
    g->random ^= g->random << 25;
    g->random ^= g->random >> 27;
    return g->random * UINT64_C(2685821657736338717);
}

static double next_unit(struct gen *g) // above 0, below 1
{
    return ((double)(next_random(g) >> 12) + 0.5) / (double)(UINT64_C(1) << 52);
}

static bool chance(struct gen *g, double p)
{
    return next_unit(g) < p;
}

static enum type browsing(struct gen *g)
{
    static const uint8_t mix[16] = {PAGE_VIEW, PAGE_VIEW, PAGE_VIEW, PAGE_VIEW, PAGE_VIEW, PAGE_VIEW, PAGE_VIEW,
                                    PRODUCT_VIEW, PRODUCT_VIEW, PRODUCT_VIEW, ADD_TO_CART, EMAIL_OPEN, EMAIL_OPEN,
                                    EMAIL_CLICK, EMAIL_CLICK, LOGIN};
    return mix[next_random(g) >> 60];
}

static int goal(struct gen *g)
{
    double u = next_unit(g);
    return u < 0.06 ? PURCHASE : u < 0.07 ? SUPPORT_TICKET : u < 0.075 ? REFERRAL : -1;
}

static void visit_begins(struct gen *g, struct visit *v)
{
    double u = next_unit(g);
    *v = (struct visit){.customer = (uint64_t)((double)g->customers * u * u * u * u * u), .left = 1, .goal = goal(g)};
    while (!chance(g, 1.0 / VISIT_EVENTS))
        v->left++;
}

static struct one next_session(struct gen *g)
{
    struct visit *v = &g->visits[next_random(g) % VISITS];
    if (v->left == 0)
        visit_begins(g, v);
    struct one o = {.customer = v->customer};
    v->left--;
    o.type = v->left == 0 && v->goal >= 0 ? (enum type)v->goal : browsing(g);
    return o;
}

static struct one next_one(struct gen *g)
{
    if (!strcmp(g->shape, "once"))
        return (struct one){.customer = (uint64_t)(g->i % g->customers), .type = PURCHASE,
                            .t = g->start + g->i * g->span / g->events};
    struct one o;
    if (!strcmp(g->shape, "uniform")) {
        int wanted = goal(g);
        o = (struct one){.customer = next_random(g) % (uint64_t)g->customers,
                         .type = wanted >= 0 && chance(g, 1.0 / VISIT_EVENTS) ? (enum type)wanted : browsing(g)};
    } else {
        o = next_session(g);
    }
    g->t -= log(next_unit(g)) * (double)g->span / (double)g->events;
    o.t = g->start + (int64_t)g->t - (int64_t)(o.customer * 2654435761u % SLOW_MS);
    return o;
}

// 14 bytes, or a UUID of 36; one for each number, in no order.
static size_t customer_id(const struct gen *g, uint64_t number, char ret[static ID_BYTES])
{
    uint64_t a = (number + 1) * UINT64_C(0xa24baed4963ee407), b = (number + 1) * UINT64_C(0x9fb21c651e98df25);
    if (!strcmp(g->ids, "short"))
        return (size_t)snprintf(ret, ID_BYTES, "c-%012llx", (unsigned long long)(a & 0xffffffffffff));
    return (size_t)snprintf(ret, ID_BYTES, "%08llx-%04llx-4%03llx-8%03llx-%012llx", (unsigned long long)(a >> 32),
                            (unsigned long long)(a >> 16 & 0xffff), (unsigned long long)(a & 0xfff),
                            (unsigned long long)(b >> 52), (unsigned long long)(b & 0xffffffffffff));
}

static size_t body(struct gen *g, const struct one *o, const char *id, char ret[static BODY_BYTES])
{
    char time[25];
    uint64_t r = next_random(g);
    format_ms(o->t, time);
    int n = snprintf(ret, BODY_BYTES,
                     "{\"type\":\"track\",\"event\":\"%s\",\"userId\":\"%s\",\"messageId\":\"%016llx%06llx\","
                     "\"timestamp\":\"%s\",\"context\":{\"library\":\"web\",\"locale\":\"en\"},\"properties\":",
                     type_names[o->type], id, (unsigned long long)r, (unsigned long long)g->i, time);
    if (o->type == PURCHASE)
        n += snprintf(ret + n, BODY_BYTES - (size_t)n,
                      "{\"order_id\":\"o-%llu\",\"revenue\":%u.%02u,\"currency\":\"EUR\","
                      "\"products\":[{\"sku\":\"s-%u\"}]}}",
                      (unsigned long long)g->i, 1 + (unsigned)(r & 127), (unsigned)(r >> 20) % 100,
                      (unsigned)(r >> 40) % 5000);
    else
        n += snprintf(ret + n, BODY_BYTES - (size_t)n,
                      "{\"path\":\"/p/%u\",\"referrer\":\"https://example.org/?q=%u\"}}", (unsigned)(r & 8191),
                      (unsigned)(r >> 40) & 1023);
    return (size_t)n;
}

// ---- sending

// An idempotent producer has five requests on their way at most, and librdkafka polls without a pause for a place among
// them: beside a busy broker that takes most of a processor, from those that are measured.
static rd_kafka_t *producer_new(const char *brokers, bool paced)
{
    const char *const settings[] = {"linger.ms", paced ? "2" : "50", "batch.num.messages", "10000",
                                    "queue.buffering.max.messages", "500000", "compression.type", "lz4",
                                    "enable.idempotence", paced ? "false" : "true", NULL};
    return client_new(RD_KAFKA_PRODUCER, brokers, settings);
}

static void produce(struct gen *g, rd_kafka_t *rk, rd_kafka_topic_t *topic, const struct one *o)
{
    char id[ID_BYTES], text[BODY_BYTES];
    size_t id_bytes = customer_id(g, o->customer + (uint64_t)g->first, id), n = body(g, o, id, text);
    while (rd_kafka_produce(topic, RD_KAFKA_PARTITION_UA, RD_KAFKA_MSG_F_COPY, text, n, id, id_bytes, NULL)) {
        if (rd_kafka_last_error() != RD_KAFKA_RESP_ERR__QUEUE_FULL)
            fail("an event was not taken: %s", rd_kafka_err2str(rd_kafka_last_error()));
        rd_kafka_poll(rk, 10);
    }
    g->distinct += !g->known[o->customer];
    g->known[o->customer] = 1;
    g->bytes += (int64_t)n;
    g->last = o->t > g->last ? o->t : g->last;
}

// Sleeps until the next event's turn; sending a millisecond's events at a time costs less than spinning.
static void pace(const struct gen *g, double *begun, rd_kafka_t *rk)
{
    if (g->i == 1) { // the first event has made the connections: only now does time count
        rd_kafka_flush(rk, FLUSH_MS);
        *begun = mono_s();
    }
    double due = *begun + (double)g->i / (double)g->rate;
    while (mono_s() < due) {
        rd_kafka_poll(rk, 0);
        nanosleep(&(struct timespec){.tv_nsec = PACE_NS}, NULL);
    }
}

int load_gen(const char *brokers, struct args *a)
{
    static struct gen g;
    g.topic = arg_text(a, "topic", NULL);
    g.shape = arg_text(a, "shape", "session");
    g.ids = arg_text(a, "ids", "short");
    g.events = arg_int(a, "events", 1000000);
    g.customers = arg_int(a, "customers", 100000);
    g.span = arg_int(a, "span_ms", arg_int(a, "days", 120) * 86400000);
    g.start = arg_int(a, "start", 1767571200000); // 2026-01-05T00:00:00Z
    g.first = arg_int(a, "first", 0);
    g.rate = arg_int(a, "rate", 0);
    g.random = ((uint64_t)arg_int(a, "seed", 1) + 1) * UINT64_C(0x9e3779b97f4a7c15);
    args_end(a);
    if (g.events <= 0 || g.customers <= 0 ||
        (strcmp(g.shape, "session") && strcmp(g.shape, "uniform") && strcmp(g.shape, "once")))
        fail("no events, no customers, or no such shape: %s", g.shape);
    g.known = need(calloc((size_t)g.customers, 1));
    rd_kafka_t *rk = producer_new(brokers, g.rate > 0);
    rd_kafka_topic_t *topic = rd_kafka_topic_new(rk, g.topic, NULL);
    double begun = mono_s();
    for (g.i = 0; g.i < g.events; g.i++) {
        if (g.i % 1024 == 0)
            rd_kafka_poll(rk, 0);
        struct one o = next_one(&g);
        if (g.rate > 0) {
            pace(&g, &begun, rk);
            o.t = wall_ms();
        }
        produce(&g, rk, topic, &o);
    }
    if (rd_kafka_flush(rk, FLUSH_MS))
        fail("%d events are not in Kafka after a minute", rd_kafka_outq_len(rk));
    double seconds = mono_s() - begun;
    printf("{\"events\":%lld,\"customers\":%lld,\"bytes\":%.0f,\"seconds\":%.3f,\"last\":%lld}\n", (long long)g.events,
           (long long)g.distinct, (double)g.bytes / (double)g.events, seconds, (long long)g.last);
    return 0;
}
