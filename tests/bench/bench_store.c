// How fast the Redis store is, and how much memory a customer takes:  bench_store URL [CUSTOMERS]
// Fills one partition with customers of 44-byte states by flushes of 2,000, then changes and loads 2,000 of
// them at a time, all over the partition. Give it a Redis that nobody else uses: its keys are deleted at the
// end, but the memory is counted by what Redis uses in all.
#include <hiredis/hiredis.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "redis_store.h"

enum { AT_A_TIME = 2000, BUCKET_CUSTOMERS = 48, STATE_BYTES = 44, STATS = 40, ROUNDS = 100, ID_MAX = 37 };

static const char *const models[] = {"lifecycle"};
static const struct part_key P = {"clicks", 0};
static const struct owner OWNER = {"bench00000000000"};

struct bench {
    struct redis_store *store;
    redisContext *admin;
    struct cursor cursor;
    int customers;
    uint64_t buckets, seed;
    bool uuids;
};

static void fail(const char *what, const char *why)
{
    fprintf(stderr, "bench_store: %s: %s\n", what, why);
    exit(EXIT_FAILURE);
}

static double now_us(clockid_t clock)
{
    struct timespec t;
    clock_gettime(clock, &t);
    return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
}

static uint64_t mix(uint64_t x) // splitmix64
{
    x += UINT64_C(0x9e3779b97f4a7c15);
    x = (x ^ x >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    x = (x ^ x >> 27) * UINT64_C(0x94d049bb133111eb);
    return x ^ x >> 31;
}

static double info(const struct bench *b, const char *section, const char *field)
{
    redisReply *r = redisCommand(b->admin, "INFO %s", section);
    const char *at = r && r->type == REDIS_REPLY_STRING ? strstr(r->str, field) : NULL;
    if (!at)
        fail("INFO has no", field);
    double v = atof(at + strlen(field));
    freeReplyObject(r);
    return v;
}

// Customer number i: its id, which is a UUID or 14 bytes long.
static struct span id_of(const struct bench *b, int i, char room[static ID_MAX])
{
    uint64_t x = mix((uint64_t)i);
    int n = b->uuids
                ? snprintf(room, ID_MAX, "%08x-%04x-4%03x-8%03x-%012llx", (unsigned)i, (unsigned)(x >> 48),
                           (unsigned)(x >> 36 & 0xfff), (unsigned)(x >> 24 & 0xfff), (unsigned long long)(mix(x) >> 16))
                : snprintf(room, ID_MAX, "customer-%05x", (unsigned)i);
    return (struct span){room, (size_t)n};
}

static int by_bucket(const void *a, const void *b)
{
    const struct flush_write *x = a, *y = b;
    return (x->bucket > y->bucket) - (x->bucket < y->bucket);
}

struct batch {
    char ids[AT_A_TIME][ID_MAX], states[AT_A_TIME][STATE_BYTES];
    struct flush_write writes[AT_A_TIME];
    struct flush_due dues[AT_A_TIME];
    struct load_item items[AT_A_TIME];
    struct flush_stat stats[STATS];
    char stat_names[STATS][32];
    size_t ndues;
};

// Customers from `first` on, or (-1) any.
static void fill(struct bench *b, struct batch *t, int first)
{
    for (int i = 0; i < AT_A_TIME; i++) {
        int who = first >= 0 ? first + i : (int)(mix(b->seed++) % (uint64_t)b->customers);
        for (int k = 0; k < STATE_BYTES; k++)
            t->states[i][k] = (char)mix(b->seed + (uint64_t)k);
        b->seed++;
        t->writes[i] = (struct flush_write){.bucket = mix((uint64_t)who) % b->buckets,
                                            .customer = id_of(b, who, t->ids[i]),
                                            .state = {t->states[i], STATE_BYTES}};
    }
    qsort(t->writes, AT_A_TIME, sizeof(t->writes[0]), by_bucket);
    t->ndues = 0;
    for (int i = 0; i < AT_A_TIME; i++) {
        t->items[i] = (struct load_item){.bucket = t->writes[i].bucket, .customer = t->writes[i].customer};
        if (i == 0 || t->writes[i].bucket != t->writes[i - 1].bucket)
            t->dues[t->ndues++] = (struct flush_due){.bucket = t->writes[i].bucket,
                                                     .at = INT64_C(1800000000000) -
                                                           (int64_t)(mix(b->seed + (uint64_t)i) >> 40)};
    }
    for (int i = 0; i < STATS; i++) {
        snprintf(t->stat_names[i], sizeof(t->stat_names[i]), "lifecycle:stage:number-%d", i);
        t->stats[i] = (struct flush_stat){t->stat_names[i], (int64_t)(mix(b->seed) >> 40)};
    }
}

static void flush(struct bench *b, const struct batch *t)
{
    struct why why = {0};
    struct flush f = {.cursor = &b->cursor,
                      .writes = t->writes,
                      .nwrites = AT_A_TIME,
                      .dues = t->dues,
                      .ndues = t->ndues,
                      .stats = t->stats,
                      .nstats = STATS};
    if (redis_store_ops.flush(b->store, &P, &OWNER, &f, &why))
        fail("flush", why.text);
    b->cursor.n++;
}

static void load(struct bench *b, struct batch *t)
{
    struct why why = {0};
    if (redis_store_ops.load(b->store, &P, &OWNER, b->cursor.n, t->items, AT_A_TIME, &why))
        fail("load", why.text);
    for (int i = 0; i < AT_A_TIME; i++)
        if (t->items[i].state.n != STATE_BYTES)
            fail("load", "a state is missing");
}

// What the server's one thread has spent on commands so far, with reading and writing them.
static double server_us(const struct bench *b)
{
    return 1e6 * (info(b, "cpu", "used_cpu_user_main_thread:") + info(b, "cpu", "used_cpu_sys_main_thread:"));
}

enum work { INSERT, CHANGE, LOAD };

static void measure(struct bench *b, struct batch *t, enum work work, int rounds)
{
    static const char *const names[] = {"insert", "change", "load"}; // by enum work
    double us = 0, here = 0, in_redis = server_us(b), states = (double)rounds * AT_A_TIME;
    for (int i = 0; i < rounds; i++) {
        fill(b, t, work == INSERT ? i * AT_A_TIME : -1);
        double start = now_us(CLOCK_MONOTONIC), cpu = now_us(CLOCK_PROCESS_CPUTIME_ID);
        if (work == LOAD)
            load(b, t);
        else
            flush(b, t);
        us += now_us(CLOCK_MONOTONIC) - start;
        here += now_us(CLOCK_PROCESS_CPUTIME_ID) - cpu;
    }
    printf("%-5s  %-6s  us a state: %5.2f by the clock, %5.2f of Redis' CPU, %5.2f of the client's; %6.2f ms "
           "a call\n",
           b->uuids ? "uuid" : "short", names[work], us / states, (server_us(b) - in_redis) / states, here / states,
           us / rounds / 1000);
}

static void delete_all(struct bench *b)
{
    static const char *const others[] = {"cursor", "due", "stat"};
    for (uint64_t i = 0; i < b->buckets; i++)
        freeReplyObject(redisCommand(b->admin, "DEL {bench:clicks:0}:b:lifecycle:%llu", (unsigned long long)i));
    for (int i = 0; i < 3; i++)
        freeReplyObject(redisCommand(b->admin, "DEL {bench:clicks:0}:%s", others[i]));
}

static void run(struct bench *b, struct batch *t)
{
    struct why why = {0};
    bool empty;
    if (redis_store_ops.claim(b->store, &P, &OWNER, &b->cursor, &empty, &why))
        fail("claim", why.text);
    if (b->cursor.exists || !empty)
        fail("claim", "there are keys of an earlier run: FLUSHDB, if nothing else is in there");
    b->cursor = (struct cursor){.partitions = 1, .format = 1, .program = "0123456789abcdef"};
    if (redis_store_ops.create(b->store, &P, &OWNER, &b->cursor, &why))
        fail("create", why.text);
    double memory = info(b, "memory", "used_memory:");
    measure(b, t, INSERT, b->customers / AT_A_TIME);
    memory = info(b, "memory", "used_memory:") - memory;
    measure(b, t, CHANGE, ROUNDS);
    measure(b, t, LOAD, ROUNDS);
    printf("%-5s  %.1f B of Redis' memory a customer, %d customers\n", b->uuids ? "uuid" : "short",
           memory / b->customers, b->customers);
    delete_all(b);
}

int main(int argc, char **argv)
{
    static struct batch batch;
    struct redis_url url;
    struct why why = {0};
    int customers = argc > 2 ? atoi(argv[2]) / AT_A_TIME * AT_A_TIME : 200000;
    if (argc < 2 || customers <= 0) {
        fprintf(stderr, "usage: bench_store URL [CUSTOMERS, at least %d]\n", AT_A_TIME);
        return 64;
    }
    if (redis_url_parse(argv[1], &url, &why))
        fail(argv[1], why.text);
    if (url.scheme != REDIS_TCP && url.scheme != REDIS_UNIX)
        fail(argv[1], "redis:// or unix://");
    struct redis_options options = {.app = "bench",
                                    .url = &url,
                                    .timeout_ms = 10000,
                                    .models = models,
                                    .nmodels = 1};
    struct bench b = {.store = redis_store_new(&options),
                      .customers = customers,
                      .buckets = (uint64_t)customers / BUCKET_CUSTOMERS + 1};
    b.admin =
        url.scheme == REDIS_UNIX ? redisConnectUnix(url.path) : redisConnect(url.hosts[0].name, url.hosts[0].port);
    if (!b.store || !b.admin || b.admin->err)
        fail(argv[1], "cannot connect");
    for (int uuids = 0; uuids < 2; uuids++) {
        b.uuids = uuids;
        run(&b, &batch);
    }
    redisFree(b.admin);
    redis_store_free(b.store);
    redis_url_clear(&url);
    return 0;
}
