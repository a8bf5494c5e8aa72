// A store under test, in memory, in Redis or in a cluster of one node, with two clients of it: the same scenario
// runs on all.
#pragma once
#include <check.h>

#include "mem_store.h"
#include "redis_server.h"
#include "redis_store.h"

enum world_kind { WORLD_MEMORY, WORLD_REDIS, WORLD_CLUSTER, WORLD_KINDS };

struct world {
    enum world_kind kind;
    const struct store_ops *ops;
    void *a, *b; // clients: the ctx of ops
    struct mem_store *mem;
    struct redis_server server;
    struct redis_url url;
    struct redis_options options;
    char notes[2048]; // warnings, one a line
};

extern const char *const world_models[2]; // "lifecycle", "value"
extern const struct part_key P, Q;        // two partitions
extern const struct owner ALICE, BOB;

#define SPAN(text) ((struct span){text, sizeof(text) - 1})

// Starts and ends the node of all cluster worlds of a test program, which it must begin with empty: a node takes
// two seconds to think about itself. For tcase_add_unchecked_fixture.
void world_cluster_start(void);
void world_cluster_stop(void);
// A world with default settings, or (WORLD_REDIS) with more arguments to redis-server, up to NULL.
void world_open(struct world *w, enum world_kind kind, const char *const *args);
void world_close(struct world *w);
// Another client of a Redis world at another URL (NULL: the world's own); freed by redis_store_free.
struct redis_store *world_client(struct world *w, const char *url);
// A key of P is lost, or all of P; of buckets, bucket 0 of the first model that has one.
void world_lose(struct world *w, enum mem_loss loss);
// Another process serves the same data. Not of a cluster world.
void world_restart(struct world *w);

// Claims P for an owner and creates its first cursor (fails the test if that does not work).
struct cursor world_begin(struct world *w, void *client, const struct owner *owner);
// Claims P, and returns its cursor.
struct cursor world_claim(struct world *w, void *client, const struct owner *owner);
// One flush of states and nothing else; counts the cursor's n on if it was done.
int world_write(struct world *w, void *client, const struct owner *owner, struct cursor *c,
                const struct flush_write *writes, size_t n);
// Loads one state of P; "-" where there is none, "fenced" and so on where it fails. Lives until the client's
// next call.
struct span world_read(struct world *w, void *client, const struct owner *owner, const struct cursor *c, int model,
                       uint64_t bucket, struct span customer);
void check_span(struct span got, struct span want, const char *what);
// Runs a suite and frees it: for main to return.
int world_run(Suite *s);
