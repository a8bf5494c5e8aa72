// When Redis has lost the states, the log, the journal and the outputs still have all that they came from.
// This checks that they reach back to where stepping began, and sets cursors there: a daemon then replays
// from the start, and publishes only what it finds missing. Every partition is checked before the first key
// is deleted.
#include "history.h"
#include "redis_erase.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

struct options {
    const char *config, *partition;
    struct option_list overrides;
    bool yes;
};

struct plan { // of one partition
    struct part_key key;
    bool wanted;          // it has a journal
    struct cursor cursor; // to be created
    uint64_t customers;   // that Redis holds now, by the former cursor
};

// ---- what can be stepped again

static int refused(struct why *why, const struct plan *p, const char *what, const struct part_key *of, int64_t start,
                   int64_t high)
{
    snprintf(why->text, sizeof why->text,
             "%s %s/%d holds offsets %" PRId64 " to %" PRId64 " only: a replay needs %s %" PRId64, what, of->topic,
             (int)of->partition, start, high,
             of->topic == p->key.topic ? "those from" : "all from 0, since it begins at", p->cursor.start);
    return PORT_REFUSED;
}

struct reading {
    struct history history;
    const char *app;
    const struct part_key *key;
};

static int add_entry(void *arg, const struct record *r)
{
    struct reading *x = arg;
    return history_add(&x->history, x->app, x->key, r);
}

static int check_programs(const struct servers *s, const struct plan *p, const struct history *h, struct why *why)
{
    if (!h->started) {
        snprintf(why->text, sizeof why->text, "the journal %s/%d does not tell where stepping began",
                 s->at.kafka.journal, (int)p->key.partition);
        return PORT_REFUSED;
    }
    for (size_t i = 0; i < h->n; i++)
        if (strcmp(h->v[i].digest, s->at.config->program.digest) != 0) {
            snprintf(why->text, sizeof why->text,
                     "program %s was at work from offset %" PRId64 " on, the configuration makes program %s: "
                     "across a change of program (models, fields, grace, time mode) there is no replay",
                     h->v[i].digest, h->v[i].offset, s->at.config->program.digest);
            return PORT_REFUSED;
        }
    return PORT_OK;
}

static int plan_start(struct servers *s, struct plan *p, struct why *why)
{
    struct reading x = {.app = s->at.config->app, .key = &p->key};
    struct part_key journal = {.topic = s->at.kafka.journal, .partition = p->key.partition};
    int64_t start, high, next;
    int r = servers_ends(s, &journal, &start, &high, why);
    next = start;
    if (r == PORT_OK && start > 0)
        r = refused(why, p, "the journal", &journal, start, high);
    if (r == PORT_OK)
        r = servers_read(s, &journal, &next, high, add_entry, &x, why);
    p->wanted = high > 0;
    if (r == PORT_OK && p->wanted)
        r = check_programs(s, p, &x.history, why);
    if (r == PORT_OK && p->wanted)
        p->cursor.start = p->cursor.offset = x.history.v[0].offset;
    history_clear(&x.history);
    return r;
}

static int plan_tail(struct servers *s, struct plan *p, const char *topic, struct why *why)
{
    struct part_key out = {.topic = topic, .partition = p->key.partition};
    int64_t start, high;
    int r = servers_ends(s, &out, &start, &high, why);
    if (r == PORT_OK && start > 0)
        r = refused(why, p, "the topic", &out, start, high);
    if (r == PORT_OK && p->cursor.ntails < TOPICS_MAX)
        p->cursor.tails[p->cursor.ntails++] = (struct tail){.topic = topic, .offset = start};
    return r;
}

static int plan(struct servers *s, struct plan *p, struct why *why)
{
    const char *topics[TOPICS_MAX];
    int n = servers_outputs(s, topics);
    int64_t start, high;
    struct cursor now;
    struct owner owner;
    p->cursor = (struct cursor){
        .exists = true, .clock = INT64_MIN, .partitions = s->partitions, .format = CURSOR_FORMAT};
    memcpy(p->cursor.program, s->at.config->program.digest, sizeof p->cursor.program);
    int r = plan_start(s, p, why);
    if (r != PORT_OK || !p->wanted)
        return r;
    r = servers_ends(s, &p->key, &start, &high, why);
    if (r == PORT_OK && (start > p->cursor.start || high < p->cursor.start))
        r = refused(why, p, "the log", &p->key, start, high);
    if (r == PORT_OK)
        r = plan_tail(s, p, s->at.kafka.journal, why);
    for (int i = 0; r == PORT_OK && i < n; i++)
        r = plan_tail(s, p, topics[i], why);
    if (r == PORT_OK && (r = redis_query_cursor(s->at.store, &p->key, &now, &owner, why)) == PORT_OK)
        for (int m = 0; m < s->at.config->program.nmodels; m++)
            p->customers += now.customers[m];
    if (r == PORT_OK)
        printf("partition %d: %" PRIu64 " states in Redis to delete, offsets %" PRId64 " to %" PRId64 " to step\n",
               (int)p->key.partition, p->customers, p->cursor.start, high);
    return r;
}

// ---- doing it

static int rebuild(struct servers *s, struct plan *p, struct why *why)
{
    const struct program *program = &s->at.config->program;
    struct model_text texts[MODELS_MAX];
    struct owner nobody = {"rebuild"};
    uint64_t keys;
    int r = redis_erase(s->at.store, &p->key, &keys, why);
    for (int i = 0; i < program->nmodels; i++) {
        const struct model *m = program->models[i];
        texts[i] = (struct model_text){.name = {m->name, strlen(m->name)},
                                       .text = {m->text, m->text_bytes},
                                       .version = m->version,
                                       .order = (uint64_t)i + 1,
                                       .clock = INT64_MIN};
    }
    if (r == PORT_OK)
        r = redis_store_ops.remember(s->at.store, &p->key, texts, (size_t)program->nmodels, why);
    if (r == PORT_OK)
        r = redis_store_ops.create(s->at.store, &p->key, &nobody, &p->cursor, why);
    if (r == PORT_OK)
        printf("partition %d: %" PRIu64 " keys deleted, the cursor stands at offset %" PRId64 "\n",
               (int)p->key.partition, keys, p->cursor.offset);
    return r;
}

static void warn_of_members(struct servers *s)
{
    const struct rd_kafka_group_list *list = NULL;
    if (rd_kafka_list_groups(s->client.rk, s->at.config->app, &list, KAFKA_CALL_MS))
        return;
    if (list->group_cnt == 1 && list->groups[0].member_cnt > 0)
        fprintf(stderr,
                "%s: the group %s has %d members: a daemon runs, or did so a minute ago. One that runs\n"
                "will halt: start it again afterwards.\n",
                s->at.command, s->at.config->app, list->groups[0].member_cnt);
    rd_kafka_group_list_destroy(list);
}

static bool confirmed(const struct options *o)
{
    char answer[16] = "";
    if (o->yes)
        return true;
    if (!isatty(STDIN_FILENO)) {
        fputs("engagectl rebuild: nobody is there to confirm it: add --yes\n", stderr);
        return false;
    }
    printf("Delete these states and let the daemon replay the log from the start? Type yes: ");
    fflush(stdout);
    return fgets(answer, sizeof answer, stdin) && !strcmp(answer, "yes\n");
}

#define FIELD(f) offsetof(struct options, f)

static const struct option_row rows[] = {
    {'c', "config", OPTION_TEXT, "FILE", FIELD(config), "configuration (" CONFIG_PATH_DEFAULT ")"},
    {0, "set", OPTION_LIST, "KEY=VALUE", FIELD(overrides), "instead of that key in FILE; redis.timeout=5s"},
    {0, "partition", OPTION_TEXT, "N", FIELD(partition), "only this partition of the source"},
    {'y', "yes", OPTION_FLAG, NULL, FIELD(yes), "do not ask"},
};

static const struct command command = {
    .name = "engagectl rebuild",
    .arguments = "",
    .about =
        "After Redis has lost states: deletes what is left of them, and permits a replay from the start.\n"
        "engaged, started again, steps everything anew and publishes only what is not published yet.\n"
        "Refused with 69, before anything is deleted, when the log, the journal or an output topic no\n"
        "longer reaches back to the start, or when another program was at work since. All topics that\n"
        "outputs ever went to must be in FILE: what stands in others would be published again.\n",
    .rows = rows,
    .nrows = sizeof(rows) / sizeof(rows[0]),
};

static int each_partition(struct servers *s, struct plan *plans, int32_t n,
                          int (*act)(struct servers *s, struct plan *p, struct why *why))
{
    int status = 0;
    for (int32_t i = 0; i < n; i++) {
        struct why why = {0};
        if (act == rebuild && !plans[i].wanted)
            continue;
        int r = act(s, &plans[i], &why);
        if (r < 0)
            return r;
        if (r > 0) {
            fprintf(stderr, "%s: partition %d: %s\n", command.name, (int)plans[i].key.partition, why.text);
            status = EX_UNAVAILABLE;
        }
    }
    return status;
}

static int run(struct servers *s, const struct options *o)
{
    int32_t first, end;
    int status = servers_partitions(s, command.name, o->partition, &first, &end);
    if (status)
        return status;
    _cleanup_free_ struct plan *plans = calloc((size_t)(end - first), sizeof *plans);
    if (!plans)
        return ERR_NOMEM;
    for (int32_t i = 0; i < end - first; i++)
        plans[i].key = (struct part_key){.topic = s->at.config->source.topic, .partition = first + i};
    if ((status = each_partition(s, plans, end - first, plan)) != 0)
        return status;
    warn_of_members(s);
    if (!confirmed(o))
        return EX_USAGE;
    if ((status = each_partition(s, plans, end - first, rebuild)) == 0)
        puts("Start engaged now, or again if it runs: it replays from the start.");
    return status;
}

int ctl_rebuild(int argc, char **argv)
{
    struct options o = {0};
    struct servers s = {0};
    int first, status = options_parse(&command, argc, argv, &o, &first);
    if (status != OPTIONS_RUN)
        return status;
    if ((status = servers_open(&s, command.name, o.config, &o.overrides)) == 0)
        status = run(&s, &o);
    servers_close(&s);
    return ctl_written(command.name, status);
}
