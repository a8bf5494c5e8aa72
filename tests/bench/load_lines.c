// Outputs as lines of text, so that two of them can be compared, and a table to find them by id.
#include "load.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <yyjson.h>

// ---- time

void format_ms(int64_t ms, char ret[static 25])
{
    static int64_t day = -1; // events come in the order of their times: the date is almost always the last one
    static char date[12];
    if (ms / 86400000 != day) {
        struct tm tm;
        time_t s = (time_t)(ms / 1000);
        gmtime_r(&s, &tm);
        strftime(date, sizeof date, "%Y-%m-%dT", &tm);
        day = ms / 86400000;
    }
    unsigned left = (unsigned)(ms % 86400000);
    snprintf(ret, 25, "%s%02u:%02u:%02u.%03uZ", date, left / 3600000 % 24, left / 60000 % 60, left / 1000 % 60,
             left % 1000);
}

int64_t parse_ms(const char *s, size_t n)
{
    static int64_t day_ms;
    static char date[11];
    int h, m, ms = 0;
    double sec;
    if (n < 20 || s[10] != 'T' || s[n - 1] != 'Z' || sscanf(s + 11, "%2d:%2d:%lf", &h, &m, &sec) != 3)
        fail("no time: %.*s", (int)n, s);
    if (memcmp(s, date, 10) != 0) {
        struct tm tm = {0};
        if (sscanf(s, "%4d-%2d-%2d", &tm.tm_year, &tm.tm_mon, &tm.tm_mday) != 3)
            fail("no date: %.*s", (int)n, s);
        tm.tm_year -= 1900;
        tm.tm_mon--;
        day_ms = (int64_t)timegm(&tm) * 1000;
        memcpy(date, s, 10);
    }
    ms = (int)(sec * 1000 + 0.5);
    return day_ms + h * INT64_C(3600000) + m * INT64_C(60000) + ms;
}

// ---- a table

static uint64_t hash_of(const char *id, size_t n) // FNV-1a, its high bits mixed in
{
    uint64_t h = UINT64_C(0xcbf29ce484222325);
    for (size_t i = 0; i < n; i++)
        h = (h ^ (uint8_t)id[i]) * UINT64_C(0x100000001b3);
    return h ^ h >> 32;
}

void table_init(struct table *t, size_t entry_bytes)
{
    *t = (struct table){.size = entry_bytes, .cap = 1 << 15, .mask = (1 << 16) - 1};
    t->entries = need(malloc(t->cap * t->size));
    t->slots = need(calloc(t->mask + 1, sizeof *t->slots));
}

static void table_grow(struct table *t)
{
    t->cap *= 2;
    t->mask = t->mask * 2 + 1;
    t->entries = need(realloc(t->entries, t->cap * t->size));
    free(t->slots);
    t->slots = need(calloc(t->mask + 1, sizeof *t->slots));
    for (size_t k = 0; k < t->n; k++) {
        const char *id = t->entries + k * t->size;
        size_t i = hash_of(id, strlen(id)) & t->mask;
        while (t->slots[i])
            i = (i + 1) & t->mask;
        t->slots[i] = (uint32_t)k + 1;
    }
}

void *table_get(struct table *t, const char *id, size_t n, bool create)
{
    size_t i = hash_of(id, n) & t->mask;
    for (; t->slots[i]; i = (i + 1) & t->mask) {
        char *e = t->entries + (t->slots[i] - 1) * t->size;
        if (!memcmp(e, id, n) && !e[n])
            return e;
    }
    if (!create)
        return NULL;
    if (t->n == t->cap) {
        table_grow(t);
        return table_get(t, id, n, true);
    }
    char *e = t->entries + t->n * t->size;
    memset(e, 0, t->size);
    memcpy(e, id, n);
    t->slots[i] = (uint32_t)++t->n;
    return e;
}

// ---- lines

void line_of_expected(const struct taken *t, const char *customer, int32_t partition, int64_t offset, struct line *ret)
{
    const struct shopper *s = t->shopper;
    snprintf(ret->id, sizeof ret->id, "%s:%d", customer, s->ordinal);
    int n = snprintf(ret->text, sizeof ret->text, "%s %s %s %" PRId64 " n=%d sum=%" PRId64 " partition %d ",
                     stage_names[t->from], stage_names[t->to], t->rule, t->at, s->purchases, s->sum, partition);
    snprintf(ret->text + n, sizeof ret->text - (size_t)n, t->by_deadline ? "deadline" : "event %" PRId64, offset);
    ret->score = model_score(s, t->at);
    ret->ordinal = s->ordinal;
    ret->at = t->at;
    ret->by_deadline = t->by_deadline;
}

static const char *text_at(yyjson_val *v, const char *pointer)
{
    const char *s = yyjson_get_str(yyjson_ptr_get(v, pointer));
    return s ? s : "?";
}

void line_of_record(const rd_kafka_message_t *m, struct line *ret)
{
    yyjson_doc *doc = yyjson_read(m->payload, m->len, 0);
    yyjson_val *v = yyjson_doc_get_root(doc);
    const char *time = text_at(v, "/time"), *kind = text_at(v, "/data/cause/kind");
    if (!doc || strcmp(text_at(v, "/type"), "engaged.transition") != 0)
        fail("not a transition: %.*s", (int)m->len, (const char *)m->payload);
    int64_t sum = (int64_t)(yyjson_get_num(yyjson_ptr_get(v, "/data/facts/sum/purchase")) * 1000 + 0.5);
    *ret = (struct line){.ordinal = yyjson_get_int(yyjson_ptr_get(v, "/data/ordinal")),
                         .at = parse_ms(time, strlen(time)),
                         .score = yyjson_get_num(yyjson_ptr_get(v, "/data/facts/score")),
                         .by_deadline = !strcmp(kind, "deadline")};
    snprintf(ret->id, sizeof ret->id, "%s:%d", text_at(v, "/data/customer"), ret->ordinal);
    int n = snprintf(ret->text, sizeof ret->text, "%s %s %s %" PRId64 " n=%d sum=%" PRId64 " partition %d %s",
                     text_at(v, "/data/from"), text_at(v, "/data/to"), text_at(v, "/data/rule"), ret->at,
                     yyjson_get_int(yyjson_ptr_get(v, "/data/facts/count/purchase")), sum, m->partition, kind);
    if (!ret->by_deadline && n < (int)sizeof ret->text)
        snprintf(ret->text + n, sizeof ret->text - (size_t)n, " %" PRId64,
                 yyjson_get_sint(yyjson_ptr_get(v, "/data/cause/offset")));
    yyjson_doc_free(doc);
}
