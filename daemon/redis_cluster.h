// The nodes of a Redis Cluster: which one holds a slot, and the connections to them, one a node.
//
// No redirection is followed. Where a partition has moved, its claim belongs to another process: so MOVED is
// PORT_AWAY, the map is read anew, and the next call meets another run of a server (redis_conn_run), is fenced
// and claims the partition where it is now. A slot on its way to another node (ASK, TRYAGAIN) is PORT_AWAY until
// it has arrived: the node that it leaves answers for the keys that it still has and refuses all others, so
// nothing that has left can be taken for something that never was.
#pragma once
#include "redis_conn.h"

struct redis_cluster;

// As redis_conn_new.
struct redis_cluster *redis_cluster_new(const struct redis_options *o, struct redis_arena *answers, uint64_t *runs);
struct redis_cluster *redis_cluster_free(struct redis_cluster *c); // accepts and returns NULL
// A connection that is alive to the node that holds the slot, made if there is none; it belongs to the cluster
// and lives until the next call. 0, PORT_AWAY, PORT_REFUSED or negative.
int redis_cluster_to(struct redis_cluster *c, int slot, struct redis_conn **ret, struct why *ret_why);
// redis_conn_error, and what it tells of the cluster is heeded at the next call.
int redis_cluster_error(struct redis_cluster *c, struct redis_conn *conn, const redisReply *error, struct why *ret_why);
// Whether all nodes that were needed so far, or any if none was, are there and as they must be.
int redis_cluster_check(struct redis_cluster *c, struct why *ret_why);
