// engagectl's subcommands: each takes its own arguments (argv[0] is its name) and returns a status of sysexits.h.
#pragma once
#include "model.h"

int ctl_check(int argc, char **argv);
int ctl_simulate(int argc, char **argv);

// Models and field map for a subcommand that steps events: from the models named, else those of the configuration;
// from the preset named, else the configuration's source, else `plain`. Prints mistakes. 0: *ret is the caller's
// (program_clear); else an exit status.
int ctl_program(const char *config, const char *const *models, int nmodels, const char *preset, struct program *ret);
// Reads and compiles one model file, printing mistakes and warnings. 0, or an exit status.
int ctl_model(const char *path, struct model **ret);
