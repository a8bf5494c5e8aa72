// States of a former version of a model, read as the present one: facts, visits and spent triggers are carried over by
// name; what the new version adds starts empty.
#pragma once
#include "customer.h"

// The stage in `to` of a customer that was in stage `stage` of `from`: of the same name, or by `migrate`; NONE: the new
// version strands it.
int migrate_stage(const struct model *from, int stage, const struct model *to);
// Fills *c from *old. `clock`: the partition's when the new version came (ms UTC): nothing happens to the customer
// before that. The stage must have a place (migrate_stage). c->due is not computed.
void migrate_customer(const struct model *from, const struct customer *old, const struct model *to, struct customer *c,
                      int64_t clock);
