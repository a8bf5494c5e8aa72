// One worker: a thread with its own consumer, producer, Redis connection and engine. Workers share nothing but the
// configuration; others see of one its counters at any time, and what it puts on the status board twice a second.
#pragma once
#include <pthread.h>
#include <stdatomic.h>

#include "config.h"
#include "kafka_common.h"
#include "redis_options.h"
#include "status.h"

struct worker {
    int index;
    const struct config *config;
    int32_t partitions; // of the source topic
    int nworkers;
    struct counters counters;
    struct kafka_options kafka;
    struct redis_options redis;
    const char *models[MODELS_MAX];
    atomic_bool stop;
    atomic_bool ended; // the thread has nothing left to do
    atomic_int status; // of sysexits.h, when it ended by itself; 0: asked to
    struct status_board *board;
    pthread_t thread;
    bool started;
};

// Starts the thread. 0, or negative: no memory, no thread.
int worker_start(struct worker *w);
// After stop: waits for the end, and releases all but the struct.
void worker_join(struct worker *w);
