// Every bound in one place. Each names its unit last; asserts below tie together those that depend on each other.
#pragma once
#include <stdint.h>

enum {
    MODELS_MAX = 16,            // models in one daemon
    SIGNALS_MAX = 64,           // a model; a set of signals is a uint64_t
    STAGES_MAX = 64,            // a model; a set of stages is a uint64_t
    RULES_MAX = 256,            // transitions a model
    TRIGGERS_MAX = 256,         // triggers a model
    STAGE_TRIGGERS_MAX = 64,    // `in` triggers a stage; those spent are a uint64_t
    EVER_TRIGGERS_MAX = 64,     // triggers with `once: ever` a model; those spent are a uint64_t
    CAPS_MAX = 16,              // caps a model
    NODES_MAX = 4096,           // expression nodes a model
    EXPR_DEPTH_MAX = 64,        // nesting of one expression
    RECENT_MAX = 1024,          // recent times kept of one signal, and of one cap
    TREND_RECENT_MAX = 128,     // recent times kept for trend()
    PROPS_MAX = 64,             // event properties that `where` looks at, all models together
    NAME_BYTES_MAX = 64,        // names of models, signals, stages, rules, triggers, campaigns
    CUSTOMER_BYTES_MAX = 1024,  // a customer id; longer ones are bad events
    RESTING_MOVES = 64,         // moves by deadline rules alone before a customer's deadline rules rest
    EVENT_BYTES_MAX = 16 << 20, // a record's value; Kafka's own limit comes first in practice
    YAML_BYTES_MAX = 4 << 20,   // a model or configuration file
    YAML_DEPTH_MAX = 64,        // nesting in it, aliases followed
    YAML_NODES_MAX = 1 << 20,   // nodes in it, an alias counting as all that it stands for
    DIAGS_MAX = 200,            // mistakes reported in one run
};

#define MS_PER_DAY INT64_C(86400000)
#define DURATION_MS_MAX (INT64_C(36525) * MS_PER_DAY) // 100 years
#define TIME_MS_MAX INT64_C(253402300799999)          // 9999-12-31T23:59:59.999Z; event times start at 1970
#define VALUE_MILLI_MAX INT64_C(1000000000000000)     // 10^12 in thousandths: at or beyond is no value
#define NEVER INT64_MAX                               // no such instant

_Static_assert(SIGNALS_MAX <= 64 && STAGES_MAX <= 64, "sets are 64 bits");
_Static_assert(STAGE_TRIGGERS_MAX <= 64 && EVER_TRIGGERS_MAX <= 64, "spent triggers are 64 bits");
_Static_assert(STAGES_MAX <= RESTING_MOVES, "deadline rules without a cycle must never come to rest");
