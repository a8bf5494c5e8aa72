// The end of a replay: nothing due is left, and every output that is published is accounted for, or the partition would
// contradict what was said.
#include "cleanup.h"
#include "engine_private.h"
#include <inttypes.h>

enum { LEFTOVERS_MAX = 1000 }; // asked of the store in one go

struct leftovers { // published outputs whose customers are not in memory
    struct load_item items[LEFTOVERS_MAX];
    struct published_id *ids[LEFTOVERS_MAX];
    size_t n;
};

// The customer's ordinal accounts for the output, or contradicts it; then the set of what is published is gone.
static void account(struct engine *e, struct part *p, struct published_id *id, uint32_t ordinal)
{
    if (ordinal < id->ordinal && e->config.exactly_once) {
        part_contradiction(e, p,
                           "output %.*s is published, but neither the states nor the replay know of it: the program or "
                           "the log differs from the one that published it",
                           (int)id->text_bytes, p->published.texts + id->text);
        return;
    }
    if (ordinal < id->ordinal) // one that was given up said what was decided otherwise meanwhile
        note(e, NOTE_WARNING, p, "output %.*s is published, but neither the states nor the replay know of it: ignored",
             (int)id->text_bytes, p->published.texts + id->text);
    id->seen = true;
    p->published.left--;
}

static int account_stored(struct engine *e, struct part *p, struct leftovers *v, struct why *why)
{
    int r =
        v->n ? e->ports.store->load(e->ports.store_ctx, &p->key, &p->owner, p->cursor.n, v->items, v->n, why) : PORT_OK;
    for (size_t i = 0; r == PORT_OK && i < v->n && p->state == PART_REPLAYING; i++) {
        const struct load_item *x = &v->items[i];
        bool known = x->state.p && !state_read(e, p, x->model, x->state, e->spare);
        account(e, p, v->ids[i], known ? e->spare->ordinal : 0);
    }
    v->n = 0;
    return r;
}

// The model and customer of an output's id; NONE: no model of the program's.
static int id_parts(const struct engine *e, const char *text, const struct published_id *id, struct span *ret_customer)
{
    for (int m = 0; m < e->config.program->nmodels; m++) {
        size_t n = strlen(engine_model(e, m)->name);
        if (id->stem_bytes <= n || text[n] != ':' || memcmp(text, engine_model(e, m)->name, n) != 0)
            continue;
        *ret_customer = (struct span){text + n + 1, id->stem_bytes - n - 1};
        return m;
    }
    return NONE;
}

// Published outputs that the replay has not met must lie before the cursor: their customers' states account for them.
static int leftovers(struct engine *e, struct part *p, struct why *why)
{
    const struct published *s = &p->published;
    _cleanup_free_ struct leftovers *v = malloc(sizeof *v);
    if (!v)
        return ERR_NOMEM;
    v->n = 0;
    int r = PORT_OK;
    for (size_t i = 0; r == PORT_OK && i < s->n && p->state == PART_REPLAYING && s->left > 0; i++) {
        struct published_id *id = &s->v[i];
        struct span customer;
        if (id->seen)
            continue;
        int model = id->dead_letter ? NONE : id_parts(e, s->texts + id->text, id, &customer);
        if (model == NONE) { // a dead letter's event lies before the position, or the replay would not be over
            account(e, p, id, 0);
            continue;
        }
        uint64_t hash = cache_hash(customer);
        const struct entry *entry = cache_find(&p->cache, hash, model, customer);
        if (entry) {
            account(e, p, id, entry->c->ordinal);
            continue;
        }
        v->items[v->n] = (struct load_item){
            .model = (int16_t)model, .customer = customer, .bucket = bucket_of(hash, p->buckets[model])};
        v->ids[v->n++] = id;
        if (v->n == LEFTOVERS_MAX)
            r = account_stored(e, p, v, why);
    }
    return r == PORT_OK && p->state == PART_REPLAYING ? account_stored(e, p, v, why) : r;
}

int part_replay_end(struct engine *e, struct part *p)
{
    struct why why = {0};
    if (p->position < p->decided)
        return 0;
    part_advance(p, p->position);
    if (p->committed_clock > p->clock) { // a torn transaction: the offset is there, the journal's entry is not
        p->clock_before = p->clock;
        p->clock = p->committed_clock;
        p->advancing = e->config.program->wall; // decided anew
    }
    int64_t until = e->ports.world->mono_ms(e->ports.world_ctx) + SWEEP_MS_MAX;
    bool more = true; // nothing may be due below the clock
    while (more && p->state == PART_REPLAYING && e->ports.world->mono_ms(e->ports.world_ctx) < until) {
        int r = part_sweep(e, p, false, &more);
        if (r < 0)
            return r;
        publish_commit(e, false);
        if (p->state == PART_REPLAYING && (r = part_flush(e, p)) < 0)
            return r;
    }
    if (p->state != PART_REPLAYING)
        return 0;
    if (p->advancing && more)
        p->clock = p->clock_before;
    bool unsaid = p->advancing && !more; // nothing fired, but the group's clock is there already: else it stays ahead
    p->advancing = false;
    e->sweeping |= more;
    if (more)
        return 0; // the rest follows in the next rounds
    int r = unsaid ? publish_decision(e, p, "wall", p->position, p->clock) : 0;
    if (r < 0)
        return r;
    publish_commit(e, false);
    if (p->state != PART_REPLAYING)
        return 0;
    r = leftovers(e, p, &why);
    if (r < 0)
        return r;
    if (r != PORT_OK)
        part_doubt(e, p, r, "ending a replay", why.text);
    if (p->state != PART_REPLAYING)
        return 0;
    published_clear(&p->published);
    p->decided = 0;
    p->state = PART_LIVE;
    p->contradicted = false;
    int64_t took = e->ports.world->mono_ms(e->ports.world_ctx) - p->taking_since;
    histogram_add(&e->counters->recovery_seconds, took * 1000);
    note(e, NOTE_INFO, p, "replay over at offset %" PRId64 " after %" PRId64 " ms", p->position, took);
    return part_flush(e, p); // with the tails, which a replay leaves alone
}
