// TLS to Redis: the server's certificate must be valid, and for the host that was asked for.
#pragma once
#include <hiredis/hiredis.h>

#include "ports.h"

// Shakes hands on a connection just made. ca: file of trusted certificates, NULL: the system's.
// 0; PORT_AWAY: cut off or timed out; PORT_REFUSED: the certificate or the file is not good.
int redis_tls_start(redisContext *c, const char *host, const char *ca, struct why *ret_why);
