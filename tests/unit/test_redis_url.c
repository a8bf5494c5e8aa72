// Each row is a URL and what is read from it, or a part of what is said against it.
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "redis_url.h"

struct row {
    const char *url;
    const char *want; // scheme host:port… path user password master ca db, "-" where there is none, and what is of
                      // Sentinels; or NULL
    const char *why;
};

static const struct row rows[] = {
    {"redis://localhost", "0 localhost:6379 - - - - - 0", NULL},
    {"10.0.0.1:6380", "0 10.0.0.1:6380 - - - - - 0", NULL},
    {"redis://localhost/", "0 localhost:6379 - - - - - 0", NULL},
    {"redis://localhost:6380/15", "0 localhost:6380 - - - - - 15", NULL},
    {"redis://[::1]:6380/1", "0 ::1:6380 - - - - - 1", NULL},
    {"redis://[fe80::1]", "0 fe80::1:6379 - - - - - 0", NULL},
    {"redis://:secret@10.0.0.1", "0 10.0.0.1:6379 - - secret - - 0", NULL},
    {"redis://me:p%40s%2Fs%3f%25:x@host/2", "0 host:6379 - me p@s/s?%:x - - 2", NULL},
    {"redis://me:a@b@host", "0 host:6379 - me a@b - - 0", NULL},
    {"redis://me:@host", "0 host:6379 - me  - - 0", NULL},
    {"rediss://host:6390/3?ca=/etc/ca%20file.pem", "1 host:6390 - - - - /etc/ca file.pem 3", NULL},
    {"rediss://me:pw@host", "1 host:6379 - me pw - - 0", NULL},
    {"unix:///run/redis/redis.sock", "2 /run/redis/redis.sock - - - - 0", NULL},
    {"unix:///run/r.sock?db=4", "2 /run/r.sock - - - - 4", NULL},
    {"unix:///run/r%20s.sock?db=4&user=me&password=p%26w", "2 /run/r s.sock me p&w - - 4", NULL},
    {"redis-sentinel://h1,h2:26380,[::1]/mymaster", "3 h1:26379 h2:26380 ::1:26379 - - - mymaster - 0", NULL},
    {"redis-sentinel://me:pw@h1/my%2Dmaster?db=2", "3 h1:26379 - me pw my-master - 2", NULL},
    {"redis-sentinel://h1/m?sentinel_password=s%26p", "3 h1:26379 - - - m - 0 - s&p", NULL},
    {"rediss-sentinel://me:pw@h1/m?ca=/ca.pem&sentinel_username=w&sentinel_password=x&db=3",
     "6 h1:26379 - me pw m /ca.pem 3 w x", NULL},
    {"redis-cluster://h1,h2:7001,[::1]", "4 h1:6379 h2:7001 ::1:6379 - - - - - 0", NULL},
    {"redis-cluster://me:p%2Cw@h1,h2/", "4 h1:6379 h2:6379 - me p,w - - 0", NULL},
    {"redis-cluster://:pw@h1/0", "4 h1:6379 - - pw - - 0", NULL},
    {"rediss-cluster://h1,h2?ca=/etc/ca.pem", "5 h1:6379 h2:6379 - - - - /etc/ca.pem 0", NULL},

    {"", NULL, "not a URL"},
    {"localhost", NULL, "not a URL"},
    {"localhost:x", NULL, "port"},
    {"h1,h2:6379", NULL, "one host only"},
    {"http://localhost", NULL, "\"http\" is no scheme"},
    {"redis-cluster://h1,h2:6380/1", NULL, "no databases but 0"},
    {"redis-cluster://h1/x", NULL, "no databases but 0"},
    {"redis-cluster://h1?db=0", NULL, "unknown parameter"},
    {"redis-cluster://h1?ca=/x", NULL, "unknown parameter"},
    {"redis-cluster://", NULL, "host name is missing"},
    {"redis-cluster://h1,", NULL, "host name is missing"},
    {"redis://", NULL, "host name is missing"},
    {"redis:///3", NULL, "host name is missing"},
    {"redis://host:", NULL, "port"},
    {"redis://host:0", NULL, "port"},
    {"redis://host:65536", NULL, "port"},
    {"redis://host:6379x", NULL, "port"},
    {"redis://[::1", NULL, "]"},
    {"redis://[::1]x", NULL, "]"},
    {"redis://h1,h2", NULL, "one host only"},
    {"redis://host/x", NULL, "database"},
    {"redis://host/1/2", NULL, "database"},
    {"redis://host/-1", NULL, "database"},
    {"redis://host/99999999999", NULL, "database"},
    {"redis://me@host", NULL, "without a password"},
    {"redis://me:p%4@host", NULL, "%25"},
    {"redis://me:p%zz@host", NULL, "%25"},
    {"redis://me:p%00@host", NULL, "%25"},
    {"redis://ho%st", NULL, "host name has"},
    {"redis://host?db=1", NULL, "unknown parameter"},
    {"redis://host?ca=/x", NULL, "unknown parameter"},
    {"rediss://host?ca", NULL, "name=value"},
    {"rediss://host?ca=%x", NULL, "name=value"},
    {"unix://run/r.sock", NULL, "absolute path"},
    {"unix://", NULL, "absolute path"},
    {"unix:///r.sock?db=x", NULL, "database"},
    {"unix:///r.sock?user=me", NULL, "without a password"},
    {"redis-sentinel://h1/m?sentinel_user=x", NULL, "?sentinel_username= and ?sentinel_password= for redis-sentinel"},
    {"redis-sentinel://h1/m?ca=/x", NULL, "unknown parameter"},
    {"redis-sentinel://h1/m?password=x", NULL, "unknown parameter"},
    {"redis-sentinel://h1/m?sentinel_username=x", NULL, "without a password"},
    {"redis://h1?sentinel_password=x", NULL, "unknown parameter"},
    {"rediss-sentinel://h1", NULL, "master's name"},
    {"redis-sentinel://h1,h2", NULL, "master's name"},
    {"redis-sentinel://h1,h2/", NULL, "master's name"},
    {"redis-sentinel://h1,,h2/m", NULL, "host name is missing"},
    {"redis-sentinel://1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17/m", NULL, "more than 16"},
};
enum { ROWS = sizeof(rows) / sizeof(rows[0]) };

static void describe(const struct redis_url *u, char out[static 512])
{
    int n = snprintf(out, 512, "%d ", u->scheme);
    for (int i = 0; i < u->nhosts; i++)
        n += snprintf(out + n, 512 - (size_t)n, "%s:%d ", u->hosts[i].name, u->hosts[i].port);
    const char *const texts[] = {u->path, u->user, u->password, u->master, u->ca};
    for (int i = 0; i <= 4; i++)
        n += snprintf(out + n, 512 - (size_t)n, "%s ", texts[i] ? texts[i] : "-");
    n += snprintf(out + n, 512 - (size_t)n, "%d", u->db);
    if (u->sentinel_password)
        snprintf(out + n, 512 - (size_t)n, " %s %s", u->sentinel_user ? u->sentinel_user : "-", u->sentinel_password);
}

START_TEST(test_url)
{
    const struct row *row = &rows[_i];
    struct redis_url u = {.db = 77};
    struct why why = {0};
    char got[512];
    int r = redis_url_parse(row->url, &u, &why);
    if (row->want) {
        ck_assert_msg(r == 0, "%s: %s", row->url, why.text);
        describe(&u, got);
        ck_assert_str_eq(got, row->want);
        redis_url_clear(&u);
        return;
    }
    ck_assert_msg(r == 1, "%s is taken for a URL", row->url);
    ck_assert_msg(strstr(why.text, row->why) != NULL, "%s: \"%s\" does not say \"%s\"", row->url, why.text, row->why);
    ck_assert_int_eq(u.db, 77); // untouched
}
END_TEST

// A password with a bare separator makes a wrong URL, whose message goes to the log.
START_TEST(test_no_secret_is_repeated)
{
    static const char *const urls[] = {"redis://:se/cret@host",     "redis://:se?cret@host",
                                       "redis://me:se,cret/x",      "redis://me:secret",
                                       "redis://secret@host",       "redis://:cret%@host",
                                       "rediss://:se?ca=cret@host", "unix://se:cret@x",
                                       "redis-sentinel://h/m?sentinel_password=cret%"};
    for (size_t i = 0; i < sizeof(urls) / sizeof(urls[0]); i++) {
        struct redis_url u;
        struct why why = {0};
        ck_assert_int_eq(redis_url_parse(urls[i], &u, &why), 1);
        ck_assert_msg(!strstr(why.text, "cret"), "%s: %s", urls[i], why.text);
    }
}
END_TEST

int main(void)
{
    Suite *s = suite_create("redis_url");
    TCase *t = tcase_create("url");
    tcase_add_loop_test(t, test_url, 0, ROWS);
    tcase_add_test(t, test_no_secret_is_repeated);
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_NORMAL);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
