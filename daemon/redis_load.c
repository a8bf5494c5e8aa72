// What the engine reads: states, deadlines, statistics; each in one round trip.
#include "redis_store_private.h"

#include <stdlib.h>
#include <string.h>

#include "error.h"

enum {
    DUE_PAGE_MAX = 512, // deadlines asked for at a time
    COUNT_MAX = 10000,  // buckets counted at a time: some milliseconds of Redis
};

// ---- states

// How many of the items from i on one command answers: customers of one bucket, or a whole bucket.
static size_t load_run(const struct load_item *items, size_t i, size_t n)
{
    size_t end = i + 1;
    while (items[i].customer.p && end < n && items[end].customer.p && items[end].model == items[i].model &&
           items[end].bucket == items[i].bucket)
        end++;
    return end - i;
}

enum { HELD = 3 }; // commands at the end of each load

static size_t put_held(struct resp *out, struct span tag)
{
    resp_command(out, 5);
    resp_text(out, "HMGET");
    redis_put_key(out, tag, ":cursor");
    resp_text(out, "owner");
    resp_text(out, "n");
    resp_text(out, "sizes");
    resp_command(out, 2);
    resp_text(out, "ZCARD");
    redis_put_key(out, tag, ":due");
    resp_command(out, 2);
    resp_text(out, "HLEN");
    redis_put_key(out, tag, ":stat");
    return HELD;
}

static bool span_is(struct span s, const char *text, size_t n)
{
    return s.n == n && !memcmp(s.p, text, n);
}

// What put_held asked for: whether owner and n are these, and deadlines and statistics as many as flush n left.
static int check_held(redisReply *const *held, const struct part_key *p, const struct owner *owner, uint64_t n,
                      struct why *why)
{
    char digits[U64_TEXT_MAX], sizes[2 * U64_TEXT_MAX];
    struct span owner_now = redis_reply_span(held[0]->element[0]), n_now = redis_reply_span(held[0]->element[1]),
                left = redis_reply_span(held[0]->element[2]);
    size_t ndigits = u64_text(n, digits);
    if (!span_is(owner_now, owner->text, strlen(owner->text)) || !span_is(n_now, digits, ndigits))
        return redis_fenced(p, owner_now, n_now, why);
    const char *at = left.n ? memchr(left.p, '@', left.n) : NULL;
    if (!at || !span_is((struct span){at + 1, left.n - (size_t)(at + 1 - left.p)}, digits, ndigits))
        return 0; // flushed by a former version, or not at all yet
    left.n = (size_t)(at - left.p);
    int nsizes = snprintf(sizes, sizeof(sizes), "%lld %lld", held[1]->integer, held[2]->integer);
    return span_is(left, sizes, (size_t)nsizes) ? 0 : redis_lost(p, left, (struct span){sizes, (size_t)nsizes}, why);
}

// Returns how many commands there are.
static size_t put_loads(struct redis_store *s, struct span tag, const struct load_item *items, size_t n)
{
    size_t commands = 0;
    char room[UUID_PACKED_BYTES];
    for (size_t i = 0, run; i < n; i += run, commands++) {
        run = load_run(items, i, n);
        bool whole = !items[i].customer.p;
        resp_command(&s->out, whole ? 2 : 2 + run);
        resp_text(&s->out, whole ? "HGETALL" : "HMGET");
        redis_put_bucket(&s->out, tag, s->o.models[items[i].model], items[i].bucket);
        for (size_t j = i; j < i + run && !whole; j++)
            resp_span(&s->out, redis_pack_id(items[j].customer, room));
    }
    return commands + put_held(&s->out, tag);
}

// Makes room for the customers of all whole buckets among the answers, as pointers to it must not move.
static int room_for_fields(struct redis_store *s, const struct load_item *items, size_t n)
{
    size_t fields = 0, packed = 0;
    for (size_t i = 0, run, k = 0; i < n; i += run, k++) {
        run = load_run(items, i, n);
        for (size_t j = 0; !items[i].customer.p && j + 1 < s->replies[k]->elements; j += 2, fields++)
            packed += redis_is_packed(redis_reply_span(s->replies[k]->element[j]));
    }
    s->ids.n = 0;
    if (packed && !buffer_reserve(&s->ids, packed * UUID_TEXT_BYTES))
        return ERR_NOMEM;
    if (fields <= s->fields_cap)
        return 0;
    free(s->fields);
    s->fields_cap = 0;
    s->fields = malloc(fields * sizeof(*s->fields));
    if (!s->fields)
        return ERR_NOMEM;
    s->fields_cap = fields;
    return 0;
}

// Puts the customers of one HGETALL at `to`; returns how many.
static size_t take_bucket(struct redis_store *s, const redisReply *reply, struct load_field *to)
{
    size_t n = 0;
    for (size_t j = 0; j + 1 < reply->elements; j += 2, n++) {
        struct span id = redis_reply_span(reply->element[j]);
        if (redis_is_packed(id)) {
            char *room = s->ids.p + s->ids.n;
            redis_unpack_id(id, room);
            s->ids.n += UUID_TEXT_BYTES;
            id = (struct span){room, UUID_TEXT_BYTES};
        }
        to[n] = (struct load_field){id, redis_reply_span(reply->element[j + 1])};
    }
    return n;
}

static int take_loads(struct redis_store *s, struct load_item *items, size_t n)
{
    int r = room_for_fields(s, items, n);
    if (r)
        return r;
    struct load_field *to = s->fields;
    for (size_t i = 0, run, k = 0; i < n; i += run, k++) {
        run = load_run(items, i, n);
        if (!items[i].customer.p) {
            items[i].fields = to;
            items[i].nfields = take_bucket(s, s->replies[k], to);
            to += items[i].nfields;
        } else {
            for (size_t j = 0; j < run; j++)
                items[i + j].state = redis_reply_span(s->replies[k]->element[j]);
        }
    }
    return 0;
}

int redis_store_load(void *ctx, const struct part_key *p, const struct owner *owner, uint64_t n,
                     struct load_item *items, size_t nitems, struct why *ret_why)
{
    struct redis_store *s = ctx;
    struct redis_part *part;
    struct redis_conn *c;
    int r = redis_begin_claimed(s, p, &part, &c, ret_why);
    if (r)
        return r;
    r = redis_ask(s, c, put_loads(s, redis_tag_of(part), items, nitems), ret_why);
    if (r)
        return r;
    r = check_held(&s->replies[s->nreplies - HELD], p, owner, n, ret_why);
    return r ? r : take_loads(s, items, nitems);
}

// ---- deadlines

// Buckets in the order of their scores, one page after the other. Those of models that the program does not
// have are passed over: they are why one page may not do.
int redis_store_due(void *ctx, const struct part_key *p, int64_t before, size_t max, struct due_bucket *ret,
                    size_t *ret_n, int64_t *ret_next, struct why *ret_why)
{
    struct redis_store *s = ctx;
    struct redis_part *part;
    struct redis_conn *c;
    size_t n = 0, page = max < DUE_PAGE_MAX ? max + 1 : DUE_PAGE_MAX;
    for (size_t from = 0;; from += page) {
        int r = redis_begin_claimed(s, p, &part, &c, ret_why);
        if (r)
            return r;
        resp_command(&s->out, 5);
        resp_text(&s->out, "ZRANGE");
        redis_put_key(&s->out, redis_tag_of(part), ":due");
        resp_u64(&s->out, from);
        resp_u64(&s->out, from + page - 1);
        resp_text(&s->out, "WITHSCORES");
        r = redis_ask(s, c, 1, ret_why);
        if (r)
            return r;
        const redisReply *reply = s->replies[0];
        for (size_t i = 0; i + 1 < reply->elements; i += 2) {
            struct due_bucket due = {.at = strtoll(reply->element[i + 1]->str, NULL, 10)};
            if (redis_read_member(redis_reply_span(reply->element[i]), s->o.models, s->o.nmodels, &due.model,
                                  &due.bucket))
                continue;
            if (n == max || due.at >= before) {
                *ret_n = n;
                *ret_next = due.at;
                return 0;
            }
            ret[n++] = due;
        }
        if (reply->elements < 2 * page)
            break;
    }
    *ret_n = n;
    *ret_next = NEVER;
    return 0;
}

// ---- statistics

int redis_store_stats(void *ctx, const struct part_key *p, void (*each)(void *arg, struct span field, int64_t value),
                      void *arg, struct why *ret_why)
{
    struct redis_store *s = ctx;
    int r = redis_ask_hash(s, p, ":stat", ret_why);
    if (r)
        return r;
    const redisReply *reply = s->replies[0];
    for (size_t i = 0; i + 1 < reply->elements; i += 2)
        each(arg, redis_reply_span(reply->element[i]), strtoll(reply->element[i + 1]->str, NULL, 10));
    return 0;
}

// ---- counting

int redis_store_count(void *ctx, const struct part_key *p, int model, uint64_t buckets, uint64_t *ret,
                      struct why *ret_why)
{
    struct redis_store *s = ctx;
    uint64_t count = 0;
    for (uint64_t from = 0; from < buckets; from += COUNT_MAX) {
        struct redis_part *part;
        struct redis_conn *c;
        int r = redis_begin(s, p, &part, &c, ret_why);
        if (r)
            return r;
        size_t n = buckets - from < COUNT_MAX ? (size_t)(buckets - from) : COUNT_MAX;
        for (size_t i = 0; i < n; i++) {
            resp_command(&s->out, 2);
            resp_text(&s->out, "HLEN");
            redis_put_bucket(&s->out, redis_tag_of(part), s->o.models[model], from + i);
        }
        if ((r = redis_ask(s, c, n, ret_why)))
            return r;
        for (size_t i = 0; i < n; i++)
            count += (uint64_t)s->replies[i]->integer;
    }
    *ret = count;
    return 0;
}
