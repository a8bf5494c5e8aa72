// Shared by the files that compile a model, and by nobody else. The compiler walks the YAML tree once per
// section, resolves names to indexes, and notes which facts are used; only then does it lay out the slots. A
// mistake never stops it: every function reports what it finds and goes on, so that all mistakes come out in
// one run.
#pragma once
#include "model.h"
#include "yaml_tree.h"
#include "buffer.h"
#include "cleanup.h"
#include <assert.h>

// What expressions, `quiet` and `report` need to know of a signal.
struct use {
    bool count, count_visit, sum, nvalues, value, last, previous;
    int recent; // recent times; 0: none
};

struct arena { // everything of a model, freed at once
    struct chunk *chunks;
    struct yaml_doc *doc; // its scalars are the model's strings
};

struct compiler {
    const char *file, *text; // text: len bytes
    size_t len;
    struct model *m;
    struct arena *arena;
    struct diags *d;
    bool failed;              // no memory: the result is worthless
    bool score_given;         // there is a `score` section
    bool valued[SIGNALS_MAX]; // the signal has `value: true`
    struct use use[SIGNALS_MAX];
    struct node nodes[NODES_MAX]; // m->nodes until the end
    uint8_t height[NODES_MAX];
};

// ---- model_yaml.c

// Zeroed memory that lives as long as the model; NULL (and k->failed) without memory, or for n = 0.
void *take(struct compiler *k, size_t n, size_t size);

#define mistake(k, node, ...) diag_add((k)->d, false, (k)->file, (node)->line, (node)->column, __VA_ARGS__)
#define warning(k, node, ...) diag_add((k)->d, true, (k)->file, (node)->line, (node)->column, __VA_ARGS__)

// Whether the node is a map; reports also the keys that are unknown. `what` names it: "a cap".
bool read_map(struct compiler *k, const struct yaml_node *n, const char *what, const char *const *known);
// The text of a scalar that is not empty, or NULL (reported). n may be NULL: no value, no mistake.
const char *read_text(struct compiler *k, const struct yaml_node *n, const char *what);
// A name: 1..NAME_BYTES_MAX letters, digits, - _ . ; `owner` is where a missing one is reported.
const char *read_name(struct compiler *k, const struct yaml_node *n, const struct yaml_node *owner, const char *what);
void check_name(struct compiler *k, const struct yaml_node *n, const char *what);
// One text or a list of them.
struct name_list read_texts(struct compiler *k, const struct yaml_node *n, const char *what);
// True if *ret is the duration; false if n is NULL or no duration (reported).
bool read_duration(struct compiler *k, const struct yaml_node *n, const char *what, int64_t *ret);
// A whole number in min..max.
bool read_whole(struct compiler *k, const struct yaml_node *n, const char *what, int64_t min, int64_t max,
                int64_t *ret);
// A stage or signal by name; NONE if n is NULL or unknown (reported).
int read_stage(struct compiler *k, const struct yaml_node *n);
int read_signal(struct compiler *k, const struct yaml_node *n);
// One name or a list of them, as a set; 0 if n is NULL.
uint64_t read_stages(struct compiler *k, const struct yaml_node *n);
uint64_t read_signals(struct compiler *k, const struct yaml_node *n);
// "unknown WHAT `NAME`" with the nearest of the candidates.
void unknown_name(struct compiler *k, int line, int column, const char *what, const char *name,
                  const char *const *candidates, size_t n);
void unknown_stage(struct compiler *k, int line, int column, const char *name);
void unknown_signal(struct compiler *k, int line, int column, const char *name);

// ---- model_signals.c

void compile_signals(struct compiler *k, const struct yaml_node *n);
void compile_score(struct compiler *k, const struct yaml_node *n);
void compile_report(struct compiler *k, const struct yaml_node *n);
void lay_out_slots(struct compiler *k); // after everything that uses facts

// ---- model_stages.c

void compile_stages(struct compiler *k, const struct yaml_node *n);
void compile_migrations(struct compiler *k, const struct yaml_node *n);
void index_stages(struct compiler *k); // what can happen in each stage, after rules and triggers

// ---- model_rules.c

void compile_rules(struct compiler *k, const struct yaml_node *n);
void compile_triggers(struct compiler *k, const struct yaml_node *n);
void compile_caps(struct compiler *k, const struct yaml_node *n);

// ---- model_place.c

// Line and column of `where`, a byte of the scalar's text; where the scalar begins if escapes make that
// unclear.
void scalar_place(const struct compiler *k, const struct yaml_node *n, const char *where, int *ret_line,
                  int *ret_column);

// ---- expr_parse.c

// The root of the expression in a scalar, NONE if there is a mistake (reported) or n is NULL.
int expr_parse(struct compiler *k, const struct yaml_node *n);
// A fact on its own, as in `report`: fact, signal, stage and window of *ret. False: a mistake (reported).
bool expr_parse_fact(struct compiler *k, const struct yaml_node *n, struct compare *ret);
// Notes what a comparison (or a reported fact) needs.
void use_fact(struct compiler *k, const struct compare *c);

// ---- model_check.c

void check_cycles(struct compiler *k);   // deadline rules that move for ever: mistakes, and m->rests
void check_warnings(struct compiler *k); // what is allowed, but surely not meant; only for models without mistakes
