// The tables of a simulation: population, flows and trigger volumes, of each model.
#include "simulate.h"

#include <inttypes.h>

const char *tally_trigger(const struct model *m, int i)
{
    return i < m->ntriggers ? m->triggers[i].name : i == m->ntriggers ? "objective.met" : "objective.missed";
}

const char *tally_campaign(const struct model *m, int i)
{
    return i < m->ntriggers ? m->triggers[i].campaign : "objective";
}

uint64_t simulation_bad(const struct simulation *s)
{
    uint64_t bad = 0;
    for (int i = 0; i < BAD_REASONS; i++)
        bad += s->bad[i];
    return bad;
}

static void put_model(const struct model *m, const struct tally *t, struct buffer *b)
{
    buffer_printf(b, "model %s version %u: %" PRIu64 " customers, %" PRIu64 " transitions\n\npopulation\n", m->name,
                  m->version, t->customers, t->transitions);
    for (int i = 0; i < m->nstages; i++)
        buffer_printf(b, "  %-28s %10" PRIu64 "  %5.1f %%\n", m->stages[i].name, t->population[i],
                      t->customers ? 100.0 * (double)t->population[i] / (double)t->customers : 0.0);
    buffer_text(b, "\nflows\n");
    for (int i = 0; i < m->nstages; i++)
        for (int k = 0; k < m->nstages; k++)
            if (t->flows[i * m->nstages + k])
                buffer_printf(b, "  %-28s -> %-28s %10" PRIu64 "\n", m->stages[i].name, m->stages[k].name,
                              t->flows[i * m->nstages + k]);
    buffer_text(b, "\ntriggers\n");
    for (int i = 0; i < m->ntriggers + 2; i++)
        if (t->triggers[i] || t->capped[i])
            buffer_printf(b, "  %-28s %-31s %10" PRIu64 "  over a cap: %" PRIu64 "\n", tally_trigger(m, i),
                          tally_campaign(m, i), t->triggers[i], t->capped[i]);
    buffer_byte(b, '\n');
}

void simulation_table(const struct simulation *s, struct buffer *b)
{
    for (int i = 0; i < s->program.nmodels; i++)
        put_model(s->program.models[i], &s->tally[i], b);
}
