// When Redis has lost the states, the log, the journal and the outputs still have all that they came from.
// This checks that they reach back to where stepping began, and sets cursors from which a daemon replays, and
// publishes only what it finds missing. A daemon knows one program, its own: so where others were at work before,
// their part of the log is stepped here, and the cursor is set to the last change of program, with the states as they
// were then. Every partition is checked before the first key is deleted.
#include "rebuild.h"
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
    struct audit audit;
    struct cursor cursor; // to be created
    uint64_t customers;   // that Redis holds now, by the former cursor
};

// ---- what can be stepped again

static int refused(struct plan *p, const char *what, const struct part_key *of, int64_t start, int64_t high)
{
    const char *source = p->audit.key.topic;
    snprintf(p->audit.why.text, sizeof p->audit.why.text,
             "%s %s/%d holds offsets %" PRId64 " to %" PRId64 " only: a replay needs %s %" PRId64, what, of->topic,
             (int)of->partition, start, high, of->topic == source ? "those from" : "all from 0, since it begins at",
             p->cursor.start);
    return PORT_REFUSED;
}

// The journal, and that this configuration is the one at work last.
static int plan_start(struct servers *s, struct plan *p, const struct options *o)
{
    struct audit *a = &p->audit;
    struct part_key journal = {.topic = s->at.kafka.journal, .partition = a->key.partition};
    int64_t start, high;
    int r = servers_ends(s, &journal, &start, &high, &a->why);
    if (r == PORT_OK && start > 0)
        r = refused(p, "the journal", &journal, start, high);
    if (r == PORT_OK)
        r = audit_begin(a, o->config, &o->overrides);
    if (r != PORT_OK || a->history.n == 0)
        return r;
    const struct history_program *last = &a->history.v[a->history.n - 1];
    p->cursor.start = a->history.v[0].offset;
    p->cursor.offset = last->offset;
    if (!strcmp(last->digest, s->at.config->program.digest))
        return PORT_OK;
    snprintf(a->why.text, sizeof a->why.text,
             "program %s was at work last (from offset %" PRId64
             " on), the configuration makes program %s: rebuild and "
             "start with the models, fields, grace and time mode of then, and change them when the replay is over",
             last->digest, last->offset, s->at.config->program.digest);
    return PORT_REFUSED;
}

static int plan_tail(struct servers *s, struct plan *p, const char *topic)
{
    struct part_key out = {.topic = topic, .partition = p->audit.key.partition};
    int64_t start, high;
    int r = servers_ends(s, &out, &start, &high, &p->audit.why);
    if (r == PORT_OK && start > 0)
        r = refused(p, "the topic", &out, start, high);
    if (r == PORT_OK && p->cursor.ntails < TOPICS_MAX)
        p->cursor.tails[p->cursor.ntails++] = (struct tail){.topic = topic, .offset = start};
    return r;
}

static int plan(struct servers *s, struct plan *p, const struct options *o)
{
    struct audit *a = &p->audit;
    const struct program *program = &s->at.config->program;
    int64_t start, high;
    struct cursor now;
    struct owner owner;
    p->cursor = (struct cursor){
        .exists = true, .clock = INT64_MIN, .swept = INT64_MIN, .partitions = s->partitions, .format = CURSOR_FORMAT};
    memcpy(p->cursor.program, program->digest, sizeof p->cursor.program);
    int r = plan_start(s, p, o);
    if (r != PORT_OK || a->history.n == 0)
        return r;
    r = servers_ends(s, &a->key, &start, &high, &a->why);
    if (r == PORT_OK && (start > p->cursor.start || high < p->cursor.start))
        r = refused(p, "the log", &a->key, start, high);
    if (r == PORT_OK)
        r = plan_tail(s, p, s->at.kafka.journal);
    for (int i = 0; r == PORT_OK && i < a->ntopics; i++)
        r = plan_tail(s, p, a->topics[i]);
    if (r == PORT_OK && (r = redis_query_cursor(s->at.store, &a->key, &now, &owner, &a->why)) == PORT_OK)
        for (int m = 0; m < program->nmodels; m++)
            p->customers += now.customers[m];
    if (r == PORT_OK)
        printf("partition %d: %" PRIu64 " states in Redis to delete, offsets %" PRId64 " to %" PRId64 " to step\n",
               (int)a->key.partition, p->customers, p->cursor.start, high);
    return r;
}

// ---- doing it

static int rebuild(struct servers *s, struct plan *p, const struct options *o)
{
    struct audit *a = &p->audit;
    uint64_t keys;
    (void)o;
    if (a->history.n == 0)
        return PORT_OK; // nothing was ever stepped here
    int r = rebuild_step(a, &p->cursor);
    if (r == PORT_OK)
        r = redis_erase(s->at.store, &a->key, &keys, &a->why);
    if (r == PORT_OK)
        r = rebuild_write(a, &p->cursor);
    if (r == PORT_OK)
        printf("partition %d: %" PRIu64 " keys deleted, the cursor stands at offset %" PRId64 "\n",
               (int)a->key.partition, keys, p->cursor.offset);
    audit_clear(a);
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
    CONFIG_OPTION_ROWS,
    {0, "partition", OPTION_TEXT, "N", FIELD(partition), "only this partition of the source"},
    {'y', "yes", OPTION_FLAG, NULL, FIELD(yes), "do not ask"},
};

static const struct command command = {
    .name = "engagectl rebuild",
    .arguments = "",
    .about = "After Redis has lost states: deletes what is left of them, and permits a replay from the start.\n"
             "engaged, started again, steps everything anew and publishes only what is not published yet.\n"
             "Where the program has changed since (models, fields, grace, time mode), the log is first stepped\n"
             "here up to the last change, which takes memory for all customers of one partition.\n"
             "Refused with 69, before anything is deleted, when the log, the journal or an output topic no\n"
             "longer reaches back to the start, or when FILE does not make the program that was at work last.\n"
             "All topics that outputs ever went to must be in FILE: what stands in others would be published\n"
             "again.\n",
    .rows = rows,
    .nrows = sizeof(rows) / sizeof(rows[0]),
};

static int each_partition(struct servers *s, struct plan *plans, int32_t n, const struct options *o,
                          int (*act)(struct servers *s, struct plan *p, const struct options *o))
{
    int status = 0;
    for (int32_t i = 0; i < n; i++) {
        const struct audit *a = &plans[i].audit;
        int r = act(s, &plans[i], o);
        if (r < 0)
            return r;
        if (r > 0) {
            fprintf(stderr, "%s: partition %d: %s\n", command.name, (int)a->key.partition, a->why.text);
            status = EX_UNAVAILABLE;
        }
    }
    return status;
}

static int act(struct servers *s, struct plan *plans, int32_t n, const struct options *o)
{
    int status = each_partition(s, plans, n, o, plan);
    bool begun = false;
    for (int32_t i = 0; i < n; i++)
        begun |= plans[i].audit.history.n > 0;
    if (status == 0 && !begun) {
        fprintf(stderr, "%s: the journal %s has no entry of app %s: nothing was stepped yet. Is app right?\n",
                command.name, s->at.kafka.journal, s->at.config->app);
        return EX_DATAERR;
    }
    if (status)
        return status;
    warn_of_members(s);
    if (!confirmed(o))
        return EX_USAGE;
    if ((status = each_partition(s, plans, n, o, rebuild)) == 0)
        puts("Start engaged now, or again if it runs: it replays from there.");
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
    for (int32_t i = 0; i < end - first; i++) {
        plans[i].audit.servers = s;
        plans[i].audit.key = (struct part_key){.topic = s->at.config->source.topic, .partition = first + i};
    }
    status = act(s, plans, end - first, o);
    for (int32_t i = 0; i < end - first; i++)
        audit_clear(&plans[i].audit);
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
