// A YAML document as a tree that remembers where each node stood, so that every message can name its place.
// Scalars stay text: what a text means is decided by who reads it, not by YAML's guesses (`on`, `yes`, `1e3`).
#pragma once
#include "error.h"

enum yaml_kind { YAML_SCALAR, YAML_LIST, YAML_MAP };

struct yaml_node {
    enum yaml_kind kind;
    int line, column;         // 1-based
    bool plain;               // scalar without quotes: only these can be null, true, 5, 30d
    char *text;               // scalar: NUL-terminated, no NUL inside
    struct yaml_node **items; // list: n items; map: n values
    struct yaml_node **keys;  // map: n keys, all scalars, none twice
    size_t n;
};

struct yaml_doc; // owns all nodes

// Parses one document (UTF-8, at most YAML_BYTES_MAX). Anchors and aliases work; merge keys do not. 0: *ret_doc is
// the caller's, to be freed with yaml_doc_free. 1: mistakes are in d. Negative: no memory.
int yaml_parse(const char *file, const char *text, size_t len, struct yaml_doc **ret_doc, struct diags *d);
void yaml_doc_free(struct yaml_doc *doc);                      // not yaml_free: libyaml exports a function of that name
const struct yaml_node *yaml_root(const struct yaml_doc *doc); // a map; an empty document is an empty map
const char *yaml_file(const struct yaml_doc *doc);
// The value of key in a map, or NULL.
const struct yaml_node *yaml_get(const struct yaml_node *map, const char *key);
// Plain scalar `null`, `~` or empty.
bool yaml_is_null(const struct yaml_node *n);
// Reports every key of the map that is not among `known` (NULL-terminated), with the nearest known one.
void yaml_check_keys(const char *file, const struct yaml_node *map, const char *const *known, const char *what,
                     struct diags *d);
