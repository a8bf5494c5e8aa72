// What is known of one customer, read from Redis in whatever partition it is: for HTTP and for engagectl, whether or
// not a daemon runs.
#pragma once
#include "config.h"

struct lookup;

// Models and field map are the configuration's, which outlives the lookup. partitions: of the source. NULL: no memory.
struct lookup *lookup_new(const struct config *c, int32_t partitions);
struct lookup *lookup_free(struct lookup *l); // accepts and returns NULL

struct lookup_found { // one model's state
    const struct model *model;
    const struct customer *customer; // with c->due computed; lives until the callback returns
    struct part_key source;
    struct span id;
    int64_t now; // ms UTC: the later of the partition's and the customer's clock
};
// Calls found() for each state. PORT_OK (also when there was none), PORT_AWAY, PORT_REFUSED or negative.
int lookup_each(struct lookup *l, struct span id, void (*found)(void *arg, const struct lookup_found *f), void *arg,
                struct why *ret_why);
// The customer as one JSON object, for http_options.customer. 0; 1: no such customer; 2: *ret_why says why it cannot
// be told; negative: no memory.
int lookup_customer(void *lookup, struct span id, struct buffer *ret_body, struct why *ret_why);
