// What came of the year, from the output topics alone: where the customers are, how they moved, what the campaigns
// were told, and one customer's story. And the check: partition by partition the same as DIR/simulated-N.jsonl, which
// `engagectl simulate` has made of the same events. Same means all that an output says: customer, ordinal, time,
// stages, trigger, rule, cause and facts.
#define _GNU_SOURCE // asprintf
#include "shop.h"

#include <string.h>
#include <yyjson.h>

enum { QUIET_MS = 30000, STORY_LINES = 24, BAR = 24 };

struct output {
    char *customer, *time; // time: RFC 3339, UTC
    int64_t ordinal;
    char *from, *to, *rule;                     // of a transition: never NULL; rule: else perhaps
    char *trigger, *campaign, *stage, *channel; // of a trigger; channel: the preferred one, or NULL
    char *objective;                            // of that stage, or NULL
    char *cause;                                // the event's type; NULL: a deadline
    char *since;                                // when the customer was first seen
    char *all;                                  // for the comparison
};

struct outputs {
    struct output *v;
    size_t n, cap;
};

// ---- reading

static char *copy_of(yyjson_val *v)
{
    const char *text = yyjson_get_str(v);
    char *copy = text ? strdup(text) : NULL;
    if (text && !copy)
        fail("out of memory");
    return copy;
}

static char *text_of(yyjson_val *object, const char *key)
{
    return copy_of(yyjson_obj_get(object, key));
}

static const char *or_none(const char *text)
{
    return text ? text : "-";
}

static void add(struct outputs *to, yyjson_val *data, char *time, int partition)
{
    yyjson_val *cause = yyjson_obj_get(data, "cause"), *facts = yyjson_obj_get(data, "facts");
    yyjson_val *channel = yyjson_arr_get_first(yyjson_obj_get(data, "channels"));
    char *facts_text = yyjson_val_write(facts, 0, NULL);
    struct output o = {
        .customer = text_of(data, "customer"),
        .time = time,
        .ordinal = yyjson_get_sint(yyjson_obj_get(data, "ordinal")),
        .from = text_of(data, "from"),
        .to = text_of(data, "to"),
        .rule = text_of(data, "rule"),
        .trigger = text_of(data, "trigger"),
        .campaign = text_of(data, "campaign"),
        .stage = text_of(data, "stage"),
        .channel = copy_of(channel),
        .objective = text_of(yyjson_obj_get(data, "objective"), "name"),
        .cause = text_of(cause, "type"),
        .since = text_of(facts, "first_seen"),
    };
    if (!o.customer || !o.time || !o.since || !facts_text || (o.trigger ? !o.campaign || !o.stage : !o.to || !o.rule))
        fail("an output lacks what an output has");
    if (asprintf(&o.all,
                 "%s %s %" PRId64 " from %s to %s rule %s trigger %s stage %s visit %" PRId64
                 " cause %s %s partition %d offset %" PRId64 " facts %s",
                 o.time, o.customer, o.ordinal, or_none(o.from), or_none(o.to), or_none(o.rule), or_none(o.trigger),
                 or_none(o.stage), yyjson_get_sint(yyjson_obj_get(data, "visit")),
                 or_none(yyjson_get_str(yyjson_obj_get(cause, "kind"))), or_none(o.cause), partition,
                 yyjson_get_sint(yyjson_obj_get(cause, "offset")), facts_text) < 0)
        fail("out of memory");
    free(facts_text);
    to->v = grow(to->v, to->n, &to->cap, sizeof *to->v);
    to->v[to->n++] = o;
}

static void read_published(const char *brokers, struct outputs *to)
{
    rd_kafka_queue_t *queue = outputs_open(brokers);
    for (int open = OUTPUT_TOPICS * PARTITIONS; open > 0;) {
        rd_kafka_message_t *m;
        if (rd_kafka_consume_batch_queue(queue, QUIET_MS, &m, 1) != 1)
            fail("the outputs' end does not come: %d partitions are left", open);
        if (m->err == RD_KAFKA_RESP_ERR__PARTITION_EOF) {
            open--;
        } else if (!m->err) {
            yyjson_doc *doc = yyjson_read(m->payload, m->len, 0);
            yyjson_val *root = yyjson_doc_get_root(doc);
            add(to, yyjson_obj_get(root, "data"), text_of(root, "time"), m->partition);
            yyjson_doc_free(doc);
        }
        rd_kafka_message_destroy(m);
    }
}

static void read_simulated(const char *dir, int partition, struct outputs *to)
{
    char *line = NULL;
    size_t cap = 0;
    FILE *in = open_in(dir, "simulated", partition, "re");
    if (!in)
        fail("%s/simulated-%d.jsonl cannot be read", dir, partition);
    for (ssize_t n; (n = getline(&line, &cap, in)) > 0;) {
        yyjson_doc *doc = yyjson_read(line, (size_t)n, 0);
        yyjson_val *data = yyjson_doc_get_root(doc);
        if (!yyjson_obj_get(data, "suppressed")) // over a cap: never published
            add(to, data, text_of(data, "time"), partition);
        yyjson_doc_free(doc);
    }
    free(line);
    fclose(in);
}

static int in_order(const void *a, const void *b)
{
    const struct output *x = a, *y = b;
    int c = strcmp(x->customer, y->customer);
    return c ? c : (x->ordinal > y->ordinal) - (x->ordinal < y->ordinal);
}

// ---- tables

struct row {
    const char *a, *b, *c; // c: ""
    int64_t n;
};

struct table {
    struct row v[256];
    int n;
};

static void count(struct table *t, const char *a, const char *b, const char *c)
{
    int i = 0;
    while (i < t->n && (strcmp(t->v[i].a, a) || strcmp(t->v[i].b, b) || strcmp(t->v[i].c, c)))
        i++;
    if (i == t->n && t->n++ == sizeof t->v / sizeof *t->v)
        fail("a table of more than %d rows", i);
    t->v[i] = (struct row){a, b, c, t->v[i].n + 1};
}

static int most_first(const void *a, const void *b)
{
    const struct row *x = a, *y = b;
    return (x->n < y->n) - (x->n > y->n);
}

static int by_campaign(const void *a, const void *b)
{
    const struct row *x = a, *y = b;
    int c = strcmp(x->a, y->a);
    return c ? c : most_first(a, b);
}

static void sort(struct table *t, int (*order)(const void *, const void *))
{
    qsort(t->v, (size_t)t->n, sizeof *t->v, order);
}

static void show_population(const struct outputs *o, int64_t customers)
{
    static struct table t;
    char n[NUMBER_BYTES];
    const char *first = NULL;
    int64_t moved = 0;
    for (size_t i = 0; i < o->n;) {
        const char *at = NULL, *customer = o->v[i].customer;
        for (; i < o->n && strcmp(o->v[i].customer, customer) == 0; i++)
            if (!o->v[i].trigger) {
                first = at || first ? first : o->v[i].from; // everybody's first transition leaves the first stage
                at = o->v[i].to;
            }
        if (at)
            count(&t, at, "", "");
        moved += at != NULL;
    }
    if (first && customers > moved)
        t.v[t.n++] = (struct row){first, "", "", customers - moved};
    sort(&t, most_first);
    printf("\nWhere the customers are when the year ends\n");
    for (int i = 0; i < t.n; i++) {
        int bar = (int)(BAR * t.v[i].n / t.v[0].n);
        printf("  %-16s  %6s  %4.1f %%  %.*s\n", t.v[i].a, number(t.v[i].n, n),
               100.0 * (double)t.v[i].n / (double)customers, bar, "########################");
    }
}

// The rules of one flow, those that moved most first, as one text.
static const char *rules_of(const struct table *rules, const struct row *flow, char buf[static 256])
{
    size_t n = 0;
    buf[0] = '\0';
    for (int i = 0; i < rules->n && n < 256; i++)
        if (strcmp(rules->v[i].a, flow->a) == 0 && strcmp(rules->v[i].b, flow->b) == 0)
            n += (size_t)snprintf(buf + n, 256 - n, "%s%s", n ? ", " : "", rules->v[i].c);
    return buf;
}

static void show_flows(const struct outputs *o)
{
    static struct table flows, rules;
    char n[NUMBER_BYTES], text[256];
    for (size_t i = 0; i < o->n; i++)
        if (!o->v[i].trigger) {
            count(&flows, o->v[i].from, o->v[i].to, "");
            count(&rules, o->v[i].from, o->v[i].to, o->v[i].rule);
        }
    sort(&flows, most_first);
    sort(&rules, most_first);
    printf("\nHow they moved, and by which rules\n");
    for (int i = 0; i < flows.n; i++)
        printf("  %-16s -> %-16s  %6s  %s\n", flows.v[i].a, flows.v[i].b, number(flows.v[i].n, n),
               rules_of(&rules, &flows.v[i], text));
}

static void show_triggers(const struct outputs *o)
{
    static struct table t;
    char n[NUMBER_BYTES];
    for (size_t i = 0; i < o->n; i++)
        if (o->v[i].trigger)
            count(&t, o->v[i].campaign, o->v[i].trigger, "");
    sort(&t, by_campaign);
    printf("\nWhat the campaigns were told: triggers\n");
    for (int i = 0; i < t.n; i++) {
        bool another = i == 0 || strcmp(t.v[i - 1].a, t.v[i].a) != 0;
        printf("  %-16s    %-22s  %s\n", another ? t.v[i].a : "", t.v[i].b, number(t.v[i].n, n));
    }
}

// ---- a story

// How much there is to tell of a customer with these n outputs: stages, rules and triggers, each counted once.
static int variety(const struct output *o, size_t n)
{
    static const char *seen[STORY_LINES * 3];
    int nseen = 0, worth = 0;
    if (n > STORY_LINES)
        return 0;
    for (size_t i = 0; i < n; i++) {
        const char *told[] = {o[i].trigger, o[i].rule, o[i].to};
        for (int k = 0; k < 3; k++) {
            int at = 0;
            while (told[k] && at < nseen && strcmp(seen[at], told[k]) != 0)
                at++;
            if (told[k] && at == nseen) {
                seen[nseen++] = told[k];
                worth += k + 1;
            }
        }
    }
    return worth;
}

static void tell(const struct output *o, const char *former_time)
{
    bool again = strncmp(o->time, former_time, 16) == 0; // to the minute
    char what[96];
    printf("  %.10s %.5s  ", again ? "          " : o->time, again ? "     " : o->time + 11);
    if (o->trigger)
        snprintf(what, sizeof what, "  trigger %s", o->trigger);
    else
        snprintf(what, sizeof what, "%s -> %s", o->from, o->to);
    printf("%-34s  ", what);
    if (!o->trigger && o->cause)
        printf("rule %s, event %s\n", o->rule, o->cause);
    else if (!o->trigger)
        printf("rule %s, by its deadline\n", o->rule);
    else if (strcmp(o->campaign, "objective") == 0)
        printf("%s of %s\n", or_none(o->objective), o->stage);
    else
        printf("campaign %s, channel %s\n", o->campaign, or_none(o->channel));
}

static void show_story(const struct outputs *o)
{
    const struct output *best = NULL;
    size_t nbest = 0, n;
    int most = 0;
    for (size_t i = 0; i < o->n; i += n) {
        for (n = 1; i + n < o->n && strcmp(o->v[i + n].customer, o->v[i].customer) == 0;)
            n++;
        int worth = variety(&o->v[i], n);
        if (worth > most) {
            most = worth;
            best = &o->v[i];
            nbest = n;
        }
    }
    if (!best)
        return;
    printf("\nOne customer's story: %s\n  %.10s %.5s  first seen\n", best->customer, best->since, best->since + 11);
    for (size_t i = 0; i < nbest; i++)
        tell(&best[i], i ? best[i - 1].time : best->since);
}

// ---- the check

static bool is_same(struct outputs *published, struct outputs *simulated)
{
    size_t i = 0, n = published->n < simulated->n ? published->n : simulated->n;
    char a[NUMBER_BYTES], b[NUMBER_BYTES];
    while (i < n && strcmp(published->v[i].all, simulated->v[i].all) == 0)
        i++;
    if (i == n && published->n == simulated->n) {
        printf("\n%s outputs, checked against engagectl simulate: equal\n", number((int64_t)n, a));
        return true;
    }
    printf("\n%s outputs, %s by engagectl simulate: NOT equal. The first difference:\n",
           number((int64_t)published->n, a), number((int64_t)simulated->n, b));
    printf("  published %s\n", i < published->n ? published->v[i].all : "nothing");
    printf("  simulated %s\n", i < simulated->n ? simulated->v[i].all : "nothing");
    return false;
}

int shop_report(char **args)
{
    struct outputs published = {0}, simulated = {0};
    read_published(args[0], &published);
    for (int p = 0; p < PARTITIONS; p++)
        read_simulated(args[1], p, &simulated);
    qsort(published.v, published.n, sizeof *published.v, in_order);
    qsort(simulated.v, simulated.n, sizeof *simulated.v, in_order);
    show_population(&published, strtoll(args[2], NULL, 10));
    show_flows(&published);
    show_triggers(&published);
    show_story(&published);
    return is_same(&published, &simulated) ? 0 : 1;
}
