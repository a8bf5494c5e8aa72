// When the program is another one than the states were written by: a decision of the journal, after which each state
// is read with the model version that wrote it, and carried over by name when the customer is next touched. All
// deadlines are computed anew in the background. Customers that a new version has no place for stop the switch.
#include "cleanup.h"
#include "engine_private.h"
#include "migrate.h"
#include <inttypes.h>

enum { SWITCH_BUCKETS = 4000 }; // deadlines reset in one flush

int versions_recall(struct engine *e, struct part *p, struct why *why)
{
    versions_clear(&p->versions);
    int r = e->ports.store->recall(e->ports.store_ctx, &p->key, versions_add, &p->versions, why);
    versions_sort(&p->versions);
    return r;
}

int state_read(struct engine *e, struct part *p, int model, struct span state, struct customer *c)
{
    return versions_read(&p->versions, engine_model(e, model), state, c);
}

// ---- the switch

static int64_t population(const struct part *p, const char *model, const char *stage)
{
    struct buffer b = {0};
    int64_t n = 0;
    buffer_printf(&b, "%s:stage:%s", model, stage);
    for (size_t i = 0; !b.failed && i < p->former.n; i++)
        if (!strcmp(p->former.v[i].field, b.p))
            n = p->former.v[i].value;
    buffer_clear(&b);
    return n;
}

static void former_stat(void *arg, struct span field, int64_t value)
{
    struct former_stats *f = arg;
    struct former_stat *v = realloc(f->v, (f->n + 1) * sizeof *v);
    if (!v)
        return;
    f->v = v;
    if ((v[f->n].field = strndup(field.p, field.n)))
        v[f->n++].value = value;
}

static void former_clear(struct former_stats *f)
{
    for (size_t i = 0; i < f->n; i++)
        free(f->v[i].field);
    free(f->v);
    *f = (struct former_stats){0};
}

// Whether the model may take over from what was at work; halts the partition if not.
static int fits(struct engine *e, struct part *p, int model)
{
    const struct model *m = engine_model(e, model);
    struct version *same = versions_find(&p->versions, m->name, m->version),
                   *last = versions_latest(&p->versions, m->name);
    if (same && (same->text_bytes != m->text_bytes || memcmp(same->text, m->text, m->text_bytes) != 0)) {
        part_halt(e, p, "model %s has changed, but is still version %" PRIu32 ": raise `version` in %s", m->name,
                  m->version, m->file);
        return 0;
    }
    if (!last && p->cursor.customers[model] > 0)
        part_halt(e, p,
                  "Redis has %" PRIu64 " customers of model %s and no text of any version of it (:models): it was "
                  "lost; start engaged with the former configuration, which puts it back, or restore it",
                  p->cursor.customers[model], m->name);
    if (!last || last == same)
        return 0;
    int r = version_compile(last);
    if (r < 0)
        return r;
    if (r > 0) {
        part_halt(e, p, "version %" PRIu32 " of model %s, which wrote states here, does not compile any more",
                  last->number, m->name);
        return 0;
    }
    for (int i = 0; i < last->model->nstages; i++) {
        int64_t n = population(p, m->name, last->model->stages[i].name);
        if (n > 0 && migrate_stage(last->model, i, m) == NONE) {
            part_halt(e, p,
                      "version %" PRIu32 " of model %s has no stage %s, where %" PRId64 " customers are: add "
                      "`migrate: {%s: STAGE}` to %s",
                      m->version, m->name, last->model->stages[i].name, n, last->model->stages[i].name, m->file);
            return 0;
        }
    }
    return 0;
}

// Populations follow their stages; counts of rules and triggers go on under their names.
static void carry_stats(struct engine *e, struct part *p)
{
    memset(p->stats, 0, e->nstats * sizeof *p->stats);
    for (size_t i = 0; i < e->nstats; i++)
        for (size_t k = 0; k < p->former.n; k++)
            if (!strcmp(e->stat_names[i], p->former.v[k].field))
                p->stats[i] = p->former.v[k].value;
    for (int i = 0; i < e->config.program->nmodels; i++) {
        const struct model *m = engine_model(e, i);
        for (int k = 0; k < m->nmigrations; k++)
            p->stats[e->stat_stage[i] + m->migrations[k].to] += population(p, m->name, m->migrations[k].from);
    }
}

static int store_flush(struct engine *e, struct part *p, const struct flush *f, struct why *why)
{
    int r = e->ports.store->flush(e->ports.store_ctx, &p->key, &p->owner, f, why);
    if (r == PORT_OK)
        p->cursor.n++;
    return r;
}

// Every deadline may be another now: 0 is a bound below them all.
static int reset_dues(struct engine *e, struct part *p, struct why *why)
{
    _cleanup_free_ struct flush_due *dues = malloc(SWITCH_BUCKETS * sizeof *dues);
    if (!dues)
        return ERR_NOMEM;
    struct flush f = {.cursor = &p->cursor, .dues = dues};
    for (int m = 0; m < e->config.program->nmodels; m++)
        for (uint64_t b = 0; b < p->cursor.buckets[m]; b++) {
            dues[f.ndues++] = (struct flush_due){.model = (int16_t)m, .bucket = b, .at = 0, .exact = true};
            if (f.ndues < SWITCH_BUCKETS)
                continue;
            int r = store_flush(e, p, &f, why);
            if (r != PORT_OK)
                return r;
            f.ndues = 0;
        }
    return f.ndues ? store_flush(e, p, &f, why) : PORT_OK;
}

int versions_remember(struct engine *e, struct part *p, int64_t clock, struct why *why)
{
    struct model_text v[MODELS_MAX];
    size_t n = 0;
    uint64_t order = p->versions.n ? p->versions.v[p->versions.n - 1].order : 0;
    for (int i = 0; i < e->config.program->nmodels; i++) {
        const struct model *m = engine_model(e, i);
        const struct version *last = versions_latest(&p->versions, m->name);
        if (last && last->number == m->version)
            continue; // at work already
        v[n++] = (struct model_text){.name = {m->name, strlen(m->name)}, .text = {m->text, m->text_bytes},
                                     .version = m->version, .order = ++order, .clock = last ? clock : INT64_MIN};
    }
    if (n == 0)
        return PORT_OK;
    int r = e->ports.store->remember(e->ports.store_ctx, &p->key, &p->owner, p->cursor.n, v, n, why);
    if (r != PORT_OK)
        return r;
    p->cursor.n++;
    return versions_recall(e, p, why);
}

static bool is_configured(const struct engine *e, const char *stat)
{
    for (int i = 0; i < e->config.program->nmodels; i++) {
        size_t n = strlen(engine_model(e, i)->name);
        if (!strncmp(stat, engine_model(e, i)->name, n) && stat[n] == ':')
            return true;
    }
    return false;
}

static int finish(struct engine *e, struct part *p, int64_t clock, struct why *why)
{
    int r = versions_remember(e, p, clock, why);
    if (r == PORT_OK)
        r = reset_dues(e, p, why);
    if (r != PORT_OK)
        return r;
    size_t nstats = 0;
    _cleanup_free_ struct flush_stat *stats = malloc((p->former.n + e->nstats + 1) * sizeof *stats);
    if (!stats)
        return ERR_NOMEM;
    carry_stats(e, p);
    for (size_t i = 0; i < p->former.n; i++) // nobody is left in a stage that was removed; a model may come back
        if (is_configured(e, p->former.v[i].field))
            stats[nstats++] = (struct flush_stat){.field = p->former.v[i].field, .value = 0};
    for (size_t i = 0; i < e->nstats; i++)
        stats[nstats++] = (struct flush_stat){.field = e->stat_names[i], .value = p->stats[i]};
    p->cursor.swept = INT64_MIN; // by the new rules
    memcpy(p->cursor.program, e->config.program->digest, sizeof p->cursor.program);
    struct flush f = {.cursor = &p->cursor, .stats = stats, .nstats = nstats};
    r = store_flush(e, p, &f, why);
    if (r == PORT_OK)
        note(e, NOTE_INFO, p, "switched to program %s at offset %" PRId64, p->cursor.program, p->cursor.offset);
    return r;
}

// The journal's last change of program, among what was read; NULL: none.
static const struct era *last_era(const struct part *p)
{
    return p->published.neras ? &p->published.eras[p->published.neras - 1] : NULL;
}

// Whether it came right where the states are.
static bool switch_at_cursor(const struct part *p)
{
    const struct era *last = last_era(p);
    return last && last->offset == p->cursor.offset && last->clock == p->cursor.clock;
}

static bool beyond(int64_t offset, int64_t clock, const struct era *e)
{
    return offset > e->offset || clock > e->clock;
}

// Where another program than `own` ended that had stepped what the states do not know; NULL: none did.
static const struct era *others_until(const struct part *p, const char *own)
{
    for (size_t i = p->published.neras; i-- > 1;) {
        const struct era *end = &p->published.eras[i];
        if (strcmp(end[-1].program, own) != 0 && beyond(end->offset, end->clock, &end[-1]) &&
            (end->offset > p->cursor.offset || end->clock > p->cursor.clock))
            return end;
    }
    return NULL;
}

static int part_switch(struct engine *e, struct part *p, struct why *why)
{
    former_clear(&p->former);
    int r = e->ports.store->stats(e->ports.store_ctx, &p->key, former_stat, &p->former, why);
    for (int i = 0; r == PORT_OK && i < e->config.program->nmodels && p->state == PART_TAKING; i++)
        r = fits(e, p, i);
    if (r == PORT_OK && p->state == PART_TAKING) {
        bool journaled = switch_at_cursor(p) && !strcmp(last_era(p)->program, e->config.program->digest);
        int64_t clock = p->cursor.clock;
        if (!journaled)
            r = publish_program(e, p, "switch", p->cursor.offset, clock, why);
        if (r == PORT_OK && p->state == PART_TAKING)
            r = finish(e, p, clock, why);
    }
    former_clear(&p->former);
    return r;
}

int part_check_program(struct engine *e, struct part *p, bool replay_wanted, struct why *why)
{
    const struct published *s = &p->published;
    const struct era *era = last_era(p);
    const char *own = e->config.program->digest;
    bool stored = !strcmp(p->cursor.program, own), last = !era || !strcmp(era->program, own);
    const struct era *until = stored && last ? others_until(p, own) : NULL;
    if (until) {
        part_halt(e, p,
                  "another program than this one (%s) was at work until offset %" PRId64 ", but Redis holds "
                  "states from before that: run engagectl rebuild",
                  own, until->offset);
        return PORT_OK;
    }
    int r = stored ? versions_remember(e, p, p->cursor.clock, why) : PORT_OK; // lost, or others came to nothing
    if (r != PORT_OK || (stored && last))
        return r;
    // What the former program has not finished only that program can: its replay, and deadlines that are due by its
    // rules.
    bool due = !stored && p->cursor.swept < p->cursor.clock;
    if (!due && (!replay_wanted || (!stored && last && switch_at_cursor(p))))
        return part_switch(e, p, why);
    if (!stored)
        part_halt(e, p,
                  "program %s %s, and this is program %s (another model, field map, grace or time mode): start engaged "
                  "with the former configuration, stop it when it has caught up, and come back",
                  p->cursor.program,
                  replay_wanted ? "has published more than its states in Redis tell"
                                : "has deadlines left that are due",
                  own);
    else if (beyond(s->offset, s->clock, era) || beyond(p->committed, p->committed_clock, era))
        part_halt(e, p,
                  "program %s is at work from offset %" PRId64 " on, but Redis holds states from before that, and "
                  "this is the former configuration: start engaged with that program",
                  era->program, era->offset);
    else // that one has done nothing yet: what is said from here on is this one's
        return publish_program(e, p, "switch", era->offset, era->clock, why);
    return PORT_OK;
}
