// Connecting: by each kind of URL, with rights and without, and what is looked at before a Redis may hold
// states.
#include <stdlib.h>
#include <string.h>

#include "redis_slots.h"
#include "world.h"

// A claim by a new client at a URL (NULL: the world's): its result, with the reason in *why.
static int try_claim(struct world *w, const char *url, struct why *why)
{
    struct redis_store *s = world_client(w, url);
    struct cursor c;
    bool empty;
    *why = (struct why){0};
    int r = w->ops->claim(s, &P, &BOB, &c, &empty, why);
    redis_store_free(s);
    return r;
}

static void check_claim(struct world *w, const char *url, int result, const char *words)
{
    struct why why;
    int r = try_claim(w, url, &why);
    ck_assert_msg(r == result, "%s: %d %s", url ? url : "claim", r, why.text);
    ck_assert_msg(!words || strstr(why.text, words), "\"%s\" does not say \"%s\"", why.text, words);
}

// ---- settings

struct setting {
    const char *bad, *good; // commands
    int result;
    const char *words;
};

static const struct setting settings[] = {
    {"CONFIG SET maxmemory-policy allkeys-lru", "CONFIG SET maxmemory-policy noeviction", PORT_REFUSED,
     "CONFIG SET maxmemory-policy noeviction"},
    {"REPLICAOF 127.0.0.1 1", "REPLICAOF NO ONE", PORT_AWAY, "it is a replica"},
    {"ACL SETUSER default -info", "ACL SETUSER default +@all", PORT_REFUSED, "+info"},
    {"ACL SETUSER default >secret", "ACL SETUSER default nopass", PORT_REFUSED, "password"},
};
enum { SETTINGS = sizeof(settings) / sizeof(settings[0]) };

START_TEST(test_settings)
{
    const struct setting *row = &settings[_i];
    struct world w;
    struct why why;
    world_open(&w, WORLD_REDIS, NULL);
    redisContext *admin = redisConnectUnix(w.server.socket); // stays logged in
    ck_assert_int_eq(redis_store_ping(w.a, &why), 0);
    freeReplyObject(redisCommand(admin, row->bad));
    check_claim(&w, NULL, row->result, row->words);
    if (row->words[0] != 'p') // a password is asked for at login only
        ck_assert_int_eq(redis_store_ping(w.a, &why), row->result);
    redisReply *r = redisCommand(admin, row->good);
    ck_assert_msg(r && r->type != REDIS_REPLY_ERROR, "%s", r ? r->str : admin->errstr);
    freeReplyObject(r);
    check_claim(&w, NULL, 0, NULL);
    redisFree(admin);
    world_close(&w);
}
END_TEST

START_TEST(test_evictions)
{
    struct world w;
    world_open(&w, WORLD_REDIS, NULL);
    redis_server_do(&w.server, "SET somebody's %s", "x");
    redis_server_do(&w.server, "CONFIG SET maxmemory-policy allkeys-lru");
    redis_server_do(&w.server, "CONFIG SET maxmemory 1");
    redisContext *c = redisConnectUnix(w.server.socket);
    freeReplyObject(redisCommand(c, "SET another's x")); // refused, but it makes Redis evict
    redisFree(c);
    redis_server_do(&w.server, "CONFIG SET maxmemory-policy noeviction");
    redis_server_do(&w.server, "CONFIG SET maxmemory 0");
    check_claim(&w, NULL, PORT_REFUSED, "CONFIG RESETSTAT");
    redis_server_do(&w.server, "CONFIG RESETSTAT");
    check_claim(&w, NULL, 0, NULL);
    world_close(&w);
}
END_TEST

static int count(const char *text, const char *part)
{
    int n = 0;
    for (; (text = strstr(text, part)); text++)
        n++;
    return n;
}

START_TEST(test_warnings)
{
    static const char *const args[] = {"--hash-max-ziplist-value", "64", "--hash-max-ziplist-entries", "32",
                                       NULL};
    static const char *const good[] = {"--hash-max-ziplist-value", "256", "--appendonly", "yes", NULL};
    struct world w;
    world_open(&w, WORLD_REDIS, args);
    struct cursor c = world_begin(&w, w.a, &ALICE);
    ck_assert_msg(count(w.notes, "CONFIG SET appendonly yes") == 1, "%s", w.notes);
    ck_assert_msg(count(w.notes, "-value 256") == 1, "%s", w.notes);
    ck_assert_msg(count(w.notes, "-entries 128") == 1, "%s", w.notes);
    redis_server_do(&w.server, "CLIENT KILL TYPE normal SKIPME yes");
    ck_assert_int_eq(world_write(&w, w.a, &ALICE, &c, NULL, 0), 0);
    ck_assert_msg(count(w.notes, "\n") == 3, "said again: %s", w.notes);
    // where CONFIG is forbidden, nothing is known but INFO
    redis_server_do(&w.server, "ACL SETUSER default -config");
    check_claim(&w, NULL, 0, NULL);
    ck_assert_msg(count(w.notes, "\n") == 4, "%s", w.notes);
    world_close(&w);

    world_open(&w, WORLD_REDIS, good);
    world_begin(&w, w.a, &ALICE);
    ck_assert_str_eq(w.notes, "");
    redis_server_do(&w.server, "CONFIG SET appendfsync no");
    check_claim(&w, NULL, 0, NULL);
    ck_assert_msg(count(w.notes, "appendfsync everysec") == 1, "%s", w.notes);
    world_close(&w);
}
END_TEST

// What other addresses say of a node, and a node's of others.
START_TEST(test_cluster)
{
    struct world w;
    char port[8], url[256];
    snprintf(port, sizeof(port), "%d", free_port());
    const char *const args[] = {"--port", port, "--bind", "127.0.0.1", "--cluster-enabled", "yes", NULL};
    world_open(&w, WORLD_REDIS, args);
    check_claim(&w, NULL, PORT_REFUSED, "redis-cluster://");
    snprintf(url, sizeof(url), "redis-cluster://127.0.0.1:%s", port);
    check_claim(&w, url, PORT_AWAY, "has it joined the cluster?");
    int slot = redis_slot(SPAN("{shop:clicks:3}"));
    redis_server_slots(&w.server, 0, slot - 1);
    redis_server_do(&w.server, "CONFIG SET cluster-require-full-coverage no");
    wait_until(redis_server_cluster_ok, &w.server, "the cluster");
    check_claim(&w, url, PORT_AWAY, "no node of the Redis Cluster holds slot");
    redis_server_slots(&w.server, slot, slot);
    check_claim(&w, url, 0, NULL);

    redis_server_do(&w.server, "CONFIG SET maxmemory-policy allkeys-lru");
    check_claim(&w, url, PORT_REFUSED, "CONFIG SET maxmemory-policy noeviction");
    redis_server_do(&w.server, "CONFIG SET maxmemory-policy noeviction");
    redis_server_do(&w.server, "ACL SETUSER engaged on >pw ~{shop:* +@all -@dangerous +info +cluster|slots");
    snprintf(url, sizeof(url), "redis-cluster://engaged:pw@127.0.0.1:%d,127.0.0.1:%s", free_port(), port);
    check_claim(&w, url, 0, NULL);
    snprintf(url, sizeof(url), "redis-cluster://engaged:no@127.0.0.1:%s", port);
    check_claim(&w, url, PORT_REFUSED, "user and password");
    world_close(&w);
    check_claim(&w, url, PORT_AWAY, "Connection refused");
}
END_TEST

START_TEST(test_no_cluster)
{
    struct world w;
    char port[8], url[256];
    snprintf(port, sizeof(port), "%d", free_port());
    const char *const args[] = {"--port", port, "--bind", "127.0.0.1", NULL};
    world_open(&w, WORLD_REDIS, args);
    snprintf(url, sizeof(url), "redis-cluster://127.0.0.1:%s", port);
    check_claim(&w, url, PORT_REFUSED, "redis://HOST:PORT");
    world_close(&w);
}
END_TEST

// ---- URLs

START_TEST(test_credentials)
{
    struct world w;
    char url[256];
    world_open(&w, WORLD_REDIS, NULL);
    redis_server_do(&w.server, "ACL SETUSER engaged on >p@ss/word ~{shop:* +@all -@dangerous +info");
    snprintf(url, sizeof(url), "%s?user=engaged&password=p%%40ss%%2Fword", w.server.url);
    check_claim(&w, url, 0, NULL);
    snprintf(url, sizeof(url), "%s?user=engaged&password=wrong", w.server.url);
    check_claim(&w, url, PORT_REFUSED, "user and password");
    redis_server_do(&w.server, "ACL SETUSER engaged resetkeys ~other:*");
    snprintf(url, sizeof(url), "%s?user=engaged&password=p%%40ss%%2Fword", w.server.url);
    check_claim(&w, url, PORT_REFUSED, "ACL");
    world_close(&w);
}
END_TEST

START_TEST(test_tcp)
{
    struct world w;
    char url[256], port[8];
    snprintf(port, sizeof(port), "%d", free_port());
    const char *const args[] = {"--port", port, "--bind", "127.0.0.1", NULL};
    world_open(&w, WORLD_REDIS, args);
    snprintf(url, sizeof(url), "redis://127.0.0.1:%s/2", port);
    struct redis_store *s = world_client(&w, url);
    world_begin(&w, s, &ALICE);
    redisReply *r = redis_server_ask(&w.server, "INFO keyspace");
    ck_assert_msg(strstr(r->str, "db2:keys=1") != NULL, "%s", r->str);
    freeReplyObject(r);
    r = redis_server_ask(&w.server, "CLIENT LIST");
    ck_assert_msg(strstr(r->str, "name=test") != NULL, "%s", r->str);
    freeReplyObject(r);
    redis_store_free(s);
    snprintf(url, sizeof(url), "redis://127.0.0.1:%s/99", port);
    check_claim(&w, url, PORT_REFUSED, "DB index");
    redis_server_kill(&w.server);
    check_claim(&w, url, PORT_AWAY, "Connection refused");
    world_close(&w);
}
END_TEST

static void make_certificate(const struct redis_server *s, const char *names, char ca[static 128], char key[static 128])
{
    char command[1024];
    snprintf(ca, 128, "%s/cert.pem", s->dir);
    snprintf(key, 128, "%s/key.pem", s->dir);
    snprintf(command, sizeof(command),
             "openssl req -x509 -newkey rsa:2048 -nodes -days 1 -subj /CN=redis -keyout %s "
             "-out %s -addext subjectAltName=%s 2>/dev/null",
             key, ca, names);
    ck_assert_msg(system(command) == 0, "openssl (the command) could not make a certificate");
}

START_TEST(test_tls)
{
    struct world w;
    char url[256], port[8], ca[128], key[128];
    world_open(&w, WORLD_REDIS, NULL);
    make_certificate(&w.server, "DNS:localhost", ca, key);
    snprintf(port, sizeof(port), "%d", free_port());
    const char *const args[] = {"--tls-port",
                                port,
                                "--tls-cert-file",
                                ca,
                                "--tls-key-file",
                                key,
                                "--tls-ca-cert-file",
                                ca,
                                "--tls-auth-clients",
                                "no",
                                "--bind",
                                "127.0.0.1",
                                NULL};
    redis_server_kill(&w.server);
    w.server.args = args;
    redis_server_again(&w.server);

    snprintf(url, sizeof(url), "rediss://localhost:%s/1?ca=%s", port, ca);
    struct redis_store *s = world_client(&w, url);
    struct cursor c = world_begin(&w, s, &ALICE);
    struct flush_write put = {.customer = SPAN("c"), .state = SPAN("over TLS")};
    ck_assert_int_eq(world_write(&w, s, &ALICE, &c, &put, 1), 0);
    check_span(world_read(&w, s, &ALICE, &c, 0, 0, SPAN("c")), SPAN("over TLS"), "the state");
    redis_store_free(s);

    snprintf(url, sizeof(url), "rediss://127.0.0.1:%s?ca=%s", port, ca);
    check_claim(&w, url, PORT_REFUSED, "not trusted for 127.0.0.1"); // it is for localhost
    snprintf(url, sizeof(url), "rediss://localhost:%s", port);
    check_claim(&w, url, PORT_REFUSED, "not trusted"); // not by the system
    snprintf(url, sizeof(url), "rediss://localhost:%s?ca=%s.none", port, ca);
    check_claim(&w, url, PORT_REFUSED, "no trusted certificates");
    snprintf(url, sizeof(url), "redis://localhost:%s", port);
    check_claim(&w, url, PORT_AWAY, NULL); // no TLS to a TLS port
    world_close(&w);
}
END_TEST

START_TEST(test_cluster_tls)
{
    struct world w;
    char url[256], port[8], ca[128], key[128];
    world_open(&w, WORLD_REDIS, NULL);
    make_certificate(&w.server, "DNS:localhost", ca, key);
    redis_server_kill(&w.server);
    snprintf(port, sizeof(port), "%d", free_port());
    const char *const args[] = {"--tls-port", port, "--bind", "127.0.0.1", "--tls-cert-file", ca, "--tls-key-file", key,
                                "--tls-ca-cert-file", ca, "--tls-auth-clients", "no", "--tls-cluster", "yes",
                                "--cluster-enabled", "yes", NULL};
    w.server.args = args;
    redis_server_again(&w.server);
    redis_server_slots(&w.server, 0, REDIS_SLOTS - 1);
    wait_until(redis_server_cluster_ok, &w.server, "the cluster");
    snprintf(url, sizeof(url), "rediss-cluster://localhost:%s?ca=%s", port, ca);
    check_claim(&w, url, 0, NULL);
    snprintf(url, sizeof(url), "rediss-cluster://127.0.0.1:%s?ca=%s", port, ca);
    check_claim(&w, url, PORT_REFUSED, "not trusted for 127.0.0.1");
    snprintf(url, sizeof(url), "redis-cluster://localhost:%s", port);
    check_claim(&w, url, PORT_AWAY, NULL);
    world_close(&w);
}
END_TEST

// ---- Sentinel

struct failover {
    struct world *w;
    struct redis_server *replica, *sentinel;
};

static bool replicates(void *arg)
{
    struct failover *f = arg;
    redisReply *r = redis_server_ask(f->replica, "INFO replication");
    bool up = strstr(r->str, "master_link_status:up") != NULL;
    freeReplyObject(r);
    return up;
}

static bool has_the_cursor(void *arg)
{
    struct failover *f = arg;
    redisReply *r = redis_server_ask(f->replica, "INFO keyspace");
    bool there = strstr(r->str, "db1:keys=1") != NULL;
    freeReplyObject(r);
    return there;
}

// A Sentinel agrees once it knows the replica and its state.
static bool fails_over(void *arg)
{
    struct failover *f = arg;
    redisContext *c = redisConnectUnix(f->sentinel->socket);
    redisReply *r = redisCommand(c, "SENTINEL FAILOVER mymaster");
    bool agreed = r && r->type != REDIS_REPLY_ERROR;
    freeReplyObject(r);
    redisFree(c);
    return agreed;
}

static bool replaced(void *arg)
{
    struct failover *f = arg;
    redisReply *r = redis_server_ask(f->sentinel, "SENTINEL get-master-addr-by-name mymaster");
    bool over = !strcmp(r->element[1]->str, f->replica->args[1]);
    freeReplyObject(r);
    return over;
}

static void start_sentinel(struct redis_server *s, const char *dir, const char *master, const char *const *args)
{
    FILE *f = fopen(args[0], "w");
    ck_assert_msg(f != NULL, "no sentinel.conf in %s", dir);
    fprintf(f, "sentinel monitor mymaster 127.0.0.1 %s 1\n", master);
    fclose(f);
    redis_server_start(s, args);
}

START_TEST(test_sentinel)
{
    struct world w;
    struct redis_server replica, sentinel;
    char url[256], ports[3][8], config[128];
    for (int i = 0; i < 3; i++)
        snprintf(ports[i], sizeof(ports[i]), "%d", free_port());
    const char *const args[] = {"--port", ports[0], "--bind", "127.0.0.1", NULL};
    const char *const replica_args[] = {"--port",      ports[1],    "--bind", "127.0.0.1",
                                        "--replicaof", "127.0.0.1", ports[0], "--repl-diskless-sync-delay",
                                        "0",           NULL};
    world_open(&w, WORLD_REDIS, args);
    snprintf(config, sizeof(config), "%s/sentinel.conf", w.server.dir);
    const char *const sentinel_args[] = {config,      "--port",     ports[2], "--bind",
                                         "127.0.0.1", "--sentinel", NULL};
    redis_server_start(&replica, replica_args);
    struct failover f = {&w, &replica, &sentinel};
    wait_until(replicates, &f, "the replica");
    start_sentinel(&sentinel, w.server.dir, ports[0], sentinel_args);

    snprintf(url, sizeof(url), "redis-sentinel://127.0.0.1:%s/other", ports[2]);
    check_claim(&w, url, PORT_AWAY, "knows no master \"other\"");
    snprintf(url, sizeof(url), "redis-sentinel://127.0.0.1:%d/mymaster", free_port());
    check_claim(&w, url, PORT_AWAY, "gave no answer");
    snprintf(url, sizeof(url), "redis://127.0.0.1:%s", ports[2]);
    check_claim(&w, url, PORT_REFUSED, "redis-sentinel://");

    // the first one is not there
    snprintf(url, sizeof(url), "redis-sentinel://127.0.0.1:%d,127.0.0.1:%s/mymaster?db=1", free_port(), ports[2]);
    redis_store_free(w.a);
    w.a = world_client(&w, url);
    struct cursor c = world_begin(&w, w.a, &ALICE);
    wait_until(has_the_cursor, &f, "the replica to have the cursor");
    wait_until(fails_over, &f, "the Sentinel to agree to a failover");
    wait_until(replaced, &f, "the failover");
    // the former master lives on, and learns of it (here at once; else from the Sentinel, which ends
    // connections)
    redis_server_do(&w.server, "REPLICAOF 127.0.0.1 %s", ports[1]);
    int r1 = world_write(&w, w.a, &ALICE, &c, NULL, 0);
    ck_assert(r1 == PORT_AWAY || r1 == PORT_FENCED);
    ck_assert_int_eq(world_write(&w, w.a, &ALICE, &c, NULL, 0), PORT_FENCED);
    c = world_claim(&w, w.a, &ALICE);
    ck_assert(c.exists);
    ck_assert_int_eq(world_write(&w, w.a, &ALICE, &c, NULL, 0), 0);
    redis_server_stop(&sentinel);
    redis_server_stop(&replica);
    world_close(&w);
}
END_TEST

// Sentinels with TLS and users of their own; the master has another user.
START_TEST(test_sentinel_secured)
{
    struct world w;
    struct redis_server sentinel;
    char url[512], ports[2][8], config[128], ca[128], key[128];
    world_open(&w, WORLD_REDIS, NULL);
    make_certificate(&w.server, "DNS:localhost,IP:127.0.0.1", ca, key);
    for (int i = 0; i < 2; i++)
        snprintf(ports[i], sizeof(ports[i]), "%d", free_port());
    const char *const args[] = {"--tls-port", ports[0], "--bind", "127.0.0.1", "--tls-cert-file", ca, "--tls-key-file",
                                key, "--tls-ca-cert-file", ca, "--tls-auth-clients", "no", NULL};
    redis_server_kill(&w.server);
    w.server.args = args;
    redis_server_again(&w.server);
    redis_server_do(&w.server, "ACL SETUSER engaged on >master ~* +@all");
    snprintf(config, sizeof(config), "%s/sentinel.conf", w.server.dir);
    const char *const sentinel_args[] = {config, "--tls-port", ports[1], "--bind", "127.0.0.1", "--tls-cert-file", ca,
                                         "--tls-key-file", key, "--tls-ca-cert-file", ca, "--tls-auth-clients", "no",
                                         "--tls-replication", "yes", "--sentinel", NULL};
    start_sentinel(&sentinel, w.server.dir, ports[0], sentinel_args);
    redis_server_do(&sentinel, "ACL SETUSER watcher on >w@tch +@all");
    redis_server_do(&sentinel, "ACL SETUSER default resetpass >own");

    static const struct {
        const char *scheme, *master, *more; // more: after ?ca=FILE, or all of it
        int result;
        const char *why;
    } rows[] = {
        {"rediss", "engaged:master@", "&sentinel_password=own", 0, NULL},
        {"rediss", "engaged:master@", "&sentinel_username=watcher&sentinel_password=w%40tch", 0, NULL},
        {"rediss", "engaged:master@", "", PORT_AWAY, "wants a password of its own"},
        {"rediss", "engaged:master@", "&sentinel_password=master", PORT_AWAY, "refuses sentinel_username"},
        {"rediss", "engaged:own@", "&sentinel_password=own", PORT_REFUSED, "user and password"},
        {"rediss", "engaged:master@", "?sentinel_password=own", PORT_AWAY, "is of no use: its certificate"},
        {"redis", "engaged:master@", "?sentinel_password=own", PORT_AWAY, "gave no answer"},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        bool whole = rows[i].more[0] == '?';
        snprintf(url, sizeof(url), "%s-sentinel://%slocalhost:%s/mymaster%s%s%s", rows[i].scheme, rows[i].master,
                 ports[1], whole ? "" : "?ca=", whole ? "" : ca, rows[i].more);
        check_claim(&w, url, rows[i].result, rows[i].why);
    }
    redis_server_stop(&sentinel);
    world_close(&w);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("redis_connect");
    TCase *t = tcase_create("connect");
    tcase_add_loop_test(t, test_settings, 0, SETTINGS);
    tcase_add_test(t, test_evictions);
    tcase_add_test(t, test_warnings);
    tcase_add_test(t, test_cluster);
    tcase_add_test(t, test_no_cluster);
    tcase_add_test(t, test_credentials);
    tcase_add_test(t, test_tcp);
    tcase_add_test(t, test_tls);
    tcase_add_test(t, test_cluster_tls);
    tcase_add_test(t, test_sentinel);
    tcase_add_test(t, test_sentinel_secured);
    suite_add_tcase(s, t);
    return world_run(s);
}
