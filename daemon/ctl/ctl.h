// engagectl's subcommands, and what they share. Each takes its own arguments (argv[0] is its name) and
// returns a status of sysexits.h: 0, 64 usage, 65 data, 69 Redis or Kafka away, 70 internal, 78 models or
// configuration.
#pragma once
#include "buffer.h"
#include "config.h"
#include "options.h"

int ctl_audit(int argc, char **argv);
int ctl_check(int argc, char **argv);
int ctl_rebuild(int argc, char **argv);
int ctl_show(int argc, char **argv);
int ctl_simulate(int argc, char **argv);
int ctl_size(int argc, char **argv);
int ctl_status(int argc, char **argv);
int ctl_why(int argc, char **argv);

// The first options of all commands about a running app; FIELD is the command's own.
#define CONFIG_OPTION_ROWS \
    {'c', "config", OPTION_TEXT, "FILE", FIELD(config), "configuration (" CONFIG_PATH_DEFAULT ")"}, \
        {0, "set", OPTION_LIST, "KEY=VALUE", FIELD(overrides), "instead of that key in FILE; redis.timeout=5s"}

// ---- ctl.c

// Says what is wrong with the arguments of `command` ("engagectl size"). EX_USAGE.
int ctl_usage(const char *command, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
// *ret_json from the argument of --format (NULL: *ret_json stays). 0, or EX_USAGE with a message.
int ctl_format(const char *command, const char *format, bool *ret_json);
// Writes the buffer to standard output and empties it. 0, or negative: it had failed.
int ctl_put(struct buffer *b);
// The exit status for a result of ports.h, with its reason printed; negative stays for ctl_written.
int ctl_port(const char *command, int result, const struct why *why);
// The exit status of a command: `status`, or EX_SOFTWARE with a message if that is negative (no memory) or
// not all of the output could be written.
int ctl_written(const char *command, int status);

// Reads a configuration (NULL: the default path), printing mistakes. 0: *ret is the caller's (config_free),
// or an exit status.
int ctl_config(const char *path, const struct option_list *overrides, struct config **ret);
// Reads and compiles one model file, printing mistakes and warnings. 0, or an exit status.
int ctl_model(const char *path, struct model **ret);
// Models and field map for a subcommand that steps events: from the models named, else those of the
// configuration; from the preset named, else the configuration's source, else `plain`. Prints mistakes. 0:
// *ret is the caller's (program_clear); else an exit status.
int ctl_program(const char *config, const char *const *models, int nmodels, const char *preset, struct program *ret);
