// Looking on: what engagectl and HTTP ask of Redis, of partitions that daemons elsewhere may own and write.
// Takes nothing and changes nothing. A store for queries is one of its own: it is used by one thread, as any
// store.
#pragma once
#include "redis_store.h"

// A partition's cursor and owner as they stand (exists false: none). PORT_OK, PORT_AWAY, PORT_REFUSED or
// negative. Tails live until the store's next call. Statistics: redis_store_ops.stats.
int redis_query_cursor(struct redis_store *s, const struct part_key *p, struct cursor *ret, struct owner *ret_owner,
                       struct why *ret_why);

struct redis_lookup {
    struct span customer;
    // The bucket of a customer where the model has so many.
    uint64_t (*bucket)(int model, struct span customer, uint64_t buckets);
    // Called for each state found; cursor and state live until it returns.
    void (*found)(void *arg, const struct part_key *p, int model, const struct cursor *cursor, struct span state);
    void *arg;
};

// Looks for a customer in all partitions of a topic: which one it is in is known only to who produces the
// events. Results as above; found() may have been called before a failure.
int redis_query_customer(struct redis_store *s, const char *topic, int32_t partitions, const struct redis_lookup *l,
                         struct why *ret_why);
