// The configuration as a table: a row has the key, what reads it, where it goes, its default and its range.
// Reading is a walk over the rows; what remains here is what no row can say alone.
#define _GNU_SOURCE // sched_getaffinity
#include "config_private.h"

#include <errno.h>
#include <sched.h>
#include <stddef.h>
#include <string.h>
#include <unistd.h>

#include "buffer.h"
#include "ports.h"
#include "read_file.h"

#define FIELD(f) offsetof(struct config, f)
#define MINUTE_MS INT64_C(60000)
#define YEAR_MS (365 * MS_PER_DAY)
#define MIB (INT64_C(1) << 20)

static const char *const output_formats[] = {"json", "msgpack", NULL};
static const char *const cloudevents[] = {"structured", "binary", NULL};
static const char *const deliveries[] = {"exactly-once", "at-least-once", NULL};
static const char *const time_modes[] = {"wall", "event", NULL};
static const char *const log_levels[] = {"debug", "info", "warning", "error", NULL};
static const char *const log_formats[] = {"auto", "journald", "logfmt", NULL};

// clang-format off
#define TEXT(key, read, field, fallback) {key, read, FIELD(field), fallback, 0, 0, NULL}
#define NUMBER(key, read, field, fallback, min, max) {key, read, FIELD(field), fallback, min, max, NULL}
#define CHOICE(key, field, fallback, choices) {key, value_choice, FIELD(field), fallback, 0, 0, choices}

// Later rows look at what earlier ones have read: outputs at app, models and sources.
static const struct config_row rows[] = {
    //     key                    reader               field                 default     range or choices
    TEXT  ("app",                 value_app,           app,                  "engaged"),
    TEXT  ("instance",            value_name,          instance,             "{host}"),
    TEXT  ("models",              value_models,        program.models,       ""),
    TEXT  ("kafka.brokers",       value_text,          kafka.brokers,        "localhost:9092"),
    TEXT  ("kafka.properties",    value_properties,    kafka.properties,     NULL),
    TEXT  ("sources",             value_sources,       source,               ""),
    TEXT  ("redis.url",           value_redis_url,     redis.url,            "redis://localhost:6379/0"),
    NUMBER("redis.timeout",       value_duration,      redis.timeout_ms,     "2s", 10, MINUTE_MS),
    TEXT  ("outputs.transitions", value_topic_or_none, outputs.transitions,  "{app}.transitions"),
    TEXT  ("outputs.triggers",    value_topic_or_none, outputs.triggers,     "{app}.triggers"),
    TEXT  ("outputs.campaigns",   value_campaigns,     outputs.campaigns,    NULL),
    TEXT  ("outputs.dead_letters", value_topic,        outputs.dead_letters, "{app}.dead-letters"),
    CHOICE("outputs.format",                           outputs.format,       "json", output_formats),
    CHOICE("outputs.cloudevents",                      outputs.cloudevents,  "structured", cloudevents),
    NUMBER("outputs.max_age",     value_duration_or_never, outputs.max_age_ms, "48h", 0, DURATION_MS_MAX),
    TEXT  ("outputs.create",      value_bool,          outputs.create,       "true"),
    CHOICE("delivery",                                 delivery,             "exactly-once", deliveries),
    CHOICE("time.mode",                                time.mode,            "wall", time_modes),
    NUMBER("time.grace",          value_duration,      time.grace_ms,        "10s", 0, YEAR_MS),
    NUMBER("time.max_future",     value_duration,      time.max_future_ms,   "5m", 0, YEAR_MS),
    NUMBER("workers",             value_whole,         workers,              "0", 0, 256),
    NUMBER("batch.events",        value_whole,         batch_events,         "10000", 1, 1000000),
    NUMBER("flush.customers",     value_whole,         flush_customers,      "5000", 1, 20000),
    NUMBER("flush.every",         value_duration,      flush_every_ms,       "200ms", 1, MINUTE_MS),
    NUMBER("cache",               value_size,          cache_bytes,          "256MiB", MIB, MIB << 20),
    TEXT  ("http.listen",         value_listen,        http,                 "127.0.0.1:9464"),
    CHOICE("log.level",                                log.level,            "info", log_levels),
    CHOICE("log.format",                               log.format,           "auto", log_formats),
};
// clang-format on
enum { ROWS = sizeof(rows) / sizeof(rows[0]), KEYS_MAX = 32, KEY_BYTES_MAX = 32, HOST_BYTES_MAX = 255 };

_Static_assert(NOTE_DEBUG == 0 && NOTE_ERROR == 3, "log_levels are enum note_level");
_Static_assert(ROWS <= KEYS_MAX, "the known keys of a map are fewer than the rows");

// ---- the walk

static size_t group_bytes(const char *key)
{
    const char *dot = strchr(key, '.');
    return dot ? (size_t)(dot - key) : 0;
}

// Checks the keys of the map against the rows whose keys begin with `prefix`, up to the next dot.
static void check_keys(struct config_reader *r, const struct config_row *table, size_t n, const char *prefix,
                       const struct yaml_node *map, const char *what)
{
    char names[KEYS_MAX][KEY_BYTES_MAX];
    const char *known[KEYS_MAX + 1];
    size_t nknown = 0, skip = strlen(prefix);
    for (size_t i = 0; i < n; i++) {
        if (strncmp(table[i].key, prefix, skip) != 0)
            continue;
        char *name = names[nknown];
        snprintf(name, KEY_BYTES_MAX, "%.*s", (int)strcspn(table[i].key + skip, "."), table[i].key + skip);
        if (nknown == 0 || strcmp(name, known[nknown - 1]) != 0) // a group's rows stand together
            known[nknown++] = name;
    }
    known[nknown] = NULL;
    yaml_check_keys(r->file, map, known, what, r->d);
}

static void check_groups(struct config_reader *r, const struct config_row *table, size_t n, const struct yaml_node *map)
{
    for (size_t i = 0; i < n; i++) {
        char what[KEY_BYTES_MAX], prefix[KEY_BYTES_MAX + 1];
        size_t len = group_bytes(table[i].key);
        if (len == 0 || (i > 0 && strncmp(table[i].key, table[i - 1].key, len + 1) == 0))
            continue;
        snprintf(what, sizeof(what), "%.*s", (int)len, table[i].key);
        snprintf(prefix, sizeof(prefix), "%s.", what);
        const struct yaml_node *group = yaml_get(map, what);
        if (!group || yaml_is_null(group))
            continue;
        if (group->kind == YAML_MAP)
            check_keys(r, table, n, prefix, group, what);
        else
            mistake(r, group, "%s is no map; write %s: {%s: VALUE}", what, what, table[i].key + len + 1);
    }
}

static const struct yaml_node *find(const struct yaml_node *map, const struct config_row *row)
{
    size_t len = group_bytes(row->key);
    if (len == 0)
        return yaml_get(map, row->key);
    char name[KEY_BYTES_MAX];
    snprintf(name, sizeof(name), "%.*s", (int)len, row->key);
    const struct yaml_node *group = yaml_get(map, name);
    if (group && group->kind == YAML_MAP)
        return yaml_get(group, row->key + len + 1);
    // `http: null` says as much as `http: {listen: null}`.
    return group && row->read == value_listen && yaml_is_null(group) && *group->text ? group : NULL;
}

static void read_default(struct config_reader *r, const struct config_row *row, void *target)
{
    char host[HOST_BYTES_MAX + 1] = "", text[NAME_BYTES_MAX + HOST_BYTES_MAX + 64];
    const char *fallback = row->fallback, *name = "";
    if (strncmp(fallback, "{app}", 5) == 0) {
        name = r->config->app ? r->config->app : "engaged"; // no app: reported already
        fallback += 5;
    } else if (strcmp(fallback, "{host}") == 0) {
        gethostname(host, sizeof(host) - 1);
        name = host;
        fallback += 6;
    }
    snprintf(text, sizeof(text), "%s%s", name, fallback);
    row->read(r, row, &(struct yaml_node){.kind = YAML_SCALAR, .plain = true, .text = text}, target);
}

void config_read_rows(struct config_reader *r, const struct config_row *table, size_t n, const struct yaml_node *map,
                      const char *what, void *base)
{
    if (map->kind != YAML_MAP) {
        mistake(r, map, "%s is no map; write keys and values", what);
        return;
    }
    check_keys(r, table, n, "", map, what);
    check_groups(r, table, n, map);
    const char *file = r->file;
    for (size_t i = 0; i < n; i++) {
        const struct config_row *row = &table[i];
        const struct yaml_node *node = find(map, row);
        for (size_t k = 0; k < r->noverrides && base == r->config; k++) {
            if (strcmp(r->overrides[k].key, row->key) == 0) {
                node = r->overrides[k].node;
                r->file = yaml_file(r->overrides[k].doc);
            }
        }
        if (node)
            row->read(r, row, node, (char *)base + row->target);
        else if (row->fallback)
            read_default(r, row, (char *)base + row->target);
        r->file = file;
    }
}

// ---- overrides

static int read_override(struct config_reader *r, const char *text, struct config_override *o)
{
    static const char file[] = "--set";
    const char *keys[ROWS], *equals = strchr(text, '=');
    for (int i = 0; i < ROWS; i++)
        keys[i] = rows[i].key;
    size_t len = equals ? (size_t)(equals - text) : strlen(text);
    for (int i = 0; i < ROWS; i++)
        if (strlen(keys[i]) == len && memcmp(keys[i], text, len) == 0)
            o->key = keys[i];
    if (!o->key || !equals) {
        char name[KEY_BYTES_MAX];
        snprintf(name, sizeof(name), "%.*s", (int)len, text);
        const char *nearest = name_nearest(name, keys, ROWS);
        diag_add(r->d, false, file, 0, 0, "'%.80s' is no KEY=VALUE of this configuration; such as %s=VALUE", name,
                 nearest ? nearest : "redis.url");
        return 1;
    }
    _cleanup_(buffer_clear) struct buffer yaml = {0};
    buffer_printf(&yaml, "%s: %s\n", o->key, equals + 1);
    if (yaml.failed)
        return ERR_NOMEM;
    int k = yaml_parse(file, yaml.p, yaml.n, &o->doc, r->d);
    if (k == 0)
        o->node = yaml_get(yaml_root(o->doc), o->key);
    return k;
}

static void read_overrides(struct config_reader *r, const char *const *texts)
{
    size_t n = 0;
    while (texts && texts[n])
        n++;
    r->overrides = calloc(n ? n : 1, sizeof(*r->overrides));
    r->failed |= !r->overrides;
    for (size_t i = 0; !r->failed && i < n; i++) {
        int k = read_override(r, texts[i], &r->overrides[r->noverrides]);
        r->failed |= k < 0;
        r->noverrides += k == 0;
    }
}

static void clear_overrides(struct config_reader *r)
{
    for (size_t i = 0; i < r->noverrides; i++)
        yaml_doc_free(r->overrides[i].doc);
    free(r->overrides);
}

// ---- what no row can say alone

static int64_t cores(void)
{
    cpu_set_t set;
    return sched_getaffinity(0, sizeof(set), &set) == 0 ? CPU_COUNT(&set) : 1;
}

// Who reads a topic of triggers does not expect bad events in it.
static void check_dead_letters(struct config_reader *r)
{
    const struct config *c = r->config;
    const char *dead = c->outputs.dead_letters;
    if (!dead)
        return;
    bool shared = (c->outputs.transitions && strcmp(c->outputs.transitions, dead) == 0) ||
                  (c->outputs.triggers && strcmp(c->outputs.triggers, dead) == 0);
    for (size_t i = 0; i < c->outputs.ncampaigns; i++)
        shared |= c->outputs.campaigns[i].topic && strcmp(c->outputs.campaigns[i].topic, dead) == 0;
    if (shared)
        diag_add(r->d, false, r->file, 0, 0,
                 "outputs.dead_letters '%s' is the topic of other outputs, too; give bad events their own", dead);
}

static int link_program(struct config *c, struct diags *d)
{
    struct program *p = &c->program;
    p->grace_ms = c->time.grace_ms;
    p->max_future_ms = c->time.max_future_ms;
    p->wall = c->time.mode == TIME_WALL;
    return program_link(p, d);
}

static int read_config(struct config_reader *r, const char *const *overrides)
{
    struct config *c = r->config;
    _cleanup_free_ char *text = NULL;
    size_t len = 0, errors = r->d->errors;
    int k = read_file(c->file, YAML_BYTES_MAX, &text, &len);
    if (k > 0)
        diag_add(r->d, false, c->file, 0, 0, "cannot be read: %s; name the configuration with --config FILE",
                 strerror(errno));
    if (k != 0)
        return k;
    struct yaml_doc *doc = NULL;
    k = yaml_parse(c->file, text, len, &doc, r->d);
    if (k != 0)
        return k;
    read_overrides(r, overrides);
    config_read_rows(r, rows, ROWS, yaml_root(doc), "the configuration", c);
    check_dead_letters(r);
    clear_overrides(r);
    yaml_doc_free(doc);
    if (r->failed)
        return ERR_NOMEM;
    if (r->d->errors > errors)
        return 1;
    if (c->workers == 0)
        c->workers = 2 * cores();
    return link_program(c, r->d);
}

int config_load(const char *path, const char *const *overrides, struct config **ret, struct diags *d)
{
    _cleanup_(config_free_p) struct config *c = calloc(1, sizeof(*c));
    if (!c)
        return ERR_NOMEM;
    struct config_reader r = {.config = c, .file = path, .d = d};
    c->file = config_keep(&r, strdup(path));
    int k = r.failed ? ERR_NOMEM : read_config(&r, overrides);
    diags_sort(d);
    if (k != 0)
        return k;
    *ret = c;
    c = NULL;
    return 0;
}

struct config *config_free(struct config *c)
{
    if (!c)
        return NULL;
    program_clear(&c->program);
    redis_url_clear(&c->redis.url);
    free(c->kafka.properties);
    free(c->outputs.campaigns);
    while (c->texts) {
        struct config_texts *entry = c->texts;
        c->texts = entry->next;
        free(entry->text);
        free(entry);
    }
    free(c);
    return NULL;
}
