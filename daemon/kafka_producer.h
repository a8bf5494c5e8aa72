// One producer, of transactions or plain: it sends records, and knows from the delivery reports where they went, which
// failed, and whether anything happened since `kafka_producer_mark` that makes it one not to be trusted again.
#pragma once
#include "kafka_common.h"

struct kafka_output; // a topic, with the numbers of its partitions' places
struct kafka_place;  // a partition that was sent to, and how far

struct kafka_producer {
    struct kafka_client client;
    struct kafka_output *outputs;
    size_t noutputs;
    struct kafka_place *places;
    size_t nplaces, places_cap;
    unsigned sent;                        // since it was opened; delivery reports are looked at now and then
    rd_kafka_resp_err_t failed;           // of the first record since mark that was not delivered
    struct why failure;                   // the same in words; valid if failed
    unsigned errors, unanswered, endings; // of the client, at mark
};

// Opens it, closing the one before. PORT_REFUSED: a property is wrong.
int kafka_producer_open(struct kafka_producer *p, const struct kafka_options *o, bool transactions,
                        struct why *ret_why);
void kafka_producer_close(struct kafka_producer *p);
// From here on deliveries, failures and doubts are counted.
void kafka_producer_mark(struct kafka_producer *p);
// Copies the record and sends it soon. PORT_REFUSED: too large for this producer, or no such partition. PORT_AWAY: no
// room for more, as brokers do not take what is there. PORT_ABORTED: an earlier failure has ended the transaction.
// Or ERR_NOMEM.
int kafka_producer_send(struct kafka_producer *p, const struct out_record *r, struct why *ret_why);
// Waits for the reports of all records. PORT_OK: all are delivered. PORT_AWAY: brokers do not take them. PORT_ABORTED:
// they took one not, and will not.
int kafka_producer_flush(struct kafka_producer *p, int timeout_ms, struct why *ret_why);
// Adds to ret where the records since mark went, at most max entries in all; an entry that is there already for the
// same partition, of another producer before, is overwritten. marker: the next offset is taken by that of their
// transaction, or by another app's record that comes before it. Topics live as long as the producer.
void kafka_producer_delivered(const struct kafka_producer *p, bool marker, struct produced *ret, size_t max,
                              size_t *ret_n);
// Requests to end a transaction that were sent since mark.
unsigned kafka_producer_endings(const struct kafka_producer *p);
// Whether since mark an error was reported, a request went unanswered, or a transaction was ended more than once: a
// late duplicate could hit a later transaction of this producer's.
bool kafka_producer_doubtful(const struct kafka_producer *p);
