// One pass over the effect and the facts, straight into a buffer. The customer's facts are those at the effect: who
// calls renders each step's effects before the next event folds.
#include "output.h"
#include "expr.h"
#include <inttypes.h>
#include <math.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

bool effect_is_transition(const struct effect *e)
{
    return e->kind == EFFECT_TRANSITION;
}

const char *effect_name(const struct model *m, const struct effect *e)
{
    switch (e->kind) {
    case EFFECT_TRANSITION: return "transition";
    case EFFECT_TRIGGER: return m->triggers[e->trigger].name;
    case EFFECT_MET: return "objective.met";
    default: return "objective.missed";
    }
}

const char *effect_campaign(const struct model *m, const struct effect *e)
{
    switch (e->kind) {
    case EFFECT_TRANSITION: return NULL;
    case EFFECT_TRIGGER: return m->triggers[e->trigger].campaign;
    default: return "objective";
    }
}

const char *output_cloudevent_type(const struct effect *e)
{
    return effect_is_transition(e) ? "engaged.transition" : "engaged.trigger";
}

void output_id(const struct model *m, struct span customer, uint32_t ordinal, struct buffer *out)
{
    buffer_text(out, m->name);
    buffer_byte(out, ':');
    buffer_put(out, customer.p, customer.n);
    buffer_printf(out, ":%" PRIu32, ordinal);
}

void output_digest(const struct output *o, const char *program, char ret[static 17])
{
    const struct effect *e = o->effect;
    struct { // no padding: hashed as bytes
        int64_t at;
        int16_t from, to, stage, trigger;
        uint32_t visit;
        uint8_t kind, pad[3];
        char program[16];
    } k = {.at = e->at,
           .from = e->from,
           .to = e->to,
           .stage = e->stage,
           .trigger = e->trigger,
           .visit = e->visit,
           .kind = e->kind};
    _Static_assert(sizeof k == 40, "no padding");
    memcpy(k.program, program, sizeof k.program);
    snprintf(ret, 17, "%016" PRIx64, (uint64_t)XXH3_64bits(&k, sizeof k));
}

static void put_cause(struct json_writer *j, const struct output *o)
{
    json_key(j, "cause");
    json_object(j);
    json_key(j, "kind");
    if (o->effect->by_deadline) {
        json_text(j, "deadline");
        json_key(j, "due"), json_time(j, o->effect->at);
    } else {
        json_text(j, "event");
        json_key(j, "type"), json_span(j, o->source->type);
        if (o->source->id.p)
            json_key(j, "id"), json_span(j, o->source->id);
        json_key(j, "topic"), json_span(j, o->source->topic);
        json_key(j, "partition"), json_int(j, o->source->partition);
        json_key(j, "offset"), json_int(j, o->source->offset);
    }
    json_object_end(j);
}

// One member "count": {…}, "sum": {…}, … : opened at the first fact, closed if it was opened.
struct group {
    struct json_writer *j;
    const char *name;
    bool open;
};

static void group_key(struct group *g, const char *key)
{
    if (!g->open) {
        json_key(g->j, g->name);
        json_object(g->j);
        g->open = true;
    }
    json_key(g->j, key);
}

static void group_end(struct group *g)
{
    if (g->open)
        json_object_end(g->j);
}

static void put_counts(struct json_writer *j, const struct model *m, const struct customer *c, int64_t now)
{
    struct group g = {.j = j, .name = "count"};
    for (int i = 0; i < m->nsignals; i++) {
        int at = m->signals[i].slots.count;
        if (at != NONE && c->slot[at] > 0)
            group_key(&g, m->signals[i].name), json_int(j, c->slot[at]);
    }
    for (int i = 0; i < m->nwindows; i++) {
        const struct window *w = &m->windows[i];
        int64_t n = recent_count(m, w->signal, c, now - w->window_ms, now);
        if (n > 0) {
            char key[NAME_BYTES_MAX + DURATION_TEXT_BYTES + 3], text[DURATION_TEXT_BYTES];
            format_duration(w->window_ms, text);
            snprintf(key, sizeof key, "%s, %s", m->signals[w->signal].name, text);
            group_key(&g, key), json_int(j, n);
        }
    }
    group_end(&g);
}

static int64_t mean_milli(int64_t sum, int64_t n)
{
    int64_t half = sum < 0 ? -(n / 2) : n / 2;
    return (sum + half) / n;
}

static void put_values(struct json_writer *j, const struct model *m, const int64_t *slot)
{
    struct group sum = {.j = j, .name = "sum"}, mean = {.j = j, .name = "mean"}, value = {.j = j, .name = "value"},
                 last = {.j = j, .name = "last"};
    for (int i = 0; i < m->nsignals; i++) {
        const struct signal_slots *s = &m->signals[i].slots;
        if (s->sum != NONE && slot[s->sum] != 0)
            group_key(&sum, m->signals[i].name), json_milli(j, slot[s->sum]);
    }
    group_end(&sum);
    for (int i = 0; i < m->nsignals; i++) {
        const struct signal_slots *s = &m->signals[i].slots;
        if (s->nvalues != NONE && slot[s->nvalues] > 0)
            group_key(&mean, m->signals[i].name), json_milli(j, mean_milli(slot[s->sum], slot[s->nvalues]));
    }
    group_end(&mean);
    for (int i = 0; i < m->nsignals; i++) {
        const struct signal_slots *s = &m->signals[i].slots;
        if (s->value != NONE && slot[s->value_at] != NEVER)
            group_key(&value, m->signals[i].name), json_milli(j, slot[s->value]);
    }
    group_end(&value);
    for (int i = 0; i < m->nsignals; i++) {
        int at = m->signals[i].slots.last;
        if (at != NONE && slot[at] != NEVER)
            group_key(&last, m->signals[i].name), json_time(j, slot[at]);
    }
    group_end(&last);
}

void output_facts(struct json_writer *j, const struct model *m, const struct customer *c, int64_t at)
{
    json_key(j, "first_seen"), json_time(j, c->first);
    json_key(j, "last_seen"), json_time(j, c->last);
    put_counts(j, m, c, at);
    put_values(j, m, c->slot);
    if (m->has_score)
        json_key(j, "score"), json_milli(j, (int64_t)floor(score_at(m, c, at) * 1000.0 + 0.5));
}

static void put_optional(struct json_writer *j, const char *key, const char *text)
{
    if (text)
        json_key(j, key), json_text(j, text);
}

// What the stage, and the trigger, want campaigns to know.
static void put_plan(struct json_writer *j, const struct output *o)
{
    const struct effect *e = o->effect;
    const struct stage *s = &o->model->stages[e->stage];
    const struct trigger *t = e->kind == EFFECT_TRIGGER ? &o->model->triggers[e->trigger] : NULL;
    const struct name_list *channels = t && t->channels.n ? &t->channels : &s->channels;
    put_optional(j, "owner", s->owner);
    if (channels->n) {
        json_key(j, "channels");
        json_array(j);
        for (int i = 0; i < channels->n; i++)
            json_text(j, channels->v[i]);
        json_array_end(j);
    }
    put_optional(j, "message", s->message);
    if (t) {
        put_optional(j, "content", t->content);
        put_optional(j, "touch", t->touch);
    }
    if (s->objective.name) {
        json_key(j, "objective");
        json_object(j);
        json_key(j, "name"), json_text(j, s->objective.name);
        if (s->objective.within_ms != NEVER)
            json_key(j, "due"), json_time(j, e->entered + s->objective.within_ms);
        json_object_end(j);
    }
}

static void put_what(struct json_writer *j, const struct output *o)
{
    const struct model *m = o->model;
    const struct effect *e = o->effect;
    if (effect_is_transition(e)) {
        json_key(j, "from"), json_text(j, m->stages[e->from].name);
        json_key(j, "to"), json_text(j, m->stages[e->to].name);
    } else {
        json_key(j, "trigger"), json_text(j, effect_name(m, e));
        json_key(j, "campaign"), json_text(j, effect_campaign(m, e));
        json_key(j, "stage"), json_text(j, m->stages[e->stage].name);
        if (e->from != NONE && e->stage == e->to)
            json_key(j, "from"), json_text(j, m->stages[e->from].name);
        if (e->to != NONE && e->stage == e->from)
            json_key(j, "to"), json_text(j, m->stages[e->to].name);
    }
    json_key(j, "visit"), json_int(j, e->visit);
    if (e->rule != NONE)
        json_key(j, "rule"), json_text(j, m->rules[e->rule].name);
}

static void put_data(struct json_writer *j, const struct output *o, bool with_time, const char *suppressed)
{
    json_object(j);
    json_key(j, "model"), json_text(j, o->model->name);
    json_key(j, "version"), json_int(j, o->model->version);
    json_key(j, "customer"), json_span(j, o->id);
    json_key(j, "ordinal"), json_int(j, o->effect->ordinal);
    if (with_time)
        json_key(j, "time"), json_time(j, o->effect->at);
    put_what(j, o);
    if (suppressed)
        json_key(j, "suppressed"), json_text(j, suppressed);
    put_cause(j, o);
    json_key(j, "facts");
    json_object(j);
    output_facts(j, o->model, o->customer, o->effect->at);
    json_object_end(j);
    put_plan(j, o);
    json_object_end(j);
}

void output_data(const struct output *o, bool with_time, const char *suppressed, struct buffer *out)
{
    struct json_writer j = json_writer_to(out);
    put_data(&j, o, with_time, suppressed);
}

void output_cloudevent(const struct output *o, const char *app, struct span id, struct buffer *out)
{
    struct json_writer j = json_writer_to(out);
    json_object(&j);
    json_key(&j, "specversion"), json_text(&j, "1.0");
    json_key(&j, "id"), json_span(&j, id);
    char source[128];
    snprintf(source, sizeof source, "engaged/%s", app);
    json_key(&j, "source"), json_text(&j, source);
    json_key(&j, "type"), json_text(&j, output_cloudevent_type(o->effect));
    json_key(&j, "subject"), json_span(&j, o->id);
    json_key(&j, "time"), json_time(&j, o->effect->at);
    json_key(&j, "datacontenttype"), json_text(&j, "application/json");
    json_key(&j, "data");
    put_data(&j, o, false, NULL);
    json_object_end(&j);
}
