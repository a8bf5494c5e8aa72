// Reading a partition once, from one offset to another, beside the consumer of the group and without a group.
#pragma once
#include "kafka_common.h"
#include "kafka_records.h"

struct kafka_reader { // zeros: not open yet; opened by the first read
    struct kafka_client client;
    struct kafka_records records;
};

// As log_ops.read.
int kafka_read(struct kafka_reader *r, const struct kafka_options *o, const struct part_key *p, int64_t from,
               int64_t upto, int (*each)(void *arg, const struct record *r), void *arg, struct why *ret_why);
void kafka_reader_close(struct kafka_reader *r);
