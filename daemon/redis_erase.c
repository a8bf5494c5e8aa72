// Without a cursor no flush and no load succeeds, and nobody makes a new one while the journal has entries.
// So no key comes into being while Redis' keys are gone through, and a SCAN finds all that were there from
// its beginning on: as long as the same process answers, and no key is on its way to another node of a cluster.
// The cursor is asked for beside each page: being gone, it is refused where keys have left or may leave.
#include "redis_erase.h"

#include <stdio.h>
#include <stdlib.h>

#include "error.h"
#include "redis_store_private.h"

enum { SCAN_COUNT = 1000 };

static bool begins_with(struct span s, struct span head)
{
    return s.n >= head.n && !memcmp(s.p, head.p, head.n);
}

static int delete_cursor(struct redis_store *s, const struct part_key *p, uint64_t *ret_keys, struct why *why)
{
    struct redis_part *part;
    struct redis_conn *c;
    int r = redis_begin(s, p, &part, &c, why);
    if (r)
        return r;
    resp_command(&s->out, 2);
    resp_text(&s->out, "UNLINK");
    redis_put_key(&s->out, redis_tag_of(part), ":cursor");
    if ((r = redis_ask(s, c, 1, why)) == 0)
        *ret_keys = (uint64_t)s->replies[0]->integer;
    return r;
}

struct scan {
    char position[24]; // "0" at the beginning and at the end
    uint64_t run;      // of the server that gave it; 0: none did yet
    struct resp found; // keys under the tag, as arguments
};

// One page of keys.
static int scan(struct redis_store *s, const struct part_key *p, struct scan *x, struct why *why)
{
    struct redis_part *part;
    struct redis_conn *c;
    int r = redis_begin(s, p, &part, &c, why);
    if (r)
        return r;
    if (x->run && x->run != redis_conn_run(c)) {
        snprintf(why->text, sizeof(why->text),
                 "another Redis process answers than at first: some keys of %s/%d may be left, so do it again",
                 p->topic, p->partition);
        return PORT_AWAY;
    }
    x->run = redis_conn_run(c);
    struct span tag = redis_tag_of(part);
    resp_command(&s->out, 6);
    resp_text(&s->out, "SCAN");
    resp_text(&s->out, x->position);
    resp_text(&s->out, "MATCH");
    resp_parts(&s->out, (struct span[]){tag, {":*", 2}}, 2);
    resp_text(&s->out, "COUNT");
    resp_u64(&s->out, SCAN_COUNT);
    resp_command(&s->out, 2);
    resp_text(&s->out, "EXISTS");
    redis_put_key(&s->out, tag, ":cursor");
    if ((r = redis_ask(s, c, 2, why)))
        return r;
    const redisReply *keys = s->replies[0]->element[1];
    snprintf(x->position, sizeof(x->position), "%s", s->replies[0]->element[0]->str);
    for (size_t i = 0; i < keys->elements; i++)
        if (begins_with(redis_reply_span(keys->element[i]), tag)) // a name can hold what is a pattern to SCAN
            resp_span(&x->found, redis_reply_span(keys->element[i]));
    return x->found.b.failed ? ERR_NOMEM : 0;
}

static int unlink_keys(struct redis_store *s, const struct part_key *p, const struct resp *keys, struct why *why)
{
    struct redis_part *part;
    struct redis_conn *c;
    int r = redis_begin(s, p, &part, &c, why);
    if (r)
        return r;
    resp_command(&s->out, 1 + keys->n);
    resp_text(&s->out, "UNLINK");
    buffer_put(&s->out.b, keys->b.p, keys->b.n);
    return s->out.b.failed ? ERR_NOMEM : redis_ask(s, c, 1, why);
}

int redis_erase(struct redis_store *s, const struct part_key *p, uint64_t *ret_keys, struct why *ret_why)
{
    struct scan x = {.position = "0"};
    uint64_t n = 0;
    int r = delete_cursor(s, p, &n, ret_why);
    while (r == 0) {
        x.found.n = x.found.b.n = 0;
        r = scan(s, p, &x, ret_why);
        if (r == 0 && x.found.n > 0)
            r = unlink_keys(s, p, &x.found, ret_why);
        n += x.found.n;
        if (!strcmp(x.position, "0"))
            break;
    }
    buffer_clear(&x.found.b);
    if (r == 0)
        *ret_keys = n;
    return r;
}
