// engaged.yaml, checked: every key has its value or its default, every model is loaded, and nothing was
// connected to. The keys with their types, defaults and ranges are rows of the tables in config.c and
// config_source.c.
#pragma once
#include "cleanup.h"
#include "engine.h"
#include "redis_url.h"

enum config_reset { RESET_EARLIEST, RESET_LATEST };
enum config_cloudevents { CLOUDEVENTS_STRUCTURED, CLOUDEVENTS_BINARY };
enum config_delivery { DELIVERY_EXACTLY_ONCE, DELIVERY_AT_LEAST_ONCE };
enum config_time_mode { TIME_WALL, TIME_EVENT };
enum config_log_format { LOG_FORMAT_AUTO, LOG_FORMAT_JOURNALD, LOG_FORMAT_LOGFMT };

struct config_property { // passed to librdkafka as it is
    const char *name, *value;
};

struct config_source {
    const char *topic;
    int reset; // enum config_reset
    // its field map is program.map
};

struct config { // all texts are owned by the configuration
    const char *file;
    const char *app, *instance;
    struct {
        const char *brokers;
        struct config_property *properties;
        size_t nproperties;
    } kafka;
    struct config_source source;
    struct {
        struct redis_url url;
        int64_t timeout_ms;
    } redis;
    struct {
        const char *transitions;            // topic, or NULL: not published
        const char *triggers;               // topic for campaigns that are not below, or NULL: not published
        const char *dead_letters, *journal; // topics
        struct campaign_topic *campaigns;
        size_t ncampaigns;
        int format;         // enum output_format
        int cloudevents;    // enum config_cloudevents
        int64_t max_age_ms; // NEVER: triggers of any age are published
        bool create;
    } outputs;
    int delivery; // enum config_delivery
    struct {
        int mode; // enum config_time_mode
        int64_t grace_ms, max_future_ms;
    } time;
    int64_t workers; // 1 or more: 0 in the file has become two a core
    int64_t batch_events;
    int64_t flush_customers, flush_every_ms;
    int64_t cache_bytes;
    struct {
        const char *host,
            *port; // host NULL: no HTTP; "" (all addresses) or a name or address without brackets
    } http;
    struct {
        int level;  // enum note_level
        int format; // enum config_log_format
    } log;
    struct program program;     // models, field map and time; linked. May be moved out (leave zeros)
    struct config_texts *texts; // what owns the texts
};

// Reads and checks the file at `path` and the models that it names. `overrides` is a list of "KEY=VALUE" that
// ends with NULL (or is NULL): each stands in for the key in the file ("redis.url=unix:///run/redis.sock"),
// VALUE is YAML. 0: *ret is the caller's (config_free). 1: mistakes, all of them in d, sorted by place.
// Negative: no memory. Warnings may be in d in both of the first cases.
int config_load(const char *path, const char *const *overrides, struct config **ret, struct diags *d);
// Accepts and returns NULL.
struct config *config_free(struct config *c);
DEFINE_CLEANUP(struct config, config_free)
