// Models, customers and events of a run.
#pragma once
#include "kafka.h"
#include "model.h"

extern struct program programs[PROGRAMS]; // of this run: the second one may come in its midst
extern const int64_t wall_begin;          // ms UTC at the beginning of a run

struct fact { // an event as the field map reads it; made when it is appended
    enum bad_reason bad;
    int customer;
    int64_t t, value_milli;
    bool has_value;
    uint64_t signals[PROGRAMS][MODEL_COUNT_MAX];
    struct span type, id;
};

void programs_begin(void);
void programs_end(void);
int nmodels(void);                  // of either program, with the same names in the same order
int program_of(const char *digest); // fails for one that there is not

void workload_begin(void);
void workload_start(void *unused); // events begin to come
void workload_end(void);
bool workload_over(void); // the last one has come, and every transaction of a producer is over
const char *customer_id(int customer);
int customer_of(struct span id); // fails for one that there is not
int partition_of(int customer);
const struct fact *fact_at(int partition, int64_t offset); // NULL: no visible event
