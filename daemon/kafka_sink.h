// The sink over Kafka: what one worker publishes, as transactions that carry the source's offsets with them.
//
// At least once, records go out plain and are acknowledged by commit; but from a journal entry on, a batch is a
// transaction, and so are the offsets, which are sent every few seconds only. After PORT_ABORTED, PORT_AWAY or
// PORT_UNKNOWN some of a plain batch may be visible: whoever takes the partition again finds them by their ids.
#pragma once
#include "kafka_common.h"

struct kafka_sink;
extern const struct sink_ops kafka_sink_ops; // its context is a struct kafka_sink
// Of its conditions:
//   begin    PORT_AWAY: no transaction can be had now. PORT_FENCED: another producer has the same transactional id.
//   produce  PORT_REFUSED: this record will never be taken, all else goes on. Any other: abort.
//   commit   PORT_AWAY and PORT_ABORTED: undone; the former because brokers could not be reached in time, so that the
//            same batch may well succeed later, the latter because of what it holds, or for no known reason.
//            PORT_FENCED: undone, as the group has moved on or another producer has the same transactional id.
//            PORT_UNKNOWN: the order to commit was sent, and no clear answer came.
//   abort    always succeeds: what is not undone at once is never committed.

// Connects to nothing yet. `group` belongs to the log and lives longer. 0, or ERR_NOMEM.
int kafka_sink_new(const struct kafka_options *o, const struct kafka_group *group, struct kafka_sink **ret);
// Ends an open transaction without committing it. Accepts and returns NULL.
struct kafka_sink *kafka_sink_free(struct kafka_sink *s);
DEFINE_CLEANUP(struct kafka_sink, kafka_sink_free)
// Makes the producer of transactions ready, as begin does when needed. At the start, before partitions are taken, it
// ends what a former run of this worker left open. Conditions are those of begin, and PORT_REFUSED: a property is
// wrong, or brokers permit it not.
int kafka_sink_prepare(struct kafka_sink *s, struct why *ret_why);
// How often another producer with this worker's transactional id took over. Twice in a minute: two daemons of the app
// share an instance.
unsigned kafka_sink_takeovers(const struct kafka_sink *s);
