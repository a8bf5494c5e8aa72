// Which node of a Redis Cluster holds which slot, as one node told it. Keys belong to slots by a checksum of
// their hash tag; the keys of a partition share one, so they lie at one node and one script may write them all.
#pragma once
#include <hiredis/hiredis.h>

#include "ports.h"
#include "redis_url.h"

enum { REDIS_SLOTS = 16384, REDIS_NODES_MAX = 1000, REDIS_NAME_MAX = 255 };

struct redis_node {
    char name[REDIS_NAME_MAX + 1]; // or address, without brackets
    int port;
};

struct redis_slots {
    struct redis_node *nodes; // the masters that hold slots; owned
    size_t nnodes;
    uint16_t at[REDIS_SLOTS]; // 1 + the node's index; 0: no node holds it
};

// The slot of a key: of what stands between its first { and the } after that, if anything does.
int redis_slot(struct span key);
// Reads an answer to CLUSTER SLOTS, given by the node `asked`, which stands in for a node whose address is not
// told. 0: *ret is the caller's (redis_slots_clear). PORT_AWAY: it is none, or tells of no slot. Negative: no
// memory.
int redis_slots_read(const redisReply *reply, const char *asked, struct redis_slots *ret, struct why *ret_why);
void redis_slots_clear(struct redis_slots *s);
// Whom an error "MOVED slot host:port" of the node `asked` names. 0, or 1: it is none, or the host is unknown.
int redis_slots_moved(const char *error, const char *asked, struct redis_node *ret);
