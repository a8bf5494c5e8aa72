// The invariants, looked at whenever something could break them: as a transaction is decided, as a flush is accepted,
// and over everything at the end.
#pragma once
#include "kafka.h"

void checks_begin(void);
void checks_appended(struct plog *l, int64_t offset);    // a record of any topic
void checks_committed(struct txn *t);                    // of a worker
void checks_plain(const struct plog *l, int64_t offset); // a record without a transaction
void checks_group_offset(int partition, int64_t from, int64_t to, int64_t clock);
void checks_created(int partition, const struct cursor *c);
void checks_flushed(int partition, const struct flush *f, bool mine); // mine: by the owner in the store
void checks_redis_changed(int partition);                             // its data are others now
void checks_halted(int partition, const char *reason);
void checks_offsets_expired(int partition);
void checks_damaged(int partition, const char *what); // it may halt from now on
void checks_lost(int partition, const char *what);    // it must halt, once it is taken again
bool checks_has_lost(int partition);
struct worker;
void checks_limits(const struct worker *w);                   // after a round
void checks_flush_size(int partition, const struct flush *f); // as it is accepted
bool checks_may_halt(int partition);
// Whether something that lies beyond this place is published, or by the group's offset done.
bool checks_done_beyond(int partition, int64_t offset, int64_t clock);
int checks_program(int partition);     // at work, by the store; -1: none
bool checks_given_up(int partition);   // it must halt, and nothing more is said about it
bool checks_poisoned(struct span key); // brokers refuse this customer's transitions
// Everything that is there agrees with the reference; drained: and everything that must be there is.
void checks_final(int partition, bool drained);

// ---- for the checks at the end

struct ref_out;
void checks_recheck(int partition);             // steps and compares everything again
void checks_bad(int partition, int64_t offset); // its dead letter is published
bool checks_may_miss(const struct ref_out *o);
// The customer in a state, and whose program's models it is of; NULL: it cannot be read.
struct customer *checks_decode(int partition, int model, struct span state, int *ret_program);
uint32_t checks_state(int partition, int model, int customer, struct span state, int64_t clock, const char *what);
void checks_published(int model, int customer);
void checks_order(int topic, int partition);

// ---- between the rooms of the cluster

void group_begin(void);
void group_watch(void);
void group_settle(struct txn *t);
void group_forget(struct txn *t);
int kafka_current(int slot, int epoch, struct txn **ret);
void workers_notice(int partition); // there is something to read
int64_t kafka_down_until(void);
void store_end(void);
