// Some properties of librdkafka are part of the promise of exactly once: a value of the operator's would
// break it, most of them silently. They are refused by name, with the reason.
#include "kafka_reserved.h"

#include <stdio.h>
#include <string.h>

#include <librdkafka/rdkafka.h>

static const struct {
    const char *name, *why;
} reserved[] = {
    {"bootstrap.servers", "it is kafka.brokers"},
    {"metadata.broker.list", "it is kafka.brokers"},
    {"group.id", "it is made of app"},
    {"group.instance.id", "it is made of instance and worker"},
    {"transactional.id", "it is made of app, instance and worker"},
    {"group.protocol", "who may write rests on the classic protocol's generations"},
    {"enable.auto.commit", "offsets are committed with the outputs, in one transaction"},
    {"auto.commit.enable", "offsets are committed with the outputs, in one transaction"},
    {"enable.auto.offset.store", "offsets are committed with the outputs, in one transaction"},
    {"isolation.level", "recovery reads what is committed, and nothing else"},
    {"transaction.timeout.ms", "how long a taker waits for a dead worker depends on it"},
    {"auto.offset.reset",
     "it would skip expired events silently; a first start begins at the source's reset"},
    {"acks", "an output counts as published when all replicas have it"},
    {"request.required.acks", "an output counts as published when all replicas have it"},
    {"enable.idempotence", "without it a retry could double or reorder outputs"},
    {"enable.partition.eof", "wall time may fire deadlines only at the end of a partition"},
    {"partition.assignment.strategy",
     "all partitions are given up before any is taken; others hand them over singly"},
    {"allow.auto.create.topics", "a topic needs as many partitions as the source; see outputs.create"},
    {"partitioner", "an output goes to its source's partition number"},
};

const char *kafka_property_reserved(const char *name)
{
    for (size_t i = 0; i < sizeof(reserved) / sizeof(reserved[0]); i++)
        if (strcmp(name, reserved[i].name) == 0)
            return reserved[i].why;
    return NULL;
}

int kafka_property_check(const char *name, const char *value, char *ret_why, size_t size)
{
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    rd_kafka_conf_res_t r = rd_kafka_conf_set(conf, name, value, ret_why, size);
    rd_kafka_conf_destroy(conf);
    return r != RD_KAFKA_CONF_OK;
}
