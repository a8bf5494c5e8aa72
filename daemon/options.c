// getopt_long does the splitting, and stays silent: its messages would not say what is right.
#include "options.h"

#include <assert.h>
#include <getopt.h>
#include <stdio.h>
#include <string.h>
#include <sysexits.h>

#include "error.h"
#include "version.h"

enum { ROWS_MAX = 24, LONG_ONLY = 256, HELP = 'h', VERSION = LONG_ONLY + ROWS_MAX };

static void print_row(const struct option_row *row)
{
    char form[64];
    int n = row->letter ? snprintf(form, sizeof(form), "-%c, ", row->letter) : snprintf(form, sizeof(form), "    ");
    snprintf(form + n, sizeof(form) - (size_t)n, "--%s%s%s", row->name, row->argument ? " " : "",
             row->argument ? row->argument : "");
    printf("  %-26s %s\n", form, row->help);
}

static void print_help(const struct command *c)
{
    printf("usage: %s [OPTION...]%s%s\n%s\n", c->name, *c->arguments ? " " : "", c->arguments, c->about);
    for (size_t i = 0; i < c->nrows; i++)
        print_row(&c->rows[i]);
    print_row(&(struct option_row){.letter = 'h', .name = "help", .help = "show this, and end"});
    print_row(&(struct option_row){.name = "version", .help = "show the version, and end"});
}

static int usage(const struct command *c, const char *what, const char *which, const char *advice)
{
    fprintf(stderr, "%s: %s %s%s%s%s; see %s --help\n", c->name, what, which, advice ? "; did you mean --" : "",
            advice ? advice : "", advice ? "?" : "", c->name);
    return EX_USAGE;
}

static int unknown(const struct command *c, const char *written)
{
    const char *names[ROWS_MAX];
    char name[64];
    for (size_t i = 0; i < c->nrows; i++)
        names[i] = c->rows[i].name;
    snprintf(name, sizeof(name), "%.*s", (int)strcspn(written + 2, "="), written + 2);
    return usage(c, "unknown option", written, name_nearest(name, names, c->nrows));
}

static int take(const struct command *c, const struct option_row *row, void *target)
{
    void *field = (char *)target + row->target;
    struct option_list *list = field;
    switch (row->kind) {
    case OPTION_FLAG: *(bool *)field = true; return 0;
    case OPTION_TEXT: *(const char **)field = optarg; return 0;
    case OPTION_LIST:
        if (list->n == OPTION_REPEATS_MAX)
            return usage(c, "too many times", row->name, NULL);
        list->v[list->n++] = optarg;
        return 0;
    }
    return 0;
}

// getopt's tables, made of the rows: an option is known by the index of its row, from LONG_ONLY on.
static void make_tables(const struct command *c, struct option *longs, char *shorts)
{
    assert(c->nrows <= ROWS_MAX);
    *shorts++ = ':'; // tell a missing argument from an unknown option
    *shorts++ = HELP;
    for (size_t i = 0; i < c->nrows; i++) {
        const struct option_row *row = &c->rows[i];
        longs[i] = (struct option){row->name, row->argument ? required_argument : no_argument, NULL,
                                   LONG_ONLY + (int)i};
        if (row->letter)
            *shorts++ = row->letter;
        if (row->letter && row->argument)
            *shorts++ = ':';
    }
    *shorts = '\0';
    longs[c->nrows] = (struct option){"help", no_argument, NULL, HELP};
    longs[c->nrows + 1] = (struct option){"version", no_argument, NULL, VERSION};
    longs[c->nrows + 2] = (struct option){0};
}

int options_parse(const struct command *c, int argc, char **argv, void *target, int *ret_first)
{
    struct option longs[ROWS_MAX + 3];
    char shorts[2 * ROWS_MAX + 4];
    make_tables(c, longs, shorts);
    opterr = 0;
    optind = 0; // glibc: start anew
    for (int k; (k = getopt_long(argc, argv, shorts, longs, NULL)) != -1;) {
        const char letter[] = {'-', (char)optopt, '\0'};
        bool is_short = optopt > 0 && optopt < LONG_ONLY;
        if (k == HELP || k == VERSION) {
            if (k == HELP)
                print_help(c);
            else
                printf("%.*s %s\n", (int)strcspn(c->name, " "), c->name, ENGAGED_VERSION);
            return EX_OK;
        }
        if (k == ':')
            return usage(c, "no value after", is_short ? letter : argv[optind - 1], NULL);
        if (k == '?' && optopt >= LONG_ONLY)
            return usage(c, "no value is taken by", argv[optind - 1], NULL);
        if (k == '?')
            return is_short ? usage(c, "unknown option", letter, NULL) : unknown(c, argv[optind - 1]);
        for (size_t i = 0; i < c->nrows; i++)
            if ((k == LONG_ONLY + (int)i || k == c->rows[i].letter) && take(c, &c->rows[i], target) != 0)
                return EX_USAGE;
    }
    int n = argc - optind;
    if (n > c->arguments_max)
        return usage(c, "unexpected argument", argv[optind + c->arguments_max], NULL);
    if (n < c->arguments_min)
        return usage(c, "missing argument", c->arguments, NULL);
    *ret_first = optind;
    return OPTIONS_RUN;
}

#define FIELD(f) offsetof(struct engaged_options, f)

static const struct option_row engaged_rows[] = {
    {'c', "config", OPTION_TEXT, "FILE", FIELD(config), "configuration (" CONFIG_PATH_DEFAULT ")"},
    {0, "set", OPTION_LIST, "KEY=VALUE", FIELD(overrides), "instead of that key in FILE; redis.timeout=5s"},
    {0, "check-config", OPTION_FLAG, NULL, FIELD(check_config),
     "report mistakes in FILE and its models, and end"},
};

int engaged_options(int argc, char **argv, struct engaged_options *ret)
{
    static const struct command engaged = {
        .name = "engaged",
        .arguments = "",
        .about =
            "Keeps one lifecycle state machine per customer, from events in Kafka, in Redis, and publishes\n"
            "transitions and triggers. Runs in the foreground until SIGTERM; SIGHUP reloads models and log "
            "level.\n",
        .rows = engaged_rows,
        .nrows = sizeof(engaged_rows) / sizeof(engaged_rows[0]),
    };
    int first;
    *ret = (struct engaged_options){.config = CONFIG_PATH_DEFAULT};
    return options_parse(&engaged, argc, argv, ret, &first);
}
