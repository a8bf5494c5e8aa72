// A real redis-server for one test: private, in a folder of its own, gone with the test even if that dies.
// The environment variable REDIS_SERVER names another program than redis-server (an older version, a fork).
#pragma once
#include <hiredis/hiredis.h>
#include <stdbool.h>
#include <sys/types.h>

struct redis_server {
    pid_t pid; // 0: it does not run
    char dir[64];
    char socket[96];
    char url[128]; // unix://…
    const char *const *args;
};

// Starts one with default settings, on a socket only, and the given arguments ("--port", "0", …; up to NULL;
// they must live as long as the server; a first one without "--" is a configuration file). Returns when it
// answers. Fails the test if it does not.
void redis_server_start(struct redis_server *s, const char *const *args);
// kill -9, and it is gone.
void redis_server_kill(struct redis_server *s);
// Another process on the same data and arguments.
void redis_server_again(struct redis_server *s);
// Ends it and removes its folder.
void redis_server_stop(struct redis_server *s);
// Sends one command over a connection of its own. The caller frees the reply; an error fails the test.
redisReply *redis_server_ask(const struct redis_server *s, const char *fmt, ...);
// The same, without its reply.
void redis_server_do(const struct redis_server *s, const char *fmt, ...);
// Of a cluster's node: gives it the slots from `first` to `last`; whether the cluster is complete to its knowledge
// (arg: struct redis_server *).
void redis_server_slots(const struct redis_server *s, int first, int last);
bool redis_server_cluster_ok(void *arg);
// A TCP port on the loopback on which nothing listens. It, and the one 10000 above that a cluster node takes
// too, is below those that outgoing connections take theirs from.
int free_port(void);
// Calls ready(arg) until it is true. Fails the test after 30 s.
void wait_until(bool (*ready)(void *arg), void *arg, const char *what);
