// A year of a shop, made up: customers of six kinds, each with a habit of its own of visiting, buying, complaining,
// falling silent and coming back. What the rows below do not say is chance, and chance is seeded: the same seed is
// the same year on every machine. Events are printed in the order in which they reach Kafka: about that of their
// times, but all are a little late, and a few of them, from a phone that was offline, by an hour or so.
#include "shop.h"
#include <string.h>
#include <time.h>

#define YEAR_START INT64_C(1735689600000) // 2025-01-01T00:00:00Z
#define MINUTE INT64_C(60000)
#define HOUR (60 * MINUTE)
#define DAY (24 * HOUR)
#define YEAR_END (YEAR_START + 365 * DAY)

struct range {
    int from, to; // both inclusive
};

static const struct persona {
    const char *name;
    int share;             // of a hundred customers
    struct range gap_days; // between two visits
    int first, again;      // a first purchase, a further one: in a hundred visits
    int most;              // purchases, ever
    int complains;         // in a hundred purchases
    int resolved;          // in a hundred complaints
    int reviews;           // in a hundred purchases
    struct range stars;
    int refers; // in a hundred purchases
    struct range nps;
    struct range stays; // visits before it falls silent; 0: it never does
    int returns;        // in a hundred silences
} personas[] = {
    // name        share  gap      first again most complains resolved reviews stars refers nps   stays    returns
    {"browser",    24,   {2, 12},  0,    0,    0,   0,        0,       0,      {0, 0}, 0,   {0, 0},  {2, 8},   20},
    {"one-time",   21,   {2, 9},   40,   0,    1,   12,       60,      15,     {3, 5}, 2,   {4, 9},  {4, 10},  35},
    {"loyal",      25,   {4, 16},  50,   30,   999, 6,        90,      8,      {3, 4}, 1,   {7, 8},  {0, 0},   0},
    {"advocate",   8,    {3, 11},  60,   35,   999, 4,        95,      30,     {4, 5}, 15,  {8, 10}, {0, 0},   0},
    {"churner",    14,   {3, 12},  50,   35,   999, 10,       40,      8,      {2, 4}, 1,   {5, 8},  {5, 14},  35},
    {"complainer", 8,    {4, 12},  50,   30,   999, 50,       55,      20,     {1, 3}, 0,   {0, 6},  {8, 20},  40},
};

static const char *const names[] = {"ada",  "amir", "anna", "ben",  "bo",   "carla", "chen", "dora", "emil", "eva",
                                    "finn", "gita", "hana", "hugo", "ida",  "ines",  "ivo",  "jan",  "joy",  "kai",
                                    "lea",  "leo",  "lena", "lin",  "mara", "max",   "mia",  "milo", "nina", "noor",
                                    "olga", "omar", "pia",  "ravi", "rosa", "sami",  "tara", "tim",  "vera", "yuki"};

enum type { LOGIN, PAGE_VIEW, PRODUCT_VIEW, SEARCH, EMAIL_CLICK, ADD_TO_CART, PURCHASE, COMPLAINT, SUPPORT_TICKET,
            REFUND, TICKET_RESOLVED, REVIEW, REFERRAL, NPS_RESPONSE };
static const char *const types[] = {"login", "page_view", "product_view", "search", "email_click", "add_to_cart",
                                    "purchase", "complaint", "support_ticket", "refund", "ticket_resolved", "review",
                                    "referral", "nps_response"};

struct event {
    int64_t time, sent; // ms UTC
    uint32_t customer, n;
    int value_cents; // -1: none
    uint8_t type;
};

struct shop {
    struct event *events;
    size_t n, cap;
    uint64_t chance;   // splitmix64's state
    uint32_t customer; // whose life it is
};

static uint64_t next(struct shop *s)
{
    uint64_t x = s->chance += UINT64_C(0x9e3779b97f4a7c15);
    x = (x ^ x >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    x = (x ^ x >> 27) * UINT64_C(0x94d049bb133111eb);
    return x ^ x >> 31;
}

static int64_t within(struct shop *s, int64_t from, int64_t to)
{
    return from + (int64_t)(next(s) % (uint64_t)(to - from + 1));
}

static bool chance(struct shop *s, int percent)
{
    return within(s, 1, 100) <= percent;
}

static int pick(struct shop *s, struct range r)
{
    return (int)within(s, r.from, r.to);
}

static void add(struct shop *s, enum type type, int64_t time, int value_cents)
{
    if (time >= YEAR_END)
        return;
    int64_t late = within(s, 0, 2000); // on its way; and one in two hundred was offline
    if (within(s, 1, 200) == 1)
        late += within(s, MINUTE, 90 * MINUTE);
    s->events = grow(s->events, s->n, &s->cap, sizeof *s->events);
    s->events[s->n] = (struct event){.time = time, .sent = time + late, .customer = s->customer,
                                     .n = (uint32_t)s->n, .value_cents = value_cents, .type = type};
    s->n++;
}

// ---- one customer's life

static void complain(struct shop *s, const struct persona *p, int64_t t)
{
    t += within(s, 1, 6) * DAY;
    add(s, COMPLAINT + (enum type)within(s, 0, 2), t, -1);
    if (chance(s, 40))
        add(s, SUPPORT_TICKET, t += within(s, 1, 9) * DAY, -1);
    if (chance(s, p->resolved))
        add(s, TICKET_RESOLVED, t + within(s, 6 * HOUR, 10 * DAY), -1);
}

static void buy(struct shop *s, const struct persona *p, int64_t t)
{
    add(s, PURCHASE, t, (int)within(s, 8, 120) * 100 + 90);
    if (chance(s, p->complains))
        complain(s, p, t);
    if (chance(s, p->reviews))
        add(s, REVIEW, t + within(s, 5 * DAY, 20 * DAY), pick(s, p->stars) * 100);
    if (chance(s, p->refers))
        add(s, REFERRAL, t + within(s, 3 * DAY, 30 * DAY), -1);
}

// Some looking around, perhaps a basket, perhaps a purchase. Returns how many were bought.
static int visit(struct shop *s, const struct persona *p, int64_t t, int bought)
{
    if (chance(s, 20))
        add(s, EMAIL_CLICK, t, -1);
    if (bought && chance(s, 50))
        add(s, LOGIN, t += within(s, 1000, MINUTE), -1);
    for (int64_t views = within(s, 1, 3); views > 0; views--)
        add(s, PAGE_VIEW + (enum type)within(s, 0, 2), t += within(s, 2000, 4 * MINUTE), -1);
    bool buys = bought < p->most && chance(s, bought ? p->again : p->first);
    if (buys || chance(s, 10))
        add(s, ADD_TO_CART, t += within(s, 2000, 4 * MINUTE), -1);
    if (buys)
        buy(s, p, t + within(s, MINUTE, 10 * MINUTE));
    return buys;
}

// Some time of that day when people are awake.
static int64_t daytime(struct shop *s, int64_t t)
{
    return t / DAY * DAY + within(s, 7 * HOUR, 22 * HOUR);
}

static void live(struct shop *s, const struct persona *p)
{
    int64_t t = daytime(s, YEAR_START + within(s, 0, p->stays.to ? 330 : 200) * DAY), asked = t;
    int bought = 0, stays = pick(s, p->stays);
    for (int visits = 1; t < YEAR_END; visits++) {
        bought += visit(s, p, t, bought);
        if (bought && t - asked > 60 * DAY && chance(s, 25)) { // would you recommend us?
            add(s, NPS_RESPONSE, t + within(s, HOUR, 2 * DAY), pick(s, p->nps) * 100);
            asked = t;
        }
        t += pick(s, p->gap_days) * DAY;
        if (stays && visits == stays) {
            if (!chance(s, p->returns))
                return;
            t += within(s, 40, 170) * DAY;
            visits = 0;
        }
        t = daytime(s, t);
    }
}

// ---- all of them

static const struct persona *persona_of(struct shop *s)
{
    int64_t at = within(s, 1, 100);
    const struct persona *p = personas;
    while (at > p->share)
        at -= p++->share;
    return p;
}

static int as_sent(const void *a, const void *b)
{
    const struct event *x = a, *y = b;
    return x->sent != y->sent ? (x->sent > y->sent) - (x->sent < y->sent) : (x->n > y->n) - (x->n < y->n);
}

static void print_event(const struct event *e, size_t n, const uint8_t *name_of)
{
    char time[24];
    time_t seconds = (time_t)(e->time / 1000);
    struct tm tm;
    strftime(time, sizeof time, "%Y-%m-%dT%H:%M:%S", gmtime_r(&seconds, &tm));
    printf("{\"customer\":\"%s-%04" PRIu32 "\",\"type\":\"%s\",\"time\":\"%s.%03dZ\",\"id\":\"e-%zu\"",
           names[name_of[e->customer]], e->customer + 1, types[e->type], time, (int)(e->time % 1000), n);
    if (e->value_cents >= 0)
        printf(",\"value\":%d.%02d", e->value_cents / 100, e->value_cents % 100);
    puts("}");
}

int shop_generate(char **args)
{
    uint32_t customers = (uint32_t)strtoul(args[0], NULL, 10);
    struct shop s = {.chance = strtoull(args[1], NULL, 10)};
    uint8_t *name_of = malloc(customers + 1);
    if (!name_of)
        fail("out of memory");
    for (s.customer = 0; s.customer < customers; s.customer++) {
        name_of[s.customer] = (uint8_t)within(&s, 0, sizeof names / sizeof *names - 1);
        live(&s, persona_of(&s));
    }
    qsort(s.events, s.n, sizeof *s.events, as_sent);
    for (size_t i = 0; i < s.n; i++)
        print_event(&s.events[i], i + 1, name_of);
    if (fflush(stdout) || ferror(stdout))
        fail("the events cannot be written");
    return 0;
}
