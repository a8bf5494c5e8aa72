// The states of the last change of program, from the log into Redis: all of them in memory, then written through the
// fenced flush that daemons use, some at a time.
#define _GNU_SOURCE // qsort_r
#include "rebuild.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { FLUSH_CUSTOMERS = 2000 };

// ---- stepping

// What the stepping has not met is of the program that follows: the daemon reads it, and must find all of it.
static int set_tails(struct audit *a, struct cursor *c)
{
    const struct history_program *last = &a->history.v[a->history.n - 1];
    c->ntails = 0;
    c->tails[c->ntails++] = (struct tail){.topic = a->servers->at.kafka.journal, .offset = last->entry};
    for (int i = 0; i < a->ntopics && c->ntails < TOPICS_MAX; i++)
        c->tails[c->ntails++] = (struct tail){.topic = a->topics[i], .offset = a->next[i]};
    for (size_t i = 0; i < a->published.n; i++) {
        const struct published_id *f = &a->published.v[i];
        const struct said *s = &a->said[i];
        int64_t *tail = &c->tails[1 + s->topic].offset;
        if (f->seen)
            continue;
        if (s->made_at < a->upto || (s->made_at == a->upto && s->made_by < a->clock))
            audit_fault(a, FAULT_UNEXPECTED, "%.*s: %s offset %" PRId64 ": nothing in the log calls for it",
                        (int)f->text_bytes, a->published.texts + f->text, a->topics[s->topic], s->offset);
        else if (s->offset < *tail)
            *tail = s->offset;
    }
    if (a->faults[FAULT_UNEXPECTED] == 0)
        return PORT_OK;
    snprintf(a->why.text, sizeof a->why.text,
             "what is published is not what the log makes (%" PRIu64 " outputs): %.150s", a->faults[FAULT_UNEXPECTED],
             a->examples[FAULT_UNEXPECTED][0].text);
    return PORT_REFUSED;
}

int rebuild_step(struct audit *a, struct cursor *c)
{
    const struct history_program *last = &a->history.v[a->history.n - 1];
    bool changed = a->history.n > 1; // else nothing lies before it
    a->upto = last->offset;
    a->clock = last->clock;
    int r = changed ? audit_outputs(a) : PORT_OK;
    if (r == PORT_OK)
        r = audit_step(a);
    c->clock = a->at;
    if (r == PORT_OK && a->nslots > MODELS_MAX) {
        snprintf(a->why.text, sizeof a->why.text,
                 "%d models were at work here since the start, and %d is the most that states are kept of", a->nslots,
                 MODELS_MAX);
        return PORT_REFUSED;
    }
    return r == PORT_OK && changed ? set_tails(a, c) : r;
}

// ---- writing

struct writing {
    struct audit *audit;
    struct redis_store *store;
    struct owner owner;
    struct cursor *cursor;        // models are slots
    const struct entry **entries; // all, by place
    size_t n;
};

static int remember(struct writing *w)
{
    const struct audit *a = w->audit;
    struct model_text texts[MODELS_MAX];
    for (int i = 0; i < a->nslots; i++) {
        const struct model *m = a->slots[i].model;
        texts[i] = (struct model_text){.name = {m->name, strlen(m->name)},
                                       .text = {m->text, m->text_bytes},
                                       .version = m->version,
                                       .order = (uint64_t)i + 1,
                                       .clock = INT64_MIN};
    }
    int r =
        redis_store_ops.remember(w->store, &a->key, &w->owner, w->cursor->n, texts, (size_t)a->nslots, &w->audit->why);
    w->cursor->n += r == PORT_OK;
    return r;
}

static int by_place(const void *x, const void *y, void *cursor)
{
    const struct entry *a = *(const struct entry *const *)x, *b = *(const struct entry *const *)y;
    const struct cursor *c = cursor;
    if (a->model != b->model)
        return a->model - b->model;
    uint64_t p = bucket_of(a->hash, c->buckets[a->model]), q = bucket_of(b->hash, c->buckets[b->model]);
    return (p > q) - (p < q);
}

// All customers with their places. From the first flush on the cursor counts them all: cut off before the last
// one, daemons see that some are not there.
static int gather(struct writing *w)
{
    const struct cache *k = &w->audit->cache;
    if (!(w->entries = malloc((k->n + 1) * sizeof *w->entries)))
        return ERR_NOMEM;
    for (size_t i = 0; k->table && i <= k->mask; i++)
        if (k->table[i]) {
            w->entries[w->n++] = k->table[i];
            w->cursor->customers[k->table[i]->model]++;
        }
    for (int m = 0; m < w->audit->nslots; m++)
        w->cursor->buckets[m] = buckets_for(w->cursor->customers[m], BUCKET_CUSTOMERS);
    qsort_r(w->entries, w->n, sizeof *w->entries, by_place, w->cursor);
    return PORT_OK;
}

static int flush(struct writing *w, struct flush *f)
{
    f->cursor = w->cursor;
    int r = redis_store_ops.flush(w->store, &w->audit->key, &w->owner, f, &w->audit->why);
    w->cursor->n += r == PORT_OK;
    return r;
}

static int write_states(struct writing *w, size_t from, size_t n)
{
    struct flush_write writes[FLUSH_CUSTOMERS];
    struct flush_due dues[FLUSH_CUSTOMERS];
    struct flush f = {.writes = writes, .nwrites = n, .dues = dues};
    struct buffer states = {0};
    size_t bytes = 1;
    for (size_t i = 0; i < n; i++)
        bytes += customer_state_max(w->audit->slots[w->entries[from + i]->model].model);
    char *to = buffer_reserve(&states, bytes); // once: what is encoded must not move
    if (!to)
        return ERR_NOMEM;
    for (size_t i = 0; i < n; i++) {
        const struct entry *x = w->entries[from + i];
        uint64_t bucket = bucket_of(x->hash, w->cursor->buckets[x->model]);
        size_t state = customer_encode(w->audit->slots[x->model].model, x->c, (uint8_t *)to);
        writes[i] = (struct flush_write){
            .model = x->model, .bucket = bucket, .customer = {x->id, x->id_bytes}, .state = {to, state}};
        if (x->c->due != NEVER) // of a model that is not at work: computed anew when it is
            dues[f.ndues++] = (struct flush_due){.model = x->model, .bucket = bucket, .at = x->c->due};
        to += state;
    }
    int r = flush(w, &f);
    buffer_clear(&states);
    return r;
}

// ---- statistics

struct stats {
    struct buffer names; // each with its NUL
    struct flush_stat *v;
    size_t *at; // of the name of each
    size_t n;
};

static void add_stat(struct stats *s, const struct model *m, const char *kind, const char *name, int64_t value)
{
    s->at[s->n] = s->names.n;
    buffer_printf(&s->names, "%s:%s:%s", m->name, kind, name);
    buffer_byte(&s->names, '\0');
    s->v[s->n++].value = value;
}

static void add_stats(struct stats *s, const struct slot *of, const int64_t *population)
{
    const struct model *m = of->model;
    for (int i = 0; i < m->nstages; i++)
        add_stat(s, m, "stage", m->stages[i].name, population[i]);
    for (int i = 0; i < m->nrules; i++)
        add_stat(s, m, "rule", m->rules[i].name, of->fired[i]);
    for (int i = 0; i < m->ntriggers; i++)
        add_stat(s, m, "trigger", m->triggers[i].name, of->fired[m->nrules + i]);
}

static int write_stats(struct writing *w)
{
    const struct audit *a = w->audit;
    size_t n = 1, first[MODELS_MAX]; // stages of each slot
    for (int i = 0; i < a->nslots; i++) {
        const struct model *m = a->slots[i].model;
        first[i] = n;
        n += (size_t)(m->nstages + m->nrules + m->ntriggers);
    }
    struct stats s = {.v = calloc(n, sizeof *s.v), .at = calloc(n, sizeof *s.at)};
    _cleanup_free_ int64_t *population = calloc(n, sizeof *population);
    int r = s.v && s.at && population ? PORT_OK : ERR_NOMEM;
    for (size_t i = 0; r == PORT_OK && i < w->n; i++)
        population[first[w->entries[i]->model] + w->entries[i]->c->stage]++;
    for (int i = 0; r == PORT_OK && i < a->nslots; i++)
        add_stats(&s, &a->slots[i], population + first[i]);
    if (s.names.failed)
        r = ERR_NOMEM;
    for (size_t i = 0; r == PORT_OK && i < s.n; i++)
        s.v[i].field = s.names.p + s.at[i];
    if (r == PORT_OK)
        r = flush(w, &(struct flush){.stats = s.v, .nstats = s.n});
    buffer_clear(&s.names);
    free(s.v);
    free(s.at);
    return r;
}

// ---- all of it

static int write_all(struct writing *w)
{
    int r = gather(w);
    if (r == PORT_OK)
        r = redis_store_ops.create(w->store, &w->audit->key, &w->owner, w->cursor, &w->audit->why);
    if (r == PORT_OK)
        r = remember(w);
    for (size_t i = 0; r == PORT_OK && i < w->n; i += FLUSH_CUSTOMERS)
        r = write_states(w, i, w->n - i < FLUSH_CUSTOMERS ? w->n - i : FLUSH_CUSTOMERS);
    return r == PORT_OK && w->n > 0 ? write_stats(w) : r;
}

int rebuild_write(struct audit *a, struct cursor *c)
{
    const char *names[MODELS_MAX];
    struct redis_options options = a->servers->at.redis;
    for (int i = 0; i < a->nslots; i++)
        names[i] = a->slots[i].name;
    options.models = names;
    options.nmodels = a->nslots;
    struct writing w = {.audit = a, .store = redis_store_new(&options), .owner = {"rebuild"}, .cursor = c};
    int r = w.store ? write_all(&w) : ERR_NOMEM;
    if (r == PORT_FENCED)
        snprintf(a->why.text, sizeof a->why.text,
                 "a daemon has taken the partition meanwhile: stop it, and rebuild again");
    redis_store_free(w.store);
    free(w.entries);
    return r;
}
