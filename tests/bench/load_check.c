// Compares all that the daemon has published with what the oracle expects: every transition, each once, in the order of
// each customer, with its cause and facts; nothing else. And nothing may be left over: no open transaction, no lag.
#include "load.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SHOWN_MAX = 5 };
#define SCORE_DIGIT 0.001 // outputs have three digits of it

struct expected { // an entry of the table
    char id[sizeof((struct line *)0)->id];
    char text[sizeof((struct line *)0)->text];
    double score;
    int32_t seen;
};

struct check {
    struct table expected;
    int64_t outputs, missing, extra, twice, different, disordered;
    int shown;
};

static void show(struct check *c, const char *what, const char *id, const char *text, const char *instead)
{
    if (c->shown++ < SHOWN_MAX)
        fprintf(stderr, "load: %s: %s: %s%s%s\n", what, id, text, instead ? ", not " : "", instead ? instead : "");
}

static void read_expected(struct check *c, const char *file)
{
    FILE *f = fopen(file, "r");
    char row[512];
    if (!f)
        fail("%s cannot be read", file);
    while (fgets(row, sizeof row, f)) {
        char *text = strchr(row, '\t'), *score = text ? strchr(text + 1, '\t') : NULL;
        if (!score)
            fail("%s: what is %s", file, row);
        *text++ = *score++ = '\0';
        struct expected *x = table_get(&c->expected, row, strlen(row), true);
        snprintf(x->text, sizeof x->text, "%s", text);
        x->score = strtod(score, NULL);
    }
    fclose(f);
}

static void each_output(void *arg, const rd_kafka_message_t *m)
{
    struct check *c = arg;
    struct line l;
    c->outputs++;
    line_of_record(m, &l);
    struct expected *x = table_get(&c->expected, l.id, strlen(l.id), false);
    if (!x) {
        c->extra++;
        show(c, "extra", l.id, l.text, NULL);
        return;
    }
    if (x->seen++) {
        c->twice++;
        show(c, "twice", l.id, l.text, NULL);
        return;
    }
    if (strcmp(x->text, l.text) != 0 || fabs(x->score - l.score) > SCORE_DIGIT) {
        c->different++;
        show(c, "different", l.id, l.text, x->text);
    }
    size_t id_bytes = (size_t)(strrchr(l.id, ':') - l.id);
    char before[sizeof l.id];
    snprintf(before, sizeof before, "%.*s:%d", (int)id_bytes, l.id, l.ordinal - 1);
    const struct expected *former = l.ordinal > 1 ? table_get(&c->expected, before, strlen(before), false) : x;
    if (!former || !former->seen) {
        c->disordered++;
        show(c, "before its time", l.id, l.text, NULL);
    }
}

// Records beyond the last stable offset are of transactions that nobody has ended.
static int64_t open_records(const char *brokers, const char *topic)
{
    rd_kafka_t *stable = reader_new(brokers);
    rd_kafka_t *all = client_new(RD_KAFKA_CONSUMER, brokers,
                                 (const char *[]){"group.id", "bench", "isolation.level", "read_uncommitted", NULL});
    int64_t ends[PARTITIONS_MAX], stable_ends[PARTITIONS_MAX], open = 0;
    int32_t n = partitions_of(all, topic);
    ends_of(all, topic, n, ends);
    ends_of(stable, topic, n, stable_ends);
    for (int32_t i = 0; i < n; i++)
        open += ends[i] - stable_ends[i];
    rd_kafka_destroy(all);
    rd_kafka_destroy(stable);
    return open;
}

int load_check(const char *brokers, struct args *a)
{
    static struct check c;
    const char *topic = arg_text(a, "topic", NULL), *file = arg_text(a, "file", NULL);
    const char *group = arg_text(a, "group", ""), *source = arg_text(a, "source", "");
    args_end(a);
    table_init(&c.expected, sizeof(struct expected));
    read_expected(&c, file);
    int64_t open = open_records(brokers, topic), lag = *group ? group_lag(brokers, group, source) : 0;
    read_topic(brokers, topic, each_output, &c);
    for (size_t i = 0; i < c.expected.n; i++) {
        const struct expected *x = (const struct expected *)c.expected.entries + i;
        if (!x->seen) {
            c.missing++;
            show(&c, "missing", x->id, x->text, NULL);
        }
    }
    bool ok = c.expected.n > 0 && !c.missing && !c.extra && !c.twice && !c.different && !c.disordered && !open && !lag;
    printf("{\"ok\":%s,\"expected\":%zu,\"outputs\":%" PRId64 ",\"missing\":%" PRId64 ",\"extra\":%" PRId64
           ",\"twice\":%" PRId64 ",\"different\":%" PRId64 ",\"disordered\":%" PRId64 ",\"open\":%" PRId64
           ",\"lag\":%" PRId64 "}\n",
           ok ? "true" : "false", c.expected.n, c.outputs, c.missing, c.extra, c.twice, c.different, c.disordered, open,
           lag);
    return ok ? 0 : 1;
}
