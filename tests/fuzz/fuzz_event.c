// Any bytes as a record of any preset: never a crash, and what comes out keeps the promises of event.h. The
// first byte chooses preset and format, the second headers and key; the rest is the value.
#include "event.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define CHECK(x) ((x) ? (void)0 : abort())

static void touch(struct span s)
{
    for (size_t i = 0; i < s.n; i++)
        (void)*(const volatile char *)(s.p + i);
}

static void check_name(struct span s)
{
    touch(s);
    CHECK(s.p && s.n > 0 && utf8_valid(s.p, s.n));
}

static void check_event(const struct field_map *m, const struct event *e, const struct record *r)
{
    check_name(e->customer);
    CHECK(e->customer.n <= CUSTOMER_BYTES_MAX);
    if (m->key_is_customer)
        CHECK(r->key.n == e->customer.n && memcmp(r->key.p, e->customer.p, r->key.n) == 0);
    check_name(e->type);
    if (e->id.p)
        check_name(e->id);
    CHECK(e->time >= 0 && e->time <= TIME_MS_MAX);
    CHECK(!(e->has_value && e->bad_value));
    if (e->has_value)
        CHECK(e->value_milli > -VALUE_MILLI_MAX && e->value_milli < VALUE_MILLI_MAX);
    for (int i = 0; i < m->nprops; i++) {
        CHECK(e->props[i].kind <= SCALAR_NUMBER);
        if (e->props[i].kind == SCALAR_STRING)
            touch(e->props[i].text);
        if (e->props[i].kind == SCALAR_BOOL)
            CHECK(e->props[i].milli == 0 || e->props[i].milli == 1);
    }
}

static void fill(struct field_map *m, unsigned choice)
{
    enum event_preset preset = (enum event_preset)(choice % (PRESET_SNOWPLOW + 1));
    if (preset != PRESET_FIELDS) {
        CHECK(field_map_preset(m, preset) == 0);
    } else {
        CHECK(field_map_path(m, &m->customer, "/u/0/id") == 0 && field_map_path(m, &m->customer, "/u") == 0);
        CHECK(field_map_path(m, &m->type, "/t") == 0);
        CHECK(field_map_path(m, &m->value, "/v/1/v~1w") == 0 && field_map_path(m, &m->value, "/v") == 0);
        CHECK(field_map_path(m, &m->properties, "") == 0);
    }
    m->format = (enum event_format)(choice / (PRESET_SNOWPLOW + 1) % (FORMAT_MSGPACK + 1));
    CHECK(field_map_prop(m, "plan", 4) == 0 && field_map_prop(m, "v", 1) == 1);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct event_parser *p; // reused from input to input, as a worker does
    if (!p)
        p = event_parser_new();
    if (!p || size < 2)
        return 0;

#define S(text) {text, sizeof(text) - 1}
    static const struct record_header headers[] = {
        {S("ce_subject"), S("c-1")}, {S("ce_type"), S("buy")}, {S("ce_time"), S("2026-01-05T10:20:30Z")},
        {S("content-type"), S("application/json")}, {S("content-type"), S("application/x-msgpack")},
        {S("content-type"), {NULL, 0}},
    };
    struct field_map m = {.key_is_customer = data[1] & 1};
    fill(&m, data[0]);
    // The value at the very end of its own memory, so that a byte read too far is seen.
    char *value = malloc(size - 2);
    memcpy(value, data + 2, size - 2);
    struct record r = {.timestamp = 1000, .key = S("c-1"), .value = {value, size - 2}};
    r.headers = headers + (data[1] >> 1) % 6;
    r.nheaders = (data[1] >> 4) % 4;
    if (r.nheaders > (size_t)(headers + 6 - r.headers))
        r.nheaders = (size_t)(headers + 6 - r.headers);

    static struct event e;
    enum bad_reason reason = BAD_NONE;
    const char *detail = NULL;
    int k = event_parse(p, &m, &r, &e, &reason, &detail);
    CHECK(k == 0 || k == 1);
    if (k == 0)
        check_event(&m, &e, &r);
    else
        CHECK(reason > BAD_NONE && reason < BAD_REASONS && strlen(detail) > 0);
    free(value);
    field_map_clear(&m);
    return 0;
}
