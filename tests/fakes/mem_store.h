// The store in memory: what core/ports.h promises, without a server, for tests and the simulation. The
// scenarios of tests/store run against it and against a real Redis alike.
//
// One mem_store is the server and its data; a mem_client is one worker's connection to it, and the ctx of the
// ops. What a call returned is freed at the client's next call, so that a sanitizer finds who keeps it
// longer.
#pragma once
#include "ports.h"

struct mem_store;
struct mem_client;

extern const struct store_ops mem_store_ops; // ctx: struct mem_client *

struct mem_store *mem_store_new(void); // never NULL: these abort without memory
struct mem_store *mem_store_free(struct mem_store *s);
struct mem_client *mem_client_new(struct mem_store *s);
struct mem_client *mem_client_free(struct mem_client *c);

// ---- faults

enum mem_op {
    MEM_CLAIM = 1 << 0,
    MEM_CREATE = 1 << 1,
    MEM_LOAD = 1 << 2,
    MEM_DUE = 1 << 3,
    MEM_FLUSH = 1 << 4,
    MEM_STATS = 1 << 5,
    MEM_REMEMBER = 1 << 6,
    MEM_RECALL = 1 << 7,
    MEM_COUNT = 1 << 8,
    MEM_ANY = (1 << 9) - 1,
};

// The `countdown`th call from now on (1: the next) of any of the `ops` gives `result` instead of its own:
// before doing anything, or after having done it. One fault at a time; countdown 0: none.
void mem_client_fail(struct mem_client *c, int ops, int countdown, int result, bool after);

// ---- the server's misfortunes

// The data become those of another moment, or of another server: writes are lost. As when another Redis
// process answers, each client's partitions are fenced until they claim again.
void mem_store_restore(struct mem_store *s, const struct mem_store *from);
// The same data by another process: a restart that lost nothing.
void mem_store_restart(struct mem_store *s);
// A partition's keys are lost: all of them, or one: of the buckets that hold somebody, or of the deadlines, that at
// `which`, or the last. Whether there was anything to lose.
enum mem_loss { LOSE_ALL, LOSE_CURSOR, LOSE_BUCKET, LOSE_DUE, LOSE_DUES, LOSE_STATS, LOSE_MODELS, LOSSES };
bool mem_store_lose(struct mem_store *s, const struct part_key *p, enum mem_loss loss, uint64_t which);
// Claims, loads and flushes no longer see that deadlines or statistics are lost.
void mem_store_blind(struct mem_store *s);

// ---- looking in

// The cursor, with tails until the store's next change; exists false: there is none.
struct cursor mem_store_cursor(const struct mem_store *s, const struct part_key *p);
struct owner mem_store_owner(const struct mem_store *s, const struct part_key *p);
void mem_store_each(const struct mem_store *s, const struct part_key *p,
                    void (*each)(void *arg, int model, uint64_t bucket, struct span customer, struct span state),
                    void *arg);
