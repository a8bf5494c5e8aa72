// One fact about a customer at a time, as the field map finds it in a record's bytes. Nothing is copied: spans point
// into the record or into the parser's scratch memory and live until the next parse.
#pragma once
#include "bounds.h"
#include "units.h"

struct record_header {
    struct span name, value;
};

// What the log gives for one message. Bytes belong to the log until its next poll.
struct record {
    struct span topic;
    int32_t partition;
    int64_t offset;
    int64_t timestamp; // ms UTC, or -1: the broker gave none
    struct span key;   // p NULL: no key
    struct span value; // p NULL: a tombstone
    const struct record_header *headers;
    size_t nheaders;
};

enum scalar_kind { SCALAR_NONE, SCALAR_STRING, SCALAR_BOOL, SCALAR_NUMBER };

struct scalar { // a property that a `where` looks at; objects, lists and null are SCALAR_NONE
    enum scalar_kind kind;
    struct span text; // string
    int64_t milli;    // bool: 0 or 1; number: thousandths
};

struct event {
    struct span customer; // 1..CUSTOMER_BYTES_MAX bytes of valid UTF-8
    struct span type;     // 1 byte or more
    struct span id;       // p NULL: none
    int64_t time;         // ms UTC, 0..TIME_MS_MAX
    int64_t value_milli;  // valid if has_value
    bool has_value;
    bool bad_value;                 // a value was there, but is none (text, too large, …): counted
    struct scalar props[PROPS_MAX]; // by index in field_map.props
};

enum event_format { FORMAT_AUTO, FORMAT_JSON, FORMAT_MSGPACK };
enum event_preset {
    PRESET_FIELDS,
    PRESET_PLAIN,
    PRESET_SEGMENT,
    PRESET_RUDDERSTACK,
    PRESET_CLOUDEVENTS,
    PRESET_SNOWPLOW
};

enum { PATHS_MAX = 8, PATH_STEPS_MAX = 16 };
struct path {                          // a JSON pointer (RFC 6901), decoded
    struct span steps[PATH_STEPS_MAX]; // owned by the field map
    int index[PATH_STEPS_MAX];         // the step as an array index, or -1
    int n;
};
struct paths { // alternatives: the first that is there and not null
    struct path v[PATHS_MAX];
    int n;
};

struct field_map {
    enum event_preset preset;
    enum event_format format;
    bool key_is_customer; // check the record's key against the customer
    struct paths customer, type, time, id, value, properties;
    char *props[PROPS_MAX]; // owned: property names that `where` looks at
    int nprops;
    struct step_text *text; // owned: storage of the paths' steps
};

// Why a record is no event; the name is the dead letter's reason.
enum bad_reason {
    BAD_NONE, BAD_EMPTY, BAD_SYNTAX, BAD_CUSTOMER, BAD_TYPE, BAD_TIME, BAD_FUTURE, BAD_KEY, BAD_TOO_LARGE, BAD_REASONS
};
const char *bad_reason_name(
    enum bad_reason r); // "empty", "syntax", "customer", "type", "time", "future", "key", "too-large"

// Fills the map for a preset (all but PRESET_FIELDS). 0, or negative.
int field_map_preset(struct field_map *m, enum event_preset preset);
// Adds one JSON pointer to an alternative list. 0, 1: no valid pointer or too many, negative.
int field_map_path(struct field_map *m, struct paths *to, const char *pointer);
// The index of a property, added when it is new; -1 when there are too many.
int field_map_prop(struct field_map *m, const char *name, size_t n);
void field_map_clear(struct field_map *m);
// A text that two maps share exactly if they read every record alike (for the program's digest); caller frees.
char *field_map_describe(const struct field_map *m);

struct event_parser; // scratch memory, reused from record to record
struct event_parser *event_parser_new(void);
struct event_parser *event_parser_free(struct event_parser *p);

// 0: *ret is the event. 1: the record is bad, *ret_reason and *ret_detail (static or scratch text) say why.
// Negative: no memory. Looks at no clock: BAD_FUTURE is the caller's decision.
int event_parse(struct event_parser *p, const struct field_map *m, const struct record *r, struct event *ret,
                enum bad_reason *ret_reason, const char **ret_detail);
