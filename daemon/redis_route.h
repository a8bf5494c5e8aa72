// Which server holds a partition, and the connection to it. Today one server holds them all, found by its
// address or by asking Sentinels for the master; a Redis Cluster would choose by the partition's slot, here
// and nowhere else (a partition's keys share one hash tag, so they share one slot).
#pragma once
#include "redis_conn.h"

struct redis_route;

// NULL: no memory. All answers are made in the arena, which must outlive the route.
struct redis_route *redis_route_new(const struct redis_options *o, struct redis_arena *answers);
struct redis_route *redis_route_free(struct redis_route *r); // accepts and returns NULL
// A connection that is alive, made if there is none, to the server that holds p (NULL: any). It belongs to
// the route. 0, PORT_AWAY, PORT_REFUSED or negative.
int redis_route_to(struct redis_route *r, const struct part_key *p, struct redis_conn **ret, struct why *ret_why);
