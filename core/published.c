// Records are known by their headers alone, so that a new form of the body never halts a replay. Keys are 128-bit
// hashes of the ids; the texts are kept for messages and for the check at the replay's end.
#include "published.h"
#include "error.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

struct headers { // of one of our records
    struct span id, app, partition, offset, clock, digest, kind;
};

static bool span_is(struct span s, const char *text)
{
    return s.n == strlen(text) && !memcmp(s.p, text, s.n);
}

static struct headers headers_of(const struct record *r)
{
    static const struct {
        const char *name;
        size_t at;
    } known[] = {
        {"engaged-id", offsetof(struct headers, id)},
        {"engaged-app", offsetof(struct headers, app)},
        {"engaged-partition", offsetof(struct headers, partition)},
        {"engaged-offset", offsetof(struct headers, offset)},
        {"engaged-clock", offsetof(struct headers, clock)},
        {"engaged-digest", offsetof(struct headers, digest)},
        {"engaged-kind", offsetof(struct headers, kind)},
    };
    struct headers h = {0};
    for (size_t i = 0; i < r->nheaders; i++)
        for (size_t k = 0; k < sizeof known / sizeof *known; k++)
            if (span_is(r->headers[i].name, known[k].name))
                *(struct span *)((char *)&h + known[k].at) = r->headers[i].value;
    return h;
}

static int number_of(struct span s, int64_t *ret)
{
    char text[24], *end;
    if (!s.p || s.n == 0 || s.n >= sizeof text)
        return 1;
    memcpy(text, s.p, s.n);
    text[s.n] = '\0';
    long long v = strtoll(text, &end, 10);
    if (*end)
        return 1;
    *ret = v;
    return 0;
}

static void key_of(struct span s, uint64_t key[2])
{
    XXH128_hash_t h = XXH3_128bits(s.p, s.n);
    key[0] = h.low64;
    key[1] = h.high64;
}

// Room for one more in a growing array. 0, or negative.
static int room(void **v, size_t *cap, size_t n, size_t size)
{
    if (n < *cap)
        return 0;
    size_t to = *cap ? *cap * 2 : 64;
    void *p = realloc(*v, to * size);
    if (!p)
        return ERR_NOMEM;
    *v = p;
    *cap = to;
    return 0;
}

// ---- ids

static uint32_t *index_slot(const struct published *p, const uint64_t key[2])
{
    for (size_t i = key[0] & p->mask;; i = (i + 1) & p->mask)
        if (!p->index[i] || !memcmp(p->v[p->index[i] - 1].key, key, sizeof p->v->key))
            return &p->index[i];
}

static int index_grow(struct published *p)
{
    size_t size = p->index ? (p->mask + 1) * 2 : 256;
    uint32_t *index = calloc(size, sizeof *index);
    if (!index)
        return ERR_NOMEM;
    free(p->index);
    p->index = index;
    p->mask = size - 1;
    for (size_t i = 0; i < p->n; i++)
        *index_slot(p, p->v[i].key) = (uint32_t)i + 1;
    return 0;
}

static struct stem *stem_slot(const struct published *p, const uint64_t key[2])
{
    for (size_t i = key[0] & p->stems_mask;; i = (i + 1) & p->stems_mask)
        if (!p->stems[i].used || !memcmp(p->stems[i].key, key, sizeof p->stems->key))
            return &p->stems[i];
}

static int stem_note(struct published *p, struct span text, uint32_t ordinal)
{
    if (!p->stems || (p->nstems + 1) * 2 > p->stems_mask + 1) {
        struct published old = *p;
        size_t size = p->stems ? (p->stems_mask + 1) * 2 : 256;
        p->stems = calloc(size, sizeof *p->stems);
        if (!p->stems)
            return p->stems = old.stems, ERR_NOMEM;
        p->stems_mask = size - 1;
        for (size_t i = 0; old.stems && i <= old.stems_mask; i++)
            if (old.stems[i].used)
                *stem_slot(p, old.stems[i].key) = old.stems[i];
        free(old.stems);
    }
    uint64_t key[2];
    key_of(text, key);
    struct stem *s = stem_slot(p, key);
    if (!s->used) {
        *s = (struct stem){.key = {key[0], key[1]}, .ordinal = ordinal, .used = true};
        p->nstems++;
    }
    if (ordinal > s->ordinal)
        s->ordinal = ordinal;
    return 0;
}

static int add_id(struct published *p, const struct headers *h, bool dead_letter, int64_t ordinal, size_t stem_bytes)
{
    if (room((void **)&p->v, &p->cap, p->n, sizeof *p->v) ||
        ((!p->index || (p->n + 1) * 2 > p->mask + 1) && index_grow(p)))
        return ERR_NOMEM;
    struct published_id id = {.dead_letter = dead_letter,
                              .ordinal = (uint32_t)ordinal,
                              .text = p->ntexts,
                              .text_bytes = (uint32_t)h->id.n,
                              .stem_bytes = (uint32_t)stem_bytes};
    key_of(h->id, id.key);
    uint32_t *slot = index_slot(p, id.key);
    if (*slot)
        return 0; // the same output twice: at-least-once, or a zombie's
    while (p->texts_cap - p->ntexts < h->id.n)
        if (room((void **)&p->texts, &p->texts_cap, p->texts_cap, 1))
            return ERR_NOMEM;
    memcpy(p->texts + p->ntexts, h->id.p, h->id.n);
    p->ntexts += h->id.n;
    if (h->digest.n == sizeof id.digest - 1)
        memcpy(id.digest, h->digest.p, h->digest.n);
    p->v[p->n++] = id;
    p->left++;
    *slot = (uint32_t)p->n;
    return dead_letter ? 0 : stem_note(p, (struct span){h->id.p, stem_bytes}, (uint32_t)ordinal);
}

static int add_advance(struct published *p, int64_t offset, int64_t clock)
{
    if (p->nadvances && p->advances[p->nadvances - 1].offset == offset && p->advances[p->nadvances - 1].clock == clock)
        return 0;
    if (room((void **)&p->advances, &p->advances_cap, p->nadvances, sizeof *p->advances))
        return ERR_NOMEM;
    p->advances[p->nadvances++] = (struct decision){.offset = offset, .clock = clock};
    return 0;
}

static int add_rejected(struct published *p, int64_t offset)
{
    if (room((void **)&p->rejected, &p->rejected_cap, p->nrejected, sizeof *p->rejected))
        return ERR_NOMEM;
    p->rejected[p->nrejected++] = offset;
    return 0;
}

static int add_switch(struct published *p, struct span program, int64_t offset, int64_t clock)
{
    struct era *last = p->neras ? &p->eras[p->neras - 1] : NULL;
    if (!last || last->offset != offset || last->clock != clock) { // else the last one did nothing
        if (room((void **)&p->eras, &p->eras_cap, p->neras, sizeof *p->eras))
            return ERR_NOMEM;
        last = &p->eras[p->neras++];
        *last = (struct era){.offset = offset, .clock = clock};
    }
    memcpy(last->program, program.p, program.n);
    return 0;
}

int published_add(struct published *p, const char *app, const struct part_key *part, bool journal, bool exactly_once,
                  const struct record *r)
{
    struct headers h = headers_of(r);
    char name[300];
    snprintf(name, sizeof name, "%s/%d", part->topic, part->partition);
    if (!h.app.p || !span_is(h.app, app) || !h.partition.p || !span_is(h.partition, name))
        return 0; // somebody else's record in a shared topic
    int64_t offset, clock = INT64_MIN;
    if (number_of(h.offset, &offset) || (h.clock.n && number_of(h.clock, &clock)) || !h.kind.p)
        return 1;
    if (!p->any)
        p->offset = p->clock = INT64_MIN, p->start = -1;
    p->any = true;
    p->offset = offset > p->offset ? offset : p->offset;
    p->clock = clock > p->clock ? clock : p->clock;
    bool dead = span_is(h.kind, "dead-letter"), is_switch = span_is(h.kind, "switch");
    if (span_is(h.kind, "reject") || dead) {
        int64_t at = offset - 1; // the event itself; `offset` is the next one
        if ((!dead || (h.digest.p && span_is(h.digest, "future"))) && add_rejected(p, at))
            return ERR_NOMEM;
    }
    p->started |= span_is(h.kind, "start") || is_switch;
    if (span_is(h.kind, "start"))
        p->start = offset;
    if (is_switch && h.digest.n == sizeof p->eras->program - 1 && add_switch(p, h.digest, offset, clock))
        return ERR_NOMEM;
    if (clock != INT64_MIN && (journal || exactly_once) && add_advance(p, offset, clock))
        return ERR_NOMEM;
    if (journal)
        return 0;
    if (!h.id.p || h.id.n == 0)
        return 1;
    if (dead)
        return add_id(p, &h, true, 0, 0);
    size_t stem = h.id.n;
    while (stem > 0 && h.id.p[stem - 1] != ':')
        stem--;
    int64_t ordinal;
    if (stem < 2 || number_of((struct span){h.id.p + stem, h.id.n - stem}, &ordinal) || ordinal < 1 ||
        ordinal > UINT32_MAX)
        return 1;
    return add_id(p, &h, false, ordinal, stem - 1);
}

static int by_offset(const void *a, const void *b)
{
    const struct decision *x = a, *y = b;
    return x->offset != y->offset ? (x->offset > y->offset) - (x->offset < y->offset)
                                  : (x->clock > y->clock) - (x->clock < y->clock);
}

static int by_value(const void *a, const void *b)
{
    const int64_t *x = a, *y = b;
    return (*x > *y) - (*x < *y);
}

void published_sort(struct published *p)
{
    if (p->nadvances)
        qsort(p->advances, p->nadvances, sizeof *p->advances, by_offset);
    if (p->nrejected)
        qsort(p->rejected, p->nrejected, sizeof *p->rejected, by_value);
}

struct published_id *published_find(struct published *p, struct span id)
{
    if (p->n == 0)
        return NULL;
    uint64_t key[2];
    key_of(id, key);
    uint32_t at = *index_slot(p, key);
    return at ? &p->v[at - 1] : NULL;
}

bool published_later(const struct published *p, struct span id, uint32_t ordinal)
{
    if (p->nstems == 0)
        return false;
    while (id.n > 0 && id.p[id.n - 1] != ':')
        id.n--;
    uint64_t key[2];
    key_of((struct span){id.p, id.n ? id.n - 1 : 0}, key);
    const struct stem *s = stem_slot(p, key);
    return s->used && s->ordinal > ordinal;
}

bool published_rejects(const struct published *p, int64_t offset)
{
    return p->nrejected && bsearch(&offset, p->rejected, p->nrejected, sizeof *p->rejected, by_value);
}

void published_clear(struct published *p)
{
    free(p->v);
    free(p->index);
    free(p->stems);
    free(p->texts);
    free(p->advances);
    free(p->rejected);
    free(p->eras);
    *p = (struct published){.offset = INT64_MIN, .clock = INT64_MIN, .start = -1};
}
