// Effects as others see them: CloudEvents 1.0, ids that are the same in every replay, and the digest by which a replay
// recognises what it said before. The form is in config/README.md, "Outputs".
#pragma once
#include "json_write.h"
#include "step.h"

struct event_source { // what an effect by an event is caused by
    struct span topic;
    int32_t partition;
    int64_t offset;
    struct span type, id; // id.p NULL: none
};

struct output {
    const struct model *model;
    const struct customer *customer; // with the facts as at the effect
    const struct effect *effect;
    struct span id;                    // customer id
    const struct event_source *source; // valid if !effect->by_deadline
};

// "transition", or the trigger's name ("onboarding.welcome", "objective.missed"); the campaign, NULL for a transition.
const char *effect_name(const struct model *m, const struct effect *e);
const char *effect_campaign(const struct model *m, const struct effect *e);
bool effect_is_transition(const struct effect *e);

// Appends "model:customer:ordinal".
void output_id(const struct model *m, struct span customer, uint32_t ordinal, struct buffer *out);
// 16 hex digits of kind, name, stages, effective time and program.
void output_digest(const struct output *o, const char *program, char ret[static 17]);
// The `data` object. suppressed: NULL, or why it is not published ("cap"), with time: a member `time` too.
void output_data(const struct output *o, bool with_time, const char *suppressed, struct buffer *out);
// The members of `facts`, as at `at`, without their braces.
void output_facts(struct json_writer *j, const struct model *m, const struct customer *c, int64_t at);
// The structured form: envelope and data.
void output_cloudevent(const struct output *o, const char *app, struct span id, struct buffer *out);
const char *output_cloudevent_type(const struct effect *e);
// The same JSON as msgpack. 0, 1: not JSON (a mistake of the program), negative: no memory.
int output_msgpack(struct span json, struct buffer *out);
