// Reads are pipelines (redis_load.c), writes are scripts (redis_flush.c). Answers are kept as hiredis made
// them until the next call (redis_arena.h), so a state is not copied between hiredis and the engine. Here: what all
// calls share, and claims.
#include "redis_store_private.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "error.h"
#include "redis_slots.h"

enum { FIRST_BUCKETS = 4 }; // looked at in search of a partition that lost its cursor

struct redis_store *redis_store_new(const struct redis_options *o)
{
    struct redis_store *s = calloc(1, sizeof(*s));
    if (!s)
        return NULL;
    s->o = *o;
    s->route = redis_route_new(&s->o, &s->answers);
    // hiredis and OpenSSL write to sockets that the other side may have closed
    struct sigaction now;
    if (!sigaction(SIGPIPE, NULL, &now) && now.sa_handler == SIG_DFL)
        signal(SIGPIPE, SIG_IGN);
    return s->route ? s : redis_store_free(s);
}

static void forget_answers(struct redis_store *s)
{
    s->nreplies = 0;
    redis_arena_reset(&s->answers);
}

struct redis_store *redis_store_free(struct redis_store *s)
{
    if (!s)
        return NULL;
    for (size_t i = 0; i < s->nparts; i++) {
        free(s->parts[i].topic);
        free(s->parts[i].tag);
    }
    redis_route_free(s->route);
    redis_arena_clear(&s->answers);
    buffer_clear(&s->out.b);
    buffer_clear(&s->runs);
    buffer_clear(&s->ids);
    free(s->parts);
    free(s->replies);
    free(s->fields);
    free(s);
    return NULL;
}

void redis_store_models(struct redis_store *s, const char *const *models, int nmodels)
{
    s->o.models = models;
    s->o.nmodels = nmodels;
}

int redis_store_ping(struct redis_store *s, struct why *ret_why)
{
    forget_answers(s);
    return redis_route_check(s->route, ret_why);
}

// ---- a call

struct span redis_tag_of(const struct redis_part *p)
{
    return (struct span){p->tag, p->tag_bytes};
}

struct span redis_reply_span(const redisReply *r)
{
    return r->type == REDIS_REPLY_STRING ? (struct span){r->str, r->len} : (struct span){0};
}

static struct redis_part *find_part(struct redis_store *s, const struct part_key *p)
{
    for (size_t i = 0; i < s->nparts; i++)
        if (s->parts[i].partition == p->partition && !strcmp(s->parts[i].topic, p->topic))
            return &s->parts[i];
    struct redis_part *parts = realloc(s->parts, (s->nparts + 1) * sizeof(*parts));
    if (!parts)
        return NULL;
    s->parts = parts;
    struct redis_part new = {.topic = strdup(p->topic), .partition = p->partition, .tag = redis_tag(s->o.app, p)};
    if (!new.topic || !new.tag) {
        free(new.topic);
        free(new.tag);
        return NULL;
    }
    new.tag_bytes = strlen(new.tag);
    new.slot = redis_slot(redis_tag_of(&new));
    parts[s->nparts] = new;
    return &parts[s->nparts++];
}

int redis_begin(struct redis_store *s, const struct part_key *p, struct redis_part **ret_part,
                struct redis_conn **ret_conn, struct why *ret_why)
{
    forget_answers(s);
    s->out.b.n = s->out.n = 0;
    s->out.b.failed = false;
    struct redis_part *part = find_part(s, p);
    if (!part)
        return ERR_NOMEM;
    int r = redis_route_to(s->route, part->slot, ret_conn, ret_why);
    if (!r)
        *ret_part = part;
    return r;
}

int redis_begin_claimed(struct redis_store *s, const struct part_key *p, struct redis_part **ret_part,
                        struct redis_conn **ret_conn, struct why *ret_why)
{
    int r = redis_begin(s, p, ret_part, ret_conn, ret_why);
    if (r || (*ret_part)->run == 0 || (*ret_part)->run == redis_conn_run(*ret_conn))
        return r;
    snprintf(ret_why->text, sizeof(ret_why->text),
             "another Redis process answers than when %s/%d was claimed: it was "
             "restarted, or another took its place",
             p->topic, p->partition);
    return PORT_FENCED;
}

static int room_for_replies(struct redis_store *s, size_t n)
{
    if (n <= s->replies_cap)
        return 0;
    redisReply **replies = realloc(s->replies, n * sizeof(*replies));
    if (!replies)
        return ERR_NOMEM;
    s->replies = replies;
    s->replies_cap = n;
    return 0;
}

static int check_replies(struct redis_store *s, struct redis_conn *c, struct why *why)
{
    for (size_t i = 0; i < s->nreplies; i++)
        if (s->replies[i]->type == REDIS_REPLY_ERROR)
            return redis_route_error(s->route, c, s->replies[i], why);
    return 0;
}

int redis_ask(struct redis_store *s, struct redis_conn *c, size_t n, struct why *ret_why)
{
    int r = room_for_replies(s, n);
    if (!r)
        r = redis_conn_send(c, &s->out, n, s->replies, ret_why);
    if (r)
        return r;
    s->nreplies = n;
    return check_replies(s, c, ret_why);
}

int redis_run(struct redis_store *s, struct redis_conn *c, enum redis_script script, struct why *ret_why)
{
    int r = room_for_replies(s, 1);
    if (r)
        return r;
    r = redis_conn_script(c, script, &s->out, s->replies, ret_why);
    if (r)
        return r == PORT_AWAY ? PORT_UNKNOWN : r; // it was sent
    s->nreplies = 1;
    return check_replies(s, c, ret_why);
}

int redis_ask_hash(struct redis_store *s, const struct part_key *p, const char *key, struct why *ret_why)
{
    struct redis_part *part;
    struct redis_conn *c;
    int r = redis_begin_claimed(s, p, &part, &c, ret_why);
    if (r)
        return r;
    resp_command(&s->out, 2);
    resp_text(&s->out, "HGETALL");
    redis_put_key(&s->out, redis_tag_of(part), key);
    return redis_ask(s, c, 1, ret_why);
}

int redis_fenced(const struct part_key *p, struct span owner, struct span n, struct why *ret_why)
{
    if (owner.n)
        snprintf(ret_why->text, sizeof(ret_why->text), "%s/%d is owned by %.*s now, with %.*s flushes", p->topic,
                 p->partition, (int)owner.n, owner.p, (int)n.n, n.p);
    else
        snprintf(ret_why->text, sizeof(ret_why->text), "%s/%d has no cursor any more", p->topic, p->partition);
    return PORT_FENCED;
}

int redis_lost(const struct part_key *p, struct span left, struct span sizes, struct why *ret_why)
{
    snprintf(ret_why->text, sizeof(ret_why->text),
             "of %s/%d Redis holds \"%.*s\" deadlines and statistics, the last flush left \"%.*s\": keys were lost or "
             "changed",
             p->topic, p->partition, (int)sizes.n, sizes.p, (int)left.n, left.p);
    return PORT_FENCED;
}

// ---- claim, create

// The cursor, and other keys that a partition which was ever flushed has some of.
static void put_signs(struct redis_store *s, struct span tag)
{
    resp_u64(&s->out, 3 + (uint64_t)s->o.nmodels * FIRST_BUCKETS);
    redis_put_key(&s->out, tag, ":cursor");
    redis_put_key(&s->out, tag, ":due");
    redis_put_key(&s->out, tag, ":stat");
    for (int i = 0; i < s->o.nmodels; i++)
        for (uint64_t bucket = 0; bucket < FIRST_BUCKETS; bucket++)
            redis_put_bucket(&s->out, tag, s->o.models[i], bucket);
}

static int store_claim(void *ctx, const struct part_key *p, const struct owner *owner, struct cursor *ret,
                       bool *ret_empty, struct why *ret_why)
{
    struct redis_store *s = ctx;
    struct redis_part *part;
    struct redis_conn *c;
    int r = redis_begin(s, p, &part, &c, ret_why);
    if (r)
        return r;
    put_signs(s, redis_tag_of(part));
    resp_text(&s->out, owner->text);
    r = redis_run(s, c, REDIS_CLAIM, ret_why);
    if (r)
        return r;

    const redisReply *reply = s->replies[0];
    if (reply->type == REDIS_REPLY_INTEGER) {
        *ret = (struct cursor){0};
        *ret_empty = reply->integer == 0;
    } else if (redis_read_cursor(reply->element[0], s->o.models, s->o.nmodels, ret, NULL, ret_why)) {
        return PORT_REFUSED;
    } else {
        *ret_empty = false;
        ret->lost_dues = reply->element[1]->integer;
        ret->lost_stats = reply->element[2]->integer;
    }
    part->run = redis_conn_run(c);
    return 0;
}

static int store_create(void *ctx, const struct part_key *p, const struct owner *owner, const struct cursor *cursor,
                        struct why *ret_why)
{
    struct redis_store *s = ctx;
    struct redis_part *part;
    struct redis_conn *c;
    int r = redis_begin_claimed(s, p, &part, &c, ret_why);
    if (r)
        return r;
    put_signs(s, redis_tag_of(part));
    redis_put_cursor(&s->out, cursor, cursor->n, owner->text, s->o.models, s->o.nmodels);
    r = redis_run(s, c, REDIS_CREATE, ret_why);
    if (r)
        return r;
    if (s->replies[0]->integer == 1)
        return 0;
    snprintf(ret_why->text, sizeof(ret_why->text), "%s/%d has keys in Redis already", p->topic, p->partition);
    return PORT_FENCED;
}

const struct store_ops redis_store_ops = {
    .claim = store_claim,
    .create = store_create,
    .load = redis_store_load,
    .due = redis_store_due,
    .flush = redis_store_flush,
    .stats = redis_store_stats,
    .count = redis_store_count,
    .remember = redis_store_remember,
    .recall = redis_store_recall,
};
