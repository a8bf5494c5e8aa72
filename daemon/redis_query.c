// Nobody is fenced off while a query reads, so a bucket can be split between finding out where a customer is
// and looking there: the number of buckets is read again behind the states, and on a change all is read
// again.
#include "redis_query.h"

#include <string.h>

#include "redis_store_private.h"

enum { TRIES_MAX = 5 }; // splits in a row that a query may run into

int redis_query_cursor(struct redis_store *s, const struct part_key *p, struct cursor *ret, struct owner *ret_owner,
                       struct why *ret_why)
{
    int r = redis_ask_hash(s, p, ":cursor", ret_why);
    if (r)
        return r;
    if (s->replies[0]->elements == 0) {
        *ret = (struct cursor){0};
        *ret_owner = (struct owner){0};
        return 0;
    }
    const char *owner;
    if (redis_read_cursor(s->replies[0], s->o.models, s->o.nmodels, ret, &owner, ret_why))
        return PORT_REFUSED;
    snprintf(ret_owner->text, sizeof(ret_owner->text), "%s", owner);
    return 0;
}

// For each model that has buckets: the customer's state, then the number of buckets. Returns how many
// commands.
static size_t put_lookups(struct redis_store *s, struct span tag, const struct cursor *cursor,
                          const struct redis_lookup *l)
{
    size_t commands = 0;
    char room[UUID_PACKED_BYTES];
    for (int m = 0; m < s->o.nmodels; m++) {
        if (cursor->buckets[m] == 0)
            continue;
        const char *model = s->o.models[m];
        resp_command(&s->out, 3);
        resp_text(&s->out, "HGET");
        redis_put_bucket(&s->out, tag, model, l->bucket(m, l->customer, cursor->buckets[m]));
        resp_span(&s->out, redis_pack_id(l->customer, room));
        resp_command(&s->out, 3);
        resp_text(&s->out, "HGET");
        redis_put_key(&s->out, tag, ":cursor");
        resp_parts(&s->out, (struct span[]){{"buckets:", 8}, {model, strlen(model)}}, 2);
        commands += 2;
    }
    return commands;
}

static bool buckets_changed(const struct redis_store *s, const struct cursor *cursor)
{
    char digits[U64_TEXT_MAX];
    for (int m = 0, i = 1; m < s->o.nmodels; m++) {
        if (cursor->buckets[m] == 0)
            continue;
        struct span now = redis_reply_span(s->replies[i]);
        size_t n = u64_text(cursor->buckets[m], digits);
        if (now.n != n || memcmp(now.p, digits, n) != 0)
            return true;
        i += 2;
    }
    return false;
}

// One partition. *ret_again: the buckets have changed meanwhile, and nothing was found.
static int look(struct redis_store *s, const struct part_key *p, const struct redis_lookup *l, bool *ret_again,
                struct why *why)
{
    struct cursor cursor;
    struct owner owner;
    struct redis_part *part;
    struct redis_conn *c;
    *ret_again = false;
    int r = redis_query_cursor(s, p, &cursor, &owner, why);
    if (r || !cursor.exists)
        return r;
    cursor.ntails = 0; // they end with the next call
    r = redis_begin(s, p, &part, &c, why);
    if (r)
        return r;
    size_t commands = put_lookups(s, redis_tag_of(part), &cursor, l);
    if (commands)
        r = redis_ask(s, c, commands, why);
    if (r)
        return r;
    *ret_again = buckets_changed(s, &cursor);
    for (int m = 0, i = 0; m < s->o.nmodels && !*ret_again; m++) {
        if (cursor.buckets[m] == 0)
            continue;
        struct span state = redis_reply_span(s->replies[i]);
        if (state.p)
            l->found(l->arg, p, m, &cursor, state);
        i += 2;
    }
    return 0;
}

int redis_query_customer(struct redis_store *s, const char *topic, int32_t partitions, const struct redis_lookup *l,
                         struct why *ret_why)
{
    for (int32_t i = 0; i < partitions; i++) {
        struct part_key p = {topic, i};
        bool again = true;
        for (int tries = 0; again; tries++) {
            int r = tries < TRIES_MAX ? look(s, &p, l, &again, ret_why) : PORT_AWAY;
            if (tries == TRIES_MAX)
                snprintf(ret_why->text, sizeof(ret_why->text),
                         "the buckets of %s/%d change faster than they can be "
                         "read: ask again",
                         topic, i);
            if (r)
                return r;
        }
    }
    return 0;
}
