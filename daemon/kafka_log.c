// What the engine may rely on, and what it takes here:
// - After seek, poll delivers exactly what follows that offset. librdkafka numbers the versions of a partition's
//   fetching, and drops what was fetched under an older one; we ask it to stop (pause), to move (seek), to go on
//   (resume), in this order, so that nothing is fetched from a place that is about to change.
// - Partitions come and go within poll. A batch in which that happened is thrown away, and read again from where we
//   were: some of its messages may have been taken before the partition went.
// - librdkafka stops a partition for good when its next events are gone, and could mistake an answer from before a
//   seek for that. So we look at the log's own ends before we say so, and start the partition anew if they are there.
#include "kafka_log.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "error.h"
#include "kafka_query.h"
#include "kafka_read.h"
#include "kafka_records.h"

enum { EXAMINE_EVERY_MS = 1000, ASK_EVERY_MS = 3000 };

struct partition {
    struct part_key key;
    bool assigned;
    bool paused;     // valid if assigned
    bool sought;     // since it was assigned: librdkafka knows of it
    bool stuck;      // librdkafka has stopped it: its next events are gone, or so it seemed
    int64_t next;    // offset to be delivered next; valid unless paused
    int64_t reached; // the end, if all before it was delivered; -1: unknown
};

struct kafka_log {
    struct kafka_client client; // first
    const struct kafka_options *options;
    struct log_events events;
    struct kafka_group group;
    rd_kafka_queue_t *queue;
    struct kafka_records records;
    struct kafka_reader reader;
    struct partition *partitions; // of the source, by number
    int32_t npartitions;
    bool rebalanced;     // since poll began to consume
    bool stuck;          // a partition is
    int64_t examined_ms; // monotonic
    int64_t asked_ms;    // monotonic: when brokers were last asked whether they are there
    unsigned takeovers;
    int failed; // of a callback: ERR_NOMEM
};

static const struct kafka_setting defaults[] = {
    {"partition.assignment.strategy", "range"},
    {"fetch.wait.max.ms", "50"}, // a partition that starts waits for the fetch of the others to return
    {"fetch.queue.backoff.ms", "5"},
    {"heartbeat.interval.ms", "500"}, // by them members hear that others have joined, or left
    {"queued.min.messages", "10000"}, // batch.events: who takes them all finds the next ones there
    {"queued.max.messages.kbytes", "16384"},
    {"fetch.message.max.bytes", "262144"}, // each is decompressed as a whole: at 1 MiB, that took 40 MB of memory
    {NULL, NULL},
};

static bool is_active(const struct partition *p)
{
    return p->assigned && !p->paused;
}

static struct partition *partition_of(struct kafka_log *l, const struct part_key *key)
{
    if (key->partition < 0 || key->partition >= l->npartitions || strcmp(key->topic, l->options->source) != 0)
        return NULL;
    return &l->partitions[key->partition];
}

// ---- Where partitions are read

static rd_kafka_topic_partition_list_t *list_of(const struct partition *p, int64_t offset)
{
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
    rd_kafka_topic_partition_list_add(list, p->key.topic, p->key.partition)->offset = offset;
    return list;
}

// Has librdkafka start the partitions that were ever sought anew, each at its next offset. Never at a logical one (END,
// STORED and such): its answer can come after a seek, and would move the partition away from there. For the same
// reason a new assignment begins empty, and partitions join it as they are sought.
static void reassign(struct kafka_log *l)
{
    _cleanup_(kafka_list_destroy) rd_kafka_topic_partition_list_t *all = rd_kafka_topic_partition_list_new(16);
    _cleanup_(kafka_list_destroy) rd_kafka_topic_partition_list_t *paused = rd_kafka_topic_partition_list_new(16);
    for (int32_t i = 0; i < l->npartitions; i++) {
        const struct partition *p = &l->partitions[i];
        if (!p->assigned || !p->sought)
            continue;
        rd_kafka_topic_partition_list_add(all, p->key.topic, p->key.partition)->offset = p->next;
        if (p->paused)
            rd_kafka_topic_partition_list_add(paused, p->key.topic, p->key.partition);
    }
    rd_kafka_assign(l->client.rk, all);
    if (paused->cnt > 0)
        rd_kafka_pause_partitions(l->client.rk, paused);
}

static int move(struct kafka_log *l, struct partition *p, int64_t offset, struct why *ret_why)
{
    _cleanup_(kafka_list_destroy) rd_kafka_topic_partition_list_t *list = list_of(p, offset);
    if (!p->paused && p->sought)
        rd_kafka_pause_partitions(l->client.rk, list);
    p->paused = true;
    p->next = offset;
    p->reached = -1;
    if (!p->sought) {
        p->sought = true;
        reassign(l);
        rd_kafka_resume_partitions(l->client.rk, list);
        kafka_nudge(&l->client, &p->key);
        p->paused = p->stuck = false;
        return PORT_OK;
    }
    _cleanup_(kafka_error_destroy) rd_kafka_error_t *error =
        rd_kafka_seek_partitions(l->client.rk, list, KAFKA_CALL_MS);
    if (error) {
        p->paused = !p->stuck; // one that is stuck is looked at again
        return kafka_why(ret_why, PORT_AWAY, "partition %d of %s cannot be moved to offset %" PRId64 ": %s",
                         (int)p->key.partition, p->key.topic, offset, rd_kafka_error_string(error));
    }
    if (list->elems[0].err)
        reassign(l);
    rd_kafka_resume_partitions(l->client.rk, list);
    kafka_nudge(&l->client, &p->key); // or the thread that fetches sleeps on, for up to a second
    p->paused = p->stuck = false;
    return PORT_OK;
}

static int log_seek(void *ctx, const struct part_key *key, int64_t offset, struct why *ret_why)
{
    struct kafka_log *l = ctx;
    struct partition *p = partition_of(l, key);
    if (!p || !p->assigned)
        return kafka_why(ret_why, PORT_FENCED, "partition %d of %s is not ours", (int)key->partition, key->topic);
    return move(l, p, offset, ret_why);
}

static int log_pause(void *ctx, const struct part_key *key)
{
    struct kafka_log *l = ctx;
    struct partition *p = partition_of(l, key);
    if (!p || !is_active(p))
        return PORT_OK;
    _cleanup_(kafka_list_destroy) rd_kafka_topic_partition_list_t *list = list_of(p, 0);
    rd_kafka_pause_partitions(l->client.rk, list);
    p->paused = true;
    p->reached = -1;
    return PORT_OK;
}

// ---- Assignments

static int grow(struct kafka_log *l, int32_t n)
{
    if (n <= l->npartitions)
        return 0;
    struct partition *v = realloc(l->partitions, (size_t)n * sizeof(*v));
    if (!v)
        return ERR_NOMEM;
    l->partitions = v;
    for (; l->npartitions < n; l->npartitions++)
        v[l->npartitions] = (struct partition){.key = {l->options->source, l->npartitions}, .reached = -1};
    return 0;
}

// The engine's view of a list of librdkafka's; what is not of the source is left out.
static struct part_key *keys_of(struct kafka_log *l, const rd_kafka_topic_partition_list_t *list, size_t *ret_n)
{
    struct part_key *keys = calloc((size_t)list->cnt + 1, sizeof(*keys));
    size_t n = 0;
    for (int i = 0; keys && i < list->cnt; i++) {
        const rd_kafka_topic_partition_t *t = &list->elems[i];
        if (strcmp(t->topic, l->options->source) != 0)
            continue;
        if (grow(l, t->partition + 1) < 0) {
            free(keys);
            return NULL;
        }
        keys[n++] = l->partitions[t->partition].key;
    }
    *ret_n = n;
    return keys;
}

static void on_assigned(struct kafka_log *l, rd_kafka_topic_partition_list_t *list)
{
    size_t n;
    _cleanup_free_ struct part_key *keys = keys_of(l, list, &n);
    if (!keys) {
        l->failed = ERR_NOMEM;
        return;
    }
    // Taken here, it is of the generation that gave us these partitions. Taken later, it could be of one that took
    // them away, and a former owner's transactions would pass.
    if (l->group.metadata)
        rd_kafka_consumer_group_metadata_destroy(l->group.metadata);
    l->group.metadata = rd_kafka_consumer_group_metadata(l->client.rk);
    // Nothing must be fetched before seek says from where.
    for (size_t i = 0; i < n; i++) {
        struct partition *p = partition_of(l, &keys[i]);
        p->assigned = p->paused = true;
        p->sought = p->stuck = false;
        p->reached = -1;
    }
    reassign(l);
    if (l->events.assigned)
        l->events.assigned(l->events.arg, keys, n);
}

static void on_revoked(struct kafka_log *l, const rd_kafka_topic_partition_list_t *list, bool lost)
{
    size_t n;
    _cleanup_free_ struct part_key *keys = keys_of(l, list, &n);
    if (!keys)
        l->failed = ERR_NOMEM;
    else if (n > 0 && l->events.revoked)
        l->events.revoked(l->events.arg, keys, n, lost);
    for (size_t i = 0; keys && i < n; i++)
        partition_of(l, &keys[i])->assigned = false;
    rd_kafka_assign(l->client.rk, NULL);
}

static void on_rebalance(rd_kafka_t *rk, rd_kafka_resp_err_t err, rd_kafka_topic_partition_list_t *list, void *arg)
{
    struct kafka_log *l = ((const struct kafka_client *)arg)->owner;
    l->rebalanced = true;
    if (err == RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS)
        on_assigned(l, list);
    else
        on_revoked(l, list, err != RD_KAFKA_RESP_ERR__REVOKE_PARTITIONS || rd_kafka_assignment_lost(rk));
}

// ---- The consumer

static void prepare(rd_kafka_conf_t *conf)
{
    rd_kafka_conf_set_rebalance_cb(conf, on_rebalance);
}

static int join(struct kafka_log *l, struct why *ret_why)
{
    char id[KAFKA_ID_BYTES];
    kafka_worker_id(l->options, id);
    const struct kafka_setting required[] = {
        {"group.id", l->options->app},
        {"group.instance.id", id},
        {"group.protocol", "classic"},
        {"isolation.level", "read_committed"},
        {"enable.partition.eof", "true"},
        {"auto.offset.reset", "error"},
        {"enable.auto.commit", "false"},
        {"enable.auto.offset.store", "false"},
        {NULL, NULL},
    };
    int r = kafka_open(&l->client, l->options, RD_KAFKA_CONSUMER, defaults, required, prepare, l, ret_why);
    if (r != PORT_OK)
        return r;
    l->queue = rd_kafka_queue_get_consumer(l->client.rk);
    _cleanup_(kafka_list_destroy) rd_kafka_topic_partition_list_t *topics = rd_kafka_topic_partition_list_new(1);
    rd_kafka_topic_partition_list_add(topics, l->options->source, RD_KAFKA_PARTITION_UA);
    rd_kafka_resp_err_t err = rd_kafka_subscribe(l->client.rk, topics);
    if (err)
        return kafka_why(ret_why, PORT_REFUSED, "topic %s cannot be read: %s", l->options->source,
                         rd_kafka_err2str(err));
    return PORT_OK;
}

static void leave(struct kafka_log *l)
{
    kafka_records_release(&l->records);
    kafka_queue_destroy(&l->queue);
    l->queue = NULL;
    kafka_close(&l->client);
}

// A consumer with a fatal error does nothing any more.
static int part_ways(struct kafka_log *l, rd_kafka_resp_err_t err, const char *text, struct why *ret_why)
{
    l->takeovers += err == RD_KAFKA_RESP_ERR_FENCED_INSTANCE_ID;
    _cleanup_(kafka_list_destroy) rd_kafka_topic_partition_list_t *lost = rd_kafka_topic_partition_list_new(16);
    for (int32_t i = 0; i < l->npartitions; i++)
        if (l->partitions[i].assigned)
            rd_kafka_topic_partition_list_add(lost, l->options->source, i);
    on_revoked(l, lost, true);
    leave(l);
    return kafka_why(ret_why, PORT_FENCED,
                     err == RD_KAFKA_RESP_ERR_FENCED_INSTANCE_ID ? "another consumer has this worker's membership: %s"
                                                                 : "the consumer has failed: %s",
                     text);
}

// ---- Polling

static void note_error(struct kafka_log *l, const rd_kafka_message_t *m)
{
    struct partition *p =
        m->rkt && m->partition >= 0 && m->partition < l->npartitions ? &l->partitions[m->partition] : NULL;
    switch (m->err) {
    case RD_KAFKA_RESP_ERR__PARTITION_EOF:
        if (p && is_active(p))
            p->reached = m->offset;
        return;
    case RD_KAFKA_RESP_ERR__AUTO_OFFSET_RESET:
    case RD_KAFKA_RESP_ERR_OFFSET_OUT_OF_RANGE:
        if (p && is_active(p))
            p->stuck = l->stuck = true;
        return;
    default: kafka_note(l->options, NOTE_WARNING, "kafka: %s", rd_kafka_message_errstr(m));
    }
}

// A partition that librdkafka has stopped: are its next events really gone?
static int examine(struct kafka_log *l, struct partition *p, struct why *ret_why)
{
    int64_t start, high, stable;
    int r = kafka_ends(&l->client, &p->key, &start, &high, &stable, ret_why);
    if (r != PORT_OK)
        return r;
    if (start <= p->next && p->next <= high)
        return move(l, p, p->next, ret_why);
    return kafka_why(ret_why, PORT_REFUSED,
                     "partition %d of %s is to be read from offset %" PRId64 ", but it holds only %" PRId64
                     " to %" PRId64,
                     (int)p->key.partition, p->key.topic, p->next, start, high);
}

static int examine_stuck(struct kafka_log *l, struct why *ret_why)
{
    int64_t now = now_ms();
    if (!l->stuck || now - l->examined_ms < EXAMINE_EVERY_MS)
        return PORT_OK;
    l->examined_ms = now;
    int result = PORT_OK;
    for (int32_t i = 0; i < l->npartitions; i++) {
        struct partition *p = &l->partitions[i];
        int r = p->stuck && is_active(p) ? examine(l, p, ret_why) : PORT_OK;
        if (r == PORT_REFUSED) // the others may be mended
            result = r;
        else if (r != PORT_OK)
            return r;
    }
    l->stuck = result != PORT_OK;
    return result;
}

static int take_records(struct kafka_log *l)
{
    for (size_t i = 0; i < l->records.nmessages; i++) {
        const rd_kafka_message_t *m = l->records.messages[i];
        if (m->err) {
            note_error(l, m);
            continue;
        }
        struct partition *p = m->partition < l->npartitions ? &l->partitions[m->partition] : NULL;
        if (!p || !is_active(p) || m->offset < p->next)
            continue;
        int r = kafka_records_add(&l->records, m);
        if (r < 0)
            return r;
        p->next = m->offset + 1;
        p->reached = -1;
    }
    kafka_records_settle(&l->records);
    return 0;
}

// Throws away what was consumed while partitions came and went, to read it again.
static int rewind_all(struct kafka_log *l, struct why *ret_why)
{
    int r = PORT_OK;
    bool any = l->records.nmessages > 0;
    kafka_records_release(&l->records);
    l->rebalanced = false;
    for (int32_t i = 0; any && r == PORT_OK && i < l->npartitions; i++)
        if (is_active(&l->partitions[i]))
            r = move(l, &l->partitions[i], l->partitions[i].next, ret_why);
    return r;
}

// A consumer that waits for others to join the group asks brokers nothing: then we do.
static bool is_away(struct kafka_log *l)
{
    int64_t now = now_ms();
    kafka_hurry(&l->client);
    if (kafka_silent_ms(&l->client) > ASK_EVERY_MS && now - l->asked_ms > ASK_EVERY_MS) {
        l->asked_ms = now;
        kafka_nudge(&l->client, &(struct part_key){l->options->source, 0});
    }
    return kafka_away(&l->client);
}

static int log_poll(void *ctx, int wait_ms, size_t max, const struct record **ret, size_t *ret_n, struct why *ret_why)
{
    struct kafka_log *l = ctx;
    kafka_records_release(&l->records);
    int r = l->client.rk ? examine_stuck(l, ret_why) : join(l, ret_why);
    if (r != PORT_OK)
        return r;
    unsigned errors = l->client.errors;
    r = kafka_records_consume(&l->records, l->queue, wait_ms, max);
    if (r < 0 || (r = l->failed) < 0)
        return r;
    char text[200];
    rd_kafka_resp_err_t fatal = l->client.errors != errors || l->records.nmessages > 0
                                    ? rd_kafka_fatal_error(l->client.rk, text, sizeof(text))
                                    : 0;
    if (fatal)
        return part_ways(l, fatal, text, ret_why);
    r = l->rebalanced ? rewind_all(l, ret_why) : take_records(l);
    if (r != PORT_OK)
        return r;
    if (l->records.nmessages == 0 && is_away(l))
        return kafka_why(ret_why, PORT_AWAY, "no broker of %s answers", l->options->brokers);
    *ret = l->records.records;
    *ret_n = l->records.n;
    return PORT_OK;
}

// ---- Questions

static int log_read(void *ctx, const struct part_key *p, int64_t from, int64_t upto,
                    int (*each)(void *arg, const struct record *r), void *arg, struct why *ret_why)
{
    struct kafka_log *l = ctx;
    return kafka_read(&l->reader, l->options, p, from, upto, each, arg, ret_why);
}

static int64_t log_reached(void *ctx, const struct part_key *key)
{
    const struct partition *p = partition_of(ctx, key);
    return p && is_active(p) ? p->reached : -1;
}

_Static_assert(offsetof(struct kafka_log, client) == 0, "questions take the log for its client");
const struct log_ops kafka_log_ops = {
    .poll = log_poll,
    .seek = log_seek,
    .pause = log_pause,
    .committed = kafka_committed,
    .ends = kafka_ends,
    .read = log_read,
    .reached = log_reached,
    .partitions = kafka_partitions,
};

int kafka_log_new(const struct kafka_options *o, struct kafka_log **ret, struct why *ret_why)
{
    _cleanup_(kafka_log_free_p) struct kafka_log *l = calloc(1, sizeof(*l));
    if (!l)
        return ERR_NOMEM;
    l->options = o;
    int r = join(l, ret_why);
    if (r != PORT_OK)
        return r;
    *ret = l;
    l = NULL;
    return PORT_OK;
}

struct kafka_log *kafka_log_free(struct kafka_log *l)
{
    if (!l)
        return NULL;
    leave(l);
    kafka_records_clear(&l->records);
    kafka_reader_close(&l->reader);
    if (l->group.metadata)
        rd_kafka_consumer_group_metadata_destroy(l->group.metadata);
    free(l->partitions);
    free(l);
    return NULL;
}

void kafka_log_listen(struct kafka_log *l, const struct log_events *events)
{
    l->events = *events;
}

const struct kafka_group *kafka_log_group(const struct kafka_log *l)
{
    return &l->group;
}

unsigned kafka_log_takeovers(const struct kafka_log *l)
{
    return l->takeovers;
}

int64_t kafka_log_end(const struct kafka_log *l, const struct part_key *p)
{
    int64_t low, high;
    if (!l->client.rk || rd_kafka_get_watermark_offsets(l->client.rk, p->topic, p->partition, &low, &high))
        return -1;
    return high >= 0 ? high : -1;
}
