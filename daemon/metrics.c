// Prometheus' text format. Every metric is a family: help and type once, then its samples, with labels and in
// base units. Customer ids are never a label: there are millions of them.
#include "metrics.h"

#include <inttypes.h>

#include "version.h"

static void family(struct buffer *b, const char *name, const char *type, const char *help)
{
    buffer_printf(b, "# HELP engaged_%s %s\n# TYPE engaged_%s %s\n", name, help, name, type);
}

// `before` is what separates it from what is there: "{" or ",".
static void put_label(struct buffer *b, const char *before, const char *name, struct span value)
{
    buffer_printf(b, "%s%s=\"", before, name);
    for (size_t i = 0; i < value.n; i++) {
        char c = value.p[i];
        if (c == '\n')
            buffer_text(b, "\\n");
        else if (c == '"' || c == '\\')
            buffer_printf(b, "\\%c", c);
        else
            buffer_byte(b, c);
    }
    buffer_byte(b, '"');
}

static struct span text(const char *s)
{
    return (struct span){s, strlen(s)};
}

// ---- counters

static uint64_t read(const _Atomic uint64_t *v)
{
    return atomic_load_explicit(v, memory_order_relaxed);
}

static uint64_t sum(const struct counters *const *sets, size_t n, size_t offset)
{
    uint64_t total = 0;
    for (size_t i = 0; i < n; i++)
        total += read((const _Atomic uint64_t *)(const void *)((const char *)sets[i] + offset));
    return total;
}

static void put_histogram(struct buffer *b, const char *name, const char *help, const struct counters *const *sets,
                          size_t n, size_t offset)
{
    uint64_t total = 0;
    family(b, name, "histogram", help);
    for (size_t i = 0; i < HISTOGRAM_BUCKETS; i++) {
        total += sum(sets, n, offset + offsetof(struct histogram, bucket) + i * sizeof(_Atomic uint64_t));
        if (i < HISTOGRAM_BUCKETS - 1)
            buffer_printf(b, "engaged_%s_bucket{le=\"%g\"} %" PRIu64 "\n", name, (double)(1 << i) / 1000, total);
        else
            buffer_printf(b, "engaged_%s_bucket{le=\"+Inf\"} %" PRIu64 "\n", name, total);
    }
    uint64_t us = sum(sets, n, offset + offsetof(struct histogram, sum_us));
    buffer_printf(b, "engaged_%s_sum %" PRIu64 ".%06" PRIu64 "\n", name, us / 1000000, us % 1000000);
    buffer_printf(b, "engaged_%s_count %" PRIu64 "\n", name, total);
}

static void put_counters(struct buffer *b, const struct counters *const *sets, size_t n)
{
#define X(name, help) \
    family(b, #name "_total", "counter", help); \
    buffer_printf(b, "engaged_" #name "_total %" PRIu64 "\n", sum(sets, n, offsetof(struct counters, name)));
    COUNTERS(X)
#undef X
#define X(name, help) put_histogram(b, #name, help, sets, n, offsetof(struct counters, name));
    HISTOGRAMS(X)
#undef X
}

// ---- partitions

static bool value_lag(const struct status_part *p, int64_t *ret)
{
    *ret = status_lag(p);
    return *ret >= 0;
}

static bool value_offset(const struct status_part *p, int64_t *ret)
{
    *ret = p->offset;
    return p->state != PART_TAKING;
}

static bool value_clock(const struct status_part *p, int64_t *ret)
{
    *ret = p->clock;
    return p->state != PART_TAKING && p->clock >= 0;
}

static bool value_halted(const struct status_part *p, int64_t *ret)
{
    *ret = p->state == PART_HALTED;
    return true;
}

static bool value_replaying(const struct status_part *p, int64_t *ret)
{
    *ret = p->state == PART_REPLAYING;
    return true;
}

static const struct {
    const char *name;
    bool (*value)(const struct status_part *p, int64_t *ret); // false: not known now
    bool is_ms;                                               // written in seconds
    const char *help;
} partition_gauges[] = {
    {"lag_events", value_lag, false, "Events between the partition's cursor and the end of its log"},
    {"partition_offset", value_offset, false, "Next event whose effect is not in Redis"},
    {"partition_clock_seconds", value_clock, true, "The partition clock, in seconds since 1970"},
    {"partition_halted", value_halted, false,
     "1: the partition stands still until somebody looks; see the log"},
    {"partition_replaying", value_replaying, false,
     "1: the partition is being stepped again from its cursor"},
};

static void put_partitions(struct buffer *b, const struct status *s)
{
    for (size_t g = 0; g < sizeof(partition_gauges) / sizeof(partition_gauges[0]); g++) {
        const char *name = partition_gauges[g].name;
        family(b, name, "gauge", partition_gauges[g].help);
        for (size_t i = 0; i < s->nparts; i++) {
            int64_t v;
            if (!partition_gauges[g].value(&s->parts[i], &v))
                continue;
            buffer_printf(b, "engaged_%s", name);
            put_label(b, "{", "topic", text(s->parts[i].topic));
            buffer_printf(b, ",partition=\"%" PRId32 "\"} ", s->parts[i].partition);
            if (partition_gauges[g].is_ms)
                buffer_printf(b, "%" PRId64 ".%03" PRId64 "\n", v / 1000, v % 1000);
            else
                buffer_printf(b, "%" PRId64 "\n", v);
        }
    }
}

// ---- stages, rules, triggers

static void put_stats(struct buffer *b, const char *name, const char *kind, const struct status_stat *v, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        struct span model, is, what;
        if (!status_field(v[i].field, &model, &is, &what) || is.n != strlen(kind) || memcmp(is.p, kind, is.n) != 0)
            continue;
        buffer_printf(b, "engaged_%s", name);
        put_label(b, "{", "model", model);
        put_label(b, ",", kind, what);
        if (v[i].campaign)
            put_label(b, ",", "campaign", text(v[i].campaign));
        buffer_printf(b, "} %" PRId64 "\n", v[i].value);
    }
}

static void put_process(struct buffer *b, const struct status *s)
{
    family(b, "build_info", "gauge", "1; the labels tell what runs");
    buffer_text(b, "engaged_build_info");
    put_label(b, "{", "version", text(ENGAGED_VERSION));
    put_label(b, ",", "app", text(s->app));
    put_label(b, ",", "instance_name", text(s->instance)); // `instance` is Prometheus' own
    buffer_text(b, "} 1\n");
    family(b, "up", "gauge", "1: Kafka and Redis are both reachable");
    buffer_printf(b, "engaged_up %d\n", s->kafka && s->redis);
    family(b, "start_time_seconds", "gauge", "When this process started, in seconds since 1970");
    buffer_printf(b, "engaged_start_time_seconds %" PRId64 ".%03" PRId64 "\n", s->started_ms / 1000,
                  s->started_ms % 1000);
}

void metrics_write(const struct status *s, const struct counters *const *sets, size_t n, struct buffer *out)
{
    put_process(out, s);
    put_counters(out, sets, n);
    put_partitions(out, s);
    family(out, "customers", "gauge", "Customers in each stage, of the partitions that are here");
    put_stats(out, "customers", "stage", s->populations, s->npopulations);
    family(out, "transitions_by_rule_total", "counter", "Transitions of each rule");
    put_stats(out, "transitions_by_rule_total", "rule", s->counts, s->ncounts);
    family(out, "triggers_by_name_total", "counter", "Triggers of each name");
    put_stats(out, "triggers_by_name_total", "trigger", s->counts, s->ncounts);
}
