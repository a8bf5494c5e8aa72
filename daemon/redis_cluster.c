// Whatever is odd makes the map stale; then it is asked for at the next call, of the node that an error named,
// else of all known nodes and those of the URL in turn. A node that is cut off from the others may tell what was
// true once: what follows from that fails, and by turns another one is believed.
#include "redis_cluster.h"

#include <string.h>

#include "clock.h"
#include "error.h"
#include "redis_slots.h"

struct redis_cluster {
    const struct redis_options *o;
    struct redis_arena *answers;
    uint64_t *runs;
    struct redis_slots map;
    struct redis_conn **conns; // by the map's node; NULL: not needed so far
    struct redis_conn *asking; // for the map, which any node tells
    struct redis_node named;   // by MOVED: whom to ask first; port 0: nobody
    bool stale;
    size_t turn;
};

static void conns_free(struct redis_conn **conns, size_t n)
{
    for (size_t i = 0; conns && i < n; i++)
        redis_conn_free(conns[i]);
    free(conns);
}

struct redis_cluster *redis_cluster_new(const struct redis_options *o, struct redis_arena *answers, uint64_t *runs)
{
    struct redis_cluster *c = calloc(1, sizeof(*c));
    if (!c)
        return NULL;
    *c = (struct redis_cluster){.o = o, .answers = answers, .runs = runs, .stale = true};
    c->asking = redis_conn_new(o, answers, runs);
    return c->asking ? c : redis_cluster_free(c);
}

struct redis_cluster *redis_cluster_free(struct redis_cluster *c)
{
    if (!c)
        return NULL;
    conns_free(c->conns, c->map.nnodes);
    redis_conn_free(c->asking);
    redis_slots_clear(&c->map);
    free(c);
    return NULL;
}

// ---- the map

// Connections to nodes that still hold slots are kept. One that holds none any more is forgotten, with its run:
// should it come back, its data are others'.
static int adopt(struct redis_cluster *c, struct redis_slots *map)
{
    struct redis_conn **conns = calloc(map->nnodes, sizeof(*conns));
    if (!conns) {
        redis_slots_clear(map);
        return ERR_NOMEM;
    }
    for (size_t i = 0; i < map->nnodes; i++)
        for (size_t k = 0; k < c->map.nnodes; k++)
            if (c->map.nodes[k].port == map->nodes[i].port && !strcmp(c->map.nodes[k].name, map->nodes[i].name)) {
                conns[i] = c->conns[k];
                c->conns[k] = NULL;
            }
    conns_free(c->conns, c->map.nnodes);
    redis_slots_clear(&c->map);
    c->conns = conns;
    c->map = *map;
    c->stale = false;
    return 0;
}

static int ask(struct redis_cluster *c, const struct redis_host *host, struct why *why)
{
    struct resp out = {0};
    struct redis_slots map;
    redisReply *reply = NULL;
    int r = redis_conn_greet(c->asking, host, why);
    if (r)
        return r;
    resp_command(&out, 2);
    resp_text(&out, "CLUSTER");
    resp_text(&out, "SLOTS");
    r = redis_conn_send(c->asking, &out, 1, &reply, why);
    buffer_clear(&out.b);
    if (!r && reply->type == REDIS_REPLY_ERROR)
        r = redis_conn_error(c->asking, reply, why);
    if (!r && (r = redis_slots_read(reply, host->name, &map, why)) == 0)
        r = adopt(c, &map);
    redis_conn_drop(c->asking);
    return r;
}

static struct redis_host host_of(const struct redis_node *node)
{
    return (struct redis_host){node->name, node->port};
}

// Asks one after the other until one answers, but does not wait for more than two that do not.
static int refresh(struct redis_cluster *c, struct why *why)
{
    const struct redis_url *u = c->o->url;
    size_t known = c->map.nnodes, places = known + (size_t)u->nhosts;
    int64_t until = now_ms() + 2 * (int64_t)c->o->timeout_ms;
    int r = PORT_AWAY;
    if (c->named.port) {
        struct redis_host named = host_of(&c->named);
        r = ask(c, &named, why);
        c->named.port = 0;
    }
    for (size_t i = 0; i < places && c->stale && r >= 0 && now_ms() < until; i++) {
        size_t k = c->turn++ % places;
        struct redis_host host = k < known ? host_of(&c->map.nodes[k]) : u->hosts[k - known];
        r = ask(c, &host, why);
    }
    return r;
}

// ---- connections

static int open_node(struct redis_cluster *c, size_t node, struct why *why)
{
    if (!c->conns[node] && !(c->conns[node] = redis_conn_new(c->o, c->answers, c->runs)))
        return ERR_NOMEM;
    if (redis_conn_alive(c->conns[node]))
        return 0;
    struct redis_host host = host_of(&c->map.nodes[node]);
    int r = redis_conn_open(c->conns[node], &host, why);
    c->stale |= r > 0;
    return r;
}

int redis_cluster_to(struct redis_cluster *c, int slot, struct redis_conn **ret, struct why *ret_why)
{
    int r = c->stale ? refresh(c, ret_why) : 0;
    if (r)
        return r;
    size_t at = c->map.at[slot];
    if (at == 0) {
        c->stale = true;
        snprintf(ret_why->text, sizeof(ret_why->text),
                 "no node of the Redis Cluster holds slot %d: redis-cli --cluster check %.100s:%d", slot,
                 c->map.nodes[0].name, c->map.nodes[0].port);
        return PORT_AWAY;
    }
    r = open_node(c, at - 1, ret_why);
    if (!r)
        *ret = c->conns[at - 1];
    return r;
}

int redis_cluster_error(struct redis_cluster *c, struct redis_conn *conn, const redisReply *error, struct why *ret_why)
{
    for (size_t i = 0; i < c->map.nnodes; i++)
        if (c->conns[i] == conn && redis_slots_moved(error->str, c->map.nodes[i].name, &c->named))
            c->named.port = 0;
    int r = redis_conn_error(conn, error, ret_why);
    c->stale |= r == PORT_AWAY;
    return r;
}

int redis_cluster_check(struct redis_cluster *c, struct why *ret_why)
{
    int r = c->stale ? refresh(c, ret_why) : 0;
    bool any = false;
    for (size_t i = 0; i < c->map.nnodes; i++)
        any |= c->conns[i] != NULL;
    for (size_t i = 0; r == 0 && i < c->map.nnodes; i++) {
        if (any && !c->conns[i])
            continue;
        r = open_node(c, i, ret_why);
        if (r == 0)
            r = redis_conn_check(c->conns[i], ret_why);
        c->stale |= r > 0;
        any = true; // without a need one node is enough
    }
    return r;
}
