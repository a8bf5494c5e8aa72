// Nodes can be few with many ranges each, or many: they are looked for one after the other, as a map is read
// rarely, and looked into by index.
#include "redis_slots.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "error.h"

// CRC-16/XMODEM.
static unsigned crc16(struct span s)
{
    unsigned crc = 0;
    for (size_t i = 0; i < s.n; i++) {
        crc ^= (unsigned)(unsigned char)s.p[i] << 8;
        for (int bit = 0; bit < 8; bit++)
            crc = crc << 1 ^ (crc & 0x8000 ? 0x1021 : 0);
        crc &= 0xffff;
    }
    return crc;
}

int redis_slot(struct span key)
{
    const char *open = memchr(key.p, '{', key.n), *end = key.p + key.n;
    const char *close = open ? memchr(open + 1, '}', (size_t)(end - open) - 1) : NULL;
    if (close && close > open + 1)
        key = (struct span){open + 1, (size_t)(close - open) - 1};
    return (int)(crc16(key) % REDIS_SLOTS);
}

static bool is_text(const redisReply *r, const char *text)
{
    return r->type == REDIS_REPLY_STRING && !strcmp(r->str, text);
}

// What a node's list of properties says beside its preferred name; NULL: nothing.
static const char *property(const redisReply *node, const char *name)
{
    const redisReply *list = node->elements > 3 ? node->element[3] : NULL;
    for (size_t i = 0; list && i + 1 < list->elements; i += 2)
        if (is_text(list->element[i], name) && list->element[i + 1]->type == REDIS_REPLY_STRING)
            return list->element[i + 1]->str;
    return NULL;
}

// [name, port, id, properties]. A node that does not know its own address says "", one that is told to keep it
// to itself nil: then it is where the question went. "?": it has no name, though names are preferred.
static int read_node(const redisReply *r, const char *asked, struct redis_node *ret)
{
    if (r->elements < 2 || r->element[1]->type != REDIS_REPLY_INTEGER)
        return 1;
    const char *name = r->element[0]->type == REDIS_REPLY_STRING ? r->element[0]->str : "";
    if (!strcmp(name, "?"))
        name = property(r, "ip");
    if (!name || !*name)
        name = asked;
    int n = snprintf(ret->name, sizeof(ret->name), "%s", name);
    long long port = r->element[1]->integer;
    ret->port = (int)port;
    return n > REDIS_NAME_MAX || port < 1 || port > 65535;
}

// 1 + its index, or 0: no room.
static uint16_t put_node(struct redis_slots *s, const struct redis_node *node)
{
    for (size_t i = 0; i < s->nnodes; i++)
        if (s->nodes[i].port == node->port && !strcmp(s->nodes[i].name, node->name))
            return (uint16_t)(i + 1);
    struct redis_node *nodes = NULL;
    if (s->nnodes < REDIS_NODES_MAX)
        nodes = realloc(s->nodes, (s->nnodes + 1) * sizeof(*nodes));
    if (!nodes)
        return 0;
    s->nodes = nodes;
    nodes[s->nnodes++] = *node;
    return (uint16_t)s->nnodes;
}

static int not_read(struct redis_slots *s, const char *asked, const char *what, struct why *why)
{
    redis_slots_clear(s);
    snprintf(why->text, sizeof(why->text), "CLUSTER SLOTS at %.80s %s", asked, what);
    return PORT_AWAY;
}

// [from, to, master, replicas…]…
int redis_slots_read(const redisReply *reply, const char *asked, struct redis_slots *ret, struct why *ret_why)
{
    *ret = (struct redis_slots){0};
    for (size_t i = 0; i < reply->elements; i++) {
        const redisReply *r = reply->element[i];
        struct redis_node node;
        if (r->elements < 3 || r->element[0]->type != REDIS_REPLY_INTEGER || r->element[0]->integer < 0 ||
            r->element[1]->type != REDIS_REPLY_INTEGER || r->element[1]->integer >= REDIS_SLOTS ||
            read_node(r->element[2], asked, &node))
            return not_read(ret, asked, "gave an answer that cannot be read: is this a Redis Cluster?", ret_why);
        uint16_t at = put_node(ret, &node);
        if (!at && ret->nnodes == REDIS_NODES_MAX)
            return not_read(ret, asked, "names more masters than the 1000 that a Redis Cluster may have", ret_why);
        if (!at) {
            redis_slots_clear(ret);
            return ERR_NOMEM;
        }
        for (long long slot = r->element[0]->integer; slot <= r->element[1]->integer; slot++)
            ret->at[slot] = at;
    }
    if (ret->nnodes == 0)
        return not_read(ret, asked, "names no slot: has it joined the cluster? (CLUSTER NODES)", ret_why);
    return 0;
}

void redis_slots_clear(struct redis_slots *s)
{
    free(s->nodes);
    *s = (struct redis_slots){0};
}

int redis_slots_moved(const char *error, const char *asked, struct redis_node *ret)
{
    const char *address = strncmp(error, "MOVED ", 6) != 0 ? NULL : strchr(error + 6, ' ');
    const char *colon = address ? strrchr(++address, ':') : NULL; // the last: an IPv6 address has others
    if (!colon)
        return 1;
    size_t n = (size_t)(colon - address);
    if (n > 0)
        snprintf(ret->name, sizeof(ret->name), "%.*s", (int)n, address);
    else
        snprintf(ret->name, sizeof(ret->name), "%s", asked);
    ret->port = atoi(colon + 1);
    return n > REDIS_NAME_MAX || !strcmp(ret->name, "?") || ret->port < 1 || ret->port > 65535;
}
