// The versions of models that a partition's states may have been written by, and states read by a later one.
#pragma once
#include "customer.h"
#include "ports.h"

struct version {       // of a model, kept beside the states
    char *name, *text; // owned
    size_t text_bytes;
    uint32_t number;
    uint64_t order;
    int64_t clock;       // ms UTC; INT64_MIN: with the first event
    struct model *model; // owned; compiled when a state wants it
};

struct versions { // by order, after versions_sort
    struct version *v;
    size_t n;
};

// Copies what store_ops.recall tells. 0, or negative: no memory.
int versions_add(void *versions, const struct model_text *t);
void versions_sort(struct versions *v); // after the last add
// NULL: there is none.
struct version *versions_find(const struct versions *v, const char *name, uint32_t number);
struct version *versions_latest(const struct versions *v, const char *name); // the one at work last
// Fills v->model. 0, 1: its text no longer compiles (a mistake of a newer engaged), negative: no memory.
int version_compile(struct version *v);
// Decodes a state of m or of any version before it. 0; 1: it cannot be read; negative: no memory.
int versions_read(struct versions *v, const struct model *m, struct span state, struct customer *c);
void versions_clear(struct versions *v); // zeros, too
