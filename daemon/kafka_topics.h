// The topics that the app needs, checked at the start, and created where they may be.
#pragma once
#include "kafka_common.h"

// Output topics (dead letters among them) and the journal must have as many partitions as the source, as an output
// goes to its source's partition number; none, and not the source, may be compacted; the journal is kept without
// limit. Those that are missing are created if `create`. *ret_partitions: of the source. PORT_AWAY: brokers did not
// answer in time. PORT_REFUSED: a topic is not as it must be; *ret_why says which, what and what to do. Or ERR_NOMEM.
int kafka_ensure_topics(const struct kafka_options *o, const char *const *outputs, size_t noutputs, bool create,
                        int32_t *ret_partitions, struct why *ret_why);
