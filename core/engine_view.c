// What others may see of an engine: how its partitions stand, and the exact statistics by their names.
#include "engine_private.h"

static int stat_name(struct engine *e, const struct model *m, const char *kind, const char *name)
{
    struct buffer b = {0};
    buffer_printf(&b, "%s:%s:%s", m->name, kind, name);
    if (b.failed)
        return ERR_NOMEM;
    e->stat_names[e->nstats++] = b.p;
    return 0;
}

int engine_stats_init(struct engine *e)
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

bool engine_reads(const struct engine *e)
{
    return e->reads;
}

const char *engine_stat_name(const struct engine *e, size_t i)
{
    return i < e->nstats ? e->stat_names[i] : NULL;
}

size_t engine_parts(const struct engine *e, struct engine_part *ret, size_t max)
{
    for (size_t i = 0; i < e->nparts && i < max; i++) {
        const struct part *p = e->parts[i];
        ret[i] = (struct engine_part){.partition = p->key.partition, .state = p->state, .position = p->position,
                                      .cursor = p->cursor.offset, .clock = p->clock, .n = p->cursor.n,
                                      .reached = e->ports.log->reached(e->ports.log_ctx, &p->key),
                                      .reason = p->reason, .stats = p->stats};
        memcpy(ret[i].owner, p->owner.text, sizeof ret[i].owner);
        memcpy(ret[i].customers, p->customers, sizeof ret[i].customers);
    }
    return e->nparts;
}
