// Each effect that the log says must be published with the same digest; each output published must be such an
// effect. Three kinds of absence are no fault: over a cap, or without a topic; a trigger that may have been
// too old when its time came; and a deadline that the daemon has not come to yet, for it fires deadlines
// behind the clock in pieces.
#include "audit.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { LOADS = 1000, TRIES = 50 }; // states asked for at a time; flushes of the daemon that may come between

static bool has_topic(const struct config *c, const struct model *m, const struct effect *fx)
{
    if (effect_is_transition(fx))
        return c->outputs.transitions;
    for (size_t i = 0; i < c->outputs.ncampaigns; i++)
        if (!strcmp(c->outputs.campaigns[i].campaign, effect_campaign(m, fx)))
            return c->outputs.campaigns[i].topic;
    return c->outputs.triggers;
}

static int note_absent(struct audit *a, const struct entry *x, const struct effect *fx)
{
    if (a->nabsent == a->absent_cap) {
        size_t cap = a->absent_cap ? 2 * a->absent_cap : 64;
        struct absent *v = realloc(a->absent, cap * sizeof *v);
        if (!v)
            return ERR_NOMEM;
        a->absent = v;
        a->absent_cap = cap;
    }
    struct absent to = {.id = strndup(a->id.p, a->id.n),
                        .bytes = a->id.n,
                        .slot = x->model,
                        .ordinal = fx->ordinal,
                        .at = fx->at,
                        .offset = a->offset,
                        .transition = effect_is_transition(fx),
                        .by_deadline = fx->by_deadline};
    if (!to.id)
        return ERR_NOMEM;
    a->absent[a->nabsent++] = to;
    return 0;
}

static void found(struct audit *a, struct published_id *f, bool transition)
{
    f->seen = true;
    a->published.left--;
    if (transition)
        a->transitions++;
    else
        a->triggers++;
}

int audit_expect(struct audit *a, const struct entry *x, const struct event_source *source)
{
    const struct model *m = a->slots[x->model].model;
    for (size_t i = 0; i < a->effects.n; i++) {
        const struct effect *fx = &a->effects.v[i];
        struct output o = {
            .model = m, .customer = x->c, .effect = fx, .id = {x->id, x->id_bytes}, .source = source};
        char digest[17];
        a->id.n = 0;
        output_id(m, o.id, fx->ordinal, &a->id);
        if (a->id.failed)
            return ERR_NOMEM;
        output_digest(&o, audit_program(a)->digest, digest);
        struct published_id *f = published_find(&a->published, (struct span){a->id.p, a->id.n});
        if (f)
            found(a, f, effect_is_transition(fx));
        else if (!fx->capped && has_topic(a->servers->at.config, m, fx) && note_absent(a, x, fx))
            return ERR_NOMEM;
        if (f && (fx->capped || strcmp(f->digest, digest) != 0))
            audit_fault(a, FAULT_UNEXPECTED, "%.*s: %s offset %" PRId64 ": %s", (int)a->id.n, a->id.p,
                        a->topics[a->said[f - a->published.v].topic], a->said[f - a->published.v].offset,
                        fx->capped ? "over a cap, and published" : "says something else than the log does");
    }
    return 0;
}

int audit_expect_dead_letter(struct audit *a, const struct record *r, enum bad_reason reason)
{
    a->id.n = 0;
    buffer_printf(&a->id, "%s/%d/%" PRId64, a->key.topic, (int)r->partition, r->offset);
    if (a->id.failed)
        return ERR_NOMEM;
    struct published_id *f = published_find(&a->published, (struct span){a->id.p, a->id.n});
    if (!f) {
        audit_fault(a, FAULT_MISSING, "%.*s: no dead letter of this bad event (%s)", (int)a->id.n, a->id.p,
                    bad_reason_name(reason));
        return 0;
    }
    f->seen = true;
    a->published.left--;
    a->dead_letters++;
    return 0;
}

// ---- absences

// The ordinal that a stored state, of whatever version, has reached; 0: there is none.
static int stored_ordinal(const struct audit *a, int slot, struct span state, uint32_t *ret)
{
    *ret = 0;
    for (size_t i = 0; state.p && i < a->history.n; i++)
        for (int k = 0; k < a->history.v[i].program.nmodels; k++) {
            const struct model *m = a->history.v[i].program.models[k];
            if (strcmp(m->name, a->slots[slot].name) != 0)
                continue;
            _cleanup_free_ struct customer *c = malloc(customer_bytes(m));
            if (!c)
                return ERR_NOMEM;
            if (customer_decode(m, (const uint8_t *)state.p, state.n, c) == 0)
                *ret = c->ordinal;
        }
    return 0;
}

static struct span customer_of(const struct audit *a, const struct absent *x)
{
    size_t from = strlen(a->slots[x->slot].name) + 1, end = x->bytes;
    while (x->id[end - 1] != ':')
        end--;
    return (struct span){x->id + from, end - 1 - from};
}

static int model_named(const struct program *p, const char *name)
{
    for (int i = 0; i < p->nmodels; i++)
        if (!strcmp(p->models[i]->name, name))
            return i;
    return NONE;
}

// Loads the states of these customers as they stand in Redis, between two flushes of whoever owns the
// partition. PORT_FENCED: there are none.
static int load(struct audit *a, struct absent *const *x, struct load_item *items, size_t n)
{
    struct servers *s = a->servers;
    int r = PORT_FENCED;
    for (int i = 0; r == PORT_FENCED && i < TRIES; i++) {
        struct cursor c;
        struct owner owner;
        if ((r = redis_query_cursor(s->at.store, &a->key, &c, &owner, &a->why)) != PORT_OK || !c.exists)
            return r ? r : PORT_FENCED;
        for (size_t k = 0; k < n; k++) {
            struct span customer = customer_of(a, x[k]);
            int m = model_named(&s->at.config->program, a->slots[x[k]->slot].name);
            uint64_t bucket = bucket_of(cache_hash(customer), c.buckets[m]);
            items[k] = (struct load_item){.model = (int16_t)m, .customer = customer, .bucket = bucket};
        }
        r = redis_store_ops.load(s->at.store, &a->key, &owner, c.n, items, n, &a->why);
    }
    return r;
}

// A deadline that the customer's state does not know of either has not been fired yet.
static int look_up(struct audit *a, struct absent **x, size_t n)
{
    struct load_item items[LOADS];
    int r = load(a, x, items, n);
    if (r != PORT_OK && r != PORT_FENCED)
        return r;
    for (size_t i = 0; i < n; i++) {
        uint32_t ordinal = 0;
        if (r == PORT_OK && stored_ordinal(a, x[i]->slot, items[i].state, &ordinal))
            return ERR_NOMEM;
        x[i]->why = ordinal < x[i]->ordinal ? ABSENT_PENDING : ABSENT_MISSING;
    }
    return PORT_OK;
}

// Why outputs are absent. A trigger that is too old for max_age today was perhaps too old already when it was
// due: nobody can tell. An event before the cursor has been stepped, and so has what a later output follows
// upon.
static int explain_absent(struct audit *a)
{
    const struct config *c = a->servers->at.config;
    struct absent *batch[LOADS];
    size_t n = 0;
    int r = PORT_OK;
    for (size_t i = 0; r == PORT_OK && i < a->nabsent; i++) {
        struct absent *x = &a->absent[i];
        if (!x->transition && c->outputs.max_age_ms != NEVER && x->at < a->wall - c->outputs.max_age_ms)
            x->why = ABSENT_STALE;
        else if (x->by_deadline && !published_later(&a->published, (struct span){x->id, x->bytes}, x->ordinal) &&
                 model_named(&c->program, a->slots[x->slot].name) != NONE)
            batch[n++] = x;
        if (n == LOADS) {
            r = look_up(a, batch, n);
            n = 0;
        }
    }
    return r == PORT_OK && n > 0 ? look_up(a, batch, n) : r;
}

static void settle_absent(struct audit *a, const struct absent *x)
{
    struct published_id *f = published_find(&a->published, (struct span){x->id, x->bytes});
    char time[TIME_TEXT_BYTES];
    format_time(x->at, time);
    if (f)
        found(a, f, x->transition);
    else if (x->why == ABSENT_STALE)
        a->stale++;
    else if (x->why == ABSENT_PENDING)
        a->in_flight++;
    else
        audit_fault(a, FAULT_MISSING, "%s: %s of %s, %s offset %" PRId64, x->id,
                    x->transition ? "transition" : "trigger", time,
                    x->by_deadline ? "by a deadline passed before" : "by the event at", x->offset);
}

static void settle_published(struct audit *a, size_t i)
{
    const struct published_id *f = &a->published.v[i];
    const struct said *s = &a->said[i];
    if (f->seen)
        return;
    if (s->made_at > a->upto || s->made_by > a->clock)
        a->in_flight++;
    else
        audit_fault(a, FAULT_UNEXPECTED, "%.*s: %s offset %" PRId64 ": nothing in the log calls for it",
                    (int)f->text_bytes, a->published.texts + f->text, a->topics[s->topic], s->offset);
}

int audit_resolve(struct audit *a)
{
    int r = explain_absent(a);
    if (r == PORT_OK && a->nabsent > 0) // some were published after the outputs were read
        r = audit_outputs(a);
    for (size_t i = 0; r == PORT_OK && i < a->nabsent; i++)
        settle_absent(a, &a->absent[i]);
    for (size_t i = 0; r == PORT_OK && i < a->published.n; i++)
        settle_published(a, i);
    return r;
}
