// All of an app's topics beside its states, whether or not daemons are at work: for the commands that go
// through the whole log. No member of the group and no owner. Results are those of ports.h.
#pragma once
#include "ctl.h"
#include "kafka_query.h"
#include "redis_query.h"
#include "sources.h"

struct servers {                // must not move while open
    struct sources at;          // configuration, Redis, the reader of partitions
    struct kafka_client client; // for questions, also about the group
    int32_t partitions;         // of the source
};

// Reads the configuration, and asks Kafka for the source's partitions. 0: *s is the caller's (servers_close),
// else an exit status, printed as of `command` ("engagectl audit"), or negative.
int servers_open(struct servers *s, const char *command, const char *config, const struct option_list *overrides);
void servers_close(struct servers *s); // zeros, too
// The topics that outputs go to by the configuration, dead letters among them, each once. Returns how many.
int servers_outputs(const struct servers *s, const char *ret[static TOPICS_MAX]);
// The partitions that --partition (NULL: all) means: from *ret_first to before *ret_end. 0, or EX_USAGE.
int servers_partitions(const struct servers *s, const char *command, const char *option, int32_t *ret_first,
                       int32_t *ret_end);
// First offset and end of a topic's partition; both 0 if there is no such topic (yet).
int servers_ends(struct servers *s, const struct part_key *p, int64_t *ret_start, int64_t *ret_high,
                 struct why *ret_why);
// What the group has committed there, as kafka_committed() tells it. Open transactions are waited for until they
// must have timed out.
int servers_committed(struct servers *s, const struct part_key *p, int64_t *ret_offset, int64_t *ret_clock,
                      struct why *ret_why);
// Reads a partition read_committed from *next to before `upto`, each record once, and moves *next. It waits
// as long for open transactions. each() < 0 stops with that value.
int servers_read(struct servers *s, const struct part_key *p, int64_t *next, int64_t upto,
                 int (*each)(void *arg, const struct record *r), void *arg, struct why *ret_why);
