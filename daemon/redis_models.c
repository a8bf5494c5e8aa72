// Texts of models beside the states that they explain: a hash `:models`, field "name:version", value
// "order clock text", with clock "-" for none.
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "error.h"
#include "redis_store_private.h"

static void put_text(struct resp *out, struct buffer *b, const struct model_text *t)
{
    b->n = 0;
    buffer_put(b, t->name.p, t->name.n);
    buffer_printf(b, ":%" PRIu32, t->version);
    resp_span(out, (struct span){b->p, b->n});
    b->n = 0;
    buffer_printf(b, "%" PRIu64 " ", t->order);
    if (t->clock == INT64_MIN)
        buffer_text(b, "-");
    else
        buffer_printf(b, "%" PRId64, t->clock);
    buffer_byte(b, ' ');
    buffer_put(b, t->text.p, t->text.n);
    resp_span(out, (struct span){b->p, b->n});
}

int redis_store_remember(void *ctx, const struct part_key *p, const struct owner *owner, uint64_t n,
                         const struct model_text *texts, size_t ntexts, struct why *ret_why)
{
    struct redis_store *s = ctx;
    struct redis_part *part;
    struct redis_conn *c;
    int r = redis_begin_claimed(s, p, &part, &c, ret_why);
    if (r)
        return r;
    struct buffer b = {0};
    resp_u64(&s->out, 2);
    redis_put_key(&s->out, redis_tag_of(part), ":cursor");
    redis_put_key(&s->out, redis_tag_of(part), ":models");
    resp_text(&s->out, owner->text);
    resp_u64(&s->out, n);
    for (size_t i = 0; i < ntexts; i++)
        put_text(&s->out, &b, &texts[i]);
    bool failed = b.failed;
    buffer_clear(&b);
    r = failed ? ERR_NOMEM : redis_run(s, c, REDIS_REMEMBER, ret_why);
    const redisReply *said = r ? NULL : s->replies[0];
    if (said && said->type == REDIS_REPLY_ARRAY)
        return redis_fenced(p, redis_reply_span(said->element[1]), redis_reply_span(said->element[2]), ret_why);
    return r;
}

// 0, or 1: not of the form above.
static int parse(struct span field, struct span value, struct model_text *ret)
{
    size_t at = field.n; // of the version
    char digits[24], *end;
    while (at > 0 && field.p[at - 1] != ':')
        at--;
    size_t n = field.n - at;
    if (at < 2 || n == 0 || n >= sizeof(digits))
        return 1;
    memcpy(digits, field.p + at, n);
    digits[n] = '\0';
    *ret = (struct model_text){
        .name = {field.p, at - 1}, .version = (uint32_t)strtoul(digits, &end, 10), .clock = INT64_MIN};
    if (*end)
        return 1;
    ret->order = strtoull(value.p, &end, 10); // hiredis ends its strings with a NUL
    if (*end != ' ')
        return 1;
    if (end[1] == '-' && end[2] == ' ')
        end += 2;
    else
        ret->clock = strtoll(end + 1, &end, 10);
    if (*end != ' ')
        return 1;
    ret->text = (struct span){end + 1, (size_t)(value.p + value.n - end) - 1};
    return 0;
}

int redis_store_recall(void *ctx, const struct part_key *p, int (*each)(void *arg, const struct model_text *t),
                       void *arg, struct why *ret_why)
{
    struct redis_store *s = ctx;
    int r = redis_ask_hash(s, p, ":models", ret_why);
    const redisReply *reply = r ? NULL : s->replies[0];
    for (size_t i = 0; r == 0 && i + 1 < reply->elements; i += 2) {
        struct model_text t;
        struct span field = redis_reply_span(reply->element[i]), value = redis_reply_span(reply->element[i + 1]);
        if (!field.p || !value.p || parse(field, value, &t)) {
            snprintf(ret_why->text, sizeof(ret_why->text),
                     "the key {%s:%s:%d}:models is damaged: restore Redis from a "
                     "backup, or run engagectl rebuild",
                     s->o.app, p->topic, (int)p->partition);
            return PORT_REFUSED;
        }
        r = each(arg, &t);
    }
    return r;
}
