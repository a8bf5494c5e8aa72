// The journal has the models' texts, but not the rest of a program: field map, grace and time mode are taken
// from the present configuration, and the digest says whether they are the same.
#include "history.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <yyjson.h>

struct span record_header(const struct record *r, const char *name)
{
    size_t n = strlen(name);
    struct span value = {0};
    for (size_t i = 0; i < r->nheaders; i++)
        if (r->headers[i].name.n == n && !memcmp(r->headers[i].name.p, name, n))
            value = r->headers[i].value; // the last one: a dead letter begins with headers of strangers
    return value;
}

int record_number(const struct record *r, const char *name, int64_t *ret)
{
    struct span s = record_header(r, name);
    return !s.p || parse_whole(s.p, s.n, ret);
}

static bool is(struct span s, const char *text)
{
    return s.n == strlen(text) && !memcmp(s.p, text, s.n);
}

bool record_is_ours(const struct record *r, const char *app, const struct part_key *p)
{
    char partition[300];
    snprintf(partition, sizeof partition, "%s/%d", p->topic, (int)p->partition);
    return is(record_header(r, "engaged-app"), app) && is(record_header(r, "engaged-partition"), partition);
}

// Whether the entry takes back the one before it: a change of program that began and broke off, before anything was
// stepped or said by it. Then neither was ever at work.
static bool takes_back(const struct history *h, const struct history_program *to)
{
    const struct history_program *last = h->n > 1 ? &h->v[h->n - 1] : NULL;
    return last && last->offset == to->offset && last->clock == to->clock && !strcmp(last[-1].digest, to->digest);
}

int history_add(struct history *h, const char *app, const struct part_key *p, const struct record *r)
{
    struct span kind = record_header(r, "engaged-kind"), digest = record_header(r, "engaged-digest");
    bool start = is(kind, "start");
    struct history_program to = {.clock = INT64_MIN, .entry = r->offset, .body_bytes = r->value.n};
    if (!record_is_ours(r, app, p) || !(start || is(kind, "switch")) || (start && h->n > 0) ||
        digest.n >= sizeof to.digest || record_number(r, "engaged-offset", &to.offset))
        return 0;
    memcpy(to.digest, digest.p, digest.n);
    record_number(r, "engaged-clock", &to.clock);
    if (takes_back(h, &to)) {
        free(h->v[--h->n].body);
        return 0;
    }
    struct history_program *v = realloc(h->v, (h->n + 1) * sizeof *v);
    if (v)
        h->v = v;
    if (!v || !(to.body = malloc(r->value.n + 1)))
        return ERR_NOMEM;
    memcpy(to.body, r->value.p, r->value.n);
    h->started |= start;
    h->v[h->n++] = to;
    return 0;
}

// ---- programs

static void program_empty(struct program *p) // but for field map and time
{
    for (int i = 0; i < p->nmodels; i++)
        model_free(p->models[i]);
    p->nmodels = 0;
    for (int i = 0; i < p->map.nprops; i++)
        free(p->map.props[i]);
    p->map.nprops = 0;
}

static int refused(struct why *why, const struct history_program *h, const char *what)
{
    snprintf(why->text, sizeof why->text, "program %s, at work from offset %" PRId64 " on, cannot be made again: %s",
             h->digest, h->offset, what);
    return PORT_REFUSED;
}

static int take_models(const struct history_program *h, yyjson_val *models, struct program *p, struct why *why)
{
    size_t i, n;
    yyjson_val *m;
    free(p->models);
    if (!(p->models = calloc(MODELS_MAX, sizeof *p->models)))
        return ERR_NOMEM;
    yyjson_arr_foreach(models, i, n, m)
    {
        const char *name = yyjson_get_str(yyjson_obj_get(m, "name"));
        yyjson_val *text = yyjson_obj_get(m, "text");
        struct diags d = {0};
        if (!name || !yyjson_is_str(text) || p->nmodels == MODELS_MAX)
            return refused(why, h, "its entry in the journal is damaged");
        int r = model_load(name, yyjson_get_str(text), yyjson_get_len(text), &p->models[p->nmodels], &d);
        diags_clear(&d);
        if (r)
            return r < 0 ? r : refused(why, h, "this engaged does not accept its models");
        p->nmodels++;
    }
    return 0;
}

static int compile(struct history_program *h, struct why *why)
{
    struct diags d = {0};
    yyjson_doc *doc = yyjson_read(h->body, h->body_bytes, 0); // NULL, or without models: none are taken
    int r = take_models(h, yyjson_obj_get(yyjson_doc_get_root(doc), "models"), &h->program, why);
    yyjson_doc_free(doc);
    if (r == 0)
        r = program_link(&h->program, &d);
    diags_clear(&d);
    if (r < 0 || r == PORT_REFUSED)
        return r;
    if (r || strcmp(h->program.digest, h->digest) != 0)
        return refused(why, h, "fields, grace or time mode were not those of the present configuration");
    return 0;
}

int history_compile(struct history *h, const char *config, const struct option_list *overrides, struct why *ret_why)
{
    for (size_t i = 0; i < h->n; i++) {
        struct config *c = NULL;
        struct diags d = {0}; // they were printed when the command read it first
        int r = config_load(config ? config : CONFIG_PATH_DEFAULT, overrides->v, &c, &d);
        diags_clear(&d);
        if (r)
            return r < 0 ? r : refused(ret_why, &h->v[i], "the configuration cannot be read any more");
        h->v[i].program = c->program;
        c->program = (struct program){0};
        config_free(c);
        program_empty(&h->v[i].program);
        if ((r = compile(&h->v[i], ret_why)))
            return r;
    }
    return 0;
}

void history_clear(struct history *h)
{
    for (size_t i = 0; i < h->n; i++) {
        free(h->v[i].body);
        program_clear(&h->v[i].program);
    }
    free(h->v);
    *h = (struct history){0};
}
