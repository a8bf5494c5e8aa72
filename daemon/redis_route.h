// Which server holds a partition, and the connection to it: one server holds them all, found by its address or by
// asking Sentinels for the master; or a Redis Cluster, chosen by the partition's slot (redis_cluster.h).
#pragma once
#include "redis_conn.h"

struct redis_route;

// NULL: no memory. All answers are made in the arena, which must outlive the route.
struct redis_route *redis_route_new(const struct redis_options *o, struct redis_arena *answers);
struct redis_route *redis_route_free(struct redis_route *r); // accepts and returns NULL
// A connection that is alive, made if there is none, to the server that holds a slot (redis_slots.h). It belongs
// to the route and lives until the next call. 0, PORT_AWAY, PORT_REFUSED or negative.
int redis_route_to(struct redis_route *r, int slot, struct redis_conn **ret, struct why *ret_why);
// What an error among the answers of one of its connections means, as redis_conn_error does.
int redis_route_error(struct redis_route *r, struct redis_conn *c, const redisReply *error, struct why *ret_why);
// Whether the servers that it led to, or any if none so far, are there and as they must be.
int redis_route_check(struct redis_route *r, struct why *ret_why);
