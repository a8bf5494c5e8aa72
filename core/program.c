// A program is the models in their order, the field map, and how time passes: whatever, beside the log and
// the journal, decides states and outputs. Two daemons with the same digest do the same.
#include "cleanup.h"
#include "model.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

// Index of the property in the field map. Models are read-only but for this: linked in the same order to the
// same kind of map, a model gets the same indexes again.
static int link_model(struct program *p, const struct model *m, struct diags *d)
{
    for (int s = 0; s < m->nsignals; s++) {
        for (int w = 0; w < m->signals[s].nwhere; w++) {
            struct where *where = (struct where *)&m->signals[s].where[w];
            int prop = field_map_prop(&p->map, where->property.p, where->property.n);
            if (prop < 0) {
                diag_add(d, false, m->file, 0, 0,
                         "'where' looks at more than %d properties, all models together; use "
                         "fewer (the first too many is '%.64s' of signal '%s')",
                         PROPS_MAX, where->property.p, m->signals[s].name);
                return 1;
            }
            where->prop = (int16_t)prop;
        }
    }
    return 0;
}

int program_link(struct program *p, struct diags *d)
{
    XXH3_state_t *hash = XXH3_createState();
    if (!hash)
        return ERR_NOMEM;
    int r = 0;
    XXH3_64bits_reset(hash);
    for (int i = 0; i < p->nmodels && r == 0; i++) {
        XXH3_64bits_update(hash, p->models[i]->digest, sizeof(p->models[i]->digest));
        r = link_model(p, p->models[i], d);
    }
    _cleanup_free_ char *map = r == 0 ? field_map_describe(&p->map) : NULL;
    if (r == 0 && !map)
        r = ERR_NOMEM;
    if (r == 0) {
        char time[96];
        int n = snprintf(time, sizeof(time), "grace=%lld wall=%d", (long long)p->grace_ms, p->wall);
        XXH3_64bits_update(hash, map, strlen(map) + 1);
        XXH3_64bits_update(hash, time, (size_t)n);
        snprintf(p->digest, sizeof(p->digest), "%016llx", (unsigned long long)XXH3_64bits_digest(hash));
    }
    XXH3_freeState(hash);
    return r;
}

void program_clear(struct program *p)
{
    for (int i = 0; i < p->nmodels; i++)
        model_free(p->models[i]);
    free(p->models);
    field_map_clear(&p->map);
    *p = (struct program){0};
}
