// What the rooms of the store share. redis_store.c: a call's beginning, its commands and answers, claims;
// redis_load.c: what is read; redis_flush.c: the atomic write; redis_models.c: texts
// of models; redis_query.c: looking on without owning.
#pragma once
#include "redis_cursor.h"
#include "redis_keys.h"
#include "redis_route.h"
#include "redis_store.h"

struct redis_part {
    char *topic; // owned
    int32_t partition;
    char *tag; // owned: hash tag of its keys
    size_t tag_bytes;
    int slot;     // of its keys, in a cluster
    uint64_t run; // of the server, at its last claim; 0: never claimed here
};

struct redis_store {
    struct redis_options o;
    struct redis_route *route;
    struct redis_part *parts; // all that were ever asked for
    size_t nparts;
    struct resp out; // commands of this call
    struct buffer runs, ids;
    struct redis_arena answers; // everything that servers said in the last call: what was returned points into it
    redisReply **replies;       // among it, those to the call's commands
    size_t nreplies, replies_cap;
    struct load_field *fields; // of whole buckets
    size_t fields_cap;
};

// Begins a call: the last one's results end, *ret_part is where p's names are, *ret_conn is alive.
int redis_begin(struct redis_store *s, const struct part_key *p, struct redis_part **ret_part,
                struct redis_conn **ret_conn, struct why *ret_why);
// The same, for a partition claimed before: PORT_FENCED if that was at another run of Redis.
int redis_begin_claimed(struct redis_store *s, const struct part_key *p, struct redis_part **ret_part,
                        struct redis_conn **ret_conn, struct why *ret_why);
// Sends the n commands of s->out; their answers are s->replies, none of them an error. 0, PORT_AWAY,
// PORT_REFUSED, negative.
int redis_ask(struct redis_store *s, struct redis_conn *c, size_t n, struct why *ret_why);
// All of one hash of a partition's (":stat"): s->replies[0]. Results as above, and PORT_FENCED as at a claimed call.
int redis_ask_hash(struct redis_store *s, const struct part_key *p, const char *key, struct why *ret_why);
// Runs a script with the arguments in s->out; its answer is s->replies[0] and no error. PORT_UNKNOWN: no
// answer.
int redis_run(struct redis_store *s, struct redis_conn *c, enum redis_script script, struct why *ret_why);
// PORT_FENCED, with who owns the partition in *ret_why; no owner: there is no cursor.
int redis_fenced(const struct part_key *p, struct span owner, struct span n, struct why *ret_why);
// PORT_FENCED, with the sizes of :due and :stat that the last flush left, and those there are.
int redis_lost(const struct part_key *p, struct span left, struct span sizes, struct why *ret_why);
struct span redis_tag_of(const struct redis_part *p);
struct span redis_reply_span(const redisReply *r); // p NULL: nil

// Of store_ops.
int redis_store_load(void *ctx, const struct part_key *p, const struct owner *owner, uint64_t n,
                     struct load_item *items, size_t nitems, struct why *ret_why);
int redis_store_due(void *ctx, const struct part_key *p, int64_t before, size_t max, struct due_bucket *ret,
                    size_t *ret_n, int64_t *ret_next, struct why *ret_why);
int redis_store_flush(void *ctx, const struct part_key *p, const struct owner *owner, const struct flush *f,
                      struct why *ret_why);
int redis_store_stats(void *ctx, const struct part_key *p, void (*each)(void *arg, struct span field, int64_t value),
                      void *arg, struct why *ret_why);
int redis_store_remember(void *ctx, const struct part_key *p, const struct owner *owner, uint64_t n,
                         const struct model_text *texts, size_t ntexts, struct why *ret_why);
int redis_store_recall(void *ctx, const struct part_key *p, int (*each)(void *arg, const struct model_text *t),
                       void *arg, struct why *ret_why);
int redis_store_count(void *ctx, const struct part_key *p, int model, uint64_t buckets, uint64_t *ret,
                      struct why *ret_why);
