// What misfortunes mean for the checks: what is stored now, who may halt.
#include <string.h>

#include "checks.h"
#include "said.h"
#include "worker.h"

static void restored(void *arg, int model, uint64_t bucket, struct span customer, struct span state)
{
    (void)bucket;
    const int *partition = arg;
    int program;
    const struct customer *c = checks_decode(*partition, model, state, &program);
    if (c)
        checks.seen[model][customer_of(customer)].stored = c->ordinal;
}

void checks_redis_changed(int partition)
{
    struct part_key key = {topic_names[T_EVENTS], partition};
    checks_recheck(partition);
    for (int c = 0; c < sim.plan.customers; c++)
        for (int m = 0; m < nmodels() && partition_of(c) == partition; m++)
            checks.seen[m][c].stored = -1;
    checks.parts[partition].cursor = mem_store_cursor(redis, &key);
    checks_unswitch(partition);
    memset(checks.parts[partition].tails, 0, sizeof checks.parts[partition].tails);
    const struct cursor *c = &checks.parts[partition].cursor;
    for (int i = 0; i < c->ntails; i++)
        checks.parts[partition].tails[topic_of(c->tails[i].topic)] = c->tails[i].offset;
    mem_store_each(redis, &key, restored, &partition);
}

void checks_offsets_expired(int partition)
{
    (void)partition; // the group may begin anew
}

void checks_damaged(int partition, const char *what)
{
    act(partition, 0, "partition %d may halt: %s", partition, what);
    checks.parts[partition].may_halt = true;
}

void checks_give_up(int partition, const char *what)
{
    checks_damaged(partition, what);
    checks.parts[partition].given_up = true;
}

void checks_lost(int partition, const char *what)
{
    checks_damaged(partition, what);
    checks.parts[partition].lost = true;
}

bool checks_has_lost(int partition)
{
    return checks.parts[partition].lost;
}

bool checks_poisoned(struct span key)
{
    if (sim.plan.poison < 0 || customer_of(key) != sim.plan.poison)
        return false;
    checks_damaged(partition_of(sim.plan.poison), "a record of its is too large");
    return true;
}

int checks_program(int partition)
{
    const struct cursor *c = &checks.parts[partition].cursor;
    return c->exists ? program_of(c->program) : -1;
}

bool checks_given_up(int partition)
{
    return checks.parts[partition].given_up;
}

bool checks_may_halt(int partition)
{
    return checks.parts[partition].may_halt;
}

// It waits for the other program.
static bool is_about_program(const char *reason)
{
    return strstr(reason, "former configuration") || strstr(reason, "has no stage");
}

void checks_halted(int partition, const char *reason)
{
    if (sim.plan.upgrade && !sim.upgraded && is_about_program(reason))
        return;
    if (!checks.parts[partition].may_halt)
        sim_fail("partition %d halts without need: %s", partition, reason);
}
