// Command lines as tables: a row is an option, and the help text is made of the same rows.
#pragma once
#include <stdbool.h>
#include <stddef.h>

#define CONFIG_PATH_DEFAULT "/etc/engaged/engaged.yaml"

enum { OPTION_REPEATS_MAX = 32, ARGUMENTS_MANY = 1 << 20 };

enum option_kind {
    OPTION_FLAG, // bool
    OPTION_TEXT, // const char *
    OPTION_LIST, // struct option_list: may be given again and again
};

struct option_list {
    const char *v[OPTION_REPEATS_MAX + 1]; // ends with NULL
    size_t n;
};

struct option_row {
    char letter;      // short form, 0: none
    const char *name; // long form
    enum option_kind kind;
    const char *argument; // its name in the help; NULL: a flag
    size_t target;        // offset in the struct that the options fill
    const char *help;
};

struct command {
    const char *name;              // "engagectl check"
    const char *arguments;         // what follows the options in the usage line, "" if nothing
    const char *about;             // what it does: lines of the help
    const struct option_row *rows; // --help and --version are understood without a row
    size_t nrows;
    int arguments_min, arguments_max;
};

enum { OPTIONS_RUN = -1 };

// Reads argv (argv[0] is skipped) into `target`, and moves what is no option behind the options. OPTIONS_RUN:
// go on, *ret_first is the index of the first argument. Else the status to exit with: 0 after --help or
// --version, EX_USAGE (64) after a mistake, both already printed.
int options_parse(const struct command *c, int argc, char **argv, void *target, int *ret_first);

struct engaged_options {
    const char *config;
    bool check_config;
    struct option_list overrides; // for config_load
};

// The daemon's own command line, as options_parse.
int engaged_options(int argc, char **argv, struct engaged_options *ret);
