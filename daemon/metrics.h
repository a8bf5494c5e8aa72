// What Prometheus reads.
#pragma once
#include "counters.h"
#include "status.h"

#define METRICS_CONTENT_TYPE "text/plain; version=0.0.4; charset=utf-8"

// Appends the metrics: the workers' counters (n sets) summed, and what the status tells. out->failed: no
// memory.
void metrics_write(const struct status *s, const struct counters *const *sets, size_t n, struct buffer *out);
