// The daemon's HTTP interface: metrics, health, status, one customer. For machines of the same house: plain
// HTTP, only GET and HEAD, on the loopback unless configured otherwise. It has one thread of its own.
//   /metrics              Prometheus' text
//   /livez                200 while every worker makes progress, else 503. Kafka or Redis away: still 200
//   /readyz[?verbose]     200 while both Kafka and Redis are reachable, else 503
//   /v1/status            all that is known, as JSON
//   /v1/customers/{id}    one customer, as JSON
#pragma once
#include "counters.h"
#include "ports.h"
#include "status.h"

struct http_options {        // everything in it outlives the server
    const char *host, *port; // host "": all addresses; port "0": any free one
    struct status_board *board;
    const struct counters *const *counters; // one a worker
    size_t ncounters;
    int64_t stalled_ms; // a worker without progress for so long is dead
    // The body of a customer, as JSON. 0; 1: no such customer; 2: cannot tell now; negative: no memory.
    // *ret_why says why for 2. Called on HTTP's thread, one call at a time; bounded by the time-out of Redis.
    int (*customer)(void *arg, struct span id, struct buffer *ret_body, struct why *ret_why);
    void *arg;
};

struct http;

// Listens and serves. 0: *ret is the caller's (http_stop). 1: it cannot listen there, *ret_why says why.
// Negative: no memory.
int http_start(const struct http_options *o, struct http **ret, struct why *ret_why);
// The port that it listens on.
int http_port(const struct http *h);
// Ends it; requests that are being answered are finished. Accepts and returns NULL.
struct http *http_stop(struct http *h);
