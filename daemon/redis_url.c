// A URL is taken apart in place: a copy is cut at its separators and each piece decoded where it stands, so
// that all texts share one allocation. Messages repeat only the scheme: a password with a bare / or ? can
// land in any piece.
#include "redis_url.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "error.h"

__attribute__((format(printf, 2, 3))) static int wrong(struct why *why, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    vsnprintf(why->text, sizeof(why->text), fmt, args);
    va_end(args);
    return 1;
}

static int hex(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

// Decodes %XX in place. 0, or 1: a % without two hex digits, or a NUL.
static int decode(char *s)
{
    char *to = s;
    for (; *s; s++) {
        if (*s != '%') {
            *to++ = *s;
            continue;
        }
        int high = hex(s[1]), low = high < 0 ? -1 : hex(s[2]);
        if (low < 0 || high * 16 + low == 0)
            return 1;
        *to++ = (char)(high * 16 + low);
        s += 2;
    }
    *to = '\0';
    return 0;
}

// 0, or 1: not a whole number from min to max.
static int number(const char *s, int min, int max, int *ret)
{
    int v = 0;
    if (!*s)
        return 1;
    for (; *s; s++) {
        if (*s < '0' || *s > '9')
            return 1;
        v = v * 10 + (*s - '0');
        if (v > max)
            return 1;
    }
    if (v < min)
        return 1;
    *ret = v;
    return 0;
}

// Cuts s at the first c and returns what follows it, or NULL.
static char *cut(char *s, char c)
{
    char *at = strchr(s, c);
    if (at)
        *at++ = '\0';
    return at;
}

static int parse_host(char *s, int port, struct redis_host *ret, struct why *why)
{
    char *after = s;
    if (*s == '[') { // an IPv6 address
        s++;
        after = cut(s, ']');
        if (!after || (*after && *after != ':'))
            return wrong(why, "no ']' after the address, as in redis://[::1]:6379/0");
    }
    char *port_text = cut(after, ':');
    ret->name = s;
    ret->port = port;
    if (!*s)
        return wrong(why, "a host name is missing, as in redis://localhost:6379/0");
    if (decode(s))
        return wrong(why, "a host name has a '%%' without two hex digits after it");
    if (port_text && number(port_text, 1, 65535, &ret->port))
        return wrong(why, "the port is not a number from 1 to 65535 (in user and password, / is written %%2F)");
    return 0;
}

static int parse_hosts(struct redis_url *u, char *s, struct why *why)
{
    bool sentinel = redis_url_sentinel(u), several = sentinel || redis_url_cluster(u);
    for (char *next; s; s = next) {
        next = cut(s, ',');
        if (next && !several)
            return wrong(why, "one host only; several are for redis-sentinel://h1,h2/master "
                              "and redis-cluster://h1,h2");
        if (u->nhosts == REDIS_HOSTS_MAX)
            return wrong(why, "more than %d hosts", REDIS_HOSTS_MAX);
        int r = parse_host(s, sentinel ? 26379 : 6379, &u->hosts[u->nhosts], why);
        if (r)
            return r;
        u->nhosts++;
    }
    return 0;
}

static int parse_credentials(struct redis_url *u, char *s, struct why *why)
{
    u->user = s;
    u->password = cut(s, ':');
    if (!u->password)
        return wrong(why, "a user without a password: write redis://user:password@host, or "
                          "redis://:password@host");
    if (decode((char *)u->user) || decode((char *)u->password))
        return wrong(why, "user or password have a '%%' without two hex digits after it: write '%%' itself "
                          "as %%25");
    if (!*u->user)
        u->user = NULL;
    return 0;
}

static int parse_parameter(struct redis_url *u, char *name, struct why *why)
{
    char *value = cut(name, '=');
    if (!value || decode(value))
        return wrong(why, "after '?' comes name=value, with '%%' itself written as %%25");
    if (!strcmp(name, "db") && (u->scheme == REDIS_UNIX || redis_url_sentinel(u))) {
        if (number(value, 0, REDIS_DB_MAX, &u->db))
            return wrong(why, "the database is not a number, as in ?db=0");
    } else if (!strcmp(name, "ca") && redis_url_tls(u)) {
        u->ca = value;
    } else if (!strcmp(name, "user") && u->scheme == REDIS_UNIX) {
        u->user = value;
    } else if (!strcmp(name, "password") && u->scheme == REDIS_UNIX) {
        u->password = value;
    } else if (!strcmp(name, "sentinel_username") && redis_url_sentinel(u)) {
        u->sentinel_user = value;
    } else if (!strcmp(name, "sentinel_password") && redis_url_sentinel(u)) {
        u->sentinel_password = value;
    } else {
        return wrong(why, "an unknown parameter after '?'; there are ?ca=FILE where the scheme begins with rediss, "
                          "?db=N for unix:// and redis-sentinel://, ?user= and ?password= for unix://, "
                          "?sentinel_username= and ?sentinel_password= for redis-sentinel://");
    }
    return 0;
}

static int parse_path(struct redis_url *u, char *path, struct why *why)
{
    if (redis_url_sentinel(u)) {
        if (!path || !*path || decode(path))
            return wrong(why, "the master's name is missing, as in redis-sentinel://h1,h2/mymaster");
        u->master = path;
    } else if (redis_url_cluster(u)) {
        if (path && *path && strcmp(path, "0") != 0)
            return wrong(why, "a cluster has no databases but 0: nothing follows its nodes, as in "
                              "redis-cluster://h1,h2,h3");
    } else if (path && *path && number(path, 0, REDIS_DB_MAX, &u->db)) {
        return wrong(why, "the database is not a number, as in redis://localhost:6379/0");
    }
    return 0;
}

static int parse_authority(struct redis_url *u, char *rest, struct why *why)
{
    char *path = cut(rest, '/');
    char *at = strrchr(rest, '@'); // the last: a password may hold one
    if (at) {
        *at = '\0';
        int r = parse_credentials(u, rest, why);
        if (r)
            return r;
        rest = at + 1;
    }
    int r = parse_hosts(u, rest, why);
    return r ? r : parse_path(u, path, why);
}

static int parse_scheme(struct redis_url *u, const char *scheme, struct why *why)
{
    static const char *const names[] = {"redis",         "rediss",         "unix",           "redis-sentinel",
                                        "redis-cluster", "rediss-cluster", "rediss-sentinel"}; // by enum redis_scheme
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (!strcmp(scheme, names[i])) {
            u->scheme = (enum redis_scheme)i;
            return 0;
        }
    }
    return wrong(why,
                 "\"%.20s\" is no scheme here: redis://, rediss://, unix://, redis-sentinel://, rediss-sentinel://, "
                 "redis-cluster:// or rediss-cluster://",
                 scheme);
}

static int parse(struct redis_url *u, char *text, struct why *why)
{
    char *rest = strstr(text, "://");
    int r = 0;
    if (rest) {
        *rest = '\0';
        rest += 3;
        r = parse_scheme(u, text, why);
    } else if (strchr(text, ':')) {
        rest = text; // host:port alone, as most tools take it
    } else {
        r = wrong(why, "not a URL, such as redis://localhost:6379/0");
    }
    if (r)
        return r;

    char *query = cut(rest, '?');
    if (u->scheme == REDIS_UNIX) {
        if (*rest != '/' || decode(rest))
            return wrong(why, "the socket's absolute path is missing, as in unix:///run/redis/redis.sock");
        u->path = rest;
    } else {
        r = parse_authority(u, rest, why);
    }
    for (char *next; !r && query; query = next) {
        next = cut(query, '&');
        r = parse_parameter(u, query, why);
    }
    if (!r && ((u->user && !u->password) || (u->sentinel_user && !u->sentinel_password)))
        return wrong(why, "a user without a password");
    return r;
}

int redis_url_parse(const char *text, struct redis_url *ret, struct why *ret_why)
{
    struct redis_url u = {.storage = strdup(text)};
    if (!u.storage)
        return ERR_NOMEM;
    int r = parse(&u, u.storage, ret_why);
    if (r) {
        redis_url_clear(&u);
        return r;
    }
    *ret = u;
    return 0;
}

void redis_url_clear(struct redis_url *u)
{
    free(u->storage);
    *u = (struct redis_url){0};
}
