// The part of `engagectl rebuild` that makes states: those of the last change of program.
#pragma once
#include "audit.h"

// Steps the log up to the last change of program, in memory, and completes the cursor for that point. PORT_OK, or a
// result of ports.h with the reason in a->why: what is published says that the states would be others.
int rebuild_step(struct audit *a, struct cursor *c);
// Creates the cursor where none is, with the states of a->cache and the texts of their models. Results as above; cut
// off in between, it leaves what daemons take for damaged.
int rebuild_write(struct audit *a, struct cursor *c);
