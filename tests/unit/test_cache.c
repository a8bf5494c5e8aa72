// The cache against a slow twin: after thousands of random adds, touches, deadlines, flushes and evictions both hold
// the same customers, and the earliest deadline is never missed.
#include "cache.h"
#include "load.h"

#include <check.h>

enum { IDS = 300, STEPS = 20000 };

static uint64_t seed = 1;

static uint64_t chance(uint64_t n) // xorshift
{
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return seed % n;
}

struct twin { // what must be in the cache
    struct entry *e;
    int64_t due;
    bool dirty;
};

static struct entry *find(const struct cache *k, int id)
{
    char text[16];
    size_t n = (size_t)snprintf(text, sizeof text, "c-%d", id);
    return cache_find(k, cache_hash((struct span){text, n}), 0, (struct span){text, n});
}

static struct entry *add(struct cache *k, const struct model *m, int id)
{
    char text[16];
    size_t n = (size_t)snprintf(text, sizeof text, "c-%d", id);
    struct entry *e = cache_add(k, m, cache_hash((struct span){text, n}), 0, (struct span){text, n});
    ck_assert_ptr_nonnull(e);
    customer_create(m, e->c, 0);
    e->state = ENTRY_KNOWN;
    return e;
}

static void check_same(struct cache *k, struct twin *twins)
{
    size_t n = 0, dirty = 0;
    int64_t earliest = NEVER;
    for (int i = 0; i < IDS; i++) {
        struct entry *e = find(k, i);
        if (!e) {
            ck_assert_msg(!twins[i].dirty, "an unflushed customer was evicted");
            twins[i].e = NULL;
            continue;
        }
        ck_assert_ptr_eq(e, twins[i].e);
        n++;
        dirty += e->dirty_at >= 0;
        ck_assert_int_eq(e->dirty_at >= 0, twins[i].dirty);
        earliest = e->c->due < earliest ? e->c->due : earliest;
    }
    ck_assert_uint_eq(n, k->n);
    ck_assert_uint_eq(dirty, k->ndirty);
    ck_assert(cache_next(k) <= earliest);
}

static void evict(struct cache *k, const struct model *const *m, const struct twin *twins, int64_t spared)
{
    bool stays[IDS];
    for (int i = 0; i < IDS; i++)
        stays[i] = find(k, i) && twins[i].e->c->due < spared;
    cache_evict(k, m, k->bytes / 2, spared);
    for (int i = 0; i < IDS; i++)
        ck_assert(!stays[i] || find(k, i));
}

static void one_step(struct cache *k, const struct model *m, struct twin *twins)
{
    int id = (int)chance(IDS);
    struct twin *t = &twins[id];
    switch (chance(8)) {
    case 0:
    case 1:
    case 2:
        if (!find(k, id))
            t->e = add(k, m, id);
        break;
    case 3:
    case 4:
    case 5:
        if (find(k, id)) {
            t->e->c->due = chance(4) ? (int64_t)chance(1000) : NEVER;
            ck_assert_int_eq(cache_touch(k, t->e), 0);
            t->dirty = true;
        }
        break;
    case 6: {
        int64_t before = (int64_t)chance(1000), earliest = NEVER;
        for (int i = 0; i < IDS; i++)
            if (find(k, i) && twins[i].e->heap_at >= 0 && twins[i].e->c->due < earliest)
                earliest = twins[i].e->c->due;
        struct entry *e = cache_due(k, before);
        ck_assert(e ? e->c->due < before && e->c->due == earliest : earliest >= before);
        break;
    }
    default:
        if (chance(20) == 0) {
            cache_flushed(k);
            for (int i = 0; i < IDS; i++)
                twins[i].dirty = false;
        } else if (chance(20) == 0) {
            evict(k, &m, twins, chance(2) ? INT64_MIN : (int64_t)chance(1000));
        }
    }
}

START_TEST(test_random)
{
    char *found = NULL;
    struct model *m = load("model: m\nversion: 1\nsignals: {a: [a]}\nstages: {one: {}, two: {}}\n"
                           "transitions: [{name: r, from: one, to: two, when: a}]\n",
                           &found);
    ck_assert_msg(m != NULL, "%s", found);
    struct cache k = {0};
    struct twin twins[IDS] = {0};
    for (int i = 0; i < STEPS; i++) {
        one_step(&k, m, twins);
        if (i % 50 == 0)
            check_same(&k, twins);
    }
    cache_clear(&k);
    model_free(m);
    free(found);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("cache");
    TCase *t = tcase_create("cache");
    tcase_add_test(t, test_random);
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_ENV);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed != 0;
}
