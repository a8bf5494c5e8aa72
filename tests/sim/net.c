// One call at a time and worker. A server that is down, or cut off, hears nothing; what was on its way is lost or
// arrives when it is back.
#include "net.h"

#include <string.h>

#include "worker.h"

enum { PATIENCE_US = 1500 * MS, LATE_US = 12 * SECOND };

static int64_t down_until[2];

void net_begin(void)
{
    memset(down_until, 0, sizeof down_until);
}

void net_down(enum server s, int64_t until)
{
    down_until[s] = until > down_until[s] ? until : down_until[s];
}

int64_t kafka_down_until(void)
{
    return down_until[KAFKA];
}

bool net_reaches(const struct worker *w, enum server s)
{
    return down_until[s] <= sim.now && w->cut_until[s] <= sim.now;
}

static int64_t latency(enum server s)
{
    int64_t mean = s == KAFKA ? sim.plan.kafka_us : sim.plan.redis_us;
    return between(mean / 4, chance(300) ? mean * 20 : mean);
}

static void give_up_at(struct call *c)
{
    if (c->waiting)
        co_wake(&c->worker->co, c->token, c->deadline);
}

static void arrive(void *arg)
{
    struct call *c = arg;
    bool waits = c->waiting && !c->worker->dead;
    if (!c->writes && !waits)
        return;
    int64_t down = down_until[c->server], cut = waits ? c->worker->cut_until[c->server] : 0;
    if (down > sim.now || cut > sim.now) {
        if (c->writes && chance(3000))
            sim_at((down > cut ? down : cut) + between(0, 50 * MS), arrive, c);
        give_up_at(c);
        return;
    }
    c->run(c);
    if (!waits)
        return;
    if (c->mute) {
        give_up_at(c);
        return;
    }
    c->answered = true;
    co_wake(&c->worker->co, c->token, sim.now + latency(c->server));
}

bool call(struct worker *w, struct call *c)
{
    const struct plan *p = &sim.plan;
    if (w->dead)
        return false;
    int lost = c->server == KAFKA ? p->kafka_lost : p->redis_lost;
    int late = c->server == KAFKA ? p->kafka_late : p->redis_late;
    int mute = c->server == KAFKA ? p->kafka_mute : p->redis_mute;
    c->worker = w;
    c->waiting = true;
    c->token = w->co.token;
    c->deadline = sim.now + between(PATIENCE_US / 2, PATIENCE_US);
    c->mute = c->writes && fault(mute);
    bool is_late = c->writes && fault(late), is_lost = fault(lost);
    if (is_late) // heard when its caller has given up
        sim_at(c->deadline + between(0, chance(5000) ? 20 * MS : LATE_US), arrive, c);
    else if (!is_lost)
        sim_at(sim.now + latency(c->server), arrive, c);
    if (is_late || is_lost)
        give_up_at(c);
    co_wait(&w->co);
    c->waiting = false;
    return c->answered && !w->dead;
}
