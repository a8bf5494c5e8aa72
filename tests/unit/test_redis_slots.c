// Slots of keys against known values, and each row an answer to CLUSTER SLOTS as Redis sends it.
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "redis_slots.h"

START_TEST(test_slot)
{
    static const struct {
        const char *key;
        int want;
    } rows[] = {
        {"123456789", 0x31C3}, // CRC-16/XMODEM's check value
        {"", 0},
        {"foo", 12182},
        {"{foo}:cursor", 12182},
        {"a{foo}b{bar}", 12182},
        {"{foo", 13308}, // no }: the whole key
        {"{}foo", 9500}, // nothing in between: the whole key
        {"{user1000}.following", 3443},
        {"foo{{bar}}zap", 4015},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        int got = redis_slot((struct span){rows[i].key, strlen(rows[i].key)});
        ck_assert_msg(got == rows[i].want, "%s is in slot %d, not %d", rows[i].key, got, rows[i].want);
    }
}
END_TEST

struct row {
    const char *resp; // with ' ' for CR LF
    const char *want; // the nodes of slots 0, 5, 16383, and how many nodes; NULL: it cannot be read
    const char *why;
};

#define A "*3 $9 127.0.0.1 :7000 $2 aa "
#define B "*3 $9 127.0.0.2 :7001 $2 bb "
#define ONE(node) "*1 *3 :0 :16383 " node

static const struct row rows[] = {
    {ONE(A), "127.0.0.1:7000 127.0.0.1:7000 127.0.0.1:7000 1", NULL},
    {"*2 *3 :0 :5 " A "*3 :6 :16383 " B, "127.0.0.1:7000 127.0.0.1:7000 127.0.0.2:7001 2", NULL},
    // replicas follow their master; a node of several ranges is one; slots that nobody holds
    {"*3 *4 :0 :0 " A B "*3 :16383 :16383 " B "*3 :6 :7 " A, "127.0.0.1:7000 - 127.0.0.2:7001 2", NULL},
    {"*2 *3 :0 :5 " A "*3 :5 :9 " B, "127.0.0.1:7000 127.0.0.2:7001 - 2", NULL}, // the later one
    // before 4.0: no id; 7.0: properties
    {ONE("*2 $2 h1 :7 "), "h1:7 h1:7 h1:7 1", NULL},
    {ONE("*4 $2 h1 :7 $2 aa *2 $2 ip $7 1.2.3.4 "), "h1:7 h1:7 h1:7 1", NULL},
    {ONE("*4 $3 ::1 :7 $2 aa *0 "), "::1:7 ::1:7 ::1:7 1", NULL},
    // no address: where the question went
    {ONE("*3 $0  :7 $2 aa "), "asked:7 asked:7 asked:7 1", NULL},
    {ONE("*3 $-1 :7 $2 aa "), "asked:7 asked:7 asked:7 1", NULL},
    {ONE("*4 $-1 :7 $2 aa *2 $2 ip $7 1.2.3.4 "), "asked:7 asked:7 asked:7 1", NULL},
    {ONE("*4 $1 ? :7 $2 aa *2 $2 ip $7 1.2.3.4 "), "1.2.3.4:7 1.2.3.4:7 1.2.3.4:7 1", NULL},
    {ONE("*4 $1 ? :7 $2 aa *4 $8 hostname $0  $2 ip $0  "), "asked:7 asked:7 asked:7 1", NULL},
    {ONE("*3 $1 ? :7 $2 aa "), "asked:7 asked:7 asked:7 1", NULL},

    {"*0 ", NULL, "no slot"},
    {"+OK ", NULL, "no slot"},
    {"*1 :0 ", NULL, "cannot be read"},
    {"*1 *2 :0 :16383 ", NULL, "cannot be read"},
    {"*1 *3 :0 :16384 " A, NULL, "cannot be read"},
    {"*1 *3 :-1 :5 " A, NULL, "cannot be read"},
    {"*1 *3 $1 0 :5 " A, NULL, "cannot be read"},
    {ONE("*1 $1 h "), NULL, "cannot be read"},
    {ONE("$1 h "), NULL, "cannot be read"},
    {ONE("*3 $1 h :0 $2 aa "), NULL, "cannot be read"},
    {ONE("*3 $1 h :65536 $2 aa "), NULL, "cannot be read"},
    {ONE("*3 $1 h $1 7 $2 aa "), NULL, "cannot be read"},
};
enum { ROWS = sizeof(rows) / sizeof(rows[0]) };

static redisReply *reply_of(const char *resp)
{
    redisReader *reader = redisReaderCreate();
    void *reply = NULL;
    for (const char *c = resp; *c; c++)
        redisReaderFeed(reader, *c == ' ' ? "\r\n" : c, *c == ' ' ? 2 : 1);
    ck_assert_msg(redisReaderGetReply(reader, &reply) == REDIS_OK && reply, "%s: %s", resp, reader->errstr);
    redisReaderFree(reader);
    return reply;
}

START_TEST(test_read)
{
    static const int shown[] = {0, 5, 16383};
    struct redis_slots s;
    struct why why = {0};
    char got[256] = "";
    size_t n = 0;
    redisReply *reply = reply_of(rows[_i].resp);
    int r = redis_slots_read(reply, "asked", &s, &why);
    freeReplyObject(reply);
    if (!rows[_i].want) {
        ck_assert_int_eq(r, PORT_AWAY);
        ck_assert_msg(strstr(why.text, rows[_i].why) != NULL, "\"%s\" does not say \"%s\"", why.text, rows[_i].why);
        ck_assert_ptr_null(s.nodes);
        return;
    }
    ck_assert_msg(r == 0, "%s: %s", rows[_i].resp, why.text);
    for (int i = 0; i < 3; i++) {
        const struct redis_node *node = s.at[shown[i]] ? &s.nodes[s.at[shown[i]] - 1] : NULL;
        n += (size_t)(node ? snprintf(got + n, sizeof(got) - n, "%s:%d ", node->name, node->port)
                           : snprintf(got + n, sizeof(got) - n, "- "));
    }
    snprintf(got + n, sizeof(got) - n, "%zu", s.nnodes);
    ck_assert_str_eq(got, rows[_i].want);
    redis_slots_clear(&s);
}
END_TEST

// As many nodes as a cluster may have, and one more.
START_TEST(test_many_nodes)
{
    static char resp[200000];
    for (int nodes = REDIS_NODES_MAX; nodes <= REDIS_NODES_MAX + 1; nodes++) {
        struct redis_slots s;
        struct why why = {0};
        int n = snprintf(resp, sizeof(resp), "*%d ", nodes);
        for (int i = 0; i < nodes; i++)
            n += snprintf(resp + n, sizeof(resp) - (size_t)n, "*3 :%d :%d *2 $1 h :%d ", i, i, i + 1);
        redisReply *reply = reply_of(resp);
        ck_assert_int_eq(redis_slots_read(reply, "asked", &s, &why), nodes > REDIS_NODES_MAX ? PORT_AWAY : 0);
        freeReplyObject(reply);
        ck_assert_uint_eq(s.nnodes, nodes > REDIS_NODES_MAX ? 0 : REDIS_NODES_MAX);
        redis_slots_clear(&s);
    }
}
END_TEST

START_TEST(test_moved)
{
    static const struct {
        const char *error, *want;
    } rows[] = {
        {"MOVED 3999 127.0.0.1:6381", "127.0.0.1:6381"},
        {"MOVED 3999 ::1:6381", "::1:6381"},
        {"MOVED 3999 :6381", "asked:6381"},
        {"MOVED 3999 ?:6381", NULL},
        {"MOVED 3999 h:0", NULL},
        {"MOVED 3999 h", NULL},
        {"MOVED", NULL},
        {"ASK 3999 127.0.0.1:6381", NULL},
        {"ERR MOVED 1 h:1", NULL},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct redis_node node = {.port = 0};
        char got[300];
        int r = redis_slots_moved(rows[i].error, "asked", &node);
        snprintf(got, sizeof(got), "%s:%d", node.name, node.port);
        ck_assert_msg(r == !rows[i].want && (r || !strcmp(got, rows[i].want)), "%s: %d %s", rows[i].error, r, got);
    }
}
END_TEST

int main(void)
{
    Suite *s = suite_create("redis_slots");
    TCase *t = tcase_create("slots");
    tcase_add_test(t, test_slot);
    tcase_add_loop_test(t, test_read, 0, ROWS);
    tcase_add_test(t, test_many_nodes);
    tcase_add_test(t, test_moved);
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_NORMAL);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
