// The running daemon: owns the configuration, the workers and the HTTP server, and lives by signals.
#pragma once
#include "config.h"

// Runs until SIGTERM or SIGINT (0), or until it cannot go on (a status of sysexits.h). Takes over the configuration.
// The overrides (as for config_load) are those that it was loaded with: a reload needs them again.
int app_run(struct config *config, const char *const *overrides);
