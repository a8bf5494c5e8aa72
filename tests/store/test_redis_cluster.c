// Redis Clusters of two nodes: partitions on both, a slot on its way from one to the other, and failovers.
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "redis_erase.h"
#include "redis_query.h"
#include "redis_slots.h"
#include "world.h"

enum { A, B, NODES };

struct cluster {
    struct redis_server nodes[NODES];
    char ports[NODES][8], ids[NODES][41], url[128];
    const char *args[NODES][8];
    int slots[NODES]; // of P and Q
    struct redis_url seeds;
    struct world w; // w.server is none
};

static struct cluster c; // of this test's process

// ---- the cluster

// Whether both nodes know each other, and all is held by somebody.
static bool is_whole(void *arg)
{
    (void)arg;
    for (int i = 0; i < NODES; i++) {
        redisReply *r = redis_server_ask(&c.nodes[i], "CLUSTER INFO");
        bool whole = strstr(r->str, "cluster_state:ok") && strstr(r->str, "cluster_known_nodes:2");
        freeReplyObject(r);
        if (!whole)
            return false;
    }
    return true;
}

// P's slot at A and Q's at B; or all at A, whose replica is B.
static void cluster_open(bool replica)
{
    struct why why = {0};
    c = (struct cluster){.slots = {redis_slot(SPAN("{shop:clicks:3}")), redis_slot(SPAN("{shop:clicks:4}"))}};
    ck_assert_int_lt(c.slots[A], c.slots[B]); // else the nodes had to be given each other's slots
    for (int i = 0; i < NODES; i++) {
        snprintf(c.ports[i], sizeof(c.ports[i]), "%d", free_port());
        const char *const args[] = {"--port", c.ports[i], "--bind", "127.0.0.1", "--cluster-enabled", "yes", NULL};
        memcpy(c.args[i], args, sizeof(args));
        redis_server_start(&c.nodes[i], c.args[i]);
        redisReply *r = redis_server_ask(&c.nodes[i], "CLUSTER MYID");
        snprintf(c.ids[i], sizeof(c.ids[i]), "%s", r->str);
        freeReplyObject(r);
    }
    redis_server_slots(&c.nodes[A], 0, replica ? REDIS_SLOTS - 1 : c.slots[B] - 1);
    if (!replica)
        redis_server_slots(&c.nodes[B], c.slots[B], REDIS_SLOTS - 1);
    redis_server_do(&c.nodes[B], "CLUSTER SET-CONFIG-EPOCH 2");
    redis_server_do(&c.nodes[A], "CLUSTER MEET 127.0.0.1 %s", c.ports[B]);
    wait_until(is_whole, NULL, "the cluster");
    if (replica)
        redis_server_do(&c.nodes[B], "CLUSTER REPLICATE %s", c.ids[A]);

    snprintf(c.url, sizeof(c.url), "redis-cluster://127.0.0.1:%s", c.ports[B]);
    ck_assert_int_eq(redis_url_parse(c.url, &c.seeds, &why), 0);
    c.w = (struct world){.kind = WORLD_CLUSTER, .ops = &redis_store_ops};
    c.w.options = (struct redis_options){
        .app = "shop", .url = &c.seeds, .timeout_ms = 5000, .models = world_models, .nmodels = 2};
    c.w.a = world_client(&c.w, NULL);
    c.w.b = world_client(&c.w, NULL);
}

static void cluster_close(void)
{
    redis_store_free(c.w.a);
    redis_store_free(c.w.b);
    redis_url_clear(&c.seeds);
    for (int i = 0; i < NODES; i++)
        redis_server_stop(&c.nodes[i]);
}

static long long keys_of(int node)
{
    redisReply *r = redis_server_ask(&c.nodes[node], "DBSIZE");
    long long n = r->integer;
    freeReplyObject(r);
    return n;
}

static void begin_move(void)
{
    redis_server_do(&c.nodes[B], "CLUSTER SETSLOT %d IMPORTING %s", c.slots[A], c.ids[A]);
    redis_server_do(&c.nodes[A], "CLUSTER SETSLOT %d MIGRATING %s", c.slots[A], c.ids[B]);
}

static void move_key(const char *key)
{
    redis_server_do(&c.nodes[A], "MIGRATE 127.0.0.1 %s %s 0 5000", c.ports[B], key);
}

static void end_move(void)
{
    redisReply *keys = redis_server_ask(&c.nodes[A], "CLUSTER GETKEYSINSLOT %d 1000", c.slots[A]);
    for (size_t i = 0; i < keys->elements; i++)
        move_key(keys->element[i]->str);
    freeReplyObject(keys);
    redis_server_do(&c.nodes[B], "CLUSTER SETSLOT %d NODE %s", c.slots[A], c.ids[B]);
    redis_server_do(&c.nodes[A], "CLUSTER SETSLOT %d NODE %s", c.slots[A], c.ids[B]);
}

// ---- calls

// P with states in buckets 0 and 5, a deadline and a statistic: so it has all kinds of keys.
static struct cursor fill(void)
{
    struct why why;
    struct cursor cursor = world_begin(&c.w, c.w.a, &ALICE);
    cursor.buckets[0] = 6;
    struct flush_write puts[] = {{.bucket = 0, .customer = SPAN("c-1"), .state = SPAN("one")},
                                 {.bucket = 5, .customer = SPAN("c-2"), .state = SPAN("two")}};
    struct flush_due due = {.bucket = 0, .at = 100};
    struct flush_stat stat = {"lifecycle:stage:active", 2};
    struct flush f = {.cursor = &cursor, .writes = puts, .nwrites = 2, .dues = &due, .ndues = 1, .stats = &stat,
                      .nstats = 1};
    ck_assert_int_eq(c.w.ops->flush(c.w.a, &P, &ALICE, &f, &why), 0);
    cursor.n++;
    return cursor;
}

static int claim(const struct part_key *p, void *client, const struct owner *owner, struct cursor *ret)
{
    struct why why = {0};
    bool empty;
    int r = c.w.ops->claim(client, p, owner, ret, &empty, &why);
    ck_assert_msg(r == 0 || *why.text, "a failure without a reason");
    return r;
}

// Writes until somebody else is found in the place of who has been claimed; nothing may be written meanwhile.
struct writer {
    void *client;
    struct cursor *cursor;
};

static bool is_fenced(void *arg)
{
    struct writer *x = arg;
    int r = world_write(&c.w, x->client, &ALICE, x->cursor, NULL, 0);
    ck_assert_msg(r == PORT_AWAY || r == PORT_UNKNOWN || r == PORT_FENCED, "a flush: %d", r);
    return r == PORT_FENCED;
}

static void check_read(const struct cursor *cursor, uint64_t bucket, const char *customer, const char *want)
{
    struct span id = {customer, strlen(customer)};
    check_span(world_read(&c.w, c.w.a, &ALICE, cursor, 0, bucket, id), (struct span){want, strlen(want)}, customer);
}

// ---- tests

START_TEST(test_each_partition_at_its_node)
{
    struct why why;
    struct cursor p, q;
    cluster_open(false);
    ck_assert_int_eq(redis_store_ping(c.w.a, &why), 0); // with no partition yet
    p = fill();
    ck_assert_int_eq(claim(&Q, c.w.a, &ALICE, &q), 0);
    q = p;
    q.n = 0;
    ck_assert_int_eq(c.w.ops->create(c.w.a, &Q, &ALICE, &q, &why), 0);
    ck_assert_int_eq(keys_of(A), 5);
    ck_assert_int_eq(keys_of(B), 1);
    ck_assert_int_eq(redis_store_ping(c.w.a, &why), 0);

    // one of them away: only its partitions are
    redis_server_kill(&c.nodes[B]);
    ck_assert_int_eq(claim(&Q, c.w.a, &ALICE, &q), PORT_AWAY);
    ck_assert_int_eq(redis_store_ping(c.w.a, &why), PORT_AWAY);
    ck_assert_msg(strstr(why.text, c.ports[B]) != NULL, "%s", why.text);
    ck_assert_int_eq(world_write(&c.w, c.w.a, &ALICE, &p, NULL, 0), 0);
    // nor can a client begin that knows no other
    ck_assert_int_eq(claim(&P, c.w.b, &ALICE, &q), PORT_AWAY);

    redis_server_again(&c.nodes[B]);
    wait_until(is_whole, NULL, "the cluster");
    struct load_item none = {.customer = SPAN("c-1")};
    ck_assert_int_eq(c.w.ops->load(c.w.a, &Q, &ALICE, 0, &none, 1, &why), PORT_FENCED); // another process
    ck_assert_int_eq(claim(&Q, c.w.a, &ALICE, &q), 0);
    ck_assert(!q.exists);                                               // it kept no append-only file
    ck_assert_int_eq(world_write(&c.w, c.w.a, &ALICE, &p, NULL, 0), 0); // P has never been away
    check_read(&p, 5, "c-2", "two");
    cluster_close();
}
END_TEST

static uint64_t sixth_bucket(int model, struct span customer, uint64_t buckets)
{
    (void)model;
    (void)customer;
    return buckets - 1;
}

static void nothing_found(void *arg, const struct part_key *p, int model, const struct cursor *cursor, struct span s)
{
    (void)arg;
    (void)cursor;
    ck_abort_msg("%s/%d, model %d: %.*s", p->topic, p->partition, model, (int)s.n, s.p);
}

// What is not there may have left already: the answer is "away", never "no such customer".
START_TEST(test_a_slot_on_its_way)
{
    struct why why;
    cluster_open(false);
    struct cursor cursor = fill(), other;
    begin_move();
    check_read(&cursor, 0, "c-1", "one");
    check_read(&cursor, 0, "nobody", "-"); // its bucket is here: that is sure
    check_read(&cursor, 3, "nobody", "away");
    // a flush to keys that are all here is done, and wholly, though :due becomes empty on the way
    struct flush_due dues[] = {{.bucket = 0, .at = NEVER, .exact = true}, {.bucket = 5, .at = 200}};
    struct flush f = {.cursor = &cursor, .dues = dues, .ndues = 2};
    int r = c.w.ops->flush(c.w.a, &P, &ALICE, &f, &why);
    ck_assert_msg(r == 0, "%d %s", r, why.text);
    cursor.n++;
    // one to a new bucket is not
    struct flush_write put = {.bucket = 2, .customer = SPAN("c-3"), .state = SPAN("three")};
    ck_assert_int_eq(world_write(&c.w, c.w.a, &ALICE, &cursor, &put, 1), PORT_AWAY);

    move_key("{shop:clicks:3}:b:lifecycle:5");
    check_read(&cursor, 0, "c-1", "one");
    check_read(&cursor, 5, "c-2", "away");
    put.bucket = 5;
    ck_assert_int_eq(world_write(&c.w, c.w.a, &ALICE, &cursor, &put, 1), PORT_AWAY);
    struct redis_lookup l = {.customer = SPAN("c-2"), .bucket = sixth_bucket, .found = nothing_found};
    ck_assert_int_eq(redis_query_customer(c.w.b, "clicks", 4, &l, &why), PORT_AWAY);
    move_key("{shop:clicks:3}:cursor");
    ck_assert_int_eq(claim(&P, c.w.b, &BOB, &other), PORT_AWAY);
    ck_assert_msg(redis_query_cursor(c.w.b, &P, &other, &(struct owner){0}, &why) == PORT_AWAY, "it has a cursor");
    ck_assert_msg(strstr(why.text, "waiting until it has arrived") != NULL, "%s", why.text);

    end_move();
    ck_assert_int_eq(keys_of(A), 0);
    wait_until(is_fenced, &(struct writer){c.w.a, &cursor}, "the partition's new place");
    other = world_claim(&c.w, c.w.a, &ALICE);
    ck_assert(other.exists && other.n == cursor.n);
    check_read(&cursor, 0, "c-1", "one");
    check_read(&cursor, 5, "c-2", "two");
    check_read(&cursor, 2, "c-3", "-");
    ck_assert_int_eq(world_write(&c.w, c.w.a, &ALICE, &cursor, &put, 1), 0);
    struct due_bucket due[2];
    size_t n;
    int64_t next;
    ck_assert_int_eq(c.w.ops->due(c.w.a, &P, NEVER, 2, due, &n, &next, &why), 0);
    ck_assert(n == 1 && due[0].bucket == 5 && due[0].at == 200);
    cluster_close();
}
END_TEST

START_TEST(test_erased_when_all_is_in_one_place)
{
    struct why why;
    uint64_t keys;
    cluster_open(false);
    fill();
    begin_move();
    move_key("{shop:clicks:3}:b:lifecycle:5");
    ck_assert_int_eq(redis_erase(c.w.a, &P, &keys, &why), PORT_AWAY);
    end_move();
    while (redis_erase(c.w.a, &P, &keys, &why) == PORT_AWAY) // by a client that still asks at the former place
        ck_assert_msg(strstr(why.text, "MOVED") != NULL, "%s", why.text);
    ck_assert_uint_eq(keys, 4); // the cursor went at the first attempt
    ck_assert_int_eq(keys_of(A) + keys_of(B), 0);
    cluster_close();
}
END_TEST

// ---- failovers

static bool replicated(void *arg)
{
    (void)arg;
    redisReply *r = redis_server_ask(&c.nodes[B], "INFO replication");
    bool up = strstr(r->str, "role:slave") && strstr(r->str, "master_link_status:up");
    freeReplyObject(r);
    return up && keys_of(B) == keys_of(A);
}

static bool is_master(void *arg)
{
    redisReply *r = redis_server_ask(arg, "ROLE");
    bool is = !strcmp(r->element[0]->str, "master");
    freeReplyObject(r);
    return is;
}

static bool holds_slots(void *arg)
{
    struct cursor other;
    (void)arg;
    return claim(&P, c.w.b, &BOB, &other) == 0;
}

START_TEST(test_failover_by_hand)
{
    cluster_open(true);
    wait_until(replicated, NULL, "the replica"); // which is all that the clients are told of
    struct cursor cursor = fill(), again;
    redis_server_do(&c.nodes[B], "CLUSTER FAILOVER");
    wait_until(is_master, &c.nodes[B], "the failover");
    wait_until(is_fenced, &(struct writer){c.w.a, &cursor}, "the new master");
    again = world_claim(&c.w, c.w.a, &ALICE);
    ck_assert(again.exists && again.n == cursor.n);
    check_read(&again, 5, "c-2", "two");
    ck_assert_int_eq(world_write(&c.w, c.w.a, &ALICE, &again, NULL, 0), 0);
    cluster_close();
}
END_TEST

// The old master does not hear of its successor and goes on to answer; what it acknowledges is lost.
START_TEST(test_isolated_master)
{
    cluster_open(true);
    wait_until(replicated, NULL, "the replica");
    struct cursor cursor = fill(), other, lost;
    wait_until(replicated, NULL, "the replica to have it all");
    redis_server_do(&c.nodes[A], "CLUSTER FORGET %s", c.ids[B]); // it ignores strangers
    redis_server_do(&c.nodes[B], "CLUSTER FAILOVER TAKEOVER");
    wait_until(is_master, &c.nodes[B], "the takeover");
    lost = cursor;
    ck_assert_int_eq(world_write(&c.w, c.w.a, &ALICE, &lost, NULL, 0), 0);
    ck_assert_uint_eq(lost.n, cursor.n + 1);

    wait_until(holds_slots, NULL, "the new master to hold the slots"); // by another client, BOB
    ck_assert_int_eq(claim(&P, c.w.b, &BOB, &other), 0);
    ck_assert(other.exists && other.n == cursor.n);
    ck_assert_int_eq(world_write(&c.w, c.w.a, &ALICE, &lost, NULL, 0), 0); // to nobody's harm

    redis_server_kill(&c.nodes[A]);
    wait_until(is_fenced, &(struct writer){c.w.a, &lost}, "the new master");
    ck_assert_int_eq(world_write(&c.w, c.w.a, &ALICE, &lost, NULL, 0), PORT_FENCED);
    other = world_claim(&c.w, c.w.a, &ALICE);
    ck_assert(other.exists && other.n == cursor.n);
    ck_assert_int_eq(world_write(&c.w, c.w.a, &ALICE, &other, NULL, 0), 0);
    cluster_close();
}
END_TEST

int main(void)
{
    Suite *s = suite_create("redis_cluster");
    TCase *t = tcase_create("cluster");
    tcase_add_test(t, test_each_partition_at_its_node);
    tcase_add_test(t, test_a_slot_on_its_way);
    tcase_add_test(t, test_erased_when_all_is_in_one_place);
    tcase_add_test(t, test_failover_by_hand);
    tcase_add_test(t, test_isolated_master);
    suite_add_tcase(s, t);
    return world_run(s);
}
