// Field maps: where in a record the parts of an event stand. A preset is nothing but rows of JSON pointers;
// what else sets it apart (calls of two kinds, headers) is in event.c.
#define _GNU_SOURCE // open_memstream
#include "event.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "cleanup.h"
#include "error.h"

struct step_text { // the decoded steps of one path; a list, so that no step ever moves
    struct step_text *next;
    char bytes[];
};

#define FIELD(f) offsetof(struct field_map, f)

// In the order of trying, where a field has several.
static const struct {
    enum event_preset preset;
    size_t field; // a struct paths in the field map
    const char *pointer;
} presets[] = {
    {PRESET_PLAIN, FIELD(customer), "/customer"},
    {PRESET_PLAIN, FIELD(type), "/type"},
    {PRESET_PLAIN, FIELD(time), "/time"},
    {PRESET_PLAIN, FIELD(id), "/id"},
    {PRESET_PLAIN, FIELD(value), "/value"},
    {PRESET_PLAIN, FIELD(properties), "/properties"},

    // RudderStack's calls have the same shape.
    {PRESET_SEGMENT, FIELD(customer), "/userId"},
    {PRESET_SEGMENT, FIELD(customer), "/anonymousId"},
    {PRESET_SEGMENT, FIELD(type), "/event"}, // of a track call
    {PRESET_SEGMENT, FIELD(type), "/type"},  // of any other
    {PRESET_SEGMENT, FIELD(time), "/timestamp"},
    {PRESET_SEGMENT, FIELD(time), "/originalTimestamp"},
    {PRESET_SEGMENT, FIELD(id), "/messageId"},
    {PRESET_SEGMENT, FIELD(value), "/properties/revenue"},
    {PRESET_SEGMENT, FIELD(value), "/properties/total"},
    {PRESET_SEGMENT, FIELD(value), "/properties/value"},
    {PRESET_SEGMENT, FIELD(properties), "/properties"},

    // Structured; in binary mode the headers are the attributes, and the record's value is what is below
    // /data.
    {PRESET_CLOUDEVENTS, FIELD(customer), "/subject"},
    {PRESET_CLOUDEVENTS, FIELD(type), "/type"},
    {PRESET_CLOUDEVENTS, FIELD(time), "/time"},
    {PRESET_CLOUDEVENTS, FIELD(id), "/id"},
    {PRESET_CLOUDEVENTS, FIELD(value), "/data/value"},
    {PRESET_CLOUDEVENTS, FIELD(properties), "/data"},

    // An enriched event as the Analytics SDKs write it: one flat object.
    {PRESET_SNOWPLOW, FIELD(customer), "/user_id"},
    {PRESET_SNOWPLOW, FIELD(customer), "/domain_userid"},
    {PRESET_SNOWPLOW, FIELD(type), "/event_name"},
    {PRESET_SNOWPLOW, FIELD(time), "/derived_tstamp"},
    {PRESET_SNOWPLOW, FIELD(id), "/event_id"},
    {PRESET_SNOWPLOW, FIELD(value), "/tr_total"},
    {PRESET_SNOWPLOW, FIELD(value), "/se_value"},
    {PRESET_SNOWPLOW, FIELD(properties), ""},
};

int field_map_preset(struct field_map *m, enum event_preset preset)
{
    assert(preset != PRESET_FIELDS);
    enum event_preset rows = preset == PRESET_RUDDERSTACK ? PRESET_SEGMENT : preset;
    m->preset = preset;
    for (size_t i = 0; i < sizeof(presets) / sizeof(presets[0]); i++) {
        if (presets[i].preset != rows)
            continue;
        int k = field_map_path(m, (struct paths *)((char *)m + presets[i].field), presets[i].pointer);
        if (k != 0)
            return k < 0 ? k : ERR_INTERNAL;
    }
    return 0;
}

// RFC 6901, section 4: 0, or a number without leading zeros.
static int array_index(struct span step)
{
    if (step.n == 0 || step.n > 9 || (step.n > 1 && step.p[0] == '0'))
        return -1;
    int v = 0;
    for (size_t i = 0; i < step.n; i++) {
        if (step.p[i] < '0' || step.p[i] > '9')
            return -1;
        v = v * 10 + (step.p[i] - '0');
    }
    return v;
}

// Decodes a pointer's steps into `out`, which has room for the whole pointer. 0, or 1: no pointer, or too
// long.
static int decode(const char *pointer, char *out, struct path *ret)
{
    struct path path = {0};
    if (pointer[0] != '/' && pointer[0] != '\0')
        return 1;
    while (*pointer) {
        if (path.n == PATH_STEPS_MAX)
            return 1;
        struct span *step = &path.steps[path.n];
        step->p = out;
        for (pointer++; *pointer && *pointer != '/'; pointer++) {
            char c = *pointer;
            if (c == '~') {
                c = *++pointer;
                if (c != '0' && c != '1')
                    return 1;
                c = c == '0' ? '~' : '/';
            }
            *out++ = c;
        }
        step->n = (size_t)(out - step->p);
        path.index[path.n++] = array_index(*step);
    }
    *ret = path;
    return 0;
}

int field_map_path(struct field_map *m, struct paths *to, const char *pointer)
{
    if (to->n == PATHS_MAX)
        return 1;
    _cleanup_free_ struct step_text *text = malloc(sizeof(*text) + strlen(pointer) + 1);
    if (!text)
        return ERR_NOMEM;
    if (decode(pointer, text->bytes, &to->v[to->n]) != 0)
        return 1;
    to->n++;
    text->next = m->text;
    m->text = text;
    text = NULL;
    return 0;
}

int field_map_prop(struct field_map *m, const char *name, size_t n)
{
    for (int i = 0; i < m->nprops; i++)
        if (strlen(m->props[i]) == n && memcmp(m->props[i], name, n) == 0)
            return i;
    if (m->nprops == PROPS_MAX)
        return -1;
    m->props[m->nprops] = strndup(name, n);
    return m->props[m->nprops] ? m->nprops++ : -1;
}

void field_map_clear(struct field_map *m)
{
    while (m->text) {
        struct step_text *text = m->text;
        m->text = text->next;
        free(text);
    }
    for (int i = 0; i < m->nprops; i++)
        free(m->props[i]);
    *m = (struct field_map){0};
}

// Steps with their lengths: no name, whatever is in it, can look like something else.
static void describe_paths(FILE *f, const char *field, const struct paths *paths)
{
    fprintf(f, "%s", field);
    for (int i = 0; i < paths->n; i++) {
        fprintf(f, " /");
        for (int k = 0; k < paths->v[i].n; k++) {
            struct span step = paths->v[i].steps[k];
            fprintf(f, "%zu:", step.n);
            fwrite(step.p, 1, step.n, f);
        }
    }
    fputc('\n', f);
}

char *field_map_describe(const struct field_map *m)
{
    _cleanup_free_ char *text = NULL;
    size_t size = 0;
    FILE *f = open_memstream(&text, &size);
    if (!f)
        return NULL;
    // By how they read, not by name: a preset and the same fields written by hand are alike.
    bool calls = m->preset == PRESET_SEGMENT || m->preset == PRESET_RUDDERSTACK;
    fprintf(f, "record %s\n", calls ? "calls" : m->preset == PRESET_CLOUDEVENTS ? "cloudevents" : "fields");
    fprintf(f, "format %s\n", m->format == FORMAT_JSON ? "json" : m->format == FORMAT_MSGPACK ? "msgpack" : "auto");
    fprintf(f, "key %s\n", m->key_is_customer ? "customer" : "any");
    describe_paths(f, "customer", &m->customer);
    describe_paths(f, "type", &m->type);
    describe_paths(f, "time", &m->time);
    describe_paths(f, "id", &m->id);
    describe_paths(f, "value", &m->value);
    describe_paths(f, "properties", &m->properties);
    fprintf(f, "props");
    for (int i = 0; i < m->nprops; i++)
        fprintf(f, " %zu:%s", strlen(m->props[i]), m->props[i]);
    fputc('\n', f);
    bool failed = ferror(f) != 0;
    if (fclose(f) != 0 || failed)
        return NULL;
    char *ret = text;
    text = NULL;
    return ret;
}
