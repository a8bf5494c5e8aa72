// A publication is one block of memory that never changes: the board swaps pointers under its lock, and a
// reader that still looks at the former one holds a reference. So the lock is held for a moment only,
// whatever the readers do.
#include "status.h"

#include <pthread.h>
#include <stdatomic.h>

#include "error.h"

struct publication { // one block
    _Atomic int references;
    struct status_worker w;
    int64_t **counted; // by part and stat: how much of it is in the board's counts
};

struct status_board {
    pthread_mutex_t lock;
    char *app, *instance;
    int64_t started_ms;
    int nworkers;
    struct publication **latest; // by worker, under the lock; NULL: none yet
    struct status_stat *counts;  // under the lock; fields and campaigns owned
    size_t ncounts;
    _Atomic int64_t *progress_ms; // by worker, monotonic; 0: none yet
};

static void unreference(struct publication *p)
{
    if (p && atomic_fetch_sub(&p->references, 1) == 1)
        free(p);
}

struct status_board *status_board_new(const char *app, const char *instance, int nworkers, int64_t now_ms)
{
    struct status_board *b = calloc(1, sizeof(*b));
    if (!b)
        return NULL;
    pthread_mutex_init(&b->lock, NULL);
    b->nworkers = nworkers;
    b->started_ms = now_ms;
    b->app = strdup(app);
    b->instance = strdup(instance);
    b->latest = calloc((size_t)nworkers, sizeof(*b->latest));
    b->progress_ms = calloc((size_t)nworkers, sizeof(*b->progress_ms));
    if (!b->app || !b->instance || !b->latest || !b->progress_ms)
        return status_board_free(b);
    return b;
}

struct status_board *status_board_free(struct status_board *b)
{
    if (!b)
        return NULL;
    for (int i = 0; b->latest && i < b->nworkers; i++)
        unreference(b->latest[i]);
    for (size_t i = 0; i < b->ncounts; i++) {
        free((char *)b->counts[i].field);
        free((char *)b->counts[i].campaign);
    }
    pthread_mutex_destroy(&b->lock);
    free(b->counts);
    free(b->latest);
    free((void *)b->progress_ms);
    free(b->app);
    free(b->instance);
    free(b);
    return NULL;
}

// ---- a copy in one block: the same walk once to measure and once to copy

struct block {
    char *p; // NULL: measuring
    size_t n;
};

static void *put(struct block *b, const void *from, size_t n)
{
    char *to = b->p ? b->p + b->n : NULL;
    if (to && from)
        memcpy(to, from, n);
    b->n += (n + 7) & ~(size_t)7;
    return to;
}

static const char *put_text(struct block *b, const char *text)
{
    return text ? put(b, text, strlen(text) + 1) : NULL;
}

// The part of the worker's former publication, or NULL; *ret_counted is its counted.
static const struct status_part *former(const struct publication *old, const struct status_part *p,
                                        int64_t **ret_counted)
{
    for (size_t i = 0; old && i < old->w.nparts; i++) {
        const struct status_part *o = &old->w.parts[i];
        if (o->partition != p->partition || strcmp(o->topic, p->topic) != 0)
            continue;
        *ret_counted = old->counted[i];
        return o;
    }
    return NULL;
}

static void put_stats(struct block *b, const struct status_part *from, struct status_part *to)
{
    struct status_stat *stats = put(b, from->stats, from->nstats * sizeof(*stats));
    for (size_t i = 0; i < from->nstats; i++) {
        const char *field = put_text(b, from->stats[i].field), *campaign = put_text(b, from->stats[i].campaign);
        if (stats)
            stats[i] = (struct status_stat){field, campaign, from->stats[i].value};
    }
    to->stats = stats;
    to->nstats = from->nstats;
}

static void put_part(struct block *b, const struct publication *old, const struct status_part *p,
                     struct status_part *to, int64_t **ret_counted)
{
    int64_t *counted = NULL;
    const struct status_part none = {0}, *stats = p, *before = former(old, p, &counted);
    if (p->state == PART_TAKING)
        stats = before ? before : &none;
    *to = *p;
    to->topic = put_text(b, p->topic);
    to->owner = put_text(b, p->owner ? p->owner : "");
    to->reason = put_text(b, p->reason ? p->reason : "");
    put_stats(b, stats, to);
    // Whatever a partition brings along was counted by others.
    bool same = before && before->nstats == stats->nstats;
    *ret_counted = put(b, same ? counted : NULL, stats->nstats * sizeof(*counted));
    for (size_t i = 0; *ret_counted && !same && i < stats->nstats; i++)
        (*ret_counted)[i] = stats->stats[i].value;
}

static void put_publication(struct block *b, const struct publication *old, const struct status_worker *w)
{
    struct publication here = {.w = *w}, *p = put(b, NULL, sizeof(*p));
    struct status_part *parts = put(b, NULL, w->nparts * sizeof(*parts));
    here.counted = put(b, NULL, w->nparts * sizeof(*here.counted));
    here.w.parts = parts;
    here.w.trouble = put_text(b, w->trouble ? w->trouble : "");
    for (size_t i = 0; i < w->nparts; i++) {
        struct status_part part;
        int64_t *counted;
        put_part(b, old, &w->parts[i], &part, &counted);
        part.worker = w->worker;
        if (p) {
            parts[i] = part;
            here.counted[i] = counted;
        }
    }
    if (p) {
        p->w = here.w;
        p->counted = here.counted;
        atomic_init(&p->references, 1);
    }
}

// ---- counts

// The stat of that field; `hint` is where it most likely stands.
static struct status_stat *stat_of(struct status_stat *v, size_t n, const char *field, size_t hint)
{
    if (hint < n && strcmp(v[hint].field, field) == 0)
        return &v[hint];
    for (size_t i = 0; i < n; i++)
        if (strcmp(v[i].field, field) == 0)
            return &v[i];
    return NULL;
}

static bool is_stage(const char *field)
{
    struct span model, kind, name;
    return status_field(field, &model, &kind, &name) && kind.n == 5 && memcmp(kind.p, "stage", 5) == 0;
}

// Makes sure that every rule and trigger of the publication has its count.
static int know_counts(struct status_board *b, const struct status_worker *w)
{
    for (size_t i = 0; i < w->nparts; i++) {
        for (size_t k = 0; k < w->parts[i].nstats; k++) {
            const struct status_stat *s = &w->parts[i].stats[k];
            if (is_stage(s->field) || stat_of(b->counts, b->ncounts, s->field, k))
                continue;
            struct status_stat *larger = realloc(b->counts, (b->ncounts + 1) * sizeof(*larger));
            if (!larger)
                return ERR_NOMEM;
            b->counts = larger;
            struct status_stat added = {strdup(s->field), s->campaign ? strdup(s->campaign) : NULL, 0};
            if (!added.field || (s->campaign && !added.campaign)) {
                free((char *)added.field);
                return ERR_NOMEM;
            }
            b->counts[b->ncounts++] = added;
        }
    }
    return 0;
}

// Counts what the stats have risen by. They fall when a partition is taken again from what is stored, and
// rise again in the replay: only a new height counts.
static void count(struct status_board *b, struct publication *p)
{
    for (size_t i = 0; i < p->w.nparts; i++) {
        const struct status_part *part = &p->w.parts[i];
        for (size_t k = 0; k < part->nstats; k++) {
            int64_t *counted = &p->counted[i][k], value = part->stats[k].value;
            struct status_stat *c = stat_of(b->counts, b->ncounts, part->stats[k].field, k);
            if (!c || value <= *counted)
                continue;
            c->value += value - *counted;
            *counted = value;
        }
    }
}

int status_publish(struct status_board *b, const struct status_worker *w)
{
    // Only this worker replaces its publication: the former one can be read without the lock.
    struct publication *old = b->latest[w->worker];
    struct block block = {0};
    put_publication(&block, old, w);
    block = (struct block){.p = calloc(1, block.n)};
    if (!block.p)
        return ERR_NOMEM;
    put_publication(&block, old, w);
    struct publication *p = (struct publication *)(void *)block.p;

    pthread_mutex_lock(&b->lock);
    int k = know_counts(b, &p->w);
    if (k == 0) {
        count(b, p);
        b->latest[w->worker] = p;
    }
    pthread_mutex_unlock(&b->lock);
    unreference(k == 0 ? old : p);
    return k;
}

// ---- taking

struct held {
    int n;
    struct publication *v[];
};

static int compare_parts(const void *a, const void *b)
{
    const struct status_part *x = a, *y = b;
    int c = strcmp(x->topic, y->topic);
    return c ? c : (x->partition > y->partition) - (x->partition < y->partition);
}

static int sum_populations(struct status *s)
{
    size_t room = 0;
    for (size_t i = 0; i < s->nparts; i++)
        room += s->parts[i].nstats;
    s->populations = calloc(room ? room : 1, sizeof(*s->populations));
    if (!s->populations)
        return ERR_NOMEM;
    for (size_t i = 0; i < s->nparts; i++) {
        size_t hint = 0;
        for (size_t k = 0; k < s->parts[i].nstats; k++) {
            const struct status_stat *stat = &s->parts[i].stats[k];
            if (!is_stage(stat->field))
                continue;
            struct status_stat *sum = stat_of(s->populations, s->npopulations, stat->field, hint++);
            if (!sum) {
                sum = &s->populations[s->npopulations++];
                *sum = (struct status_stat){.field = stat->field};
            }
            sum->value += stat->value;
        }
    }
    return 0;
}

static int collect(const struct held *held, struct status *s)
{
    size_t n = 0;
    s->kafka = s->redis = held->n == s->nworkers;
    s->trouble = "";
    for (int i = 0; i < held->n; i++) {
        const struct status_worker *w = &held->v[i]->w;
        n += w->nparts;
        s->kafka &= w->kafka;
        s->redis &= w->redis;
        s->trouble = *s->trouble ? s->trouble : w->trouble;
    }
    s->nreporting = held->n;
    s->parts = calloc(n ? n : 1, sizeof(*s->parts));
    if (!s->parts)
        return ERR_NOMEM;
    for (int i = 0; i < held->n; i++)
        for (size_t k = 0; k < held->v[i]->w.nparts; k++)
            s->parts[s->nparts++] = held->v[i]->w.parts[k];
    qsort(s->parts, s->nparts, sizeof(*s->parts), compare_parts);
    return sum_populations(s);
}

int status_take(struct status_board *b, struct status *ret)
{
    struct status s = {
        .app = b->app, .instance = b->instance, .started_ms = b->started_ms, .nworkers = b->nworkers};
    struct held *held = calloc(1, sizeof(*held) + (size_t)b->nworkers * sizeof(held->v[0]));
    if (!held)
        return ERR_NOMEM;
    s.held = held;
    pthread_mutex_lock(&b->lock);
    for (int i = 0; i < b->nworkers; i++) {
        if (!b->latest[i])
            continue;
        atomic_fetch_add(&b->latest[i]->references, 1);
        held->v[held->n++] = b->latest[i];
    }
    s.counts = calloc(b->ncounts ? b->ncounts : 1, sizeof(*s.counts));
    if (s.counts && b->ncounts > 0)
        memcpy(s.counts, b->counts, b->ncounts * sizeof(*s.counts));
    s.ncounts = b->ncounts;
    pthread_mutex_unlock(&b->lock);
    if (!s.counts || collect(held, &s) != 0) {
        status_clear(&s);
        return ERR_NOMEM;
    }
    *ret = s;
    return 0;
}

void status_clear(struct status *s)
{
    struct held *held = s->held;
    for (int i = 0; held && i < held->n; i++)
        unreference(held->v[i]);
    free(held);
    free(s->parts);
    free(s->populations);
    free(s->counts);
    *s = (struct status){0};
}

// ---- progress

void status_progress(struct status_board *b, int worker, int64_t mono_ms)
{
    atomic_store_explicit(&b->progress_ms[worker], mono_ms, memory_order_relaxed);
}

int status_stalled(struct status_board *b, int64_t mono_ms, int64_t limit_ms)
{
    for (int i = 0; i < b->nworkers; i++) {
        int64_t last = atomic_load_explicit(&b->progress_ms[i], memory_order_relaxed);
        if (last != 0 && mono_ms - last > limit_ms)
            return i;
    }
    return -1;
}

// ---- words

bool status_field(const char *field, struct span *ret_model, struct span *ret_kind, struct span *ret_name)
{
    const char *first = strchr(field, ':'), *second = first ? strchr(first + 1, ':') : NULL;
    if (!second)
        return false;
    *ret_model = (struct span){field, (size_t)(first - field)};
    *ret_kind = (struct span){first + 1, (size_t)(second - first - 1)};
    *ret_name = (struct span){second + 1, strlen(second + 1)};
    return true;
}

const char *status_state_name(enum part_state state)
{
    static const char *const names[] = {[PART_TAKING] = "taking",
                                        [PART_REPLAYING] = "replaying",
                                        [PART_LIVE] = "live",
                                        [PART_HALTED] = "halted"};
    return names[state];
}

int64_t status_lag(const struct status_part *p)
{
    return p->end < 0 ? -1 : p->end > p->offset ? p->end - p->offset : 0;
}

void status_line(const struct status *s, struct buffer *out)
{
    size_t states[PART_HALTED + 1] = {0};
    int64_t lag = 0;
    for (size_t i = 0; i < s->nparts; i++) {
        int64_t behind = status_lag(&s->parts[i]);
        states[s->parts[i].state]++;
        lag += behind > 0 ? behind : 0;
    }
    buffer_printf(out, "%zu partitions", s->nparts);
    for (int i = 0; i <= PART_HALTED; i++)
        if (states[i] > 0 && (i != PART_LIVE || states[i] < s->nparts))
            buffer_printf(out, ", %zu %s", states[i], status_state_name((enum part_state)i));
    buffer_printf(out, "; lag %lld", (long long)lag);
    if (*s->trouble)
        buffer_printf(out, "; %s", s->trouble);
    struct span last = {0};
    for (size_t i = 0; i < s->npopulations; i++) {
        struct span model, kind, name;
        if (!status_field(s->populations[i].field, &model, &kind, &name))
            continue;
        bool same = model.n == last.n && memcmp(model.p, last.p, model.n) == 0;
        if (!same)
            buffer_printf(out, "; %.*s:", (int)model.n, model.p);
        buffer_printf(out, "%s %.*s %lld", same ? "," : "", (int)name.n, name.p, (long long)s->populations[i].value);
        last = model;
    }
}
