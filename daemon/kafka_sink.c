// A transaction ends in one of four ways. Committed. Undone, because nothing had told the brokers to commit it: then
// whatever goes wrong, it can never become visible. Fenced, which is undone by somebody else's right. Or unknown: the
// order to commit has gone out and no clear answer come back; then this producer must neither abort nor be used again,
// and a new one with the same transactional id makes the brokers settle it and ignore what the old one may still send.
// librdkafka repeats that order by itself and reports success. The first of the two may be late and hit a transaction
// to come, so after any sign of it the producer is replaced, too.
#include "kafka_sink.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "error.h"
#include "kafka_producer.h"

enum {
    SETTLE_MS = 2000,         // for an abort, or a new producer, when brokers may be gone
    SPARE_MS = 1000,          // what we wait beyond librdkafka's own limits
    OFFSETS_EVERY_MS = 10000, // at least once: between two transactions with offsets
};

struct kafka_sink {
    const struct kafka_options *options;
    const struct kafka_group *group;
    struct kafka_producer transactions, plain;
    bool ready;         // transactions: brokers have accepted it
    bool doubtful;      // transactions: to be replaced before it is used again
    bool open;          // a transaction is
    bool loose;         // records of this batch went out plain
    bool undone;        // a transaction of this batch was: what comes after it must not go out alone
    int64_t begun_ms;   // monotonic; valid if open
    int64_t offsets_ms; // monotonic: when offsets were last committed
    unsigned takeovers;
    struct produced *produced; // of the last commit
    size_t produced_cap;
};

// The error that has made the producer of transactions unusable, if any.
static rd_kafka_resp_err_t fatal_error(const struct kafka_sink *s, struct why *ret_text)
{
    rd_kafka_t *rk = s->transactions.client.rk;
    return rk ? rd_kafka_fatal_error(rk, ret_text->text, sizeof(ret_text->text)) : RD_KAFKA_RESP_ERR_NO_ERROR;
}

static void retire(struct kafka_sink *s)
{
    kafka_producer_close(&s->transactions);
    s->ready = s->doubtful = s->open = false;
}

static bool is_fenced(rd_kafka_resp_err_t err)
{
    return err == RD_KAFKA_RESP_ERR__FENCED || err == RD_KAFKA_RESP_ERR_PRODUCER_FENCED ||
           err == RD_KAFKA_RESP_ERR_INVALID_PRODUCER_EPOCH;
}

static bool group_moved_on(rd_kafka_resp_err_t err)
{
    return err == RD_KAFKA_RESP_ERR_ILLEGAL_GENERATION || err == RD_KAFKA_RESP_ERR_UNKNOWN_MEMBER_ID ||
           err == RD_KAFKA_RESP_ERR_FENCED_INSTANCE_ID || err == RD_KAFKA_RESP_ERR_REBALANCE_IN_PROGRESS;
}

// What an error means for a transaction that nothing has told the brokers to commit.
static int judge(struct kafka_sink *s, const char *what, rd_kafka_resp_err_t err, const char *text, struct why *ret_why)
{
    if (is_fenced(err)) {
        // A coordinator fences those that take too long, too.
        bool late = s->open && now_ms() - s->begun_ms >= s->options->transaction_timeout_ms;
        s->takeovers += !late;
        return kafka_why(ret_why, PORT_FENCED,
                         late ? "%s: the transaction took too long: %s"
                              : "%s: another producer has this transactional id: %s",
                         what, text);
    }
    if (group_moved_on(err))
        return kafka_why(ret_why, PORT_FENCED, "%s: the group has moved on: %s", what, text);
    return kafka_why(ret_why, kafka_unreachable(err) ? PORT_AWAY : PORT_ABORTED, "%s: %s", what, text);
}

// Undoes the open transaction and returns `result`.
static int undo(struct kafka_sink *s, int result)
{
    if (!s->open)
        return result;
    s->open = false;
    s->undone = true;
    int timeout_ms = result == PORT_AWAY ? SETTLE_MS : KAFKA_CALL_MS;
    _cleanup_(kafka_error_destroy) rd_kafka_error_t *error =
        rd_kafka_abort_transaction(s->transactions.client.rk, timeout_ms);
    if (!error) { // after a failure librdkafka's own repair can still spoil the next transaction
        s->doubtful = s->doubtful || result != PORT_OK || kafka_producer_doubtful(&s->transactions);
        return result;
    }
    // Nothing commits it any more. A new producer ends it now rather than when the brokers lose patience, unless
    // somebody else has the right to.
    retire(s);
    if (result != PORT_FENCED && result != PORT_AWAY)
        kafka_sink_prepare(s, NULL);
    return result;
}

// A fatal error explains all others, and a record that was not delivered explains what comes after it.
static int undo_for(struct kafka_sink *s, const char *what, rd_kafka_resp_err_t err, const char *text,
                    struct why *ret_why)
{
    struct why fatal;
    rd_kafka_poll(s->transactions.client.rk, 0);
    rd_kafka_resp_err_t code = fatal_error(s, &fatal);
    if (code)
        return undo(s, judge(s, what, code, fatal.text, ret_why));
    if (s->transactions.failed)
        return undo(s,
                    judge(s, "not all records arrived", s->transactions.failed, s->transactions.failure.text, ret_why));
    return undo(s, judge(s, what, err, text, ret_why));
}

// Closes a producer that must not be used again. Some errors are told only now.
static void settle_doubts(struct kafka_sink *s)
{
    struct why text;
    if (s->transactions.client.rk)
        rd_kafka_poll(s->transactions.client.rk, 0);
    if (fatal_error(s, &text) || (s->ready && (s->doubtful || kafka_producer_doubtful(&s->transactions))))
        retire(s);
}

int kafka_sink_prepare(struct kafka_sink *s, struct why *ret_why)
{
    struct kafka_producer *p = &s->transactions;
    settle_doubts(s);
    if (!p->client.rk) {
        int r = kafka_producer_open(p, s->options, true, ret_why);
        if (r != PORT_OK)
            return r;
    }
    if (s->ready)
        return PORT_OK;
    // A call that timed out goes on in the background; the next one picks it up.
    _cleanup_(kafka_error_destroy) rd_kafka_error_t *error = rd_kafka_init_transactions(p->client.rk, KAFKA_CALL_MS);
    if (!error) {
        s->ready = true;
        kafka_producer_mark(p); // what went wrong before that is settled
        return PORT_OK;
    }
    rd_kafka_resp_err_t err = rd_kafka_error_code(error);
    if (rd_kafka_error_is_retriable(error) || kafka_unreachable(err))
        return kafka_why(ret_why, PORT_AWAY, "no producer of transactions: %s", rd_kafka_error_string(error));
    int r = judge(s, "no producer of transactions", err, rd_kafka_error_string(error), ret_why);
    retire(s);
    return r == PORT_FENCED ? PORT_FENCED : PORT_REFUSED;
}

static int open_transaction(struct kafka_sink *s, struct why *ret_why)
{
    int r = kafka_sink_prepare(s, ret_why);
    if (r != PORT_OK)
        return r;
    kafka_producer_mark(&s->transactions);
    _cleanup_(kafka_error_destroy) rd_kafka_error_t *error = rd_kafka_begin_transaction(s->transactions.client.rk);
    if (error) {
        kafka_why(ret_why, PORT_AWAY, "no transaction: %s", rd_kafka_error_string(error));
        retire(s);
        return PORT_AWAY;
    }
    s->open = true;
    s->begun_ms = now_ms();
    return PORT_OK;
}

// ---- At least once

static int flush_plain(struct kafka_sink *s, struct why *ret_why)
{
    if (!s->loose)
        return PORT_OK;
    if (!s->plain.client.rk)
        return kafka_why(ret_why, PORT_ABORTED, "the batch is over");
    int r = kafka_producer_flush(&s->plain, s->options->transaction_timeout_ms + SPARE_MS, ret_why);
    if (r != PORT_OK) // what is still on its way must not overtake what comes later
        kafka_producer_close(&s->plain);
    return r;
}

static int open_plain(struct kafka_sink *s, struct why *ret_why)
{
    char text[200];
    if (s->plain.client.rk && rd_kafka_fatal_error(s->plain.client.rk, text, sizeof(text)))
        kafka_producer_close(&s->plain);
    if (!s->plain.client.rk) {
        int r = kafka_producer_open(&s->plain, s->options, false, ret_why);
        if (r != PORT_OK)
            return r;
    }
    s->loose = true;
    return PORT_OK;
}

// ---- The port

static int sink_begin(void *ctx, struct why *ret_why)
{
    struct kafka_sink *s = ctx;
    undo(s, PORT_OK);
    s->loose = s->undone = false;
    if (s->options->exactly_once)
        return open_transaction(s, ret_why);
    settle_doubts(s);
    kafka_producer_mark(&s->transactions);
    kafka_producer_mark(&s->plain);
    return PORT_OK;
}

// Opens what the record goes out with, if it is not open yet.
static int open_for(struct kafka_sink *s, const struct out_record *r, struct why *ret_why)
{
    if (s->open)
        return PORT_OK;
    if (s->undone || (s->loose && !s->plain.client.rk))
        return kafka_why(ret_why, PORT_ABORTED, "the batch is over");
    if (strcmp(r->topic, s->options->journal) != 0)
        return s->loose ? PORT_OK : open_plain(s, ret_why);
    int result = flush_plain(s, ret_why); // keeps the order within a topic
    return result == PORT_OK ? open_transaction(s, ret_why) : result;
}

static int sink_produce(void *ctx, const struct out_record *r, struct why *ret_why)
{
    struct kafka_sink *s = ctx;
    int result = open_for(s, r, ret_why);
    if (result != PORT_OK)
        return result;
    if (!s->open)
        return kafka_producer_send(&s->plain, r, ret_why);
    struct why why = {""};
    result = kafka_producer_send(&s->transactions, r, &why);
    if (result == PORT_ABORTED)
        return undo_for(s, "a record could not be sent", s->transactions.failed, why.text, ret_why);
    if (result > 0)
        kafka_why(ret_why, result, "%s", why.text);
    return result;
}

static int send_offsets(struct kafka_sink *s, const struct commit_offset *offsets, size_t n, struct why *ret_why)
{
    if (n == 0)
        return PORT_OK;
    if (!s->group->metadata)
        return undo(s, kafka_why(ret_why, PORT_FENCED, "offsets of partitions that the group never gave us"));
    _cleanup_(kafka_list_destroy) rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new((int)n);
    for (size_t i = 0; i < n; i++) {
        rd_kafka_topic_partition_t *t =
            rd_kafka_topic_partition_list_add(list, offsets[i].source.topic, offsets[i].source.partition);
        t->offset = offsets[i].offset;
        char clock[32];
        if (offsets[i].clock != INT64_MIN && snprintf(clock, sizeof(clock), "c=%" PRId64, offsets[i].clock) > 0 &&
            (t->metadata = strdup(clock)))
            t->metadata_size = strlen(clock);
    }
    int64_t give_up = s->begun_ms + s->options->transaction_timeout_ms;
    for (;;) {
        int64_t left = give_up - now_ms();
        _cleanup_(kafka_error_destroy) rd_kafka_error_t *error = rd_kafka_send_offsets_to_transaction(
            s->transactions.client.rk, list, s->group->metadata, left > SPARE_MS ? (int)left : SPARE_MS);
        if (!error)
            return PORT_OK;
        if (!rd_kafka_error_is_retriable(error) || now_ms() >= give_up)
            return undo_for(s, "offsets were not taken", rd_kafka_error_code(error), rd_kafka_error_string(error),
                            ret_why);
    }
}

static int end_transaction(struct kafka_sink *s, struct why *ret_why)
{
    rd_kafka_t *rk = s->transactions.client.rk;
    _cleanup_(kafka_error_destroy) rd_kafka_error_t *error =
        rd_kafka_commit_transaction(rk, s->options->transaction_timeout_ms);
    if (!error) {
        s->open = false;
        s->offsets_ms = now_ms();
        s->doubtful = kafka_producer_doubtful(&s->transactions);
        return PORT_OK;
    }
    rd_kafka_resp_err_t err = rd_kafka_error_code(error);
    unsigned endings = kafka_producer_endings(&s->transactions);
    bool may_be_sent = endings > 0 || rd_kafka_error_is_retriable(error); // retriable: it may wait to be sent
    if (!may_be_sent)
        return undo_for(s, "the transaction was not committed", err, rd_kafka_error_string(error), ret_why);

    struct why text;
    rd_kafka_resp_err_t fatal = fatal_error(s, &text);
    int r = PORT_UNKNOWN;
    if (is_fenced(fatal))
        r = judge(s, "the transaction was not committed", fatal, text.text, ret_why);
    if (r == PORT_UNKNOWN || endings > 1) { // the first of several may have been heard
        r = kafka_why(ret_why, PORT_UNKNOWN, "nobody knows whether the transaction is committed: %s",
                      rd_kafka_error_string(error));
    }
    retire(s);
    if (!is_fenced(fatal))
        kafka_sink_prepare(s, NULL);
    return r;
}

// Offsets first: their answer comes after the one that adds the records' partitions to the transaction, and as long as
// that is out a flush keeps librdkafka's thread polling without a pause, on a processor that the broker could use.
static int commit_transaction(struct kafka_sink *s, const struct commit_offset *offsets, size_t n, struct why *ret_why)
{
    struct why why = {""};
    int r = send_offsets(s, offsets, n, ret_why);
    if (r != PORT_OK)
        return r;
    r = kafka_producer_flush(&s->transactions, s->options->transaction_timeout_ms + SPARE_MS, &why);
    if (r != PORT_OK) {
        rd_kafka_resp_err_t err = s->transactions.failed;
        return undo_for(s, "not all records arrived", err ? err : RD_KAFKA_RESP_ERR__TIMED_OUT, why.text, ret_why);
    }
    return end_transaction(s, ret_why);
}

static int gather(struct kafka_sink *s, size_t *ret_n)
{
    size_t max = s->transactions.nplaces + s->plain.nplaces;
    if (max > s->produced_cap) {
        struct produced *v = realloc(s->produced, max * sizeof(*v));
        if (!v)
            return ERR_NOMEM;
        s->produced = v;
        s->produced_cap = max;
    }
    size_t n = 0;
    if (s->loose)
        kafka_producer_delivered(&s->plain, false, s->produced, max, &n);
    kafka_producer_delivered(&s->transactions, s->options->exactly_once, s->produced, max, &n);
    *ret_n = n;
    return 0;
}

// Plain batches leave the offsets behind; a transaction brings them up to date now and then. Whether it succeeds
// matters to monitors only, unless it shows that we are no longer a member.
static int commit_offsets(struct kafka_sink *s, const struct commit_offset *offsets, size_t n, struct why *ret_why)
{
    if (n == 0 || (s->loose && now_ms() - s->offsets_ms < OFFSETS_EVERY_MS))
        return PORT_OK;
    int r = open_transaction(s, ret_why);
    if (r == PORT_OK)
        r = commit_transaction(s, offsets, n, ret_why);
    if (r > 0 && r != PORT_FENCED && s->loose) {
        s->offsets_ms = now_ms();
        return PORT_OK;
    }
    return r;
}

static int sink_commit(void *ctx, const struct commit_offset *offsets, size_t n, const struct produced **ret,
                       size_t *ret_n, struct why *ret_why)
{
    struct kafka_sink *s = ctx;
    if (s->undone)
        return kafka_why(ret_why, PORT_ABORTED, "the transaction is over");
    int r = flush_plain(s, ret_why);
    if (r != PORT_OK)
        return undo(s, r);
    r = s->open ? commit_transaction(s, offsets, n, ret_why) : commit_offsets(s, offsets, n, ret_why);
    if (r != PORT_OK)
        return r;
    size_t found;
    r = gather(s, &found);
    if (r < 0)
        return r;
    *ret = s->produced;
    *ret_n = found;
    return PORT_OK;
}

static int sink_abort(void *ctx, struct why *ret_why)
{
    struct kafka_sink *s = ctx;
    (void)ret_why;
    if (s->loose)
        kafka_producer_close(&s->plain);
    s->loose = false;
    return undo(s, PORT_OK);
}

const struct sink_ops kafka_sink_ops = {
    .begin = sink_begin,
    .produce = sink_produce,
    .commit = sink_commit,
    .abort = sink_abort,
};

int kafka_sink_new(const struct kafka_options *o, const struct kafka_group *group, struct kafka_sink **ret)
{
    struct kafka_sink *s = calloc(1, sizeof(*s));
    if (!s)
        return ERR_NOMEM;
    s->options = o;
    s->group = group;
    *ret = s;
    return 0;
}

struct kafka_sink *kafka_sink_free(struct kafka_sink *s)
{
    if (!s)
        return NULL;
    undo(s, PORT_AWAY);
    kafka_producer_close(&s->transactions);
    kafka_producer_close(&s->plain);
    free(s->produced);
    free(s);
    return NULL;
}

unsigned kafka_sink_takeovers(const struct kafka_sink *s)
{
    return s->takeovers;
}
