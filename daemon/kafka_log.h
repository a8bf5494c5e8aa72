// The log over Kafka: one worker's consumer, a member of the app's group, and its questions to the brokers.
//
// Of its conditions: poll returns PORT_AWAY when nothing came and no broker has answered lately; PORT_REFUSED when the
// next events of a partition are gone, again each second until that one is paused or sought elsewhere (taking the
// partitions again tells which it is); PORT_FENCED when another consumer has this worker's membership: all partitions
// were revoked as lost, and the next poll joins again.
// seek returns PORT_FENCED for a partition that is not assigned.
#pragma once
#include "kafka_common.h"

struct kafka_log;
extern const struct log_ops kafka_log_ops; // its context is a struct kafka_log

// Joins the group as soon as brokers can be reached; assignments come with poll. 0, ERR_NOMEM, or PORT_REFUSED: a
// property is wrong.
int kafka_log_new(const struct kafka_options *o, struct kafka_log **ret, struct why *ret_why);
// Goes away without leaving the group, so that a restart rebalances nobody; no event is called. Accepts and returns
// NULL.
struct kafka_log *kafka_log_free(struct kafka_log *l);
DEFINE_CLEANUP(struct kafka_log, kafka_log_free)
// Whom to call at assignments and revocations; before the first poll.
void kafka_log_listen(struct kafka_log *l, const struct log_events *events);
// The membership for the sink; valid as long as the log.
const struct kafka_group *kafka_log_group(const struct kafka_log *l);
// How often another consumer took this worker's membership over. Twice in a minute: two daemons of the app share an
// instance.
unsigned kafka_log_takeovers(const struct kafka_log *l);
// The end of a partition of the source as the last fetch saw it; -1: not known. Asks nobody.
int64_t kafka_log_end(const struct kafka_log *l, const struct part_key *p);
