// Shared by the files that read the configuration, and by nobody else. A key is a row of a table; its reader
// turns the YAML node into the field of `struct config`, and reports what is wrong with it. A default is a
// text that goes through the same reader. No mistake stops the reading: all come out in one run.
#pragma once
#include "config.h"
#include "yaml_tree.h"

struct config_texts { // a list of texts that live as long as the configuration
    char *text;
    struct config_texts *next;
};

struct config_override {
    const char *key; // a row's
    const struct yaml_node *node;
    struct yaml_doc *doc;
};

struct config_reader {
    struct config *config;
    const char *file; // of the nodes being read, for messages
    struct diags *d;
    struct config_override *overrides;
    size_t noverrides;
    bool failed; // no memory: the result is worthless
};

struct config_row;
typedef void config_value(struct config_reader *r, const struct config_row *row, const struct yaml_node *n,
                          void *target);

struct config_row {
    const char *key; // "app", or "group.key"
    config_value *read;
    size_t target;        // offset of the field in the struct that the table fills
    const char *fallback; // default, as text; {app} and {host} stand for those names. NULL: the field stays as it is
    int64_t min, max;     // of numbers, in the field's unit
    const char *const *choices; // of value_choice, ends with NULL; the field is the index
};

#define mistake(r, node, ...) diag_add((r)->d, false, (r)->file, (node)->line, (node)->column, __VA_ARGS__)
#define warning(r, node, ...) diag_add((r)->d, true, (r)->file, (node)->line, (node)->column, __VA_ARGS__)

// ---- config.c

// Reads a map by its rows into `base`: unknown keys, then each row's value or default. `what` names the map.
void config_read_rows(struct config_reader *r, const struct config_row *rows, size_t n, const struct yaml_node *map,
                      const char *what, void *base);

// ---- config_values.c: what one scalar is

// The text of a scalar that is not empty, ${...} replaced; NULL: reported. Owned by the configuration.
const char *config_text(struct config_reader *r, const char *what, const struct yaml_node *n);
// `text`, owned by the configuration from now on; NULL (and r->failed) without memory. Takes NULL as such a
// failure.
char *config_keep(struct config_reader *r, char *text);
// A path as written, made relative to the configuration's file; owned by the configuration.
const char *config_path(struct config_reader *r, const char *path);

config_value value_text;              // const char *
config_value value_name;              // const char *: letters, digits, - _ .
config_value value_app;               // const char *: a name, and config.outputs.journal
config_value value_topic;             // const char *: a name that Kafka takes, not one that is taken
config_value value_topic_or_none;     // const char *: NULL for null
config_value value_choice;            // int
config_value value_bool;              // bool
config_value value_whole;             // int64_t
config_value value_duration;          // int64_t, ms
config_value value_duration_or_never; // int64_t, ms: NEVER for null
config_value value_size;              // int64_t, bytes
config_value value_listen;            // config.http
config_value value_redis_url;         // struct redis_url

// ---- config_parts.c: what has parts

config_value value_models;     // config.program.models
config_value value_sources;    // config.source and config.program.map
config_value value_properties; // config.kafka
config_value value_campaigns;  // config.outputs
