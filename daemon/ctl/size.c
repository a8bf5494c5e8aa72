// What a deployment needs, from what one event and one customer cost. Everything grows in proportion to
// customers or to events, so the costs below are all there is to it; scripts/bench measures them anew.
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "ctl.h"

enum cost {
    DAEMON_US,
    REDIS_US,
    CUSTOMER_BYTES,
    ID_BYTES,
    STATE_BYTES,
    EVENT_BYTES,
    OUTPUT_BYTES,
    REDIS_BYTES,
    COSTS
};

// Each from a row and column of scripts/bench's table, as named here; tests/bench/README.md has its results.
static const struct {
    double value;
    const char *unit, *what;
} costs[COSTS] = {
    // backlog: CPU us/event, Redis us/event. For events of ever other customers (uniform): 3 and 20 times.
    [DAEMON_US] = {1.0, "us", "of a core for an event, in the daemon"},
    [REDIS_US] = {0.3, "us", "of a core for an event, in Redis"},
    // memory, 14-byte ids: Redis B/customer, state B
    [CUSTOMER_BYTES] = {65, "B", "of Redis' memory for a customer, with"},
    [ID_BYTES] = {14, "B", "of an id"},
    [STATE_BYTES] = {37, "B", "of a state"},
    // What `load gen` makes, and what is published of it, before compression.
    [EVENT_BYTES] = {254, "B", "for an event in Kafka"},
    [OUTPUT_BYTES] = {1100, "B", "for a transition or trigger in Kafka"},
    // A state read and a state written, with their ids and the protocol around them.
    [REDIS_BYTES] = {220, "B",
                     "to and from Redis for an event, if none finds its state in the daemon's cache"},
};

// What is planned with, and was not measured.
static const double CORE_SHARE = 0.6, // of a core that is used in the mean: peaks and catching up take the rest
    MEMORY_FACTOR = 1.5,              // Redis rewrites its append-only file from a copy on write
    NODE_BYTES = 32e9,                // of data in one Redis server: it starts again in a minute or two
    WORKERS_A_CORE = 2,               // as the daemon has them
    PARTITIONS_A_NODE = 8,            // of a Redis Cluster: chance spreads them
    GROWTH = 2;                       // partitions cannot be added later: customers would move

struct size_options {
    const char *customers, *rate, *id_bytes, *state_bytes, *outputs_share;
};

#define FIELD(f) offsetof(struct size_options, f)

static const struct option_row rows[] = {
    {'n', "customers", OPTION_TEXT, "N", FIELD(customers),
     "customers that are ever seen; 1e7 is a number, too"},
    {'r', "rate", OPTION_TEXT, "N", FIELD(rate), "events a second, at the busiest hour"},
    {0, "id-bytes", OPTION_TEXT, "N", FIELD(id_bytes),
     "of a customer id (14); a UUID in lower case takes 17"},
    {0, "state-bytes", OPTION_TEXT, "N", FIELD(state_bytes), "of a state (37): more facts take more"},
    {0, "outputs-share", OPTION_TEXT, "S", FIELD(outputs_share), "transitions and triggers an event (0.2)"},
};

static const struct command command = {
    .name = "engagectl size",
    .arguments = "--customers N --rate N",
    .about = "What a deployment needs of Redis, partitions, cores and network, for one model.\n",
    .rows = rows,
    .nrows = sizeof rows / sizeof *rows,
};

struct plan {
    double customers, rate, id_bytes, state_bytes, outputs_share;
};

static int read_number(const char *option, const char *text, double min, double max, double *ret)
{
    int64_t whole, milli;
    if (!text)
        return 0;
    double v = parse_whole(text, strlen(text), &whole) == 0     ? (double)whole
               : parse_decimal(text, strlen(text), &milli) == 0 ? (double)milli / 1000.0
                                                                : NAN;
    if (!(v >= min && v <= max))
        return ctl_usage(command.name, "--%s %s is no number from %g to %g", option, text, min, max);
    *ret = v;
    return 0;
}

static int read_plan(const struct size_options *o, struct plan *p)
{
    *p = (struct plan){
        .id_bytes = costs[ID_BYTES].value, .state_bytes = costs[STATE_BYTES].value, .outputs_share = 0.2};
    if (!o->customers || !o->rate)
        return ctl_usage(command.name, "no --%s; for example --customers 1e7 --rate 20000",
                         o->customers ? "rate" : "customers");
    int r = read_number("customers", o->customers, 1, 1e12, &p->customers);
    if (r == 0)
        r = read_number("rate", o->rate, 0, 1e9, &p->rate);
    if (r == 0)
        r = read_number("id-bytes", o->id_bytes, 1, CUSTOMER_BYTES_MAX, &p->id_bytes);
    if (r == 0)
        r = read_number("state-bytes", o->state_bytes, 1, 65536, &p->state_bytes);
    return r ? r : read_number("outputs-share", o->outputs_share, 0, 100, &p->outputs_share);
}

// ---- the answer

static void label(struct buffer *b, const char *text)
{
    buffer_printf(b, "%-16s ", text);
}

// Three digits and the unit's prefix: 1.5 GB
static void put_bytes(struct buffer *b, double bytes, const char *unit)
{
    static const char *const prefixes[] = {"", "k", "M", "G", "T", "P", "E"};
    int i = 0;
    for (; bytes >= 999.5 && i < 6; i++)
        bytes /= 1000;
    buffer_printf(b, "%.3g %s%s", bytes, prefixes[i], unit);
}

// How much more, or less, a customer takes than the one that was measured.
static double more_bytes(const struct plan *p)
{
    return p->id_bytes - costs[ID_BYTES].value + p->state_bytes - costs[STATE_BYTES].value;
}

static double data_bytes(const struct plan *p)
{
    return p->customers * fmax(costs[CUSTOMER_BYTES].value + more_bytes(p), 1);
}

static double redis_nodes(const struct plan *p)
{
    double busy = p->rate * costs[REDIS_US].value / 1e6;
    return ceil(fmax(fmax(data_bytes(p) / NODE_BYTES, busy / CORE_SHARE), 1));
}

static void put_redis(struct buffer *b, const struct plan *p)
{
    double data = data_bytes(p), busy = p->rate * costs[REDIS_US].value / 1e6, nodes = redis_nodes(p);
    label(b, "Redis memory");
    put_bytes(b, data, "B of states; ");
    put_bytes(b, data * MEMORY_FACTOR, "B with what it takes to rewrite its append-only file\n");
    label(b, "Redis nodes");
    buffer_printf(b, "%.0f, each with ", nodes);
    put_bytes(b, data / nodes * MEMORY_FACTOR, "B, on a core");
    buffer_printf(b, " that is %.2g %% busy\n", 100 * busy / nodes);
    if (nodes > 1) {
        label(b, "");
        buffer_text(b, "as masters of a Redis Cluster (redis-cluster://), and replicas beside them; each\n");
        label(b, "");
        buffer_text(b, "partition lies on one of them\n");
    }
}

static void put_daemon(struct buffer *b, const struct plan *p)
{
    double busy = p->rate * costs[DAEMON_US].value / 1e6, cores = ceil(fmax(busy / CORE_SHARE, 1));
    double partitions = 1, nodes = redis_nodes(p);
    while (partitions < cores * WORKERS_A_CORE * GROWTH || (nodes > 1 && partitions < nodes * PARTITIONS_A_NODE))
        partitions *= 2;
    label(b, "daemon cores");
    buffer_printf(b, "%.0f, of which %.2g busy; on as many machines as you like, and one to spare\n", cores, busy);
    label(b, "partitions");
    buffer_printf(b, "%.0f or more: two workers a core, and twice that to grow%s\n", partitions,
                  nodes > 1 ? "; some for each Redis node" : "");
}

static void put_streams(struct buffer *b, const struct plan *p)
{
    double in = p->rate * costs[EVENT_BYTES].value, out = p->rate * p->outputs_share * costs[OUTPUT_BYTES].value;
    double redis = p->rate * fmax(costs[REDIS_BYTES].value + 2 * more_bytes(p), 1);
    label(b, "network");
    put_bytes(b, in, "B/s of events in, ");
    put_bytes(b, out, "B/s of outputs out, at most ");
    put_bytes(b, redis, "B/s with Redis\n");
    label(b, "Kafka's disks");
    put_bytes(b, in * 86400, "B a day of events, ");
    put_bytes(b, out * 86400, "B of outputs; times replicas, less compression\n");
}

int ctl_size(int argc, char **argv)
{
    struct size_options o = {0};
    struct plan p;
    _cleanup_(buffer_clear) struct buffer b = {0};
    int first, r = options_parse(&command, argc, argv, &o, &first);
    if (r != OPTIONS_RUN)
        return r;
    if ((r = read_plan(&o, &p)) != 0)
        return r;
    buffer_printf(&b, "%.10g customers (ids of %g bytes, states of %g), %.10g events a second, %g outputs an event\n\n",
                  p.customers, p.id_bytes, p.state_bytes, p.rate, p.outputs_share);
    put_redis(&b, &p);
    put_daemon(&b, &p);
    put_streams(&b, &p);
    buffer_text(&b, "\nmeasured\n");
    for (int i = 0; i < COSTS; i++)
        buffer_printf(&b, "  %6g %-2s %s\n", costs[i].value, costs[i].unit, costs[i].what);
    return ctl_written(command.name, ctl_put(&b));
}
