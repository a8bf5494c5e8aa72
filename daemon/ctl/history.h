// The journal of one partition, as far as it tells where stepping began and which programs were at work
// since; and the headers by which records of the app are known.
#pragma once
#include "servers.h"

struct history_program {
    char digest[17];
    int64_t offset, clock; // at work from the event at `offset` on, and deadlines from `clock` on (ms UTC;
                           // INT64_MIN: with the first event)
    int64_t entry;         // its offset in the journal
    char *body;            // owned: the entry, which holds the models' texts
    size_t body_bytes;
    struct program program; // empty before history_compile
};

struct history {
    struct history_program *v; // in order; v[0].offset is where stepping began
    size_t n;                  // 0: there is no entry yet
    bool started;              // v[0] is the `start`, not a later switch
};

// The value of a header; p NULL: there is none (or it is null).
struct span record_header(const struct record *r, const char *name);
// The same as a whole number. 0; 1: there is none.
int record_number(const struct record *r, const char *name, int64_t *ret);
// Whether the record was written by this app for this partition of the source.
bool record_is_ours(const struct record *r, const char *app, const struct part_key *p);

// Adds a record of the journal if it is a start or a switch. 0, or negative.
int history_add(struct history *h, const char *app, const struct part_key *p, const struct record *r);
// Makes the programs out of the journal's texts and the present configuration, which must have the field map,
// grace and time mode of those days: their digests tell. Or PORT_REFUSED.
int history_compile(struct history *h, const char *config, const struct option_list *overrides, struct why *ret_why);
void history_clear(struct history *h);
