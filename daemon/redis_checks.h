// Whether a Redis may hold states: a master, of a known version, that evicts nothing. Looked at on each
// connection, because the server behind an address can change its role, its settings or its identity at any
// time.
#pragma once
#include "ports.h"

struct redis_facts { // what INFO says
    char run_id[41]; // new at each start of the server
    int version;     // 7.0.15: 70015
};

// Judges the text of INFO; cluster: that it must be a cluster's node, else that it must be none. 0: *ret is filled;
// PORT_AWAY: not now (loading, a replica); PORT_REFUSED: not before somebody mends it, *ret_why has the command.
int redis_check_info(const char *info, bool cluster, struct redis_facts *ret, struct why *ret_why);

struct redis_settings { // what CONFIG GET says; -1 or "": not known, as where CONFIG is forbidden
    long long listpack_value, listpack_entries;
    char listpack_name[12]; // "listpack", before Redis 7 "ziplist"
    char appendfsync[12];
};

// Says by note() what is bad but can be lived with, of the server at `where`.
void redis_check_settings(const char *where, const char *info, const struct redis_settings *s,
                          void (*note)(void *arg, enum note_level level, const char *text), void *arg);
