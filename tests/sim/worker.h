// A worker of a daemon: the engine in its coroutine, with ports into the simulated world. A slot (instance and number)
// can have several at a time: one that the supervisor believes in, and zombies.
#pragma once
#include "kafka.h"
#include "mem_store.h"
#include "net.h"

struct log_port {
    struct log_events events;
    uint64_t member; // 0: not joined
    int generation;
    bool joining, assigned;
    unsigned parts; // bits
    bool paused[PARTS_MAX];
    int64_t next[PARTS_MAX], reached[PARTS_MAX];
    int64_t heard_at;  // us, of the next heartbeat's answer
    int64_t polled_at; // us
    bool waits;        // in poll, for records
    struct record *records;
    size_t nrecords;
    char *bytes; // what they point to; freed at the next poll
};

struct sink_port {
    struct metadata metadata; // taken when partitions were assigned
    int epoch;
    bool ready, doubtful, open;
    struct wire *wire; // records of this transaction
    size_t n, cap, sent;
    bool loose;         // at least once: records of this batch go without a transaction
    bool undone;        // a transaction of this batch was
    struct wire *plain; // these
    size_t nplain, plain_cap, plain_sent;
    int64_t offsets_at; // us, of the last transaction
    struct produced produced[TOPICS * PARTS_MAX];
};

struct store_port {
    struct mem_client *client, *halves[2];
};

struct worker {
    struct co co;
    int program;              // of those of the run
    int slot, daemon, number; // number: of this incarnation, for traces
    bool dead;                // nothing that it does counts any more
    bool stopping;            // asked to end in order
    bool ended;               // its coroutine is over
    struct engine *engine;
    struct counters counters;
    struct log_port log;
    struct sink_port sink;
    struct store_port store;
    int64_t cut_until[2]; // by server, us
    int64_t born;         // us
    struct worker *next;
};

extern const struct log_ops sim_log_ops;
extern const struct sink_ops sim_sink_ops;
extern const struct store_ops sim_store_ops;
extern const struct world_ops sim_world_ops;

int sink_prepare(struct worker *w, struct why *ret_why);
void store_open(struct worker *w);
void store_close(struct worker *w);
void log_close(struct worker *w);

// ---- the supervisor

extern struct mem_store *redis;
void workers_begin(void);
void workers_end(void);
struct worker *worker_start(int slot);
void worker_kill(struct worker *w);
void worker_stop(struct worker *w);
void daemon_install(int daemon, int program); // for workers to come
struct worker *worker_of(int slot);           // the one the supervisor believes in; NULL: none
int slots(void);
void supervise(bool on); // start those that are missing, with some delay
struct worker *workers_first(void);
bool workers_gone(void);      // every coroutine is over
int64_t wall_now(int daemon); // ms UTC
int64_t wall_latest(void);    // that any of them has seen
void wall_jump(int daemon, int64_t ms);
void pause_until(struct worker *w, int64_t until); // the dead don't wait
int why_not(struct why *why, int result, const char *text);
