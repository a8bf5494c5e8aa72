// What only a real Redis can do to the store: full memory, lost scripts, silence, another role, wrong
// settings.
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "redis_query.h"
#include "world.h"

static const struct flush_write PUT = {.customer = {"c-1", 3}, .state = {"old", 3}};
static const struct flush_write CHANGE = {.customer = {"c-1", 3}, .state = {"new", 3}};

static void check_why(const struct why *why, const char *part)
{
    ck_assert_msg(strstr(why->text, part) != NULL, "\"%s\" does not say \"%s\"", why->text, part);
}

static int claim(struct world *w, struct why *why)
{
    struct cursor c;
    bool empty;
    return w->ops->claim(w->b, &P, &BOB, &c, &empty, why);
}

// ---- the layout, as others may read it

START_TEST(test_layout)
{
    struct world w;
    struct why why;
    world_open(&w, WORLD_REDIS, NULL);
    struct cursor c = world_begin(&w, w.a, &ALICE);
    c.buckets[1] = 16;
    c.tails[0] = (struct tail){"shop.transitions", 5};
    c.tails[1] = (struct tail){"shop.journal", 1};
    c.ntails = 2;
    struct flush_write put = {.model = 1,
                              .bucket = 12,
                              .customer = SPAN("0b4c5d6e-1111-2222-3333-444455556666"),
                              .state = SPAN("s")};
    struct flush_due due = {.model = 1, .bucket = 12, .at = INT64_C(1767600000123)};
    struct flush_stat stat = {"value:stage:high", 1};
    struct flush f =
        {.cursor = &c, .writes = &put, .nwrites = 1, .dues = &due, .ndues = 1, .stats = &stat, .nstats = 1};
    ck_assert_int_eq(w.ops->flush(w.a, &P, &ALICE, &f, &why), 0);

    redisReply *r = redis_server_ask(&w.server, "HGETALL {shop:clicks:3}:b:value:12");
    ck_assert_uint_eq(r->elements, 2);
    check_span((struct span){r->element[0]->str, r->element[0]->len},
               SPAN("\0\x0b\x4c\x5d\x6e\x11\x11\x22\x22\x33\x33\x44\x44\x55\x55\x66\x66"), "the field");
    freeReplyObject(r);
    r = redis_server_ask(&w.server, "ZSCORE {shop:clicks:3}:due value:12");
    ck_assert_str_eq(r->str, "1767600000123");
    freeReplyObject(r);
    r = redis_server_ask(&w.server, "HGET {shop:clicks:3}:stat value:stage:high");
    ck_assert_str_eq(r->str, "1");
    freeReplyObject(r);
    static const char *const fields[][2] = {
        {"owner", "a11ce00000000001"},
        {"n", "1"},
        {"offset", "10"},
        {"clock", "-9223372036854775808"},
        {"start", "10"},
        {"partitions", "8"},
        {"format", "1"},
        {"program", "0123456789abcdef"},
        {"tail", "shop.transitions=5 shop.journal=1"},
        {"buckets:value", "16"},
        {"customers:lifecycle", "0"},
        {"sizes", "1 1@1"},
    };
    for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++) {
        r = redis_server_ask(&w.server, "HGET {shop:clicks:3}:cursor %s", fields[i][0]);
        ck_assert_msg(r->str && !strcmp(r->str, fields[i][1]), "%s is %s", fields[i][0], r->str);
        freeReplyObject(r);
    }
    r = redis_server_ask(&w.server, "DBSIZE");
    ck_assert_int_eq(r->integer, 4);
    freeReplyObject(r);

    redis_server_do(&w.server, "HSET {shop:clicks:3}:cursor offset %s", "12x");
    ck_assert_int_eq(claim(&w, &why), PORT_REFUSED);
    check_why(&why, "offset is \"12x\"");
    redis_server_do(&w.server, "HSET {shop:clicks:3}:cursor offset 12");
    redis_server_do(&w.server, "HDEL {shop:clicks:3}:cursor program");
    ck_assert_int_eq(claim(&w, &why), PORT_REFUSED);
    check_why(&why, "no field program");
    world_close(&w);
}
END_TEST

// A former version flushes without `sizes`, or leaves those of an earlier flush: they say nothing.
START_TEST(test_sizes_of_a_former_version)
{
    struct world w;
    struct why why;
    world_open(&w, WORLD_REDIS, NULL);
    struct cursor c = world_begin(&w, w.a, &ALICE);
    struct flush_due dues[] = {{.bucket = 1, .at = 5}, {.bucket = 2, .at = 7}};
    struct flush f = {.cursor = &c, .dues = dues, .ndues = 2};
    static const char *const commands[] = {"HINCRBY {shop:clicks:3}:cursor n 1", "HDEL {shop:clicks:3}:cursor sizes"};
    for (int i = 0; i < 2; i++) {
        ck_assert_int_eq(w.ops->flush(w.a, &P, &ALICE, &f, &why), 0);
        redis_server_do(&w.server, commands[i]);
        redis_server_do(&w.server, "ZREM {shop:clicks:3}:due lifecycle:1");
        c = world_claim(&w, w.a, &ALICE);
        ck_assert_int_eq(c.lost_dues, 0);
        ck_assert_int_eq(w.ops->load(w.a, &P, &ALICE, c.n, NULL, 0, &why), 0);
        ck_assert_int_eq(world_write(&w, w.a, &ALICE, &c, NULL, 0), 0);
        redis_server_do(&w.server, "ZREM {shop:clicks:3}:due lifecycle:2");
        c = world_claim(&w, w.a, &ALICE);
        ck_assert_int_eq(c.lost_dues, 1);
        ck_assert_int_eq(w.ops->load(w.a, &P, &ALICE, c.n, NULL, 0, &why), PORT_FENCED);
        check_why(&why, "Redis holds \"0 0\" deadlines and statistics, the last flush left \"1 0\"");
        redis_server_do(&w.server, "ZADD {shop:clicks:3}:due 7 lifecycle:2");
    }
    world_close(&w);
}
END_TEST

// Deadlines and counts of a model that the program no longer has are passed over, however many.
START_TEST(test_other_models_are_passed_over)
{
    struct world w;
    struct why why;
    struct due_bucket due[200];
    size_t n;
    int64_t next;
    world_open(&w, WORLD_REDIS, NULL);
    struct cursor c = world_begin(&w, w.a, &ALICE);
    for (int i = 0; i < 300; i++)
        redis_server_do(&w.server, "ZADD {shop:clicks:3}:due %d former:%d", i, i);
    redis_server_do(&w.server, "ZADD {shop:clicks:3}:due 3 lifecycle:x 4 lifecycle: 5 7 6 "
                               "lifecycle:99999999999999999999");
    struct flush_due set[] = {{.model = 1, .bucket = 7, .at = 1000}, {.model = 0, .bucket = 8, .at = 2000}};
    struct flush f = {.cursor = &c, .dues = set, .ndues = 2};
    ck_assert_int_eq(w.ops->flush(w.a, &P, &ALICE, &f, &why), 0);
    ck_assert_int_eq(w.ops->due(w.a, &P, 1001, 200, due, &n, &next, &why), 0);
    ck_assert(n == 1 && due[0].model == 1 && due[0].bucket == 7 && next == 2000);
    ck_assert_int_eq(w.ops->due(w.a, &P, 1000, 1, due, &n, &next, &why), 0);
    ck_assert(n == 0 && next == 1000);

    static const char *const swapped[] = {"value", "new"};
    c.buckets[0] = 5;
    c.n++;
    ck_assert_int_eq(world_write(&w, w.a, &ALICE, &c, NULL, 0), 0);
    redis_server_do(&w.server, "HSET {shop:clicks:3}:cursor buckets:value 77");
    redis_store_models(w.a, swapped, 2);
    c = world_claim(&w, w.a, &ALICE);
    ck_assert_uint_eq(c.buckets[0], 77);
    ck_assert_uint_eq(c.buckets[1], 0);
    world_close(&w);
}
END_TEST

// ---- errors of Redis: nothing is written, and it says what to do

struct refusal {
    const char *before, *after; // commands that make it refuse, and mend it
    int result;
    const char *why;
};

static const struct refusal refusals[] = {
    {"CONFIG SET maxmemory 1", "CONFIG SET maxmemory 0", PORT_REFUSED, "raise its maxmemory"},
    {"SET {shop:clicks:3}:due x", "DEL {shop:clicks:3}:due", PORT_REFUSED, "WRONGTYPE"},
    {"SET {shop:clicks:3}:stat x", "DEL {shop:clicks:3}:stat", PORT_REFUSED, "WRONGTYPE"},
    {"SET {shop:clicks:3}:b:lifecycle:5 x", "DEL {shop:clicks:3}:b:lifecycle:5", PORT_REFUSED, "WRONGTYPE"},
    {"REPLICAOF 127.0.0.1 1", "REPLICAOF NO ONE", PORT_AWAY, "replica"},
    {"ACL SETUSER default -eval -evalsha", "ACL SETUSER default +@all", PORT_REFUSED, "NOPERM"},
    {"CONFIG SET min-replicas-to-write 1", "CONFIG SET min-replicas-to-write 0", PORT_AWAY,
     "min-replicas-to-write"},
};
enum { REFUSALS = sizeof(refusals) / sizeof(refusals[0]) };

START_TEST(test_refused_flush_writes_nothing)
{
    const struct refusal *row = &refusals[_i];
    struct world w;
    struct why why;
    world_open(&w, WORLD_REDIS, NULL);
    struct cursor c = world_begin(&w, w.a, &ALICE);
    ck_assert_int_eq(world_write(&w, w.a, &ALICE, &c, &PUT, 1), 0);
    redis_server_do(&w.server, row->before);

    struct flush_write writes[] = {CHANGE, {.bucket = 5, .customer = SPAN("c-2"), .state = SPAN("s")}};
    struct flush_due due = {.at = 1};
    struct flush_stat stat = {"lifecycle:stage:active", 1};
    struct flush f =
        {.cursor = &c, .writes = writes, .nwrites = 2, .dues = &due, .ndues = 1, .stats = &stat, .nstats = 1};
    ck_assert_int_eq(w.ops->flush(w.a, &P, &ALICE, &f, &why), row->result);
    check_why(&why, row->why);
    redis_server_do(&w.server, row->after);

    ck_assert_uint_eq(world_claim(&w, w.b, &ALICE).n, c.n);
    check_span(world_read(&w, w.b, &ALICE, &c, 0, 0, SPAN("c-1")), SPAN("old"), "the state");
    ck_assert_int_eq(w.ops->flush(w.a, &P, &ALICE, &f, &why), 0);
    c.n++;
    check_span(world_read(&w, w.b, &ALICE, &c, 0, 0, SPAN("c-1")), SPAN("new"), "the state");
    world_close(&w);
}
END_TEST

START_TEST(test_scripts_are_loaded_again)
{
    struct world w;
    world_open(&w, WORLD_REDIS, NULL);
    struct cursor c = world_begin(&w, w.a, &ALICE);
    for (int i = 0; i < 2; i++) {
        redis_server_do(&w.server, "SCRIPT FLUSH");
        ck_assert_int_eq(world_write(&w, w.a, &ALICE, &c, &PUT, 1), 0);
        ck_assert_int_eq(world_write(&w, w.a, &ALICE, &c, &PUT, 1), 0);
        redis_server_do(&w.server, "SCRIPT FLUSH");
        ck_assert_uint_eq(world_claim(&w, w.a, &ALICE).n, c.n);
    }
    world_close(&w);
}
END_TEST

// ---- silence

static bool flushed_once(void *arg)
{
    struct world *w = arg;
    redisReply *r = redis_server_ask(&w->server, "HGET {shop:clicks:3}:cursor n");
    bool done = r->str && !strcmp(r->str, "1");
    freeReplyObject(r);
    return done;
}

// The connection is dropped at a time-out: the answer that comes late belongs to nobody.
START_TEST(test_no_answer)
{
    struct world w;
    struct why why;
    world_open(&w, WORLD_REDIS, NULL);
    w.options.timeout_ms = 100;
    struct redis_store *s = world_client(&w, NULL);
    struct cursor c = world_begin(&w, s, &ALICE);

    redis_server_do(&w.server, "CLIENT PAUSE 100000 WRITE");
    struct flush f = {.cursor = &c, .writes = &PUT, .nwrites = 1};
    ck_assert_int_eq(w.ops->flush(s, &P, &ALICE, &f, &why), PORT_UNKNOWN);
    check_why(&why, "no answer within 100 ms");
    redis_server_do(&w.server, "CLIENT UNPAUSE");
    c = world_claim(&w, s, &ALICE); // which also tells whether the flush was done
    ck_assert_int_eq(world_write(&w, s, &ALICE, &c, &PUT, 1), 0);

    kill(w.server.pid, SIGSTOP);
    check_span(world_read(&w, s, &ALICE, &c, 0, 0, SPAN("c-1")), SPAN("away"), "a read without an answer");
    ck_assert_int_eq(redis_store_ping(s, &why), PORT_AWAY);
    kill(w.server.pid, SIGCONT);
    check_span(world_read(&w, s, &ALICE, &c, 0, 0, SPAN("c-2")), SPAN("-"), "another state");
    check_span(world_read(&w, s, &ALICE, &c, 0, 0, SPAN("c-1")), SPAN("old"), "the state");
    redis_store_free(s);
    world_close(&w);
}
END_TEST

// A flush whose answer did not come can still be done afterwards; but not over a newer claim.
START_TEST(test_a_late_flush)
{
    struct world w;
    struct why why;
    world_open(&w, WORLD_REDIS, NULL);
    w.options.timeout_ms = 100;
    struct redis_store *s = world_client(&w, NULL);
    struct cursor c = world_begin(&w, s, &ALICE);
    kill(w.server.pid, SIGSTOP);
    struct flush f = {.cursor = &c, .writes = &PUT, .nwrites = 1};
    ck_assert_int_eq(w.ops->flush(s, &P, &ALICE, &f, &why), PORT_UNKNOWN);
    kill(w.server.pid, SIGCONT);
    wait_until(flushed_once, &w, "the late flush");
    ck_assert_int_eq(w.ops->flush(s, &P, &ALICE, &f, &why), PORT_FENCED); // the same again
    c = world_claim(&w, s, &BOB);
    ck_assert_uint_eq(c.n, 1);
    check_span(world_read(&w, s, &BOB, &c, 0, 0, SPAN("c-1")), SPAN("old"), "the state");
    redis_store_free(s);
    world_close(&w);
}
END_TEST

START_TEST(test_away_and_back)
{
    static const char *const durable[] = {"--appendonly", "yes", "--appendfsync", "always", NULL};
    struct world w;
    struct why why;
    world_open(&w, WORLD_REDIS, durable);
    struct cursor c = world_begin(&w, w.a, &ALICE);
    ck_assert_int_eq(world_write(&w, w.a, &ALICE, &c, &PUT, 1), 0);
    redis_server_kill(&w.server);
    // nothing was sent: it is known that nothing was done
    ck_assert_int_eq(world_write(&w, w.a, &ALICE, &c, &CHANGE, 1), PORT_AWAY);
    ck_assert_int_eq(redis_store_ping(w.a, &why), PORT_AWAY);
    check_why(&why, "cannot connect");
    check_why(&why, w.server.socket);
    redis_server_again(&w.server);
    ck_assert_int_eq(redis_store_ping(w.a, &why), 0);
    ck_assert_int_eq(world_write(&w, w.a, &ALICE, &c, &CHANGE, 1), PORT_FENCED);
    struct cursor again = world_claim(&w, w.a, &ALICE);
    ck_assert_uint_eq(again.n, c.n);
    ck_assert_int_eq(world_write(&w, w.a, &ALICE, &again, &CHANGE, 1), 0);
    world_close(&w);
}
END_TEST

// A connection that the same Redis has closed is made anew, unseen.
START_TEST(test_closed_connection)
{
    struct world w;
    world_open(&w, WORLD_REDIS, NULL);
    struct cursor c = world_begin(&w, w.a, &ALICE);
    redis_server_do(&w.server, "CLIENT KILL TYPE normal SKIPME yes");
    ck_assert_int_eq(world_write(&w, w.a, &ALICE, &c, &PUT, 1), 0);
    check_span(world_read(&w, w.a, &ALICE, &c, 0, 0, SPAN("c-1")), SPAN("old"), "the state");
    world_close(&w);
}
END_TEST

// ---- looking on

static uint64_t bucket_by_length(int model, struct span customer, uint64_t buckets)
{
    return (customer.n + (uint64_t)model) % buckets;
}

struct findings {
    int n;
    char text[256];
};

static void found(void *arg, const struct part_key *p, int model, const struct cursor *c, struct span state)
{
    struct findings *f = arg;
    size_t n = strlen(f->text);
    f->n++;
    snprintf(f->text + n, sizeof(f->text) - n, "%d/%d@%d:%.*s ", p->partition, model, (int)c->offset, (int)state.n,
             state.p);
}

START_TEST(test_queries)
{
    struct world w;
    struct why why;
    world_open(&w, WORLD_REDIS, NULL);
    struct cursor c = world_begin(&w, w.a, &ALICE), got;
    c.buckets[0] = 7;
    c.buckets[1] = 2;
    struct flush_write puts[] = {{.bucket = 3, .customer = SPAN("c-1"), .state = SPAN("first")},
                                 {.model = 1, .bucket = 0, .customer = SPAN("c-1"), .state = SPAN("second")}};
    ck_assert_int_eq(world_write(&w, w.a, &ALICE, &c, puts, 2), 0);

    struct findings f = {0};
    struct redis_lookup l = {.customer = SPAN("c-1"), .bucket = bucket_by_length, .found = found, .arg = &f};
    ck_assert_int_eq(redis_query_customer(w.b, "clicks", 8, &l, &why), 0);
    ck_assert_str_eq(f.text, "3/0@10:first 3/1@10:second ");
    f = (struct findings){0};
    l.customer = SPAN("nobody");
    ck_assert_int_eq(redis_query_customer(w.b, "clicks", 8, &l, &why), 0);
    ck_assert_int_eq(f.n, 0);

    struct owner owner;
    ck_assert_int_eq(redis_query_cursor(w.b, &P, &got, &owner, &why), 0);
    ck_assert(got.exists && got.n == 1 && got.buckets[0] == 7);
    ck_assert_str_eq(owner.text, ALICE.text);
    ck_assert_int_eq(redis_query_cursor(w.b, &Q, &got, &owner, &why), 0);
    ck_assert(!got.exists);
    // it took nothing
    ck_assert_int_eq(world_write(&w, w.a, &ALICE, &c, puts, 2), 0);
    world_close(&w);
}
END_TEST

// Splits the bucket of c-1, once, when a query has just found out how many buckets there are.
static struct {
    struct world *w;
    struct cursor *cursor;
} splitting;

static uint64_t bucket_while_splitting(int model, struct span customer, uint64_t buckets)
{
    (void)model;
    (void)customer;
    struct load_field moved = {SPAN("c-1"), SPAN("moved")};
    struct flush_split split = {.from = 0, .to = 1, .expected = 1, .moved = &moved, .nmoved = 1};
    struct flush f = {.cursor = splitting.cursor, .splits = &split, .nsplits = 1};
    struct why why;
    if (splitting.cursor->buckets[0] == 1) {
        splitting.cursor->buckets[0] = 2;
        ck_assert_int_eq(splitting.w->ops->flush(splitting.w->a, &P, &ALICE, &f, &why), 0);
    }
    return buckets - 1;
}

START_TEST(test_a_query_during_a_split)
{
    struct world w;
    struct why why;
    world_open(&w, WORLD_REDIS, NULL);
    struct cursor c = world_begin(&w, w.a, &ALICE);
    c.buckets[0] = 1;
    ck_assert_int_eq(world_write(&w, w.a, &ALICE, &c, &PUT, 1), 0);
    splitting.w = &w;
    splitting.cursor = &c;
    struct findings f = {0};
    struct redis_lookup l = {.customer = SPAN("c-1"),
                             .bucket = bucket_while_splitting,
                             .found = found,
                             .arg = &f};
    ck_assert_int_eq(redis_query_customer(w.b, "clicks", 8, &l, &why), 0);
    ck_assert_str_eq(f.text, "3/0@10:moved ");
    world_close(&w);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("redis");
    TCase *t = tcase_create("store");
    tcase_add_test(t, test_layout);
    tcase_add_test(t, test_sizes_of_a_former_version);
    tcase_add_test(t, test_other_models_are_passed_over);
    tcase_add_loop_test(t, test_refused_flush_writes_nothing, 0, REFUSALS);
    tcase_add_test(t, test_scripts_are_loaded_again);
    tcase_add_test(t, test_no_answer);
    tcase_add_test(t, test_a_late_flush);
    tcase_add_test(t, test_away_and_back);
    tcase_add_test(t, test_closed_connection);
    tcase_add_test(t, test_queries);
    tcase_add_test(t, test_a_query_during_a_split);
    suite_add_tcase(s, t);
    return world_run(s);
}
