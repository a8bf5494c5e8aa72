// The running daemon: owns the configuration, the workers and the HTTP server, and lives by signals.
#pragma once
#include "config.h"

// Runs until SIGTERM or SIGINT (0), or until it cannot go on (a status of sysexits.h). Takes over the configuration.
int app_run(struct config *config);
