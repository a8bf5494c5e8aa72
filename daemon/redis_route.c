// Sentinels are asked one after the other, at each new connection and never in between: a master that has
// been replaced ends its connections or refuses writes, both of which drop the connection and so lead here.
#include "redis_route.h"

#include <stdarg.h>
#include <string.h>

#include "error.h"
#include "redis_cluster.h"
#include "redis_tls.h"

struct redis_route {
    const struct redis_options *o;
    uint64_t runs;                 // of all servers that were ever met
    struct redis_cluster *cluster; // or, if NULL:
    struct redis_conn *conn;
    char master[256]; // address that a Sentinel gave
};

struct redis_route *redis_route_new(const struct redis_options *o, struct redis_arena *answers)
{
    struct redis_route *r = calloc(1, sizeof(*r));
    if (!r)
        return NULL;
    r->o = o;
    if (redis_url_cluster(o->url))
        r->cluster = redis_cluster_new(o, answers, &r->runs);
    else
        r->conn = redis_conn_new(o, answers, &r->runs);
    return r->conn || r->cluster ? r : redis_route_free(r);
}

struct redis_route *redis_route_free(struct redis_route *r)
{
    if (r) {
        redis_conn_free(r->conn);
        redis_cluster_free(r->cluster);
    }
    free(r);
    return NULL;
}

static void cleanup_context(redisContext **c)
{
    if (*c)
        redisFree(*c);
}

static void cleanup_reply(redisReply **r)
{
    freeReplyObject(*r);
}

__attribute__((format(printf, 3, 4))) static int no_use(const struct redis_host *at, struct why *why, const char *fmt,
                                                        ...)
{
    int n = snprintf(why->text, sizeof(why->text), "the Sentinel at %.80s:%d ", at->name, at->port);
    va_list args;
    va_start(args, fmt);
    vsnprintf(why->text + n, sizeof(why->text) - (size_t)n, fmt, args);
    va_end(args);
    return PORT_AWAY;
}

// Over TLS where Redis is reached so, with what the Sentinel wants of its own. 0, or PORT_AWAY.
static int greet_sentinel(const struct redis_url *u, const struct redis_host *at, redisContext *c, struct why *why)
{
    struct why tls = {0};
    if (c->err)
        return no_use(at, why, "gave no answer: %.100s", c->errstr);
    int r = redis_url_tls(u) ? redis_tls_start(c, at->name, u->ca, &tls) : 0;
    if (r)
        return r < 0 ? r : no_use(at, why, "is of no use: %s", tls.text);
    if (!u->sentinel_password)
        return 0;
    _cleanup_(cleanup_reply) redisReply *reply =
        u->sentinel_user ? redisCommand(c, "AUTH %s %s", u->sentinel_user, u->sentinel_password)
                         : redisCommand(c, "AUTH %s", u->sentinel_password);
    if (!reply)
        return no_use(at, why, "gave no answer: %.100s", c->errstr);
    if (reply->type == REDIS_REPLY_ERROR)
        return no_use(at, why, "refuses sentinel_username and sentinel_password of redis.url: %.100s", reply->str);
    return 0;
}

// Asks one Sentinel for the master's address. 0, or PORT_AWAY.
static int ask_sentinel(struct redis_route *r, const struct redis_host *at, struct redis_host *ret, struct why *why)
{
    struct timeval wait = {.tv_sec = r->o->timeout_ms / 1000, .tv_usec = r->o->timeout_ms % 1000 * 1000};
    redisOptions options = {.connect_timeout = &wait,
                            .command_timeout = &wait,
                            .options = REDIS_OPT_PREFER_IP_UNSPEC};
    REDIS_OPTIONS_SET_TCP(&options, at->name, at->port);
    _cleanup_(cleanup_context) redisContext *c = redisConnectWithOptions(&options);
    if (!c)
        return ERR_NOMEM;
    int result = greet_sentinel(r->o->url, at, c, why);
    if (result)
        return result;
    _cleanup_(cleanup_reply) redisReply *reply =
        redisCommand(c, "SENTINEL get-master-addr-by-name %s", r->o->url->master);
    if (reply && reply->type == REDIS_REPLY_ERROR && !strncmp(reply->str, "NOAUTH", 6))
        return no_use(at, why, "wants a password of its own: write ?sentinel_password= in redis.url");
    if (!reply || reply->type == REDIS_REPLY_ERROR)
        return no_use(at, why, "gave no answer: %.100s", reply ? reply->str : c->errstr);
    if (reply->elements != 2 || reply->element[0]->len >= sizeof(r->master))
        return no_use(at, why, "knows no master \"%.80s\": is its name right in redis.url?", r->o->url->master);
    memcpy(r->master, reply->element[0]->str, reply->element[0]->len + 1);
    *ret = (struct redis_host){r->master, atoi(reply->element[1]->str)};
    return 0;
}

// A Sentinel that is cut off from the others can name a master of the past: that one's role tells, and the
// next Sentinel is asked.
static int open_master(struct redis_route *r, struct why *why)
{
    int result = PORT_AWAY;
    for (int i = 0; i < r->o->url->nhosts && result == PORT_AWAY; i++) {
        struct redis_host master;
        result = ask_sentinel(r, &r->o->url->hosts[i], &master, why);
        if (!result)
            result = redis_conn_open(r->conn, &master, why);
    }
    return result;
}

static int to_server(struct redis_route *r, struct why *why)
{
    const struct redis_url *u = r->o->url;
    if (redis_conn_alive(r->conn))
        return 0;
    if (redis_url_sentinel(u))
        return open_master(r, why);
    return redis_conn_open(r->conn, u->scheme == REDIS_UNIX ? NULL : &u->hosts[0], why);
}

int redis_route_to(struct redis_route *r, int slot, struct redis_conn **ret, struct why *ret_why)
{
    if (r->cluster)
        return redis_cluster_to(r->cluster, slot, ret, ret_why);
    int result = to_server(r, ret_why);
    if (!result)
        *ret = r->conn;
    return result;
}

int redis_route_error(struct redis_route *r, struct redis_conn *c, const redisReply *error, struct why *ret_why)
{
    return r->cluster ? redis_cluster_error(r->cluster, c, error, ret_why) : redis_conn_error(c, error, ret_why);
}

int redis_route_check(struct redis_route *r, struct why *ret_why)
{
    if (r->cluster)
        return redis_cluster_check(r->cluster, ret_why);
    int result = to_server(r, ret_why);
    return result ? result : redis_conn_check(r->conn, ret_why);
}
