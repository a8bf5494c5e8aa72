// What every connection to Kafka of one worker shares: who we are, the properties that are ours and those that may be
// changed, librdkafka's words turned into notes, its errors into conditions, and the pulse of its requests.
// A client and its callbacks belong to the worker's thread; only the pulse is written by librdkafka's own threads.
#pragma once
#include <librdkafka/rdkafka.h>
#include <stdatomic.h>

#include "cleanup.h"
#include "clock.h"
#include "ports.h"

struct config_property;

struct kafka_options { // everything in it outlives whatever is made with it
    const char *brokers;
    const char *app, *instance;
    int worker; // index: with app and instance it names the member and the transactional id
    const struct config_property *properties; // the operator's, none of them reserved
    size_t nproperties;
    const char *source;  // topic
    const char *journal; // topic
    bool exactly_once;   // false: at least once
    int transaction_timeout_ms;
    void (*note)(void *arg, enum note_level level, const char *text); // called on the worker's thread; may be NULL
    void *note_arg;
};

enum {
    KAFKA_TRANSACTION_TIMEOUT_MS = 10000, // a dead worker's open transaction stalls its successor that long
    KAFKA_CALL_MS = 5000,                 // most calls of the ports wait that long for brokers
    KAFKA_ID_BYTES = 512,                 // of a member's name or a transactional id
};

struct kafka_group { // the membership that transactions prove: taken at each assignment, valid until the next
    rd_kafka_consumer_group_metadata_t *metadata; // NULL: never assigned
};

struct kafka_setting {
    const char *name, *value; // a list ends with a NULL name
};

struct kafka_client { // one handle of librdkafka's; it must not move while open
    rd_kafka_t *rk;   // NULL: not open
    const struct kafka_options *options;
    void *owner;                 // for callbacks
    int64_t opened_ms;           // monotonic
    int64_t hurried_ms;          // monotonic: see kafka_hurry()
    int64_t down_ms;             // monotonic: when librdkafka last said that all brokers are down; 0: never
    unsigned errors;             // error callbacks so far
    _Atomic int64_t answered_ms; // monotonic: the last answer of any broker; 0: never
    _Atomic unsigned unanswered; // requests of producing and transactions that were sent, or were to be, in vain
    _Atomic unsigned endings;    // requests to end a transaction that were sent
};

// Opens a client: `defaults` can be overridden by the operator's properties, `required` cannot. `prepare` (or NULL)
// adds callbacks. PORT_REFUSED: a property is wrong. Connects in the background, so brokers may be away.
int kafka_open(struct kafka_client *c, const struct kafka_options *o, rd_kafka_type_t type,
               const struct kafka_setting *defaults, const struct kafka_setting *required,
               void (*prepare)(rd_kafka_conf_t *conf), void *owner, struct why *ret_why);
// Closes it at once, waiting for nobody: no group is left, no message sent. May be called twice.
void kafka_close(struct kafka_client *c);

// "<app>-<instance>-<worker>"
void kafka_worker_id(const struct kafka_options *o, char ret[static KAFKA_ID_BYTES]);
void kafka_note(const struct kafka_options *o, enum note_level level, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
// Sets the reason and returns `result`.
int kafka_why(struct why *ret_why, int result, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
// Whether an error says that brokers, or those in charge, cannot be reached or did not answer in time.
bool kafka_unreachable(rd_kafka_resp_err_t err);
// How long ago a broker last answered, or the client was opened.
int64_t kafka_silent_ms(const struct kafka_client *c);
// Whether brokers are known to be down, or have been silent for so long that they must be.
bool kafka_away(const struct kafka_client *c);

static inline void kafka_queue_destroy(rd_kafka_queue_t **q)
{
    if (*q)
        rd_kafka_queue_destroy(*q);
}
static inline void kafka_event_destroy(rd_kafka_event_t **e)
{
    if (*e)
        rd_kafka_event_destroy(*e);
}
static inline void kafka_list_destroy(rd_kafka_topic_partition_list_t **l)
{
    if (*l)
        rd_kafka_topic_partition_list_destroy(*l);
}
static inline void kafka_error_destroy(rd_kafka_error_t **e)
{
    if (*e)
        rd_kafka_error_destroy(*e);
}
static inline void kafka_topic_destroy(rd_kafka_topic_t **t)
{
    if (*t)
        rd_kafka_topic_destroy(*t);
}
