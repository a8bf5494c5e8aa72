// What a partition's output topics and journal say was published already, read back when the partition is taken: the
// filter of a replay, and the decisions that it repeats.
#pragma once
#include "ports.h"

struct published_id {
    uint64_t key[2]; // of the whole id
    char digest[17];
    bool seen; // met again by the replay
    bool dead_letter;
    uint32_t ordinal;                // valid unless dead_letter
    size_t text;                     // where the id stands in `texts`
    uint32_t text_bytes, stem_bytes; // stem: "model:customer"
};

struct decision {   // of the journal, or read from what outputs say
    int64_t offset; // before the event at this offset
    int64_t clock;  // ms UTC: the partition clock moves at least to here
};

struct era {               // from a change of program in the journal to the next
    char program[17];      // digest
    int64_t offset, clock; // its place; INT64_MIN: no clock
};

struct published {
    struct published_id *v;
    size_t n, cap, left; // left: not yet seen
    uint32_t *index;     // open addressing: position in v + 1, by key
    size_t mask;
    struct stem {
        uint64_t key[2];
        uint32_t ordinal;
        bool used;
    } *stems; // latest ordinal of each model:customer
    size_t nstems, stems_mask;
    char *texts;
    size_t ntexts, texts_cap;
    struct decision *advances; // by offset, after published_sort
    size_t nadvances, advances_cap, next_advance;
    int64_t *rejected; // offsets, sorted
    size_t nrejected, rejected_cap;
    bool any;         // something was added
    bool started;     // the journal has a `start` or a change of program
    int64_t start;    // where its `start` says that stepping began; -1: it has none
    struct era *eras; // in the order in which they began
    size_t neras, eras_cap;
    int64_t offset, clock; // the largest seen, valid if any; INT64_MIN: none
};

// Adds a record read from an output topic or, before these, from the journal, if it is this app's and this partition's.
// 0, 1: its headers make no sense, negative: no memory. exactly_once: outputs tell of wall advances, too, for a torn
// transaction may lack their entries in the journal. At least once they can be those of a worker that was given up.
int published_add(struct published *p, const char *app, const struct part_key *part, bool journal, bool exactly_once,
                  const struct record *r);
// After the last add.
void published_sort(struct published *p);
// The output with this id, or NULL.
struct published_id *published_find(struct published *p, struct span id);
// Whether a later output of the same model and customer is among them.
bool published_later(const struct published *p, struct span id, uint32_t ordinal);
bool published_rejects(const struct published *p, int64_t offset);
void published_clear(struct published *p);
