// The cluster: logs, transactions and their coordinator, the consumer group. What is here happens at the brokers, at
// once; the way there and back, with all that can go wrong on it, is net.h.
#pragma once
#include "engine.h"
#include "sim.h"

enum topic { T_EVENTS, T_JOURNAL, T_TRANSITIONS, T_TRIGGERS, T_DEAD, T_SPECIAL };
extern const char *const topic_names[TOPICS];
int topic_of(const char *name); // fails for a name that is none of them

enum answer {
    K_OK,
    K_WAIT,     // an earlier transaction is being ended, or offsets are unstable: ask again
    K_FENCED,   // a newer producer has this transactional id
    K_STRANGER, // not a member of this generation
    K_INVALID,  // not possible in this state
};

// ---- logs

struct rec {
    struct span key, value;
    int64_t timestamp;
    struct record_header *headers;
    size_t nheaders;
    int source;        // partition of the source that it belongs to, by its headers; -1: an event
    struct said *said; // what the checks know of an output
    struct rec *same;  // another with the same id, or NULL
};

struct txn;
struct logged {
    struct rec *rec; // NULL: a marker
    struct txn *txn; // NULL: plain
    int64_t at;      // us, when it was appended
};

struct plog { // offset = index
    int topic, partition;
    struct logged *v;
    size_t n, cap;
    int64_t start;
    struct txn **open; // transactions without their marker here
    int64_t *first;    // of each its first offset
    size_t nopen, open_cap;
};

struct plog *kafka_log(int topic, int partition);
int64_t kafka_high(const struct plog *l);
int64_t kafka_stable(const struct plog *l);
bool kafka_visible(const struct plog *l, int64_t offset); // read committed, below the stable offset

// ---- transactions

enum txn_state { TXN_OPEN, TXN_COMMITTED, TXN_ABORTED };
struct txn {
    int slot; // of the producer; -1: an event producer's
    enum txn_state state;
    struct plog *logs[TOPICS * PARTS_MAX];
    int nlogs, unmarked; // unmarked: markers to come, with that of the group's
    struct {
        int partition;
        int64_t offset, clock;
        uint64_t order;
    } offsets[PARTS_MAX];
    int noffsets;
    bool offsets_marked;
    struct entry_at {
        struct plog *log;
        int64_t offset;
    } *entries; // in order of appending
    size_t nentries, entries_cap;
};

int kafka_append(struct plog *l, struct txn *t, struct rec *r); // returns the offset
struct txn *kafka_txn(int slot);
void kafka_decide(struct txn *t, bool commit); // markers follow
int kafka_init(int slot, int *ret_epoch);
struct wire { // a record on its way
    struct plog *log;
    struct rec *rec;
    int64_t offset; // out
};
int kafka_produce(int slot, int epoch, struct wire *v, size_t n);
int kafka_end(int slot, int epoch, bool commit);
void kafka_tear(int slot, int epoch); // splits the open transaction so that only a part of it will be committed

void kafka_hang(struct plog *l); // a record in a transaction that nobody will end

// ---- group

struct metadata { // of a consumer, as a producer shows it to the group
    int generation;
    uint64_t member; // 0 with generation -1: no member at all, and not checked
};

bool kafka_is_member(int slot, const struct metadata *m);
int kafka_send_offsets(int slot, int epoch, const struct metadata *m, const struct commit_offset *v, size_t n);
void kafka_commit_plain(int partition, int64_t offset);
int kafka_committed(int partition, bool stable, int64_t *ret_offset, int64_t *ret_clock);
void kafka_expire(int partition);

struct membership { // what a consumer knows when it asks
    uint64_t member;
    int generation;
    bool gone;      // no longer a member, or replaced
    bool replaced;  // by another of the same instance
    bool rebalance; // give everything back and join again
    unsigned parts; // bits, valid unless rebalance or gone
};

uint64_t kafka_join(int slot, uint64_t member);  // 0: as a new process
bool kafka_must_join(int slot, uint64_t member); // again: the group has moved on before it heard of its assignment
bool kafka_joined(int slot, uint64_t member, int *ret_generation, unsigned *ret_parts); // its assignment is there
struct membership kafka_membership(int slot, uint64_t member, int generation);
bool kafka_rebalancing(void);
void kafka_kick(int slot);
void kafka_begin(void);
bool kafka_alive(int slot, uint64_t member); // heartbeats arrive from this member
