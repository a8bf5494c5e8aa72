// Connecting takes a handful of round trips one after the other: each is judged before the next, so that the
// first thing that is wrong is the one that is told. It happens rarely; sending is what must be fast.
#include "redis_conn.h"

#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <string.h>

#include "error.h"
#include "redis_checks.h"
#include "redis_tls.h"

#include "redis_claim_lua.h"
#include "redis_create_lua.h"
#include "redis_flush_lua.h"
#include "redis_remember_lua.h"

static const char *const scripts[REDIS_SCRIPTS] = {redis_claim_lua, redis_create_lua, redis_flush_lua,
                                                   redis_remember_lua};

enum { VERSION_WITH_FLAGS = 70000, SHA_BYTES = 40 };

struct redis_conn {
    const struct redis_options *o;
    struct redis_arena *answers;
    redisContext *c; // NULL: dropped, or never made
    char where[280]; // for messages: what it is, or was, connected to
    struct redis_facts facts;
    uint64_t *runs, run;
    char sha[REDIS_SCRIPTS][SHA_BYTES + 1];
};

static void cleanup_resp(struct resp *r)
{
    buffer_clear(&r->b);
}

__attribute__((format(printf, 4, 5))) static int say(const struct redis_conn *c, struct why *why, int result,
                                                     const char *fmt, ...)
{
    int n = snprintf(why->text, sizeof(why->text), "Redis at %.120s: ", c->where);
    va_list args;
    va_start(args, fmt);
    vsnprintf(why->text + n, sizeof(why->text) - (size_t)n, fmt, args);
    va_end(args);
    return result;
}

struct redis_conn *redis_conn_new(const struct redis_options *o, struct redis_arena *answers, uint64_t *runs)
{
    struct redis_conn *c = calloc(1, sizeof(*c));
    if (c)
        *c = (struct redis_conn){.o = o, .answers = answers, .runs = runs};
    return c;
}

struct redis_conn *redis_conn_free(struct redis_conn *c)
{
    if (c)
        redis_conn_drop(c);
    free(c);
    return NULL;
}

void redis_conn_drop(struct redis_conn *c)
{
    if (c->c)
        redisFree(c->c);
    c->c = NULL;
}

uint64_t redis_conn_run(const struct redis_conn *c)
{
    return c->run;
}

bool redis_conn_alive(struct redis_conn *c)
{
    if (!c->c)
        return false;
    // Nothing is expected between two calls: what comes then is the end.
    struct pollfd fd = {.fd = c->c->fd, .events = POLLIN};
    if (poll(&fd, 1, 0) != 0)
        redis_conn_drop(c);
    return c->c != NULL;
}

// ---- sending

static int lost(struct redis_conn *c, struct why *why)
{
    bool late = c->c->err == REDIS_ERR_TIMEOUT || (c->c->err == REDIS_ERR_IO && errno == EAGAIN);
    if (c->c->err == REDIS_ERR_OOM) {
        redis_conn_drop(c);
        return ERR_NOMEM;
    }
    if (late)
        say(c, why, 0, "no answer within %d ms", c->o->timeout_ms);
    else
        say(c, why, 0, "the connection broke: %s", c->c->errstr);
    redis_conn_drop(c);
    return PORT_AWAY;
}

int redis_conn_send(struct redis_conn *c, const struct resp *out, size_t n, redisReply **ret, struct why *ret_why)
{
    if (out->b.failed || redisAppendFormattedCommand(c->c, out->b.p, out->b.n) != REDIS_OK) {
        redis_conn_drop(c); // there may be half a command in it
        return ERR_NOMEM;
    }
    for (size_t i = 0; i < n; i++) {
        void *reply = NULL;
        if (redisGetReply(c->c, &reply) != REDIS_OK)
            return lost(c, ret_why);
        ret[i] = reply;
    }
    return 0;
}

static const char *script_text(const struct redis_conn *c, enum redis_script script)
{
    // before Redis 7 the first line is no Lua
    const char *text = scripts[script];
    return c->facts.version >= VERSION_WITH_FLAGS ? text : strchr(text, '\n') + 1;
}

// EVALSHA sha or EVAL text, then the arguments.
static int run_script(struct redis_conn *c, const char *command, const char *script, const struct resp *args,
                      redisReply **ret, struct why *why)
{
    _cleanup_(cleanup_resp) struct resp head = {0};
    resp_command(&head, 2 + args->n);
    resp_text(&head, command);
    resp_text(&head, script);
    if (head.b.failed || redisAppendFormattedCommand(c->c, head.b.p, head.b.n) != REDIS_OK) {
        redis_conn_drop(c);
        return ERR_NOMEM;
    }
    return redis_conn_send(c, args, 1, ret, why);
}

int redis_conn_script(struct redis_conn *c, enum redis_script script, const struct resp *args, redisReply **ret,
                      struct why *ret_why)
{
    redisReply *reply = NULL;
    int r = run_script(c, "EVALSHA", c->sha[script], args, &reply, ret_why);
    if (!r && reply->type == REDIS_REPLY_ERROR && !strncmp(reply->str, "NOSCRIPT", 8)) {
        // somebody has flushed the server's scripts; EVAL also puts it back
        r = run_script(c, "EVAL", script_text(c, script), args, &reply, ret_why);
    }
    if (!r)
        *ret = reply;
    return r;
}

int redis_conn_error(struct redis_conn *c, const redisReply *error, struct why *ret_why)
{
    static const struct {
        const char *code;
        int result;
        const char *advice;
    } rows[] = {
        {"OOM", PORT_REFUSED, "its memory is full: raise its maxmemory (CONFIG SET maxmemory), or remove other data"},
        {"MISCONF", PORT_REFUSED, "it cannot write to its disk: see its log, and the disk's free space"},
        {"WRONGTYPE", PORT_REFUSED, "something else wrote a key of engaged's: give engaged a database of its own"},
        {"NOPERM", PORT_REFUSED,
         "its ACL forbids it: ACL SETUSER <user> ~{<app>:* +@all -@dangerous +info +cluster|slots"},
        {"NOAUTH", PORT_REFUSED, "it wants a password: write redis://user:password@host in redis.url"},
        {"WRONGPASS", PORT_REFUSED, "check user and password in redis.url"},
        {"MOVED ", PORT_AWAY, "the cluster has moved the partition to another node"},
        {"ASK ", PORT_AWAY, "the cluster is moving the partition to another node: waiting until it has arrived"},
        {"TRYAGAIN", PORT_AWAY, "the cluster is moving the partition to another node: waiting until it has arrived"},
        {"CLUSTERDOWN", PORT_AWAY, "the cluster lacks nodes: redis-cli --cluster check"},
        {"cluster support disabled", PORT_REFUSED, "it is no cluster's node: write redis://HOST:PORT in redis.url"},
        {"READONLY", PORT_AWAY, "it has become a replica"},
        {"LOADING", PORT_AWAY, "it is still loading its data"},
        {"MASTERDOWN", PORT_AWAY, "it is a replica that has lost its master"},
        {"NOREPLICAS", PORT_AWAY, "it has fewer replicas than its min-replicas-to-write"},
        {"BUSY", PORT_AWAY, "it is busy with a script of somebody else's"},
        {"max number of clients", PORT_AWAY, "raise its maxclients, or end idle clients"},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        // Redis 6.2 wraps an error from within a script into one of its own, so the code can be anywhere
        const char *found = strstr(error->str, rows[i].code);
        if (!found)
            continue;
        say(c, ret_why, 0, "%s (%.70s)", rows[i].advice, found);
        if (rows[i].result == PORT_AWAY)
            redis_conn_drop(c);
        return rows[i].result;
    }
    return say(c, ret_why, PORT_REFUSED, "%s", error->str);
}

// ---- connecting

static int reach(struct redis_conn *c, const struct redis_host *host, struct why *why)
{
    const struct redis_url *u = c->o->url;
    struct timeval wait = {.tv_sec = c->o->timeout_ms / 1000, .tv_usec = c->o->timeout_ms % 1000 * 1000};
    redisOptions options = {.connect_timeout = &wait,
                            .command_timeout = &wait,
                            .options = REDIS_OPT_PREFER_IP_UNSPEC | REDIS_OPT_NO_PUSH_AUTOFREE};
    if (host) {
        REDIS_OPTIONS_SET_TCP(&options, host->name, host->port);
        snprintf(c->where, sizeof(c->where), strchr(host->name, ':') ? "[%s]:%d" : "%s:%d", host->name, host->port);
    } else {
        REDIS_OPTIONS_SET_UNIX(&options, u->path);
        snprintf(c->where, sizeof(c->where), "%s", u->path);
    }
    c->c = redisConnectWithOptions(&options); // with TCP_NODELAY
    if (!c->c)
        return ERR_NOMEM;
    if (c->c->err) {
        say(c, why, 0, "cannot connect: %s. Is it running, and redis.url right?", c->c->errstr);
        redis_conn_drop(c);
        return PORT_AWAY;
    }
    redis_arena_use(c->answers, c->c->reader);
    if (host)
        redisEnableKeepAlive(c->c);
    if (!redis_url_tls(u))
        return 0;
    struct why tls;
    int r = redis_tls_start(c->c, host->name, u->ca, &tls);
    if (r)
        redis_conn_drop(c);
    return r > 0 ? say(c, why, r, "%s", tls.text) : r;
}

static void put_words(struct resp *out, size_t n, const char *const *words)
{
    resp_command(out, n);
    for (size_t i = 0; i < n; i++)
        resp_text(out, words[i]);
}

#define PUT(out, ...) \
    put_words(out, sizeof((const char *const[]){__VA_ARGS__}) / sizeof(char *), (const char *const[]){__VA_ARGS__})

// One command whose answer must be no error.
static int ask(struct redis_conn *c, struct resp *out, redisReply **ret, struct why *why)
{
    redisReply *reply = NULL;
    int r = redis_conn_send(c, out, 1, &reply, why);
    out->b.n = 0;
    if (r)
        return r;
    if (reply->type == REDIS_REPLY_ERROR)
        return redis_conn_error(c, reply, why);
    *ret = reply;
    return 0;
}

static int expect_ok(struct redis_conn *c, struct resp *out, struct why *why)
{
    redisReply *reply;
    return ask(c, out, &reply, why);
}

static int log_in(struct redis_conn *c, struct resp *out, struct why *why)
{
    const struct redis_url *u = c->o->url;
    int r = 0;
    if (u->user)
        PUT(out, "AUTH", u->user, u->password);
    else if (u->password)
        PUT(out, "AUTH", u->password);
    if (u->password)
        r = expect_ok(c, out, why);
    if (!r && u->db > 0) {
        char db[12];
        snprintf(db, sizeof(db), "%d", u->db);
        PUT(out, "SELECT", db);
        r = expect_ok(c, out, why);
    }
    if (!r && c->o->client) { // may be forbidden, and is only for people
        redisReply *reply;
        PUT(out, "CLIENT", "SETNAME", c->o->client);
        r = redis_conn_send(c, out, 1, &reply, why);
        out->b.n = 0;
    }
    return r;
}

static long long number_of(const redisReply *r)
{
    return r->type == REDIS_REPLY_STRING && r->len > 0 ? atoll(r->str) : -1;
}

// CONFIG may be forbidden: then nothing is known, and nothing said.
static int read_settings(struct redis_conn *c, struct resp *out, struct redis_settings *ret, struct why *why)
{
    const char *name = c->facts.version >= VERSION_WITH_FLAGS ? "listpack" : "ziplist";
    *ret = (struct redis_settings){.listpack_value = -1, .listpack_entries = -1};
    snprintf(ret->listpack_name, sizeof(ret->listpack_name), "%s", name);
    char names[3][32] = {"appendfsync"};
    snprintf(names[1], sizeof(names[1]), "hash-max-%s-value", name);
    snprintf(names[2], sizeof(names[2]), "hash-max-%s-entries", name);
    for (int i = 0; i < 3; i++)
        PUT(out, "CONFIG", "GET", names[i]);
    redisReply *replies[3];
    int r = redis_conn_send(c, out, 3, replies, why);
    out->b.n = 0;
    if (r)
        return r;
    for (int i = 0; i < 3; i++) {
        const redisReply *v = replies[i]->elements == 2 ? replies[i]->element[1] : NULL;
        if (v && i == 0 && v->type == REDIS_REPLY_STRING)
            snprintf(ret->appendfsync, sizeof(ret->appendfsync), "%s", v->str);
        else if (v && i > 0)
            *(i == 1 ? &ret->listpack_value : &ret->listpack_entries) = number_of(v);
    }
    return 0;
}

static int load_scripts(struct redis_conn *c, struct resp *out, struct why *why)
{
    for (int i = 0; i < REDIS_SCRIPTS; i++) {
        redisReply *reply = NULL;
        PUT(out, "SCRIPT", "LOAD", script_text(c, i));
        int r = ask(c, out, &reply, why);
        if (r)
            return r;
        if (reply->type != REDIS_REPLY_STRING || reply->len != SHA_BYTES)
            return say(c, why, PORT_REFUSED, "SCRIPT LOAD gave no SHA1: is this a Redis?");
        memcpy(c->sha[i], reply->str, SHA_BYTES);
    }
    return 0;
}

// INFO, judged. At a server not seen before its settings too.
static int examine(struct redis_conn *c, struct resp *out, struct why *why)
{
    redisReply *info = NULL;
    PUT(out, "INFO");
    int r = ask(c, out, &info, why);
    if (r)
        return r;
    struct redis_facts facts;
    struct why found;
    if (info->type != REDIS_REPLY_STRING && info->type != REDIS_REPLY_VERB)
        return say(c, why, PORT_REFUSED, "INFO gave no text: is this a Redis?");
    r = redis_check_info(info->str, redis_url_cluster(c->o->url), &facts, &found);
    if (r)
        return say(c, why, r, "%s", found.text);

    bool same = c->run > 0 && !strcmp(facts.run_id, c->facts.run_id);
    c->facts = facts;
    if (same)
        return 0;
    c->run = ++*c->runs;
    struct redis_settings settings;
    r = read_settings(c, out, &settings, why);
    if (!r)
        redis_check_settings(c->where, info->str, &settings, c->o->note, c->o->note_arg);
    return r;
}

int redis_conn_check(struct redis_conn *c, struct why *ret_why)
{
    _cleanup_(cleanup_resp) struct resp out = {0};
    int r = examine(c, &out, ret_why);
    if (r)
        redis_conn_drop(c);
    return r;
}

int redis_conn_greet(struct redis_conn *c, const struct redis_host *host, struct why *ret_why)
{
    _cleanup_(cleanup_resp) struct resp out = {0};
    redis_conn_drop(c);
    int r = reach(c, host, ret_why);
    if (!r)
        r = log_in(c, &out, ret_why);
    if (r)
        redis_conn_drop(c);
    return r;
}

int redis_conn_open(struct redis_conn *c, const struct redis_host *host, struct why *ret_why)
{
    _cleanup_(cleanup_resp) struct resp out = {0};
    int r = redis_conn_greet(c, host, ret_why);
    if (!r)
        r = examine(c, &out, ret_why);
    if (!r)
        r = load_scripts(c, &out, ret_why);
    if (r)
        redis_conn_drop(c);
    return r;
}
