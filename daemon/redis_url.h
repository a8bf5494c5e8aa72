// Where Redis is, as one URL of the configuration says it:
//
// redis://[user:password@]host[:6379][/db]
//
// rediss:// and the same, over TLS; ?ca=FILE names the trusted certificates instead of the system's
//
// unix:///path/of/socket[?db=N], with &user= and &password= where it needs them
//
// redis-sentinel://[user:password@]h1[:26379],h2/master[?db=N]; user and password are those of Redis itself, the
// Sentinels' own come with ?sentinel_username= and &sentinel_password=
//
// rediss-sentinel:// and the same, over TLS to Sentinels and Redis; ?ca=FILE
//
// redis-cluster://[user:password@]h1[:6379],h2 and rediss-cluster://…[?ca=FILE]: some nodes of a cluster
#pragma once
#include "ports.h"

enum redis_scheme { REDIS_TCP, REDIS_TLS, REDIS_UNIX, REDIS_SENTINEL, REDIS_CLUSTER, REDIS_CLUSTER_TLS,
                    REDIS_SENTINEL_TLS };

enum { REDIS_HOSTS_MAX = 16, REDIS_DB_MAX = 1 << 20 };

struct redis_host {
    const char *name; // name or address, without brackets
    int port;
};

struct redis_url { // texts are decoded and owned by `storage`
    enum redis_scheme scheme;
    struct redis_host hosts[REDIS_HOSTS_MAX]; // of Sentinels and clusters one or more; REDIS_TCP, REDIS_TLS: one
    int nhosts;
    const char *path;            // REDIS_UNIX
    const char *user, *password; // or NULL
    const char *master;          // of Sentinels: its name there
    const char *ca;              // over TLS: file of trusted certificates, NULL: the system's
    int db;
    const char *sentinel_user, *sentinel_password; // of Sentinels themselves, or NULL
    char *storage;
};

static inline bool redis_url_cluster(const struct redis_url *u)
{
    return u->scheme == REDIS_CLUSTER || u->scheme == REDIS_CLUSTER_TLS;
}

static inline bool redis_url_sentinel(const struct redis_url *u)
{
    return u->scheme == REDIS_SENTINEL || u->scheme == REDIS_SENTINEL_TLS;
}

static inline bool redis_url_tls(const struct redis_url *u)
{
    return u->scheme == REDIS_TLS || u->scheme == REDIS_CLUSTER_TLS || u->scheme == REDIS_SENTINEL_TLS;
}

// Reads a URL. 0: *ret is the caller's (redis_url_clear). 1: it is none, *ret_why says what is wrong and what
// would be right, without repeating the password. Negative: no memory.
int redis_url_parse(const char *text, struct redis_url *ret, struct why *ret_why);
void redis_url_clear(struct redis_url *u);
