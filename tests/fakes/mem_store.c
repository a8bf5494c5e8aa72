// Calls and their checks, in the order in which the real store makes them; the data are mem_data's.
#include "mem_store.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "mem_data.h"

struct mem_store {
    struct mem_part **parts; // never fewer: clients know them by index
    size_t nparts;
    uint64_t run;
    bool blind;
};

struct mem_client {
    struct mem_store *s;
    uint64_t *runs; // by partition: the server's, at the claim; 0: never claimed
    size_t nruns;
    void **results; // what the last call returned
    size_t nresults;
    int fail_ops, fail_countdown, fail_result;
    bool fail_after;
};

// What a call returns: freed at the next one.
static void *result_keep(struct mem_client *c, void *p)
{
    c->results = mem_grow(c->results, c->nresults + 1, sizeof(*c->results));
    return c->results[c->nresults++] = p;
}

static struct span result_span(struct mem_client *c, struct span s)
{
    s = mem_copy(s);
    result_keep(c, (char *)s.p);
    return s;
}

static void results_free(struct mem_client *c)
{
    while (c->nresults > 0)
        free(c->results[--c->nresults]);
}

static size_t part_index(const struct mem_store *s, const struct part_key *p)
{
    size_t i = 0;
    while (i < s->nparts && (s->parts[i]->partition != p->partition || strcmp(s->parts[i]->topic, p->topic) != 0))
        i++;
    return i;
}

static struct mem_part *part_of(struct mem_store *s, const struct part_key *p)
{
    size_t i = part_index(s, p);
    if (i == s->nparts) {
        s->parts = mem_grow(s->parts, i + 1, sizeof(*s->parts));
        s->parts[i] = mem_grow(NULL, 1, sizeof(struct mem_part));
        *s->parts[i] = (struct mem_part){.topic = mem_copy_text(p->topic), .partition = p->partition};
        mem_part_clear(s->parts[i]);
        s->nparts++;
    }
    return s->parts[i];
}

// ---- server and clients

struct mem_store *mem_store_new(void)
{
    struct mem_store *s = mem_grow(NULL, 1, sizeof(*s));
    *s = (struct mem_store){.run = 1};
    return s;
}

struct mem_store *mem_store_free(struct mem_store *s)
{
    for (size_t i = 0; s && i < s->nparts; i++) {
        mem_part_clear(s->parts[i]);
        free(s->parts[i]->topic);
        free(s->parts[i]);
    }
    if (s)
        free(s->parts);
    free(s);
    return NULL;
}

struct mem_client *mem_client_new(struct mem_store *s)
{
    struct mem_client *c = mem_grow(NULL, 1, sizeof(*c));
    *c = (struct mem_client){.s = s};
    return c;
}

struct mem_client *mem_client_free(struct mem_client *c)
{
    if (c) {
        results_free(c);
        free(c->results);
        free(c->runs);
    }
    free(c);
    return NULL;
}

void mem_client_fail(struct mem_client *c, int ops, int countdown, int result, bool after)
{
    c->fail_ops = ops;
    c->fail_countdown = countdown;
    c->fail_result = result;
    c->fail_after = after;
}

void mem_store_restart(struct mem_store *s)
{
    s->run++;
}

void mem_store_restore(struct mem_store *s, const struct mem_store *from)
{
    for (size_t i = 0; i < s->nparts; i++)
        mem_part_clear(s->parts[i]);
    for (size_t i = 0; i < from->nparts; i++)
        mem_part_copy(part_of(s, &(struct part_key){from->parts[i]->topic, from->parts[i]->partition}), from->parts[i]);
    mem_store_restart(s);
}

void mem_store_blind(struct mem_store *s)
{
    s->blind = true;
}

// Of the buckets that hold somebody, or have a deadline, the one at `which`, or the last; NULL: there is none.
static struct mem_bucket *occupied(struct mem_part *p, bool due, uint64_t which)
{
    struct mem_bucket *found = NULL;
    uint64_t n = 0;
    for (int m = 0; m < MODELS_MAX; m++)
        for (size_t b = 0; b < p->nbuckets[m] && n <= which; b++)
            if (due ? p->buckets[m][b].due != NEVER : p->buckets[m][b].n > 0) {
                found = &p->buckets[m][b];
                n++;
            }
    return found;
}

bool mem_store_lose(struct mem_store *s, const struct part_key *key, enum mem_loss loss, uint64_t which)
{
    struct mem_part *p = part_of(s, key);
    struct mem_bucket *b;
    bool any = p->cursor.exists;
    switch (loss) {
    case LOSE_ALL: mem_part_clear(p); return any;
    case LOSE_CURSOR: mem_cursor_clear(p); return any;
    case LOSE_STATS: return mem_stats_clear(p);
    case LOSE_MODELS: return mem_models_clear(p);
    case LOSE_BUCKET: return (b = occupied(p, false, which)) && mem_bucket_clear(b);
    case LOSE_DUE:
    case LOSE_DUES:
        any = (b = occupied(p, true, which));
        for (; b; b = loss == LOSE_DUES ? occupied(p, true, 0) : NULL)
            b->due = NEVER;
        return any;
    case LOSSES: break;
    }
    return false;
}

struct cursor mem_store_cursor(const struct mem_store *s, const struct part_key *p)
{
    size_t i = part_index(s, p);
    return i < s->nparts ? s->parts[i]->cursor : (struct cursor){0};
}

struct owner mem_store_owner(const struct mem_store *s, const struct part_key *p)
{
    size_t i = part_index(s, p);
    return i < s->nparts ? s->parts[i]->owner : (struct owner){0};
}

void mem_store_each(const struct mem_store *s, const struct part_key *p,
                    void (*each)(void *arg, int model, uint64_t bucket, struct span customer, struct span state),
                    void *arg)
{
    size_t i = part_index(s, p);
    for (int m = 0; i < s->nparts && m < MODELS_MAX; m++)
        for (size_t b = 0; b < s->parts[i]->nbuckets[m]; b++)
            for (size_t k = 0; k < s->parts[i]->buckets[m][b].n; k++)
                each(arg, m, b, s->parts[i]->buckets[m][b].v[k].customer, s->parts[i]->buckets[m][b].v[k].state);
}

// ---- a call

static int why_not(struct why *why, int result, const char *text)
{
    snprintf(why->text, sizeof(why->text), "%s", text);
    return result;
}

// Begins a call; counts down to a fault. *ret_fails: the caller returns fail_result, if not now then in the
// end.
static int begin(struct mem_client *c, const struct part_key *p, enum mem_op op, struct mem_part **ret, bool *ret_fails,
                 struct why *why)
{
    results_free(c);
    *ret = part_of(c->s, p);
    *ret_fails = (c->fail_ops & op) && c->fail_countdown > 0 && --c->fail_countdown == 0;
    if (*ret_fails)
        why_not(why, 0, "the test wants it so");
    if (*ret_fails && !c->fail_after)
        return c->fail_result;
    while (c->nruns < c->s->nparts) {
        c->runs = mem_grow(c->runs, c->nruns + 1, sizeof(*c->runs));
        c->runs[c->nruns++] = 0;
    }
    uint64_t *run = &c->runs[part_index(c->s, p)];
    if (op == MEM_CLAIM)
        *run = c->s->run;
    if (*run && *run != c->s->run && !(op & (MEM_REMEMBER | MEM_RECALL)))
        return why_not(why, PORT_FENCED, "another server answers than when the partition was claimed");
    return 0;
}

static int end(const struct mem_client *c, bool fails)
{
    return fails ? c->fail_result : 0;
}

// Deadlines and statistics are as many as the last flush left.
static bool is_whole(const struct mem_client *c, const struct mem_part *p)
{
    return p->dues_left < 0 || c->s->blind || (p->dues_left == mem_dues(p) && p->stats_left == (int64_t)p->nstats);
}

static int claim(void *ctx, const struct part_key *key, const struct owner *owner, struct cursor *ret, bool *ret_empty,
                 struct why *ret_why)
{
    struct mem_client *c = ctx;
    struct mem_part *p;
    bool fails;
    int r = begin(c, key, MEM_CLAIM, &p, &fails, ret_why);
    if (r)
        return r;
    if (p->cursor.exists)
        p->owner = *owner;
    if (fails)
        return end(c, fails);
    *ret_empty = !mem_any_sign(p);
    *ret = p->cursor;
    bool whole = is_whole(c, p);
    ret->lost_dues = whole ? 0 : p->dues_left - mem_dues(p);
    ret->lost_stats = whole ? 0 : p->stats_left - (int64_t)p->nstats;
    for (int i = 0; i < ret->ntails; i++)
        ret->tails[i].topic = result_keep(c, mem_copy_text(ret->tails[i].topic));
    return 0;
}

static int create(void *ctx, const struct part_key *key, const struct owner *owner, const struct cursor *cursor,
                  struct why *ret_why)
{
    struct mem_client *c = ctx;
    struct mem_part *p;
    bool fails;
    int r = begin(c, key, MEM_CREATE, &p, &fails, ret_why);
    if (r)
        return r;
    if (mem_any_sign(p))
        return why_not(ret_why, PORT_FENCED, "the partition has keys already");
    mem_cursor_put(p, cursor, owner, cursor->n);
    return end(c, fails);
}

static bool mine(const struct mem_part *p, const struct owner *owner, uint64_t n)
{
    return p->cursor.exists && !strcmp(p->owner.text, owner->text) && p->cursor.n == n;
}

static int load(void *ctx, const struct part_key *key, const struct owner *owner, uint64_t n, struct load_item *items,
                size_t nitems, struct why *ret_why)
{
    struct mem_client *c = ctx;
    struct mem_part *p;
    bool fails;
    int r = begin(c, key, MEM_LOAD, &p, &fails, ret_why);
    if (r)
        return r;
    if (!mine(p, owner, n))
        return why_not(ret_why, PORT_FENCED, "owner or n are others'");
    if (!is_whole(c, p))
        return why_not(ret_why, PORT_FENCED, "deadlines or statistics are lost");
    if (fails)
        return end(c, fails);
    for (size_t i = 0; i < nitems; i++) {
        const struct mem_bucket *b = mem_bucket(p, items[i].model, items[i].bucket);
        if (items[i].customer.p) {
            const struct mem_field *f = mem_field(b, items[i].customer);
            items[i].state = f ? result_span(c, f->state) : (struct span){0};
            continue;
        }
        struct load_field *v = result_keep(c, mem_grow(NULL, b->n, sizeof(*v)));
        for (size_t k = 0; k < b->n; k++)
            v[k] = (struct load_field){result_span(c, b->v[k].customer), result_span(c, b->v[k].state)};
        items[i].fields = v;
        items[i].nfields = b->n;
    }
    return 0;
}

static int compare_due(const void *a, const void *b)
{
    const struct due_bucket *x = a, *y = b;
    if (x->at != y->at)
        return x->at < y->at ? -1 : 1;
    if (x->model != y->model)
        return x->model - y->model;
    return (x->bucket > y->bucket) - (x->bucket < y->bucket);
}

static int due(void *ctx, const struct part_key *key, int64_t before, size_t max, struct due_bucket *ret, size_t *ret_n,
               int64_t *ret_next, struct why *ret_why)
{
    struct mem_client *c = ctx;
    struct mem_part *p;
    bool fails;
    int r = begin(c, key, MEM_DUE, &p, &fails, ret_why);
    if (r || fails)
        return r ? r : end(c, fails);
    struct due_bucket *all = NULL;
    size_t nall = 0, n = 0;
    for (int m = 0; m < MODELS_MAX; m++) {
        for (size_t b = 0; b < p->nbuckets[m]; b++) {
            if (p->buckets[m][b].due == NEVER)
                continue;
            all = mem_grow(all, nall + 1, sizeof(*all));
            all[nall++] = (struct due_bucket){(int16_t)m, b, p->buckets[m][b].due};
        }
    }
    if (nall)
        qsort(all, nall, sizeof(*all), compare_due);
    for (; n < nall && n < max && all[n].at < before; n++)
        ret[n] = all[n];
    *ret_n = n;
    *ret_next = n < nall ? all[n].at : NEVER;
    free(all);
    return 0;
}

// The size of a bucket after the first n splits.
static size_t size_after(struct mem_part *p, const struct flush *f, size_t n, int model, uint64_t bucket)
{
    while (n-- > 0) {
        const struct flush_split *s = &f->splits[n];
        if (s->model == model && s->to == bucket)
            return s->nmoved;
        if (s->model == model && s->from == bucket)
            return s->expected - s->nmoved;
    }
    return mem_bucket(p, model, bucket)->n;
}

static void apply_split(struct mem_part *p, const struct flush_split *s)
{
    for (size_t i = 0; i < s->nmoved; i++) {
        mem_bucket_put(mem_bucket(p, s->model, s->to), s->moved[i].customer, s->moved[i].state);
        mem_bucket_remove(mem_bucket(p, s->model, s->from), s->moved[i].customer);
    }
    int64_t at = mem_bucket(p, s->model, s->from)->due;
    if (at != NEVER)
        mem_bucket(p, s->model, s->to)->due = at;
}

// First what is known of buckets, then what may be earlier than that.
static void apply_dues(struct mem_part *p, const struct flush *f)
{
    for (size_t i = 0; i < f->ndues; i++)
        if (f->dues[i].exact || f->dues[i].at == NEVER)
            mem_bucket(p, f->dues[i].model, f->dues[i].bucket)->due = f->dues[i].at;
    for (size_t i = 0; i < f->ndues; i++) {
        struct mem_bucket *b = mem_bucket(p, f->dues[i].model, f->dues[i].bucket);
        if (f->dues[i].at < b->due && !f->dues[i].exact)
            b->due = f->dues[i].at;
    }
}

static int flush(void *ctx, const struct part_key *key, const struct owner *owner, const struct flush *f,
                 struct why *ret_why)
{
    struct mem_client *c = ctx;
    struct mem_part *p;
    bool fails;
    int r = begin(c, key, MEM_FLUSH, &p, &fails, ret_why);
    if (r)
        return r;
    if (!mine(p, owner, f->cursor->n))
        return why_not(ret_why, PORT_FENCED, "owner or n are others'");
    if (!is_whole(c, p))
        return why_not(ret_why, PORT_FENCED, "deadlines or statistics are lost");
    for (size_t i = 0; i < f->nsplits; i++) {
        const struct flush_split *s = &f->splits[i];
        if (size_after(p, f, i, s->model, s->from) != s->expected || size_after(p, f, i, s->model, s->to) != 0)
            return why_not(ret_why, PORT_REFUSED, "a split bucket does not hold as many customers as expected");
    }
    for (size_t i = 0; i < f->nsplits; i++)
        apply_split(p, &f->splits[i]);
    for (size_t i = 0; i < f->nwrites; i++)
        mem_bucket_put(mem_bucket(p, f->writes[i].model, f->writes[i].bucket), f->writes[i].customer,
                       f->writes[i].state);
    apply_dues(p, f);
    for (size_t i = 0; i < f->nstats; i++)
        mem_stat_put(p, f->stats[i].field, f->stats[i].value);
    mem_cursor_put(p, f->cursor, owner, f->cursor->n + 1);
    p->dues_left = mem_dues(p);
    p->stats_left = (int64_t)p->nstats;
    return end(c, fails);
}

static int stats(void *ctx, const struct part_key *key, void (*each)(void *arg, struct span field, int64_t value),
                 void *arg, struct why *ret_why)
{
    struct mem_client *c = ctx;
    struct mem_part *p;
    bool fails;
    int r = begin(c, key, MEM_STATS, &p, &fails, ret_why);
    if (r || fails)
        return r ? r : end(c, fails);
    for (size_t i = 0; i < p->nstats; i++)
        each(arg, (struct span){p->stats[i].field, strlen(p->stats[i].field)}, p->stats[i].value);
    return 0;
}

static int remember(void *ctx, const struct part_key *key, const struct owner *owner, uint64_t n,
                    const struct model_text *texts, size_t ntexts, struct why *ret_why)
{
    struct mem_client *c = ctx;
    struct mem_part *p;
    bool fails;
    int r = begin(c, key, MEM_REMEMBER, &p, &fails, ret_why);
    if (r)
        return r;
    if (!mine(p, owner, n))
        return why_not(ret_why, PORT_FENCED, "owner or n are others'");
    for (size_t i = 0; i < ntexts; i++)
        mem_model_put(p, &texts[i]);
    p->cursor.n++;
    return end(c, fails);
}

static int recall(void *ctx, const struct part_key *key, int (*each)(void *arg, const struct model_text *t), void *arg,
                  struct why *ret_why)
{
    struct mem_client *c = ctx;
    struct mem_part *p;
    bool fails;
    int r = begin(c, key, MEM_RECALL, &p, &fails, ret_why);
    if (r || fails)
        return r ? r : end(c, fails);
    for (size_t i = 0; r == 0 && i < p->nmodels; i++)
        r = each(arg, &p->models[i]);
    return r;
}

static int count(void *ctx, const struct part_key *key, int model, uint64_t buckets, uint64_t *ret, struct why *ret_why)
{
    struct mem_client *c = ctx;
    struct mem_part *p;
    bool fails;
    int r = begin(c, key, MEM_COUNT, &p, &fails, ret_why);
    if (r || fails)
        return r ? r : end(c, fails);
    *ret = 0;
    for (uint64_t b = 0; b < buckets && b < p->nbuckets[model]; b++)
        *ret += p->buckets[model][b].n;
    return 0;
}

const struct store_ops mem_store_ops = {
    .claim = claim,
    .create = create,
    .load = load,
    .due = due,
    .flush = flush,
    .stats = stats,
    .count = count,
    .remember = remember,
    .recall = recall,
};
