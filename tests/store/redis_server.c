// Every wait is for the server to answer, or to be gone; none is for a time.
#define _GNU_SOURCE // nftw, prctl
#include "redis_server.h"

#include <arpa/inet.h>
#include <check.h>
#include <fcntl.h>
#include <ftw.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { ARGS_MAX = 64 };

void wait_until(bool (*ready)(void *arg), void *arg, const char *what)
{
    for (int i = 0; !ready(arg); i++) {
        ck_assert_msg(i < 15000, "still waiting for %s after 30 s", what);
        nanosleep(&(struct timespec){.tv_nsec = 2000000}, NULL);
    }
}

int free_port(void)
{
    for (int tries = 0; tries < 100; tries++) {
        unsigned random = 0;
        ck_assert(getrandom(&random, sizeof(random), 0) == sizeof(random));
        int port = 20000 + (int)(random % 2700), fd = socket(AF_INET, SOCK_STREAM, 0);
        struct sockaddr_in at = {.sin_family = AF_INET,
                                 .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
                                 .sin_port = htons((uint16_t)port)};
        bool is_free = fd >= 0 && !bind(fd, (struct sockaddr *)&at, sizeof(at));
        close(fd);
        if (is_free)
            return port;
    }
    ck_abort_msg("no free port from 20000 to 22700");
    return 0;
}

static bool answers(void *arg)
{
    struct redis_server *s = arg;
    ck_assert_msg(waitpid(s->pid, NULL, WNOHANG) == 0, "redis-server has ended: see %s/log", s->dir);
    redisContext *c = redisConnectUnix(s->socket);
    redisReply *r = c && !c->err ? redisCommand(c, "PING") : NULL;
    bool up = r && r->type == REDIS_REPLY_STATUS; // an error while it loads its data
    freeReplyObject(r);
    redisFree(c);
    return up;
}

void redis_server_again(struct redis_server *s)
{
    const char *program = getenv("REDIS_SERVER"), *argv[ARGS_MAX] = {program ? program : "redis-server"};
    const char *const usual[] = {"--port", "0", "--unixsocket", s->socket, "--dir", s->dir,
                                 "--save", "",  "--loglevel",   "notice",  NULL};
    const char *const *more = s->args;
    int n = 1;
    if (more && *more && strncmp(*more, "--", 2) != 0)
        argv[n++] = *more++;
    for (const char *const *a = usual; *a; a++)
        argv[n++] = *a;
    for (; more && *more && n < ARGS_MAX - 1; more++)
        argv[n++] = *more;
    unlink(s->socket);
    s->pid = fork();
    ck_assert(s->pid >= 0);
    if (s->pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        signal(SIGPIPE, SIG_DFL);
        int log = chdir(s->dir) ? -1 : open("log", O_WRONLY | O_CREAT | O_APPEND, 0600);
        if (log >= 0 && dup2(log, 1) >= 0 && dup2(log, 2) >= 0)
            execvp(argv[0], (char *const *)argv);
        _exit(127);
    }
    wait_until(answers, s, "redis-server (is it installed?)");
}

void redis_server_start(struct redis_server *s, const char *const *args)
{
    const char *tmp = getenv("TMPDIR");
    *s = (struct redis_server){.args = args};
    snprintf(s->dir, sizeof(s->dir), "%.40s/engaged-redis-XXXXXX", tmp && strlen(tmp) < 40 ? tmp : "/tmp");
    ck_assert(mkdtemp(s->dir));
    snprintf(s->socket, sizeof(s->socket), "%s/redis.sock", s->dir);
    snprintf(s->url, sizeof(s->url), "unix://%s", s->socket);
    redis_server_again(s);
}

void redis_server_kill(struct redis_server *s)
{
    if (s->pid > 0) {
        kill(s->pid, SIGKILL);
        waitpid(s->pid, NULL, 0);
    }
    s->pid = 0;
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    (void)st;
    (void)type;
    (void)ftw;
    return remove(path);
}

void redis_server_stop(struct redis_server *s)
{
    redis_server_kill(s);
    nftw(s->dir, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

static redisReply *ask(const struct redis_server *s, const char *fmt, va_list args)
{
    redisContext *c = redisConnectUnix(s->socket);
    ck_assert(c && !c->err);
    redisReply *r = redisvCommand(c, fmt, args);
    ck_assert_msg(r != NULL, "%s: %s", fmt, c->errstr);
    ck_assert_msg(r->type != REDIS_REPLY_ERROR, "%s: %s", fmt, r->str);
    redisFree(c);
    return r;
}

redisReply *redis_server_ask(const struct redis_server *s, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    redisReply *r = ask(s, fmt, args);
    va_end(args);
    return r;
}

void redis_server_do(const struct redis_server *s, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    freeReplyObject(ask(s, fmt, args));
    va_end(args);
}

void redis_server_slots(const struct redis_server *s, int first, int last)
{
    // one by one: ranges came with Redis 7
    char *command = malloc(32 + 6 * (size_t)(last - first + 1)), *to = command;
    ck_assert(command);
    to += sprintf(to, "CLUSTER ADDSLOTS");
    for (int slot = first; slot <= last; slot++)
        to += sprintf(to, " %d", slot);
    redis_server_do(s, command);
    free(command);
}

bool redis_server_cluster_ok(void *arg)
{
    redisReply *r = redis_server_ask(arg, "CLUSTER INFO");
    bool ok = strstr(r->str, "cluster_state:ok") != NULL;
    freeReplyObject(r);
    return ok;
}
