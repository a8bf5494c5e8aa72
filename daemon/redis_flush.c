// Writes the arguments that redis_flush.lua takes, in its order. A flush has thousands of them, so nothing is
// collected on the way: what the script must know beforehand is counted, and the rest is written as it is
// met.
#include "redis_store_private.h"

#include <string.h>

#include "error.h"

enum { RUN_MAX = 250 }; // states in one HSET: the script reads a run's length from one byte

// Measures the runs of writes to one bucket: one byte each.
static void measure_runs(struct buffer *runs, const struct flush *f)
{
    runs->n = 0;
    for (size_t i = 0, run; i < f->nwrites; i += run) {
        const struct flush_write *w = &f->writes[i];
        for (run = 1; run < RUN_MAX && i + run < f->nwrites; run++)
            if (w[run].bucket != w->bucket || w[run].model != w->model)
                break;
        buffer_byte(runs, (char)run);
    }
}

static void put_keys(struct redis_store *s, struct span tag, const struct flush *f)
{
    struct resp *out = &s->out;
    redis_put_key(out, tag, ":cursor");
    redis_put_key(out, tag, ":due");
    redis_put_key(out, tag, ":stat");
    for (size_t i = 0; i < f->nsplits; i++) {
        redis_put_bucket(out, tag, s->o.models[f->splits[i].model], f->splits[i].from);
        redis_put_bucket(out, tag, s->o.models[f->splits[i].model], f->splits[i].to);
    }
    for (size_t k = 0, i = 0; k < s->runs.n; i += (unsigned char)s->runs.p[k++])
        redis_put_bucket(out, tag, s->o.models[f->writes[i].model], f->writes[i].bucket);
}

// In the order in which they are done: what is known of a bucket first, then what may be earlier than that.
enum due_kind { DUE_SET, DUE_LOWER, DUE_KINDS };

static enum due_kind due_kind(const struct flush_due *d)
{
    return d->at == NEVER || d->exact ? DUE_SET : DUE_LOWER;
}

static void put_counts(struct redis_store *s, const struct flush *f)
{
    size_t dues[DUE_KINDS] = {0};
    for (size_t i = 0; i < f->ndues; i++)
        dues[due_kind(&f->dues[i])]++;
    resp_u64(&s->out, redis_cursor_args(s->o.nmodels));
    resp_u64(&s->out, 2 * f->nstats);
    resp_u64(&s->out, 2 * dues[DUE_SET]);
    resp_u64(&s->out, 2 * dues[DUE_LOWER]);
    resp_u64(&s->out, f->nsplits);
    resp_span(&s->out, (struct span){s->runs.p, s->runs.n});
}

static void put_state(struct resp *out, struct span customer, struct span state)
{
    char room[UUID_PACKED_BYTES];
    resp_span(out, redis_pack_id(customer, room));
    resp_span(out, state);
}

static void put_splits(struct resp *out, const struct flush *f)
{
    for (size_t i = 0; i < f->nsplits; i++) {
        resp_u64(out, f->splits[i].expected);
        resp_u64(out, f->splits[i].nmoved);
    }
    for (size_t i = 0; i < f->nsplits; i++)
        for (size_t j = 0; j < f->splits[i].nmoved; j++)
            put_state(out, f->splits[i].moved[j].customer, f->splits[i].moved[j].state);
}

static void put_dues(struct redis_store *s, const struct flush *f, enum due_kind kind)
{
    for (size_t i = 0; i < f->ndues; i++) {
        const struct flush_due *d = &f->dues[i];
        if (due_kind(d) != kind)
            continue;
        if (d->at == NEVER)
            resp_text(&s->out, "+inf");
        else
            resp_i64(&s->out, d->at);
        redis_put_member(&s->out, s->o.models[d->model], d->bucket);
    }
}

static void put_flush(struct redis_store *s, struct span tag, const struct owner *owner, const struct flush *f)
{
    struct resp *out = &s->out;
    resp_u64(out, 3 + 2 * f->nsplits + s->runs.n);
    put_keys(s, tag, f);
    resp_text(out, owner->text);
    resp_u64(out, f->cursor->n);
    put_counts(s, f);
    redis_put_cursor(out, f->cursor, f->cursor->n + 1, owner->text, s->o.models, s->o.nmodels);
    for (size_t i = 0; i < f->nstats; i++) {
        resp_text(out, f->stats[i].field);
        resp_i64(out, f->stats[i].value);
    }
    put_splits(out, f);
    for (size_t i = 0; i < f->nwrites; i++)
        put_state(out, f->writes[i].customer, f->writes[i].state);
    for (int kind = 0; kind < DUE_KINDS; kind++)
        put_dues(s, f, kind);
}

// What the script says.
static int judge(const struct part_key *p, const redisReply *r, struct why *why)
{
    if (r->type != REDIS_REPLY_ARRAY)
        return 0;
    struct span what = redis_reply_span(r->element[0]), first = redis_reply_span(r->element[1]),
                second = redis_reply_span(r->element[2]);
    if (what.n == 6 && !memcmp(what.p, "FENCED", 6))
        return redis_fenced(p, first, second, why);
    if (what.n == 4 && !memcmp(what.p, "LOST", 4))
        return redis_lost(p, first, second, why);
    snprintf(why->text, sizeof(why->text),
             "Redis' %.*s holds %.*s customers, not as many as this daemon knows of: "
             "something else has written or deleted states, nothing was stored",
             (int)first.n, first.p, (int)second.n, second.p);
    return PORT_REFUSED;
}

int redis_store_flush(void *ctx, const struct part_key *p, const struct owner *owner, const struct flush *f,
                      struct why *ret_why)
{
    struct redis_store *s = ctx;
    struct redis_part *part;
    struct redis_conn *c;
    int r = redis_begin_claimed(s, p, &part, &c, ret_why);
    if (r)
        return r;
    measure_runs(&s->runs, f);
    if (s->runs.failed)
        return ERR_NOMEM;
    put_flush(s, redis_tag_of(part), owner, f);
    r = redis_run(s, c, REDIS_FLUSH, ret_why);
    return r ? r : judge(p, s->replies[0], ret_why);
}
