// One page of a daemon's HTTP interface.
#pragma once
#include "buffer.h"
#include "ports.h"

// GETs http://host:port/path (host "": this machine) and appends the body. PORT_OK; PORT_AWAY: nobody answers
// there as a daemon does, *ret_why says what happened; or negative.
int fetch(const char *host, const char *port, const char *path, struct buffer *ret_body, struct why *ret_why);
