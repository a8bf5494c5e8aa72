// The way to a server and back: a call takes time, and may be lost, heard without an answer, or heard long after its
// caller has given up.
#pragma once
#include "sim.h"

enum server { KAFKA, REDIS };

struct worker;
struct call { // first in the struct that carries its arguments; made by sim_alloc, as it may outlive its caller
    void (*run)(struct call *c); // at the server
    bool writes;                 // runs even when nobody waits any more; without it, arguments may be the caller's
    enum server server;
    struct worker *worker;
    bool waiting, answered, mute;
    int64_t deadline;
    uint64_t token;
};

// Sends it and waits. False: no answer within the time, and, if it writes, it may run yet.
bool call(struct worker *w, struct call *c);
int64_t kafka_down_until(void);
void net_down(enum server s, int64_t until);
void net_begin(void);
bool net_reaches(const struct worker *w, enum server s);
