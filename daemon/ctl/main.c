// engagectl, the operator's tool: finds the subcommand and hands over. What a subcommand takes is its own
// affair.
#include "ctl.h"

#include <stdio.h>
#include <string.h>
#include <sysexits.h>

#include "error.h"
#include "options.h"

static const struct {
    const char *name;
    int (*run)(int argc, char **argv);
    const char *arguments, *help;
} subcommands[] = {
    {"check", ctl_check, "MODEL...", "mistakes in models, their compiled rules, their state diagram"},
    {"simulate", ctl_simulate, "EVENTS...", "what models would have done on past events; two models compared"},
    {"size", ctl_size, "", "what a deployment needs: memory, nodes, partitions, cores, network"},
    {"show", ctl_show, "CUSTOMER", "what is stored of a customer: stage, facts, next deadline"},
    {"why", ctl_why, "CUSTOMER", "how a customer came into its stage, and what it lacks to leave it"},
    {"status", ctl_status, "", "where each partition stands, and the population of each stage"},
    {"audit", ctl_audit, "", "whether all was published that the log calls for, once and in order"},
    {"rebuild", ctl_rebuild, "", "permits a replay from the start, after Redis has lost states"},
};
enum { SUBCOMMANDS = sizeof(subcommands) / sizeof(subcommands[0]) };

static int help(void)
{
    puts("usage: engagectl COMMAND [OPTION...] [ARGUMENT...]\n");
    for (int i = 0; i < SUBCOMMANDS; i++)
        printf("  %-9s %-10s %s\n", subcommands[i].name, subcommands[i].arguments, subcommands[i].help);
    puts("\nengagectl COMMAND --help tells more of each.");
    return EX_OK;
}

static int unknown(const char *name)
{
    const char *names[SUBCOMMANDS];
    for (int i = 0; i < SUBCOMMANDS; i++)
        names[i] = subcommands[i].name;
    const char *nearest = name_nearest(name, names, SUBCOMMANDS);
    fprintf(stderr, "engagectl: unknown command %s%s%s%s; see engagectl --help\n", name,
            nearest ? "; did you mean " : "", nearest ? nearest : "", nearest ? "?" : "");
    return EX_USAGE;
}

int main(int argc, char **argv)
{
    static const struct command engagectl = {
        .name = "engagectl", .arguments = "COMMAND", .arguments_max = ARGUMENTS_MANY};
    if (argc < 2) {
        fputs("engagectl: no command; see engagectl --help\n", stderr);
        return EX_USAGE;
    }
    if (strcmp(argv[1], "-h") == 0 || strcmp(argv[1], "--help") == 0)
        return help();
    if (argv[1][0] == '-') {
        int first;
        return options_parse(&engagectl, 2, argv, NULL, &first);
    }
    for (int i = 0; i < SUBCOMMANDS; i++)
        if (strcmp(argv[1], subcommands[i].name) == 0)
            return subcommands[i].run(argc - 1, argv + 1);
    return unknown(argv[1]);
}
