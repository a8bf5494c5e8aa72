// Records as they are appended: what they say of themselves is read once.
#include "said.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "checks.h"

struct span said_header(const struct rec *r, const char *name)
{
    for (size_t i = 0; i < r->nheaders; i++)
        if (r->headers[i].name.n == strlen(name) && !memcmp(r->headers[i].name.p, name, r->headers[i].name.n))
            return r->headers[i].value;
    return (struct span){0};
}

bool said_is(struct span s, const char *text)
{
    return s.n == strlen(text) && !memcmp(s.p, text, s.n);
}

static int64_t number(struct span s, int64_t none)
{
    char text[32] = "";
    if (!s.p || s.n >= sizeof text)
        return none;
    memcpy(text, s.p, s.n);
    return strtoll(text, NULL, 10);
}

static void read_output(const struct rec *r, struct said *s)
{
    struct span id = said_header(r, "engaged-id");
    snprintf(s->id, sizeof s->id, "%.*s", (int)id.n, id.p);
    s->customer = customer_of(r->key);
    char *last = strrchr(s->id, ':'), expected[100];
    s->ordinal = last ? (uint32_t)strtoul(last + 1, NULL, 10) : 0;
    for (s->model = 0; s->model < nmodels(); s->model++) {
        snprintf(expected, sizeof expected, "%s:%s:%u", programs[0].models[s->model]->name, customer_id(s->customer),
                 s->ordinal);
        if (!strcmp(expected, s->id))
            return;
    }
    sim_fail("output %s of customer %s has a wrong id", s->id, customer_id(s->customer));
}

void checks_appended(struct plog *l, int64_t offset)
{
    struct rec *r = l->v[offset].rec;
    if (l->topic == T_EVENTS)
        return;
    struct said *s = r->said = sim_alloc(sizeof *s);
    struct span kind = said_header(r, "engaged-kind"), digest = said_header(r, "engaged-digest");
    s->offset = number(said_header(r, "engaged-offset"), -1);
    s->clock = number(said_header(r, "engaged-clock"), INT64_MIN);
    snprintf(s->digest, sizeof s->digest, "%.*s", (int)digest.n, digest.p);
    char place[64];
    snprintf(place, sizeof place, "events/%d", l->partition);
    if (!said_is(said_header(r, "engaged-partition"), place))
        sim_fail("%s/%d has a record of another partition", topic_names[l->topic], l->partition);
    if (l->topic == T_JOURNAL)
        s->kind = said_is(kind, "wall")     ? SAID_WALL
                  : said_is(kind, "reject") ? SAID_REJECT
                  : said_is(kind, "start")  ? SAID_START
                                            : SAID_SWITCH;
    else
        s->kind = l->topic == T_DEAD ? SAID_DEAD : SAID_OUTPUT;
    if (s->kind == SAID_DEAD || s->kind == SAID_REJECT)
        s->offset--;
    if (s->kind == SAID_OUTPUT)
        read_output(r, s);
}
