// What the checks know: of each record what it says in its headers, of each customer what is published and stored.
#pragma once
#include "reference.h"

struct said { // by an output, in its headers
    enum { SAID_OUTPUT, SAID_DEAD, SAID_WALL, SAID_REJECT, SAID_START, SAID_SWITCH } kind;
    int model, customer;
    uint32_t ordinal;
    int64_t offset, clock; // offset: the event's own of SAID_DEAD and SAID_REJECT, else the next
    char digest[17], id[100];
};

struct seen {         // of a customer in a model
    struct rec **got; // published outputs, by ordinal - 1
    size_t cap;
    uint32_t checked; // of them, against the reference
    int64_t stored;   // ordinal in the store; -1: no state
};

struct known {
    struct seen seen[MODEL_COUNT_MAX][CUSTOMERS_MAX];
    struct {
        const struct rec **dead; // by the event's offset
        size_t dead_cap;
        struct cursor cursor;
        int64_t tails[TOPICS];
        const struct said **switches; // entries of the journal
        size_t nswitches;
        uint64_t states_n;                // flushes up to the last one with states
        struct ref_switch undone;         // that Redis has forgotten, before its program said anything; valid if forgot
        bool may_halt, given_up, started; // started: the journal's first entry is there
        bool forgot;
        int started_by; // program of that entry; valid if it is a `start`
        bool lost;      // a key is, and it must halt
    } parts[PARTS_MAX];
};
extern struct known checks;

struct span said_header(const struct rec *r, const char *name);
bool said_is(struct span s, const char *text);
void checks_switch_said(int partition, const struct said *s);   // the journal has a change of program
void checks_switched(int partition, const struct flush *f);     // a flush that may change the program
void checks_give_up(int partition, const char *what);           // what follows cannot be told from the store any more
void checks_spoken(int partition, const struct said *s);        // anything is said
void checks_done(int partition, int64_t offset, int64_t clock); // the group's offset is this
void checks_unswitch(int partition);                            // Redis is what it was
