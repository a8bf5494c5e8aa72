// A stage model, compiled: names resolved to indexes, expressions to nodes, facts to slots. Read-only once loaded, so
// that all workers share it. The language and its exact meaning are in config/README.md.
#pragma once
#include "error.h"
#include "event.h"

enum { NONE = -1 }; // no such index

// ---- expressions

enum fact_kind {
    FACT_COUNT,        // count(s)
    FACT_COUNT_WINDOW, // count(s, 30d)
    FACT_COUNT_STAGE,  // count(s, stage)
    FACT_SUM, FACT_MEAN, FACT_VALUE,
    FACT_SINCE, FACT_GAP,
    FACT_IN_STAGE, FACT_AGE,
    FACT_VISITS,       // visits(stage)
    FACT_SCORE,
    FACT_TREND,        // trend(s, 14d): percent of the former window's count
};
enum compare_op { OP_LT, OP_LE, OP_GT, OP_GE, OP_EQ, OP_NE };
enum node_kind { NODE_AND, NODE_OR, NODE_NOT, NODE_COMPARE };

struct compare {
    uint8_t fact;      // enum fact_kind
    uint8_t op;        // enum compare_op
    int16_t signal;    // or NONE
    int16_t stage;     // FACT_VISITS
    int64_t window_ms; // FACT_COUNT_WINDOW, FACT_TREND
    int64_t literal;   // durations: ms; everything else: thousandths
};

struct node {
    uint8_t kind; // enum node_kind
    int16_t a, b; // children (NODE_NOT: a), always smaller indexes than the node's own
    struct compare c;
};

// ---- facts: where a customer keeps what the model uses of a signal. Slot numbers, NONE if not kept.

struct signal_slots {
    int16_t count;           // events ever
    int16_t count_visit;     // events in this visit
    int16_t sum, nvalues;    // thousandths; events with a value
    int16_t value, value_at; // latest by own time; value_at NEVER: none yet
    int16_t last;            // own time of the latest event, NEVER: none yet
    int16_t previous;        // own time of the one before it, NEVER: none
    int16_t recent;          // first of 1 + recent_max slots: how many, then own times, latest first
    int16_t recent_max;
};

struct where {
    struct span property; // name
    int16_t prop;         // index in field_map.props, set by program_link
    int16_t nvalues;
    const struct scalar *values; // any of them
};

struct signal {
    const char *name;
    struct signal_slots slots;
    double weight;             // in the score; 0: none
    const struct where *where; // all must hold
    int nwhere;
};

struct window { // a count(signal, window) that some expression uses
    int16_t signal;
    int64_t window_ms;
};

struct type_entry {   // event type -> signals; an open-addressing table, size a power of two
    struct span type; // p NULL: free
    uint64_t signals;
};

// ---- stages, rules, triggers, objectives, caps

struct name_list {
    const char *const *v;
    int n;
};

struct objective {
    const char *name;  // NULL: the stage has none
    uint64_t when;     // signals, or 0
    int16_t reach;     // stage, or NONE; exactly one of when and reach
    int64_t within_ms; // or NEVER: never missed
};

struct stage {
    const char *name, *owner, *purpose, *message; // all but name may be NULL
    struct name_list channels, needs, kpis;
    struct objective objective;
    int line, column;
    // what can happen here, in file order
    const int16_t *event_rules, *deadline_rules, *event_triggers, *deadline_triggers;
    int nevent_rules, ndeadline_rules, nevent_triggers, ndeadline_triggers;
    const int16_t *spell_triggers; // `once: spell` among the `in` triggers
    int nspell_triggers;
};

struct condition {    // what rules and `in` triggers share; all given parts must hold
    uint64_t when;    // signals; 0: by time alone
    int64_t after_ms; // at least so long in the stage; 0: at once
    int64_t quiet_ms; // or NONE
    int16_t quiet_of; // signal, or NONE: any
    int16_t expr;     // root node, or NONE
};

struct rule {
    const char *name;
    uint64_t from; // stages
    int16_t to;
    struct condition on;
    int line, column;
};

enum trigger_kind { TRIGGER_ENTER, TRIGGER_EXIT, TRIGGER_IN };
enum once { ONCE_VISIT, ONCE_EVER, ONCE_SPELL };

struct trigger {
    const char *name, *campaign, *content, *touch; // content and touch may be NULL
    uint8_t kind;                                  // enum trigger_kind
    uint8_t once;                                  // enum once
    int16_t stage;                                 // entered, left, or stayed in
    int16_t other;                                 // enter: only from; exit: only to; or NONE
    struct condition on;                           // `in` only
    int16_t unless;                                // root node, or NONE
    int16_t bit; // in: its bit of customer.spent; with `once: ever`: its bit of customer.ever (both kinds)
    int16_t cap; // the campaign's cap, or NONE
    struct name_list channels; // its own, or the stage's
    int line, column;
};

struct cap {
    const char *campaign; // NULL: `all`
    int32_t max;
    int64_t per_ms;
    int16_t recent; // first of 1 + max slots: how many, then effective times, latest first
};

struct migration {
    const char *from; // a stage that this version no longer has
    int16_t to;
};

// How a slot goes into a state's bytes.
enum slot_kind {
    SLOT_COUNT,  // 0 when fresh
    SLOT_TIME,   // NEVER when fresh; stored as a distance from the customer's last event
    SLOT_RECENT, // how many of the SLOT_RECENT_ITEMs that follow it are in use
    SLOT_RECENT_ITEM,
    SLOT_VALUE,  // 0 when fresh, thousandths
};

struct model {
    const char *name, *file;
    uint32_t version;
    char digest[17];  // hex, of the text
    const char *text; // as read; text_bytes long
    size_t text_bytes;

    struct signal *signals;
    int nsignals;
    struct type_entry *types;
    uint32_t types_mask;
    struct window *windows; // no two alike
    int nwindows;

    struct stage *stages;
    int nstages;
    struct rule *rules;
    int nrules;
    struct trigger *triggers;
    int ntriggers;
    struct cap *caps;
    int ncaps;
    int16_t cap_all; // or NONE
    struct node *nodes;
    int nnodes;
    struct migration *migrations;
    int nmigrations;

    bool has_score; // the score is used or reported
    double half_life_ms, potential;
    bool rests; // deadline rules can cycle, so moves in silence are counted

    int16_t visits; // first of nstages slots: visits of each stage
    int16_t nslots;
    uint8_t *slot_kinds; // enum slot_kind, by slot
    void *arena;         // owns all of the above
};

// Compiles a model's text. 0: *ret_model is the caller's (model_free). 1: mistakes are in d. Negative: no memory.
// Warnings may be added in both of the first cases.
int model_load(const char *file, const char *text, size_t len, struct model **ret_model, struct diags *d);
struct model *model_free(struct model *m);

// The signals that an event matches. props come from the field map that program_link bound the model to.
uint64_t model_match(const struct model *m, const struct event *e);
// Index by name, or NONE.
int model_stage(const struct model *m, const char *name, size_t n);
int model_signal(const struct model *m, const char *name, size_t n);

// ---- a program: what states and outputs depend on beside the log and the journal

struct program {
    struct model **models; // owned
    int nmodels;
    struct field_map map; // owned
    int64_t grace_ms, max_future_ms;
    bool wall;       // time.mode: wall
    char digest[17]; // hex, of models in order, field map, grace, time mode
};

// Binds the models' `where` properties to the map and computes the digest. 0; 1: too many properties (in d).
int program_link(struct program *p, struct diags *d);
void program_clear(struct program *p);
