// INFO is enough for all that is refused: it is allowed where CONFIG is not, and one answer has it all.
#include "redis_checks.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    VERSION_MIN = 60200,      // ZADD LT
    LISTPACK_VALUE_MIN = 256, // bytes; a state above it makes its whole bucket a table, of 2.5 times the size
    LISTPACK_ENTRIES_MIN = 128 // customers; buckets hold up to 64, twice that before a split
};

__attribute__((format(printf, 3, 4))) static int verdict(struct why *why, int result, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    vsnprintf(why->text, sizeof(why->text), fmt, args);
    va_end(args);
    return result;
}

// The value of "name:value\r\n" in INFO's text, "" where it is not there.
static const char *info_get(const char *info, const char *name, char *room, size_t size)
{
    size_t n = strlen(name);
    room[0] = '\0';
    for (const char *line = info; line; line = strchr(line, '\n')) {
        line += *line == '\n';
        if (strncmp(line, name, n) != 0 || line[n] != ':')
            continue;
        const char *value = line + n + 1;
        snprintf(room, size, "%.*s", (int)strcspn(value, "\r\n"), value);
        break;
    }
    return room;
}

static int parse_version(const char *text)
{
    int major = 0, minor = 0, patch = 0;
    if (sscanf(text, "%d.%d.%d", &major, &minor, &patch) < 2)
        return 0;
    return major * 10000 + minor * 100 + patch;
}

int redis_check_info(const char *info, bool cluster, struct redis_facts *ret, struct why *ret_why)
{
    char v[64];
    if (!*info_get(info, "redis_mode", v, sizeof(v)))
        info_get(info, "server_mode", v, sizeof(v)); // Valkey's name for it
    if (!strcmp(v, "sentinel"))
        return verdict(ret_why, PORT_REFUSED,
                       "this is a Sentinel, it keeps no data: write its address as "
                       "redis-sentinel://HOST:26379/MASTER in redis.url");
    if (cluster && strcmp(v, "cluster") != 0)
        return verdict(ret_why, PORT_REFUSED,
                       "this is no node of a Redis Cluster: write its address as redis://HOST:PORT in redis.url");
    if (!cluster && !strcmp(v, "cluster"))
        return verdict(ret_why, PORT_REFUSED,
                       "this is a node of a Redis Cluster: write redis-cluster://HOST:PORT in redis.url, or give it "
                       "a server with cluster-enabled no");
    int version = parse_version(info_get(info, "redis_version", v, sizeof(v)));
    if (version < VERSION_MIN)
        return verdict(ret_why, PORT_REFUSED, "this Redis is version %s: 6.2 or newer is needed", *v ? v : "unknown");
    if (!strcmp(info_get(info, "loading", v, sizeof(v)), "1"))
        return verdict(ret_why, PORT_AWAY, "it is still loading its data");
    if (strcmp(info_get(info, "role", v, sizeof(v)), "master") != 0)
        return verdict(ret_why, PORT_AWAY, "it is a replica (role %s), states go to the master only: %s",
                       *v ? v : "unknown",
                       cluster ? "the cluster is asked again who that is"
                               : "give redis.url the master's address, or use redis-sentinel://");
    if (strcmp(info_get(info, "maxmemory_policy", v, sizeof(v)), "noeviction") != 0)
        return verdict(ret_why, PORT_REFUSED,
                       "its maxmemory-policy is %s: it may drop states unasked. "
                       "CONFIG SET maxmemory-policy noeviction, and in redis.conf",
                       *v ? v : "unknown");
    long long evicted = atoll(info_get(info, "evicted_keys", v, sizeof(v)));
    if (evicted > 0)
        return verdict(ret_why, PORT_REFUSED,
                       "it has evicted %lld keys since its start, states may be among them. If "
                       "they were others', or after engagectl rebuild: CONFIG RESETSTAT",
                       evicted);
    ret->version = version;
    info_get(info, "run_id", ret->run_id, sizeof(ret->run_id));
    return 0;
}

struct listener {
    const char *where; // the server that is spoken of
    void (*note)(void *arg, enum note_level level, const char *text);
    void *arg;
};

__attribute__((format(printf, 2, 3))) static void warn(const struct listener *l, const char *fmt, ...)
{
    char said[400], text[512];
    va_list args;
    va_start(args, fmt);
    vsnprintf(said, sizeof(said), fmt, args);
    va_end(args);
    snprintf(text, sizeof(text), "Redis at %.100s %s", l->where, said);
    l->note(l->arg, NOTE_WARNING, text);
}

void redis_check_settings(const char *where, const char *info, const struct redis_settings *s,
                          void (*note)(void *arg, enum note_level level, const char *text), void *arg)
{
    char v[64];
    const struct listener l = {where, note, arg};
    if (!note)
        return;
    if (strcmp(info_get(info, "aof_enabled", v, sizeof(v)), "1") != 0)
        warn(&l, "keeps no append-only file: after its crash all events since its last snapshot must be stepped again. "
                 "CONFIG SET appendonly yes, and in redis.conf");
    else if (!strcmp(s->appendfsync, "no"))
        warn(&l, "leaves it to the system when its append-only file reaches the disk: after a crash many events must "
                 "be stepped again. CONFIG SET appendfsync everysec");
    if (s->listpack_value >= 0 && s->listpack_value < LISTPACK_VALUE_MIN)
        warn(&l,
             "takes twice the memory for a bucket with a state above %lld bytes. "
             "CONFIG SET hash-max-%s-value %d, and in redis.conf",
             s->listpack_value, s->listpack_name, LISTPACK_VALUE_MIN);
    if (s->listpack_entries >= 0 && s->listpack_entries < LISTPACK_ENTRIES_MIN)
        warn(&l,
             "takes twice the memory for a bucket of more than %lld customers. "
             "CONFIG SET hash-max-%s-entries %d, and in redis.conf",
             s->listpack_entries, s->listpack_name, LISTPACK_ENTRIES_MIN);
}
