// What an engine knows from its configuration, for all its life: topics by index, names of the statistics' fields.
#include "engine_private.h"

int engine_topic(struct engine *e, const char *name)
{
    for (int i = 0; i < e->ntopics; i++)
        if (!strcmp(e->topics[i], name))
            return i;
    if (e->ntopics == TOPICS_MAX || !(e->topics[e->ntopics] = strdup(name)))
        return -1;
    return e->ntopics++;
}

static int topics_init(struct engine *e)
{
    const struct engine_config *c = &e->config;
    const char *fixed[] = {c->journal, c->transitions, c->triggers, c->dead_letters};
    for (size_t i = 0; i < sizeof fixed / sizeof *fixed; i++)
        if (fixed[i] && engine_topic(e, fixed[i]) < 0)
            return ERR_NOMEM;
    for (size_t i = 0; i < c->ncampaigns; i++)
        if (c->campaigns[i].topic && engine_topic(e, c->campaigns[i].topic) < 0)
            return ERR_NOMEM;
    return 0;
}

static int stat_name(struct engine *e, const struct model *m, const char *kind, const char *name)
{
    struct buffer b = {0};
    buffer_printf(&b, "%s:%s:%s", m->name, kind, name);
    if (b.failed)
        return ERR_NOMEM;
    e->stat_names[e->nstats++] = b.p;
    return 0;
}

static int stats_init(struct engine *e)
{
    size_t n = 0;
    for (int i = 0; i < e->config.program->nmodels; i++) {
        const struct model *m = engine_model(e, i);
        n += (size_t)(m->nstages + m->nrules + m->ntriggers);
    }
    if (!(e->stat_names = calloc(n + 1, sizeof *e->stat_names)))
        return ERR_NOMEM;
    for (int i = 0; i < e->config.program->nmodels; i++) {
        const struct model *m = engine_model(e, i);
        e->stat_stage[i] = (int)e->nstats;
        for (int k = 0; k < m->nstages; k++)
            if (stat_name(e, m, "stage", m->stages[k].name))
                return ERR_NOMEM;
        e->stat_rule[i] = (int)e->nstats;
        for (int k = 0; k < m->nrules; k++)
            if (stat_name(e, m, "rule", m->rules[k].name))
                return ERR_NOMEM;
        e->stat_trigger[i] = (int)e->nstats;
        for (int k = 0; k < m->ntriggers; k++)
            if (stat_name(e, m, "trigger", m->triggers[k].name))
                return ERR_NOMEM;
    }
    return 0;
}

struct engine *engine_new(const struct engine_config *config, const struct ports *ports, struct counters *counters)
{
    struct engine *e = calloc(1, sizeof *e);
    if (!e)
        return NULL;
    e->config = *config;
    if (!e->config.bucket_customers)
        e->config.bucket_customers = BUCKET_CUSTOMERS;
    e->ports = *ports;
    e->counters = counters;
    e->batch = config->batch_events;
    e->parser = event_parser_new();
    size_t largest = 0;
    for (int i = 0; i < config->program->nmodels; i++)
        if (customer_bytes(config->program->models[i]) > largest)
            largest = customer_bytes(config->program->models[i]);
    e->spare = malloc(largest);
    if (!e->parser || !e->spare || topics_init(e) || stats_init(e))
        return engine_free(e);
    return e;
}

struct engine *engine_free(struct engine *e)
{
    if (!e)
        return NULL;
    while (e->nparts > 0)
        part_free(e, e->parts[--e->nparts]);
    free(e->parts);
    event_parser_free(e->parser);
    effects_clear(&e->effects);
    struct buffer *buffers[] = {&e->id, &e->body, &e->scratch, &e->states};
    for (size_t i = 0; i < sizeof buffers / sizeof *buffers; i++)
        buffer_clear(buffers[i]);
    free(e->deferred);
    free(e->loads);
    free(e->items);
    free(e->spare);
    free(e->arena);
    for (size_t i = 0; i < e->nstats; i++)
        free(e->stat_names[i]);
    free(e->stat_names);
    for (int i = 0; i < e->ntopics; i++)
        free(e->topics[i]);
    free(e);
    return NULL;
}
