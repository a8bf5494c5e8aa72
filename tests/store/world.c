// A failing step fails the test at once, with the store's own words for it.
#include "world.h"

#include <stdlib.h>
#include <string.h>

#include "redis_slots.h"

const char *const world_models[2] = {"lifecycle", "value"};
const struct part_key P = {"clicks", 3}, Q = {"clicks", 4};
const struct owner ALICE = {"a11ce00000000001"}, BOB = {"b0b0000000000002"};

static void keep_note(void *arg, enum note_level level, const char *text)
{
    struct world *w = arg;
    size_t n = strlen(w->notes);
    snprintf(w->notes + n, sizeof(w->notes) - n, "%d %s\n", level, text);
}

struct redis_store *world_client(struct world *w, const char *url)
{
    static struct redis_url urls[8]; // borrowed by stores until the test's end
    static int n;
    struct redis_options options = w->options;
    struct why why = {0};
    if (url) {
        ck_assert_int_lt(n, 8);
        int r = redis_url_parse(url, &urls[n], &why);
        ck_assert_msg(!r, "%s: %s", url, why.text);
        options.url = &urls[n++];
    }
    struct redis_store *s = redis_store_new(&options);
    ck_assert_ptr_nonnull(s);
    return s;
}

// ---- a cluster

static struct redis_server node;
static char node_port[8];
static const char *const node_args[] = {"--port", node_port, "--bind", "127.0.0.1", "--cluster-enabled", "yes", NULL};

void world_cluster_start(void)
{
    snprintf(node_port, sizeof(node_port), "%d", free_port());
    redis_server_start(&node, node_args);
    redis_server_slots(&node, 0, REDIS_SLOTS - 1);
    wait_until(redis_server_cluster_ok, &node, "the cluster");
}

void world_cluster_stop(void)
{
    redis_server_stop(&node);
}

// ---- a world

void world_open(struct world *w, enum world_kind kind, const char *const *args)
{
    *w = (struct world){.kind = kind};
    if (kind == WORLD_MEMORY) {
        w->ops = &mem_store_ops;
        w->mem = mem_store_new();
        w->a = mem_client_new(w->mem);
        w->b = mem_client_new(w->mem);
        return;
    }
    struct why why = {0};
    char url[128];
    if (kind == WORLD_CLUSTER) {
        w->server = node;
        redis_server_do(&w->server, "FLUSHALL");
        snprintf(url, sizeof(url), "redis-cluster://127.0.0.1:%s", node_port);
    } else {
        redis_server_start(&w->server, args);
        snprintf(url, sizeof(url), "%s", w->server.url);
    }
    ck_assert_msg(!redis_url_parse(url, &w->url, &why), "%s", why.text);
    w->options = (struct redis_options){.app = "shop",
                                        .url = &w->url,
                                        .timeout_ms = 5000,
                                        .client = "test",
                                        .models = world_models,
                                        .nmodels = 2,
                                        .note = keep_note,
                                        .note_arg = w};
    w->ops = &redis_store_ops;
    w->a = world_client(w, NULL);
    w->b = world_client(w, NULL);
}

void world_close(struct world *w)
{
    if (w->kind == WORLD_MEMORY) {
        mem_client_free(w->a);
        mem_client_free(w->b);
        mem_store_free(w->mem);
        return;
    }
    redis_store_free(w->a);
    redis_store_free(w->b);
    redis_url_clear(&w->url);
    if (w->kind == WORLD_REDIS)
        redis_server_stop(&w->server);
}

void world_lose(struct world *w, enum mem_loss loss)
{
    static const char *const commands[LOSSES] = {
        [LOSE_ALL] = "FLUSHALL",
        [LOSE_CURSOR] = "DEL {shop:clicks:3}:cursor",
        [LOSE_BUCKET] = "DEL {shop:clicks:3}:b:lifecycle:0",
        [LOSE_DUE] = "ZREM {shop:clicks:3}:due lifecycle:0",
        [LOSE_DUES] = "DEL {shop:clicks:3}:due",
        [LOSE_STATS] = "DEL {shop:clicks:3}:stat",
        [LOSE_MODELS] = "DEL {shop:clicks:3}:models",
    };
    if (w->kind == WORLD_MEMORY)
        mem_store_lose(w->mem, &P, loss, 0);
    else
        redis_server_do(&w->server, commands[loss]);
}

void world_restart(struct world *w)
{
    if (w->kind == WORLD_MEMORY) {
        mem_store_restart(w->mem);
        return;
    }
    ck_assert_int_eq(w->kind, WORLD_REDIS);
    redis_server_kill(&w->server);
    redis_server_again(&w->server);
}

struct cursor world_claim(struct world *w, void *client, const struct owner *owner)
{
    struct cursor c;
    struct why why = {0};
    bool empty;
    int r = w->ops->claim(client, &P, owner, &c, &empty, &why);
    ck_assert_msg(!r, "claim: %d %s", r, why.text);
    return c;
}

struct cursor world_begin(struct world *w, void *client, const struct owner *owner)
{
    struct why why = {0};
    ck_assert(!world_claim(w, client, owner).exists);
    struct cursor c = {.exists = true,
                       .offset = 10,
                       .clock = INT64_MIN,
                       .start = 10,
                       .partitions = 8,
                       .format = 1,
                       .program = "0123456789abcdef"};
    int r = w->ops->create(client, &P, owner, &c, &why);
    ck_assert_msg(!r, "create: %d %s", r, why.text);
    return c;
}

int world_write(struct world *w, void *client, const struct owner *owner, struct cursor *c,
                const struct flush_write *writes, size_t n)
{
    struct why why = {0};
    struct flush f = {.cursor = c, .writes = writes, .nwrites = n};
    int r = w->ops->flush(client, &P, owner, &f, &why);
    if (r)
        ck_assert_msg(*why.text, "a failure without a reason");
    else
        c->n++;
    return r;
}

struct span world_read(struct world *w, void *client, const struct owner *owner, const struct cursor *c, int model,
                       uint64_t bucket, struct span customer)
{
    static const char *const words[] = {"-", "away", "unknown", "fenced", "refused"}; // by enum port_result
    struct why why = {0};
    struct load_item item = {.model = (int16_t)model, .bucket = bucket, .customer = customer};
    int r = w->ops->load(client, &P, owner, c->n, &item, 1, &why);
    ck_assert_msg(r >= 0 && r < 5, "load: %d %s", r, why.text);
    return r || !item.state.p ? (struct span){words[r], strlen(words[r])} : item.state;
}

void check_span(struct span got, struct span want, const char *what)
{
    ck_assert_msg(got.n == want.n && !memcmp(got.p, want.p, got.n), "%s is \"%.*s\", not \"%.*s\"", what, (int)got.n,
                  got.p, (int)want.n, want.p);
}

int world_run(Suite *s)
{
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_NORMAL);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
