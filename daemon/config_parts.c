// What in the configuration has parts: the models, the source of events with its field map, the properties
// for librdkafka and the topics of campaigns.
#include "config_private.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>

#include "kafka_reserved.h"
#include "read_file.h"

enum { CAMPAIGN_TOPICS_MAX = TOPICS_MAX - 4 }; // besides transitions, triggers, dead letters and journal

#define ROWS(rows) rows, sizeof(rows) / sizeof((rows)[0])

// One node, or the items of a list.
static size_t count_of(const struct yaml_node *n)
{
    return n->kind == YAML_LIST ? n->n : 1;
}

static const struct yaml_node *item_of(const struct yaml_node *n, size_t i)
{
    return n->kind == YAML_LIST ? n->items[i] : n;
}

// ---- models

static bool is_name_taken(struct config_reader *r, const struct yaml_node *n, const struct model *m)
{
    const struct program *p = &r->config->program;
    for (int i = 0; i < p->nmodels; i++) {
        if (strcmp(p->models[i]->name, m->name) != 0)
            continue;
        mistake(r, n, "the model '%s' is already that of %s; give one of them another name, or leave one out", m->name,
                p->models[i]->file);
        return true;
    }
    return false;
}

static void read_model(struct config_reader *r, const struct config_row *row, const struct yaml_node *n)
{
    const char *name = config_text(r, row->key, n), *path = name ? config_path(r, name) : NULL;
    if (!path)
        return;
    _cleanup_free_ char *text = NULL;
    size_t len = 0;
    int k = read_file(path, YAML_BYTES_MAX, &text, &len);
    if (k > 0) {
        mistake(r, n, "the model %s cannot be read: %s; paths are relative to this file", path, strerror(errno));
        return;
    }
    struct model *m = NULL;
    if (k == 0)
        k = model_load(path, text, len, &m, r->d);
    r->failed |= k < 0;
    if (k != 0)
        return;
    if (is_name_taken(r, n, m))
        model_free(m);
    else
        r->config->program.models[r->config->program.nmodels++] = m;
}

void value_models(struct config_reader *r, const struct config_row *row, const struct yaml_node *n, void *target)
{
    (void)target;
    if (yaml_is_null(n) || (n->kind == YAML_LIST && n->n == 0)) {
        mistake(r, n, "there is no model; name one or more files, such as models: [models/lifecycle.yaml]");
        return;
    }
    if (count_of(n) > MODELS_MAX) {
        mistake(r, n, "there are %zu models; one daemon runs at most %d", count_of(n), MODELS_MAX);
        return;
    }
    r->config->program.models = calloc(MODELS_MAX, sizeof(struct model *));
    r->failed |= !r->config->program.models;
    for (size_t i = 0; !r->failed && i < count_of(n); i++)
        read_model(r, row, item_of(n, i));
}

// ---- sources

static const char *const presets[] = {"plain", "segment", "rudderstack", "cloudevents", "snowplow", NULL};
static const enum event_preset preset_values[] = {PRESET_PLAIN, PRESET_SEGMENT, PRESET_RUDDERSTACK,
                                                  PRESET_CLOUDEVENTS, PRESET_SNOWPLOW};
static const char *const formats[] = {"json", "msgpack", NULL};
static const enum event_format format_values[] = {FORMAT_JSON, FORMAT_MSGPACK};
static const char *const resets[] = {"earliest", "latest", NULL};
static const char *const keys[] = {"customer", "any", NULL};

struct source_keys { // as its rows fill it
    const char *topic;
    int preset, format, key, reset; // indexes of the above, -1: not given
    const struct yaml_node *fields;
};

static config_value source_topics, source_key, source_fields;

// clang-format off
static const struct config_row source_rows[] = {
    // key      reader         field                                 default     choices
    {"topics",  source_topics, offsetof(struct source_keys, topic),  NULL,       0, 0, NULL},
    {"preset",  value_choice,  offsetof(struct source_keys, preset), NULL,       0, 0, presets},
    {"fields",  source_fields, offsetof(struct source_keys, fields), NULL,       0, 0, NULL},
    {"format",  value_choice,  offsetof(struct source_keys, format), NULL,       0, 0, formats},
    {"reset",   value_choice,  offsetof(struct source_keys, reset),  "earliest", 0, 0, resets},
    {"key",     source_key,    offsetof(struct source_keys, key),    "customer", 0, 0, keys},
};
// clang-format on

static const char one_log[] = "a customer's state belongs to one log with one partition count";

static void source_topics(struct config_reader *r, const struct config_row *row, const struct yaml_node *n,
                          void *target)
{
    if (count_of(n) == 1)
        value_topic(r, row, item_of(n, 0), target);
    else if (count_of(n) == 0)
        mistake(r, n, "the source has no topic; name the one that events come from");
    else
        mistake(r, item_of(n, 1), "the source has %zu topics; it can have one for now, because %s", count_of(n),
                one_log);
}

static void source_key(struct config_reader *r, const struct config_row *row, const struct yaml_node *n, void *target)
{
    value_choice(r, row, n, target);
    if (*(int *)target == 1)
        mistake(r, n,
                "key: any does not work yet; the events of a customer must be in one partition, which only a "
                "message key that is the customer id ensures: write key: customer");
}

static void source_fields(struct config_reader *r, const struct config_row *row, const struct yaml_node *n,
                          void *target)
{
    (void)r;
    (void)row;
    *(const struct yaml_node **)target = n;
}

static const struct {
    const char *name;
    size_t paths; // offset in struct field_map
    const char *example;
} fields[] = {
    {"customer", offsetof(struct field_map, customer), "/userId"},
    {"type", offsetof(struct field_map, type), "/event"},
    {"time", offsetof(struct field_map, time), NULL},
    {"id", offsetof(struct field_map, id), NULL},
    {"value", offsetof(struct field_map, value), NULL},
    {"properties", offsetof(struct field_map, properties), NULL},
};
enum { FIELDS = sizeof(fields) / sizeof(fields[0]) };

static void read_field(struct config_reader *r, int field, const struct yaml_node *n)
{
    struct field_map *map = &r->config->program.map;
    struct paths *paths = (struct paths *)((char *)map + fields[field].paths);
    if (count_of(n) > PATHS_MAX) {
        mistake(r, n, "%s has %zu alternatives; it can have %d", fields[field].name, count_of(n), PATHS_MAX);
        return;
    }
    for (size_t i = 0; i < count_of(n); i++) {
        const struct yaml_node *item = item_of(n, i);
        bool whole = item->kind == YAML_SCALAR && !item->plain && !*item->text; // the pointer "": the whole event
        const char *text = whole ? "" : config_text(r, fields[field].name, item);
        int k = text ? field_map_path(map, paths, text) : 0;
        r->failed |= k < 0;
        if (k > 0)
            mistake(r, item, "%s '%.80s' is no path; write a JSON pointer, such as /context/traits/plan",
                    fields[field].name, item->text);
    }
}

static void read_fields(struct config_reader *r, const struct yaml_node *n)
{
    const char *known[FIELDS + 1] = {0};
    for (int i = 0; i < FIELDS; i++)
        known[i] = fields[i].name;
    if (n->kind != YAML_MAP) {
        mistake(r, n, "fields is no map; write fields: {customer: /userId, type: /event}");
        return;
    }
    yaml_check_keys(r->file, n, known, "fields", r->d);
    for (int i = 0; i < FIELDS; i++) {
        const struct yaml_node *field = yaml_get(n, fields[i].name);
        if (field)
            read_field(r, i, field);
        else if (fields[i].example)
            mistake(r, n, "fields has no %s; every event needs one, such as %s: %s", fields[i].name, fields[i].name,
                    fields[i].example);
    }
}

static void read_source(struct config_reader *r, const struct yaml_node *n)
{
    struct field_map *map = &r->config->program.map;
    struct source_keys s = {.preset = -1, .format = -1};
    config_read_rows(r, ROWS(source_rows), n, "a source", &s);
    if (n->kind != YAML_MAP)
        return;
    if (!yaml_get(n, "topics"))
        mistake(r, n, "the source has no topics; name the one that events come from");
    const struct yaml_node *preset = yaml_get(n, "preset");
    if (s.fields && preset)
        mistake(r, preset, "the source has a preset and fields; keep the one that describes the events");
    else if (s.fields)
        read_fields(r, s.fields);
    else if (!preset)
        mistake(r, n,
                "the source has neither preset nor fields; add preset: plain, or the one that your events come "
                "in (segment, rudderstack, cloudevents, snowplow)");
    else if (s.preset >= 0)
        r->failed |= field_map_preset(map, preset_values[s.preset]) < 0;
    if (s.format >= 0)
        map->format = format_values[s.format];
    map->key_is_customer = true;
    r->config->source = (struct config_source){.topic = s.topic, .reset = s.reset};
}

void value_sources(struct config_reader *r, const struct config_row *row, const struct yaml_node *n, void *target)
{
    (void)row;
    (void)target;
    if (yaml_is_null(n) || count_of(n) == 0)
        mistake(r, n, "there is no source; add one, such as sources: [{topics: [clickstream], preset: plain}]");
    else if (n->kind != YAML_LIST)
        mistake(r, n, "sources is no list; write sources: [{topics: [clickstream], preset: plain}]");
    else if (n->n > 1)
        mistake(r, n->items[1], "there are %zu sources; there can be one for now, because %s", n->n, one_log);
    else
        read_source(r, n->items[0]);
}

// ---- properties, campaigns

// Whether the node is a map with something in it; null is an empty one.
static bool is_map(struct config_reader *r, const struct config_row *row, const struct yaml_node *n)
{
    if (n->kind == YAML_MAP || yaml_is_null(n))
        return n->n > 0;
    mistake(r, n, "%s is no map; write %s: {name: value}", row->key, strrchr(row->key, '.') + 1);
    return false;
}

void value_properties(struct config_reader *r, const struct config_row *row, const struct yaml_node *n, void *target)
{
    (void)target;
    if (!is_map(r, row, n))
        return;
    struct config_property *v = calloc(n->n, sizeof(*v));
    if (!v) {
        r->failed = true;
        return;
    }
    r->config->kafka.properties = v;
    for (size_t i = 0; i < n->n; i++) {
        const struct yaml_node *key = n->keys[i];
        const char *name = config_keep(r, strdup(key->text)), *why = kafka_property_reserved(key->text);
        if (why) {
            mistake(r, key, "the property '%s' is not yours to set: %s; remove it", key->text, why);
            continue;
        }
        const char *value = config_text(r, key->text, n->items[i]);
        char problem[256];
        if (!name || !value)
            continue;
        if (kafka_property_check(name, value, problem, sizeof(problem)) != 0)
            mistake(r, key, "the property '%.80s' is refused by librdkafka: %s", name, problem);
        else
            v[r->config->kafka.nproperties++] = (struct config_property){name, value};
    }
}

static void warn_unknown_campaign(struct config_reader *r, const struct yaml_node *key)
{
    const char *names[MODELS_MAX * TRIGGERS_MAX + 1] = {"objective"};
    size_t n = 1;
    const struct program *p = &r->config->program;
    for (int i = 0; i < p->nmodels; i++)
        for (int t = 0; t < p->models[i]->ntriggers; t++)
            names[n++] = p->models[i]->triggers[t].campaign;
    for (size_t i = 0; i < n; i++)
        if (strcmp(names[i], key->text) == 0)
            return;
    const char *nearest = name_nearest(key->text, names, n);
    warning(r, key, "no trigger has the campaign '%.80s'%s%s%s", key->text, nearest ? "; did you mean '" : "",
            nearest ? nearest : "", nearest ? "'?" : "");
}

void value_campaigns(struct config_reader *r, const struct config_row *row, const struct yaml_node *n, void *target)
{
    (void)target;
    if (!is_map(r, row, n))
        return;
    if (n->n > CAMPAIGN_TOPICS_MAX) {
        mistake(r, n, "%s has %zu topics; it can have %d", row->key, n->n, CAMPAIGN_TOPICS_MAX);
        return;
    }
    struct campaign_topic *v = calloc(n->n, sizeof(*v));
    if (!v) {
        r->failed = true;
        return;
    }
    r->config->outputs.campaigns = v;
    for (size_t i = 0; i < n->n; i++) {
        const struct yaml_node *key = n->keys[i];
        struct campaign_topic c = {.campaign = config_keep(r, strdup(key->text))};
        struct config_row topic = {.key = c.campaign ? c.campaign : ""};
        value_topic_or_none(r, &topic, n->items[i], &c.topic);
        if (r->config->program.nmodels > 0 && r->d->errors == 0)
            warn_unknown_campaign(r, key);
        v[r->config->outputs.ncampaigns++] = c;
    }
}
