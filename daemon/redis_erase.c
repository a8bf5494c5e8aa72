// Without a cursor no flush and no load succeeds, and nobody makes a new one while the journal has entries.
// So no key comes into being while Redis' keys are gone through, and a SCAN finds all that were there from
// its beginning on.
#include "redis_erase.h"

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

// One page of keys; those under the tag go into `found` as arguments. *position: "0" at the end.
static int scan(struct redis_store *s, const struct part_key *p, char position[static 24], struct resp *found,
                struct why *why)
{
    struct redis_part *part;
    struct redis_conn *c;
    int r = redis_begin(s, p, &part, &c, why);
    if (r)
        return r;
    struct span tag = redis_tag_of(part);
    resp_command(&s->out, 6);
    resp_text(&s->out, "SCAN");
    resp_text(&s->out, position);
    resp_text(&s->out, "MATCH");
    resp_parts(&s->out, (struct span[]){tag, {":*", 2}}, 2);
    resp_text(&s->out, "COUNT");
    resp_u64(&s->out, SCAN_COUNT);
    if ((r = redis_ask(s, c, 1, why)))
        return r;
    const redisReply *keys = s->replies[0]->element[1];
    snprintf(position, 24, "%s", s->replies[0]->element[0]->str);
    for (size_t i = 0; i < keys->elements; i++)
        if (begins_with(redis_reply_span(keys->element[i]), tag)) // a name can hold what is a pattern to SCAN
            resp_span(found, redis_reply_span(keys->element[i]));
    return found->b.failed ? ERR_NOMEM : 0;
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
    char position[24] = "0";
    uint64_t n = 0;
    struct resp found = {0};
    int r = delete_cursor(s, p, &n, ret_why);
    while (r == 0) {
        found.n = found.b.n = 0;
        r = scan(s, p, position, &found, ret_why);
        if (r == 0 && found.n > 0)
            r = unlink_keys(s, p, &found, ret_why);
        n += found.n;
        if (!strcmp(position, "0"))
            break;
    }
    buffer_clear(&found.b);
    if (r == 0)
        *ret_keys = n;
    return r;
}
