// What a model compiles to: the tables for the default model of six stages, matching of events, programs, and
// the models that are shipped.
#include "load.h"

#include <check.h>
#include <dirent.h>
#include <xxhash.h>

static const char lifecycle[] =
    "model: lifecycle\n"
    "version: 1\n"
    "signals:\n"
    "  engagement: [page_view, product_view, login, Product Viewed]\n"
    "  purchase:   {events: [purchase, Order Completed], value: true}\n"
    "  complaint:  {events: [support_ticket, complaint]}\n"
    "  resolution: ticket_resolved\n"
    "  referral:   [referral]\n"
    "  nps:        {events: [nps_response], value: true}\n"
    "  vip_login:  {events: [login], where: {plan: vip}}\n"
    "report: [count(purchase), sum(purchase), score]\n"
    "score:\n"
    "  half_life: 30d\n"
    "  potential: 40\n"
    "  weights: {engagement: 1, purchase: 10, referral: 8, complaint: -5.5}\n"
    "stages:\n"
    "  prospect: {owner: acquisition, channels: [web, ads], objective: {name: first-purchase, reach: "
    "first-time-buyer, within: 30d}}\n"
    "  first-time-buyer: {channels: email, objective: {name: second-purchase, when: purchase}}\n"
    "  active: {owner: retention}\n"
    "  at-risk: {owner: care, channels: [phone, email]}\n"
    "  lapsed:\n"
    "  advocate: {purpose: p, message: m, needs: [n, o], kpis: [k]}\n"
    "transitions:\n"
    "  - {name: first-purchase, from: prospect, to: first-time-buyer, when: purchase}\n"
    "  - {name: second-purchase, from: first-time-buyer, to: active, when: purchase}\n"
    "  - {name: recovered, from: at-risk, to: active, when: [purchase, resolution]}\n"
    "  - {name: win-back, from: lapsed, to: active, when: purchase}\n"
    "  - {name: complaints, from: [first-time-buyer, active, advocate], to: at-risk, when: complaint, if: "
    "\"count(complaint, 30d) >= 2\"}\n"
    "  - {name: advocacy, from: active, to: advocate, when: [referral, nps], if: \"count(purchase) >= 3 and "
    "(count(referral) >= 1 or value(nps) >= 9)\"}\n"
    "  - {name: gone-quiet, from: [first-time-buyer, active, advocate], to: at-risk, quiet: 45d}\n"
    "  - {name: no-repurchase, from: [first-time-buyer, active], to: at-risk, after: 30d, quiet: {of: "
    "resolution, for: 9d}, if: \"gap(purchase) >= 120d\"}\n"
    "  - {name: lapse, from: at-risk, to: lapsed, after: 60d}\n"
    "triggers:\n"
    "  - {name: welcome, campaign: onboarding, enter: first-time-buyer, channels: [app], content: how-to, "
    "touch: "
    "none}\n"
    "  - {name: day-7, campaign: onboarding, in: first-time-buyer, after: 7d, unless: \"count(purchase, "
    "stage) >= "
    "1\"}\n"
    "  - {name: day-30, campaign: onboarding, in: first-time-buyer, after: 30d, once: ever}\n"
    "  - {name: quiet, campaign: reactivation, in: active, quiet: 21d, once: spell}\n"
    "  - {name: seen, campaign: reactivation, in: active, when: [engagement, vip_login]}\n"
    "  - {name: at-risk, campaign: reactivation, exit: active, to: at-risk, once: ever}\n"
    "caps:\n"
    "  reactivation: {max: 2, per: 14d}\n"
    "  all: {max: 4, per: 30d}\n"
    "migrate: {dormant: lapsed}\n";

enum { ENGAGEMENT, PURCHASE, COMPLAINT, RESOLUTION, REFERRAL, NPS, VIP_LOGIN };
enum { PROSPECT, FIRST, ACTIVE, AT_RISK, LAPSED, ADVOCATE };

#define SET(i) (UINT64_C(1) << (i))
#define DAYS(n) ((n) * MS_PER_DAY)

static struct model *good(const char *text)
{
    _cleanup_free_ char *found = NULL;
    struct model *m = load(text, &found);
    ck_assert_str_eq(found, "");
    return m;
}

// ---- facts

// Takes the slot out of the set of those that nothing has claimed yet.
static void claim(const struct model *m, uint8_t *kinds, int slot, enum slot_kind kind, int items)
{
    if (slot == NONE)
        return;
    ck_assert_int_le(slot + 1 + items, m->nslots);
    ck_assert_int_eq(kinds[slot], kind);
    kinds[slot] = 0xff;
    for (int i = slot + 1; i <= slot + items; i++) {
        ck_assert_int_eq(kinds[i], SLOT_RECENT_ITEM);
        kinds[i] = 0xff;
    }
}

// Every slot belongs to exactly one fact, and is of that fact's kind.
static void check_slots(const struct model *m)
{
    _cleanup_free_ uint8_t *kinds = malloc((size_t)m->nslots);
    memcpy(kinds, m->slot_kinds, (size_t)m->nslots);
    for (int i = 0; i < m->nstages; i++)
        claim(m, kinds, m->visits + i, SLOT_COUNT, 0);
    for (int i = 0; i < m->nsignals; i++) {
        const struct signal_slots *s = &m->signals[i].slots;
        claim(m, kinds, s->count, SLOT_COUNT, 0);
        claim(m, kinds, s->count_visit, SLOT_COUNT, 0);
        claim(m, kinds, s->sum, SLOT_VALUE, 0);
        claim(m, kinds, s->nvalues, SLOT_COUNT, 0);
        claim(m, kinds, s->value, SLOT_VALUE, 0);
        claim(m, kinds, s->value_at, SLOT_TIME, 0);
        claim(m, kinds, s->last, SLOT_TIME, 0);
        claim(m, kinds, s->previous, SLOT_TIME, 0);
        claim(m, kinds, s->recent, SLOT_RECENT, s->recent_max);
    }
    for (int i = 0; i < m->ncaps; i++)
        claim(m, kinds, m->caps[i].recent, SLOT_RECENT, m->caps[i].max);
    for (int i = 0; i < m->nslots; i++)
        ck_assert_msg(kinds[i] == 0xff, "slot %d belongs to nothing", i);
}

// Which facts of a signal are kept, as letters: Count, Visit, Sum, Nvalues, vAlue, Last, Previous, Recent.
static const char *kept(const struct model *m, int signal)
{
    static char text[16];
    const struct signal_slots *s = &m->signals[signal].slots;
    snprintf(text, sizeof(text), "%s%s%s%s%s%s%s%s%s", s->count == NONE ? "" : "C", s->count_visit == NONE ? "" : "V",
             s->sum == NONE ? "" : "S", s->nvalues == NONE ? "" : "N", s->value == NONE ? "" : "A",
             s->value_at == NONE ? "" : "a", s->last == NONE ? "" : "L", s->previous == NONE ? "" : "P",
             s->recent == NONE ? "" : "R");
    return text;
}

START_TEST(keeps_what_is_used)
{
    struct model *m = good(lifecycle);
    check_slots(m);
    ck_assert_str_eq(kept(m, ENGAGEMENT), "");
    ck_assert_str_eq(kept(m, PURCHASE), "CVSLP");
    ck_assert_str_eq(kept(m, COMPLAINT), "R");
    ck_assert_str_eq(kept(m, RESOLUTION), "L");
    ck_assert_str_eq(kept(m, REFERRAL), "C");
    ck_assert_str_eq(kept(m, NPS), "Aa");
    ck_assert_str_eq(kept(m, VIP_LOGIN), "");
    ck_assert_int_eq(m->signals[COMPLAINT].slots.recent_max, 2);
    ck_assert_int_eq(m->nslots, 6 + 5 + 3 + 1 + 1 + 2 + 3 + 5);
    ck_assert_int_eq(m->nwindows, 1);
    ck_assert_int_eq(m->windows[0].signal, COMPLAINT);
    ck_assert_int_eq(m->windows[0].window_ms, DAYS(30));
    ck_assert(m->has_score && m->half_life_ms == (double)DAYS(30) && m->potential == 40);
    ck_assert(m->signals[COMPLAINT].weight == -5.5 && m->signals[REFERRAL].weight == 8 && m->signals[NPS].weight == 0);
    model_free(m);
}
END_TEST

static const struct {
    const char *report, *expr, *kept;
} uses[] = {
    {"[count(s)]", "age > 1d", "C"},
    {"[sum(s)]", "age > 1d", "S"},
    {"[mean(s)]", "age > 1d", "SN"},
    {"[value(s)]", "age > 1d", "Aa"},
    {"[since(s)]", "age > 1d", "L"},
    {"['count(s, 3d)']", "count(s, 3d) > 1", "R"},
    {"since(s)", "count(s, stage) > 1", "VL"},
    {"[]", "trend(s, 3d) > 1", "R"},
    {"", "mean(s) > 1 or gap(s) > 1d", "SNLP"},
    {"[]", "score > 1", ""},
};

START_TEST(keeps_what_is_reported)
{
    _cleanup_(buffer_clear) struct buffer text = {0};
    buffer_printf(&text,
                  "model: m\nversion: 1\nsignals: {s: {events: [e], value: true}}\nstages: {a: , b: }\n"
                  "score: {half_life: 1h, potential: 1, weights: {s: 1}}\nreport: %s\n"
                  "transitions: [{name: x, from: a, to: b, if: '%s'}]\n",
                  uses[_i].report, uses[_i].expr);
    buffer_byte(&text, 0);
    struct model *m = good(text.p);
    check_slots(m);
    ck_assert_str_eq(kept(m, 0), uses[_i].kept);
    ck_assert_int_eq(m->has_score, strstr(uses[_i].expr, "score") != NULL);
    model_free(m);
}
END_TEST

// ---- stages, rules, triggers

static void check_list(const int16_t *v, int n, const char *wanted)
{
    char text[64] = "";
    for (int i = 0; i < n; i++)
        snprintf(text + strlen(text), sizeof(text) - strlen(text), "%d ", v[i]);
    ck_assert_str_eq(text, wanted);
}

START_TEST(stages_and_lists)
{
    struct model *m = good(lifecycle);
    ck_assert_str_eq(m->name, "lifecycle");
    ck_assert_int_eq(m->version, 1);
    ck_assert(m->nsignals == 7 && m->nstages == 6 && m->nrules == 9 && m->ntriggers == 6 && m->ncaps == 2);
    const struct stage *s = m->stages;
    ck_assert(s[PROSPECT].objective.reach == FIRST && s[PROSPECT].objective.within_ms == DAYS(30));
    ck_assert(s[FIRST].objective.when == SET(PURCHASE) && s[FIRST].objective.reach == NONE);
    ck_assert(s[FIRST].objective.within_ms == NEVER && !s[ACTIVE].objective.name);
    ck_assert_str_eq(s[FIRST].objective.name, "second-purchase");
    ck_assert_str_eq(s[PROSPECT].owner, "acquisition");
    ck_assert(s[PROSPECT].channels.n == 2 && s[FIRST].channels.n == 1 && s[ADVOCATE].needs.n == 2);
    ck_assert_str_eq(s[ADVOCATE].needs.v[1], "o");
    check_list(s[FIRST].event_rules, s[FIRST].nevent_rules, "1 4 ");
    check_list(s[FIRST].deadline_rules, s[FIRST].ndeadline_rules, "6 7 ");
    check_list(s[AT_RISK].deadline_rules, s[AT_RISK].ndeadline_rules, "8 ");
    check_list(s[FIRST].deadline_triggers, s[FIRST].ndeadline_triggers, "1 2 ");
    check_list(s[FIRST].event_triggers, s[FIRST].nevent_triggers, "");
    check_list(s[ACTIVE].event_triggers, s[ACTIVE].nevent_triggers, "4 ");
    check_list(s[ACTIVE].spell_triggers, s[ACTIVE].nspell_triggers, "3 ");
    ck_assert_int_eq(model_stage(m, "lapsed--", 6), LAPSED);
    ck_assert_int_eq(model_stage(m, "lapse", 5), NONE);
    ck_assert_int_eq(model_signal(m, "nps", 3), NPS);
    ck_assert(m->nmigrations == 1 && m->migrations[0].to == LAPSED && !m->rests);
    ck_assert_str_eq(m->migrations[0].from, "dormant");
    model_free(m);
}
END_TEST

START_TEST(rules_and_triggers)
{
    struct model *m = good(lifecycle);
    const struct rule *r = m->rules;
    ck_assert(r[4].from == (SET(FIRST) | SET(ACTIVE) | SET(ADVOCATE)) && r[4].to == AT_RISK);
    ck_assert(r[2].on.when == (SET(PURCHASE) | SET(RESOLUTION)) && r[2].on.quiet_ms == NONE && r[2].on.expr == NONE);
    ck_assert(r[6].on.quiet_ms == DAYS(45) && r[6].on.quiet_of == NONE && r[6].on.when == 0);
    ck_assert(r[7].on.quiet_ms == DAYS(9) && r[7].on.quiet_of == RESOLUTION && r[7].on.after_ms == DAYS(30));
    ck_assert(r[8].line == 32 && r[8].column == 5);
    const struct trigger *t = m->triggers;
    ck_assert(t[0].kind == TRIGGER_ENTER && t[0].stage == FIRST && t[0].other == NONE && t[0].bit == NONE);
    ck_assert_str_eq(t[0].channels.v[0], "app");
    ck_assert_str_eq(t[0].content, "how-to");
    ck_assert_str_eq(t[0].touch, "none");
    ck_assert(t[1].kind == TRIGGER_IN && t[1].bit == 0 && t[1].unless != NONE && t[1].cap == NONE);
    ck_assert_str_eq(t[1].channels.v[0], "email");
    ck_assert(t[2].once == ONCE_EVER && t[2].bit == 0 && t[5].once == ONCE_EVER && t[5].bit == 1);
    ck_assert(t[3].once == ONCE_SPELL && t[3].bit == 0 && t[3].cap == 0 && t[3].on.quiet_ms == DAYS(21));
    ck_assert(t[4].bit == 1 && t[4].on.when == (SET(ENGAGEMENT) | SET(VIP_LOGIN)));
    ck_assert(t[5].kind == TRIGGER_EXIT && t[5].stage == ACTIVE && t[5].other == AT_RISK);
    ck_assert(m->cap_all == 1 && m->caps[0].max == 2 && m->caps[0].per_ms == DAYS(14) && !m->caps[1].campaign);
    ck_assert_str_eq(m->caps[0].campaign, "reactivation");
    model_free(m);
}
END_TEST

START_TEST(keeps_its_text)
{
    struct model *m = good(lifecycle), *other = good("model: m\nversion: 2\nsignals: {s: e}\nstages: {a: }");
    char digest[17];
    snprintf(digest, sizeof(digest), "%016llx", (unsigned long long)XXH3_64bits(lifecycle, strlen(lifecycle)));
    ck_assert_str_eq(m->digest, digest);
    ck_assert_str_ne(other->digest, digest);
    ck_assert_uint_eq(m->text_bytes, strlen(lifecycle));
    ck_assert_mem_eq(m->text, lifecycle, m->text_bytes);
    ck_assert_str_eq(m->file, "m.yaml");
    ck_assert(other->nrules == 0 && other->nslots == 1 && !other->has_score && other->cap_all == NONE);
    model_free(other);
    model_free(m);
}
END_TEST

// ---- matching, and programs

static const char shop[] = "model: shop\nversion: 1\nstages: {a: }\nsignals:\n"
                           "  any: [login, 'on', Größe]\n"
                           "  vip: {events: [login], where: {plan: [vip, gold], n: 5.10}}\n"
                           "  text: {events: [login], where: {n: '5.1'}}\n"
                           "  yes: {events: [login], where: {flag: true}}\n"
                           "  no: {events: login, where: {flag: [false, 'true']}}\n";

static const struct {
    const char *type;
    struct scalar plan, n, flag;
    uint64_t wanted;
} events[] = {
#define STRING(s)                                                                                            \
    {                                                                                                        \
        .kind = SCALAR_STRING, .text = { s, sizeof(s) - 1 }                                                  \
    }
#define NUMBER(m)                                                                                            \
    {                                                                                                        \
        .kind = SCALAR_NUMBER, .milli = m                                                                    \
    }
#define BOOL(b)                                                                                              \
    {                                                                                                        \
        .kind = SCALAR_BOOL, .milli = b                                                                      \
    }
#define ABSENT                                                                                               \
    {                                                                                                        \
        .kind = SCALAR_NONE                                                                                  \
    }
    {"login", ABSENT, ABSENT, ABSENT, 1},
    {"on", ABSENT, ABSENT, ABSENT, 1},
    {"Größe", ABSENT, ABSENT, ABSENT, 1},
    {"Login", ABSENT, ABSENT, ABSENT, 0},
    {"logi", ABSENT, ABSENT, ABSENT, 0},
    {"login", STRING("vip"), NUMBER(5100), ABSENT, 3},
    {"login", STRING("gold"), NUMBER(5100), ABSENT, 3},
    {"login", STRING("golden"), NUMBER(5100), ABSENT, 1},
    {"login", STRING("vip"), NUMBER(5000), ABSENT, 1},
    {"login", STRING("vip"), STRING("5.1"), ABSENT, 5},
    {"login", ABSENT, NUMBER(5100), BOOL(1), 9},
    {"login", ABSENT, ABSENT, BOOL(0), 17},
    {"login", ABSENT, ABSENT, STRING("true"), 17},
    {"login", ABSENT, ABSENT, NUMBER(1), 1},
    {"on", STRING("vip"), NUMBER(5100), BOOL(1), 1},
};

static struct program program(const char *first, const char *second)
{
    struct program p = {
        .nmodels = 2, .models = calloc(2, sizeof(*p.models)), .grace_ms = 10000, .wall = true};
    ck_assert_int_eq(field_map_preset(&p.map, PRESET_PLAIN), 0);
    p.models[0] = good(first);
    p.models[1] = good(second);
    return p;
}

START_TEST(matches_events)
{
    struct program p = program(lifecycle, shop);
    struct diags d = {0};
    ck_assert_int_eq(program_link(&p, &d), 0);
    ck_assert_int_eq(p.map.nprops, 3); // plan is shared by both models
    struct event e = {.type = {events[_i].type, strlen(events[_i].type)}};
    for (int i = 0; i < p.map.nprops; i++)
        e.props[i] = p.map.props[i][0] == 'p'   ? events[_i].plan
                     : p.map.props[i][0] == 'n' ? events[_i].n
                                                : events[_i].flag;
    ck_assert_uint_eq(model_match(p.models[1], &e), events[_i].wanted);
    uint64_t login = SET(ENGAGEMENT) | (strcmp(events[_i].type, "login") == 0 && e.props[0].kind == SCALAR_STRING &&
                                                e.props[0].text.p[0] == 'v'
                                            ? SET(VIP_LOGIN)
                                            : 0);
    ck_assert_uint_eq(model_match(p.models[0], &e), strcmp(events[_i].type, "login") == 0 ? login : 0);
    program_clear(&p);
    diags_clear(&d);
}
END_TEST

// Whatever states and outputs depend on changes the digest; the order of models too.
START_TEST(program_digests)
{
    struct diags d = {0};
    struct program p[6];
    for (int i = 0; i < 6; i++)
        p[i] = i == 1 ? program(shop, lifecycle) : program(lifecycle, shop);
    p[2].grace_ms++;
    p[3].wall = false;
    field_map_clear(&p[4].map);
    ck_assert_int_eq(field_map_preset(&p[4].map, PRESET_SEGMENT), 0);
    for (int i = 0; i < 6; i++)
        ck_assert_int_eq(program_link(&p[i], &d), 0);
    ck_assert_int_eq(strlen(p[0].digest), 16);
    for (int i = 1; i < 5; i++)
        for (int j = 0; j < i; j++)
            ck_assert_str_ne(p[i].digest, p[j].digest);
    ck_assert_str_eq(p[5].digest, p[0].digest);
    for (int i = 0; i < 6; i++)
        program_clear(&p[i]);
    ck_assert_uint_eq(d.errors, 0);
}
END_TEST

START_TEST(too_many_properties)
{
    _cleanup_(buffer_clear) struct buffer text = {0};
    buffer_text(&text, "model: m\nversion: 1\nstages: {a: }\nsignals: {s: {events: e, where: {");
    for (int i = 0; i < PROPS_MAX; i++)
        buffer_printf(&text, "p%d: 1, ", i);
    buffer_put(&text, "}}}", 4);
    struct program p = program(text.p, shop);
    struct diags d = {0};
    ck_assert_int_eq(program_link(&p, &d), 1);
    diags_sort(&d);
    _cleanup_free_ char *found = diags_format(&d);
    ck_assert_str_eq(found,
                     "m.yaml: 'where' looks at more than 64 properties, all models together; use fewer (the first "
                     "too many is 'plan' of signal 'vip')\n");
    diags_clear(&d);
    program_clear(&p);
}
END_TEST

// ---- the models that are shipped, in the folder named by MODELS

START_TEST(shipped_models)
{
    const char *folder = getenv("MODELS");
    if (!folder)
        folder = "config/models";
    DIR *dir = opendir(folder);
    ck_assert_msg(dir, "no folder %s: set MODELS to the folder of the shipped models", folder);
    int count = 0;
    for (struct dirent *e; (e = readdir(dir));) {
        if (!strstr(e->d_name, ".yaml"))
            continue;
        char path[512];
        snprintf(path, sizeof(path), "%s/%s", folder, e->d_name);
        FILE *f = fopen(path, "r");
        ck_assert_ptr_nonnull(f);
        _cleanup_(buffer_clear) struct buffer text = {0};
        text.n = fread(buffer_reserve(&text, YAML_BYTES_MAX), 1, YAML_BYTES_MAX, f);
        fclose(f);
        buffer_byte(&text, 0);
        _cleanup_free_ char *found = NULL;
        struct model *m = load(text.p, &found);
        ck_assert_msg(m && !*found, "%s: %s", path, found);
        check_slots(m);
        model_free(m);
        count++;
    }
    closedir(dir);
    ck_assert_msg(count >= 6, "only %d models in %s", count, folder);
}
END_TEST

#define ROWS(table) ((int)(sizeof(table) / sizeof((table)[0])))

int main(void)
{
    Suite *suite = suite_create("model");
    TCase *tests = tcase_create("model");
    tcase_add_test(tests, keeps_what_is_used);
    tcase_add_loop_test(tests, keeps_what_is_reported, 0, ROWS(uses));
    tcase_add_test(tests, stages_and_lists);
    tcase_add_test(tests, rules_and_triggers);
    tcase_add_test(tests, keeps_its_text);
    tcase_add_loop_test(tests, matches_events, 0, ROWS(events));
    tcase_add_test(tests, program_digests);
    tcase_add_test(tests, too_many_properties);
    tcase_add_test(tests, shipped_models);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
