// One worker: a thread with its own consumer, producer, Redis connection and engine. Workers share nothing but the
// configuration; others see of one what it publishes here: counters at any time, a snapshot of its partitions about
// once a second.
#pragma once
#include <pthread.h>
#include <stdatomic.h>

#include "config.h"
#include "kafka_common.h"
#include "redis_options.h"

struct worker {
    int index;
    const struct config *config;
    int32_t partitions;       // of the source topic
    int nworkers;
    struct counters counters;
    struct kafka_options kafka;
    struct redis_options redis;
    const char *models[MODELS_MAX];
    atomic_bool stop;
    atomic_bool ended;        // the thread has nothing left to do
    atomic_int status;        // of sysexits.h, when it ended by itself; 0: asked to
    _Atomic uint64_t rounds;  // liveness is progress
    pthread_t thread;
    bool started;

    pthread_mutex_t lock;     // for what follows: the latest snapshot, owned here
    struct engine_part *parts;
    size_t nparts, parts_cap;
    int64_t *stats;           // nparts * nstats
    char (*reasons)[256];
    size_t nstats;
    bool ready;               // every partition assigned is live, or there was nothing to take
};

// Starts the thread. 0, or negative: no memory, no thread.
int worker_start(struct worker *w);
// After stop: waits for the end, and releases all but the struct.
void worker_join(struct worker *w);
