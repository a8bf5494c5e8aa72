// Questions to the brokers, each bounded in time: where a partition begins and ends, what the group has committed, how
// many partitions a topic has. They have the form of log_ops; their context is a struct kafka_client.
#pragma once
#include "kafka_common.h"

// PORT_AWAY: no answer in time. PORT_REFUSED: there is no such partition, or it may not be asked about.
int kafka_ends(void *ctx, const struct part_key *p, int64_t *ret_start, int64_t *ret_high, int64_t *ret_stable,
               struct why *ret_why);
// Sends the partition's leader a request whose answer nobody needs: it wakes the thread that fetches from there.
void kafka_nudge(struct kafka_client *c, const struct part_key *p);
// Has the client's thread look after its group now: by itself it does so once a second, so that a member that must join
// again would wait that long. At most 20 times a second; for consumers.
void kafka_hurry(struct kafka_client *c);
// PORT_AWAY also while an open transaction holds offsets of the partition.
int kafka_committed(void *ctx, const struct part_key *p, int64_t *ret_offset, int64_t *ret_clock, struct why *ret_why);
int kafka_partitions(void *ctx, const char *topic, int32_t *ret_n, struct why *ret_why);
// The same, but a topic that does not exist has 0.
int kafka_partitions_if_any(void *ctx, const char *topic, int32_t *ret_n, struct why *ret_why);
