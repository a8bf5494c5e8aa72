// The store of core/ports.h over Redis: cursor, buckets, deadlines and statistics of partitions, each flush
// one script. What its results mean:
//
// PORT_AWAY: no connection, no answer to a read, or Redis says that it cannot now (it is loading, a replica).
//
// PORT_UNKNOWN: no answer to a claim, create or flush: it may have been done, or may be done late. The
// connection has been dropped; claim again, and whatever comes late is fenced by its owner.
//
// PORT_FENCED: owner or n are not those given; or another Redis process answers than the one that the
// partition was claimed at (a restart, a failover), which may have lost what was written last. Claim again:
// every partition is told so until its next claim.
//
// PORT_REFUSED: Redis will not do it as it is: memory, disk, types, rights, settings. *ret_why has what to
// do.
//
// The connection is made at the first call that needs one, and again after it was lost: each call fails at
// most with the time-outs of connecting and answering, and never waits to try again; that is the caller's to
// decide.
#pragma once
#include "cleanup.h"
#include "redis_options.h"

struct redis_store;

extern const struct store_ops redis_store_ops; // ctx: struct redis_store *

// NULL: no memory. What the options point to is borrowed. Used by one thread. Makes this process ignore
// SIGPIPE unless it handles it.
struct redis_store *redis_store_new(const struct redis_options *o);
struct redis_store *redis_store_free(struct redis_store *s); // accepts and returns NULL
DEFINE_CLEANUP(struct redis_store, redis_store_free)
// Other models from now on: their names (borrowed) by the new program's index.
void redis_store_models(struct redis_store *s, const char *const *models, int nmodels);
// Whether Redis would take a flush now: reached, and still as it must be. For readiness. PORT_OK, PORT_AWAY,
// PORT_REFUSED or negative.
int redis_store_ping(struct redis_store *s, struct why *ret_why);
