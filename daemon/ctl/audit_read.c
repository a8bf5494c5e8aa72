// What the app has said in public about one partition. First it is asked how far the states go, then the ends
// of the outputs: whatever the states account for was published before, so it must lie below those ends.
#define _GNU_SOURCE // qsort_r
#include "audit.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static int add_topic(struct audit *a, const char *topic)
{
    for (int i = 0; i < a->ntopics; i++)
        if (!strcmp(a->topics[i], topic))
            return 0;
    if (a->ntopics == TOPICS_MAX || !(a->topics[a->ntopics] = strdup(topic)))
        return ERR_NOMEM;
    a->ntopics++;
    return 0;
}

int audit_bound(struct audit *a)
{
    struct servers *s = a->servers;
    struct cursor c;
    struct owner owner;
    const char *outputs[TOPICS_MAX];
    int n = servers_outputs(s, outputs);
    int r = redis_query_cursor(s->at.store, &a->key, &c, &owner, &a->why);
    for (int i = 0; r == PORT_OK && i < n; i++)
        r = add_topic(a, outputs[i]);
    for (int i = 0; r == PORT_OK && i < c.ntails; i++) // topics of a former configuration
        if (strcmp(c.tails[i].topic, s->at.config->outputs.journal) != 0)
            r = add_topic(a, c.tails[i].topic);
    if (r != PORT_OK)
        return r;
    a->upto = c.exists ? c.offset : -1;
    a->clock = c.exists ? c.clock : INT64_MIN;
    int64_t offset, clock;
    if (!c.exists)
        r = servers_committed(s, &a->key, &offset, &clock, &a->why);
    else if ((r = kafka_committed(&s->client, &a->key, &offset, &clock, &a->why)) == PORT_AWAY)
        return PORT_OK; // an open transaction holds it: the cursor will do
    if (r == PORT_OK && offset > a->upto) {
        a->upto = offset;
        a->clock = clock;
    } else if (r == PORT_OK && offset == a->upto && clock > a->clock) {
        a->clock = clock;
    }
    return r;
}

// ---- the journal

static bool exactly_once(const struct audit *a)
{
    return a->servers->at.config->delivery == DELIVERY_EXACTLY_ONCE;
}

static int add_decision(void *arg, const struct record *r)
{
    struct audit *a = arg;
    const char *app = a->servers->at.config->app;
    int result = published_add(&a->published, app, &a->key, true, exactly_once(a), r);
    return result < 0 ? result : history_add(&a->history, app, &a->key, r);
}

int audit_journal(struct audit *a)
{
    struct part_key journal = {.topic = a->servers->at.kafka.journal, .partition = a->key.partition};
    int64_t next, high;
    int r = servers_ends(a->servers, &journal, &next, &high, &a->why);
    int64_t start = next;
    if (r == PORT_OK)
        r = servers_read(a->servers, &journal, &next, high, add_decision, a, &a->why);
    if (r != PORT_OK || a->history.started || (high == 0 && a->upto < 0))
        return r;
    snprintf(a->why.text, sizeof a->why.text,
             "the journal %s/%d (offsets %" PRId64 " to %" PRId64 ") does not tell where stepping began", journal.topic,
             (int)journal.partition, start, high);
    return PORT_REFUSED;
}

// ---- outputs

static int place(struct audit *a, const struct published_id *id, const struct record *r)
{
    size_t i = (size_t)(id - a->published.v);
    if (i >= a->said_cap) {
        size_t cap = a->published.cap;
        struct said *v = realloc(a->said, cap * sizeof *v);
        if (!v)
            return ERR_NOMEM;
        a->said = v;
        a->said_cap = cap;
    }
    struct said *s = &a->said[i];
    struct span stem = {a->published.texts + id->text, id->stem_bytes};
    *s = (struct said){.stem = cache_hash(stem), .offset = r->offset, .made_by = INT64_MIN, .topic = a->reading};
    record_number(r, "engaged-offset", &s->made_at);
    record_number(r, "engaged-clock", &s->made_by);
    return 0;
}

static int add_output(void *arg, const struct record *r)
{
    struct audit *a = arg;
    const char *app = a->servers->at.config->app, *topic = a->topics[a->reading];
    if (!record_is_ours(r, app, &a->key))
        return 0;
    struct span id = record_header(r, "engaged-id");
    const struct published_id *before = id.p ? published_find(&a->published, id) : NULL;
    if (before) {
        const struct said *s = &a->said[before - a->published.v];
        audit_fault(a, FAULT_DOUBLE, "%.*s: %s offset %" PRId64 ", and again %s offset %" PRId64, (int)id.n, id.p,
                    a->topics[s->topic], s->offset, topic, r->offset);
        return 0;
    }
    int result = published_add(&a->published, app, &a->key, false, exactly_once(a), r);
    if (result < 0)
        return result;
    const struct published_id *now = id.p ? published_find(&a->published, id) : NULL;
    if (now)
        return place(a, now, r);
    audit_fault(a, FAULT_UNEXPECTED, "%s offset %" PRId64 ": headers of this app that make no sense", topic, r->offset);
    return 0;
}

static int read_topic(struct audit *a, bool again)
{
    struct part_key key = {.topic = a->topics[a->reading], .partition = a->key.partition};
    int64_t start, high;
    int r = servers_ends(a->servers, &key, &start, &high, &a->why);
    if (r != PORT_OK)
        return r;
    if (start > 0 && !again) {
        snprintf(a->why.text, sizeof a->why.text,
                 "%s/%d begins at offset %" PRId64 ": nobody can tell what was published before", key.topic,
                 (int)key.partition, start);
        return PORT_REFUSED;
    }
    return servers_read(a->servers, &key, &a->next[a->reading], high, add_output, a, &a->why);
}

int audit_outputs(struct audit *a)
{
    bool again = a->published.n > 0;
    int r = PORT_OK;
    for (a->reading = 0; r == PORT_OK && a->reading < a->ntopics; a->reading++)
        r = read_topic(a, again);
    published_sort(&a->published);
    return r;
}

static int by_stem(const void *x, const void *y, void *arg)
{
    const struct audit *a = arg;
    const struct said *s = &a->said[*(const uint32_t *)x], *t = &a->said[*(const uint32_t *)y];
    if (s->stem != t->stem)
        return s->stem < t->stem ? -1 : 1;
    if (s->topic != t->topic)
        return s->topic - t->topic;
    return (s->offset > t->offset) - (s->offset < t->offset);
}

int audit_order(struct audit *a)
{
    const struct published *p = &a->published;
    _cleanup_free_ uint32_t *order = malloc((p->n + 1) * sizeof *order);
    if (!order)
        return ERR_NOMEM;
    for (size_t i = 0; i < p->n; i++)
        order[i] = (uint32_t)i;
    qsort_r(order, p->n, sizeof *order, by_stem, a);
    for (size_t i = 1; i < p->n; i++) {
        const struct said *s = &a->said[order[i - 1]], *t = &a->said[order[i]];
        const struct published_id *x = &p->v[order[i - 1]], *y = &p->v[order[i]];
        if (x->dead_letter || s->stem != t->stem || s->topic != t->topic || x->ordinal < y->ordinal)
            continue;
        audit_fault(a, FAULT_DISORDERED, "%.*s: %s offset %" PRId64 ", behind ordinal %" PRIu32 " at offset %" PRId64,
                    (int)y->text_bytes, p->texts + y->text, a->topics[t->topic], t->offset, x->ordinal, s->offset);
    }
    return PORT_OK;
}
