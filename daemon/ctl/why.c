// Why a customer is where it is, and what would take it further: in words, each line something to act on.
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sysexits.h>
#include <time.h>

#include "ctl.h"
#include "model_explain.h"
#include "outlook.h"
#include "sources.h"

struct why_options {
    const char *config;
    struct option_list overrides;
};

#define FIELD(f) offsetof(struct why_options, f)

static const struct option_row rows[] = {
    CONFIG_OPTION_ROWS,
};

static const struct command command = {
    .name = "engagectl why",
    .arguments = "CUSTOMER",
    .about =
        "How a customer came into its stage in each model, what is due next, and what each rule out of the\n"
        "stage, each trigger in it and its objective still lack. Needs no daemon.\n",
    .rows = rows,
    .nrows = sizeof rows / sizeof *rows,
    .arguments_min = 1,
    .arguments_max = 1,
};

struct telling { // of one model's state
    struct sources *sources;
    const struct model *m;
    const struct customer *c;
    int64_t now;   // ms UTC: what the facts are told of
    int64_t today; // ms UTC: what times are told relative to
    struct buffer b;
    enum outlook_kind kind; // whose heading is the last one printed
    bool headed;
    int failed; // negative
};

// ---- words

static void put_age(struct buffer *b, int64_t ms)
{
    static const struct {
        const char *name;
        int64_t ms;
    } units[] = {{"d", MS_PER_DAY}, {"h", 3600000}, {"m", 60000}, {"s", 1000}, {"ms", 1}};
    size_t i = 0;
    while (i < 4 && ms < units[i].ms)
        i++;
    buffer_printf(b, "%" PRId64 "%s", ms / units[i].ms, units[i].name);
    int64_t rest = i < 3 ? ms % units[i].ms / units[i + 1].ms : 0;
    if (rest)
        buffer_printf(b, " %" PRId64 "%s", rest, units[i + 1].name);
}

// "2026-05-01T10:00:00.000Z (in 12d 3h)"
static void put_time(struct telling *t, int64_t at)
{
    char text[TIME_TEXT_BYTES];
    if (at < 0 || at > TIME_MS_MAX) { // a deadline that nobody will see
        buffer_text(&t->b, "after the year 9999");
        return;
    }
    format_time(at, text);
    buffer_text(&t->b, text);
    if (at == t->today)
        return;
    buffer_text(&t->b, at > t->today ? " (in " : " (");
    put_age(&t->b, at > t->today ? at - t->today : t->today - at);
    buffer_text(&t->b, at > t->today ? ")" : " ago)");
}

static void put_signals(struct telling *t, uint64_t signals)
{
    const char *joint = "";
    for (int i = 0; i < t->m->nsignals; i++) {
        if (!(signals >> i & 1))
            continue;
        buffer_printf(&t->b, "%s%s", joint, t->m->signals[i].name);
        joint = " or ";
    }
}

static void put_label(struct telling *t, const char *label)
{
    buffer_printf(&t->b, "%-9s  ", label);
}

static void put_name_of_due(struct telling *t, const struct due *d)
{
    const struct model *m = t->m;
    if (d->kind == DUE_RULE)
        buffer_printf(&t->b, "%s -> %s", m->rules[d->index].name, m->stages[m->rules[d->index].to].name);
    else
        buffer_text(&t->b, d->kind == DUE_TRIGGER ? m->triggers[d->index].name : "objective.missed");
}

// ---- what it needs

static void put_duration(struct buffer *b, int64_t ms)
{
    char text[DURATION_TEXT_BYTES];
    buffer_put(b, text, format_duration(ms, text));
}

static bool is_duration(const struct compare *k)
{
    return k->fact == FACT_SINCE || k->fact == FACT_GAP || k->fact == FACT_IN_STAGE || k->fact == FACT_AGE;
}

struct needing {
    struct telling *t;
    const struct condition *on; // NULL: an `unless`, which nobody needs
};

static void put_need(void *arg, const struct need *n)
{
    const struct needing *needing = arg;
    const struct model *m = needing->t->m;
    struct buffer *b = &needing->t->b;
    buffer_printf(b, "      %-6s ", !needing->on ? "unless" : n->holds ? "holds" : "lacks");
    if (n->kind == NEED_AFTER) {
        put_duration(b, needing->on->after_ms);
        buffer_text(b, " in the stage");
    } else if (n->kind == NEED_QUIET) {
        int of = needing->on->quiet_of;
        put_duration(b, needing->on->quiet_ms);
        buffer_printf(b, " without %s", of == NONE ? "any event" : m->signals[of].name);
    } else {
        buffer_text(b, n->negated ? "not " : "");
        expr_text(m, n->node, b);
    }
    if (!n->known) {
        buffer_text(b, " (none yet)\n");
        return;
    }
    buffer_text(b, " (now ");
    if (n->kind != NEED_FACT || is_duration(&m->nodes[n->node].c))
        put_age(b, n->value);
    else
        buffer_printf(b, "%.15g", (double)n->value / 1000.0);
    buffer_text(b, ")\n");
}

// ---- what comes of it

static void put_verdict(struct telling *t, const char *before, uint64_t signals, const char *after)
{
    if (!signals)
        return;
    buffer_printf(&t->b, "      so     %s", before);
    put_signals(t, signals);
    buffer_printf(&t->b, "%s\n", after);
}

static void put_event_verdicts(struct telling *t, const struct outlook *o)
{
    char other[NAME_BYTES_MAX + 32] = "";
    if (o->overtaken)
        snprintf(other, sizeof other, " now takes %s instead", t->m->rules[o->other].name);
    put_verdict(t, "one ", o->moves, " now is enough");
    put_verdict(t, "one ", o->capped_by, " now would be over a cap");
    put_verdict(t, "one ", o->silent_by, " now would be silenced by its unless");
    put_verdict(t, "one ", o->overtaken, other);
    put_verdict(t, "it depends on the value of ", o->by_value, "");
    put_verdict(t, "one ", o->on->when & ~(o->moves | o->capped_by | o->silent_by | o->overtaken | o->by_value),
                " now is not enough");
}

static void put_verdict_by_time(struct telling *t, const struct outlook *o)
{
    buffer_text(&t->b, "      so     ");
    if (o->resting)
        buffer_text(&t->b, "it rests until the next event, after too many moves in silence");
    else if (o->at == NEVER)
        buffer_text(&t->b, "not by time alone: other events must come first");
    else {
        buffer_text(&t->b, "due ");
        put_time(t, o->at);
    }
    if (o->silent || o->capped)
        buffer_text(&t->b, o->silent ? ", but silenced by its unless" : ", but over a cap");
    buffer_byte(&t->b, '\n');
}

static void put_heading(struct telling *t, const struct outlook *o)
{
    static const char *const headings[] = {
        [OUTLOOK_RULE] = "out of", [OUTLOOK_TRIGGER] = "triggers in", [OUTLOOK_OBJECTIVE] = "objective of"};
    if (!t->headed || t->kind != o->kind)
        buffer_printf(&t->b, "\n%s %s\n", headings[o->kind], t->m->stages[t->c->stage].name);
    t->headed = true;
    t->kind = o->kind;
}

static void put_objective(struct telling *t, const struct outlook *o)
{
    const struct objective *g = &t->m->stages[o->index].objective;
    buffer_printf(&t->b, "  %s: ", g->name);
    if (g->reach != NONE)
        buffer_printf(&t->b, "reach %s", t->m->stages[g->reach].name);
    else
        put_signals(t, g->when);
    if (o->over)
        buffer_text(&t->b, ": met or missed in this visit");
    else if (o->at == NEVER)
        buffer_text(&t->b, ": open");
    else {
        buffer_text(&t->b, ": open, missed after ");
        put_time(t, o->at);
    }
    buffer_byte(&t->b, '\n');
}

static void put_outlook(void *arg, const struct outlook *o)
{
    static const char *const spent[] = {[ONCE_VISIT] = "in this visit",
                                        [ONCE_EVER] = "already, and does so once ever",
                                        [ONCE_SPELL] = "in this spell of silence"};
    struct telling *t = arg;
    put_heading(t, o);
    if (o->kind == OUTLOOK_OBJECTIVE) {
        put_objective(t, o);
        return;
    }
    const struct trigger *k = o->kind == OUTLOOK_TRIGGER ? &t->m->triggers[o->index] : NULL;
    if (k)
        buffer_printf(&t->b, "  %s: ", k->name);
    else
        buffer_printf(&t->b, "  %s -> %s: ", t->m->rules[o->index].name, t->m->stages[t->m->rules[o->index].to].name);
    condition_text(t->m, o->on, &t->b);
    if (k && k->unless != NONE) {
        buffer_text(&t->b, ", unless ");
        expr_text(t->m, k->unless, &t->b);
    }
    buffer_byte(&t->b, '\n');
    if (o->over) {
        buffer_printf(&t->b, "      so     it has fired %s%s\n", spent[k->once],
                      k->unless != NONE ? ", or was silenced by its unless then" : "");
        return;
    }
    outlook_needs(t->m, o->on, t->c, t->now, put_need, &(struct needing){t, o->on});
    if (k)
        outlook_facts(t->m, k->unless, t->c, t->now, put_need, &(struct needing){t, NULL});
    if (o->on->when)
        put_event_verdicts(t, o);
    else
        put_verdict_by_time(t, o);
}

// ---- a state

static void put_state(struct telling *t, const struct lookup_found *f)
{
    const struct customer *c = t->c;
    buffer_printf(&t->b, "%.*s in %s, version %u\n\n", (int)f->id.n, f->id.p, t->m->name, t->m->version);
    put_label(t, "stage");
    buffer_printf(&t->b, "%s, visit %" PRId64 ", since ", t->m->stages[c->stage].name,
                  c->slot[t->m->visits + c->stage]);
    put_time(t, c->entered);
    buffer_byte(&t->b, '\n');
    put_label(t, "by");
    int r = sources_entry(t->sources, f, &t->b);
    t->failed = r ? r : t->failed;
    buffer_byte(&t->b, '\n');
    put_label(t, "last seen");
    put_time(t, c->last);
    buffer_printf(&t->b, ", in %s/%d\n", f->source.topic, (int)f->source.partition);
    put_label(t, "clock");
    put_time(t, f->now);
    buffer_byte(&t->b, '\n');
    put_label(t, "next");
    struct due d = step_next(t->m, c);
    if (d.at == NEVER) {
        buffer_text(&t->b, "nothing by time alone");
    } else {
        put_name_of_due(t, &d);
        buffer_text(&t->b, ", due ");
        put_time(t, d.at);
    }
    buffer_byte(&t->b, '\n');
}

// In wall mode time has passed since the partition clock last moved. What the state says is true up to its
// next deadline, which changes it.
static void found(void *arg, const struct lookup_found *f)
{
    struct telling *t = arg;
    const struct program *p = &t->sources->config->program;
    int64_t wall = (int64_t)time(NULL) * 1000, now = f->now;
    if (t->failed)
        return;
    if (t->b.n > 0)
        buffer_byte(&t->b, '\n');
    if (p->wall && wall - p->grace_ms > now)
        now = wall - p->grace_ms;
    t->today = p->wall ? wall : now;
    t->now = now < f->customer->due ? now : f->customer->due;
    t->m = f->model;
    t->c = f->customer;
    t->headed = false;
    put_state(t, f);
    int r = outlook_each(t->m, t->c, t->now, put_outlook, t);
    t->failed = r ? r : t->failed;
}

static void telling_clear(struct telling *t)
{
    buffer_clear(&t->b);
}

int ctl_why(int argc, char **argv)
{
    struct why_options o = {0};
    int first, r = options_parse(&command, argc, argv, &o, &first);
    if (r != OPTIONS_RUN)
        return r;
    _cleanup_(sources_close) struct sources s;
    _cleanup_(telling_clear) struct telling t = {.sources = &s};
    r = sources_open(command.name, o.config, &o.overrides, &s);
    if (r == 0)
        r = sources_customer(&s, argv[first], found, &t);
    if (r == 0)
        r = t.failed ? t.failed : ctl_put(&t.b);
    return ctl_written(command.name, r);
}
