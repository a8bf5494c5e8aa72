// The bench's tool: makes load, measures what the machine could do at most, watches outputs become visible, and knows
// what they must be. scripts/bench runs it; README.md has the options.
#include "load.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <time.h>

static const char usage[] =
    "usage: load COMMAND BROKERS NAME=VALUE…\n"
    "  topic   topic= partitions=4    creates a topic\n"
    "  gen     topic= shape=session|uniform|once events= customers= [days=|span_ms=] [start=MS] [seed=]\n"
    "          [first=N] [ids=short|uuid] [rate=EVENTS A SECOND, at wall time]\n"
    "  raw     topic=                 reads it all and only counts: the limit of this machine\n"
    "  oracle  topic= file= [grace=MS] [until=MS]   writes all transitions that the daemon must publish\n"
    "  watch   topic= [count=N] [timeout=S] [from=end] [warm=MS]   until N outputs are visible, or SIGTERM\n"
    "  check   topic= file= [group= source=]   outputs equal to the oracle's, and nothing left over\n"
    "Results are one line of JSON.\n";

void fail(const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    fputs("load: ", stderr);
    vfprintf(stderr, fmt, ap);
    fputc('\n', stderr);
    va_end(ap);
    exit(EX_SOFTWARE);
}

void *need(void *memory)
{
    if (!memory)
        fail("out of memory");
    return memory;
}

int64_t wall_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

double mono_s(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

const char *arg_text(struct args *a, const char *name, const char *otherwise)
{
    size_t n = strlen(name);
    for (int i = 0; i < a->n; i++)
        if (!strncmp(a->words[i], name, n) && a->words[i][n] == '=') {
            a->asked |= UINT64_C(1) << i;
            return a->words[i] + n + 1;
        }
    if (!otherwise)
        fail("%s= is missing\n%s", name, usage);
    return otherwise;
}

int64_t arg_int(struct args *a, const char *name, int64_t otherwise)
{
    const char *text = arg_text(a, name, "");
    char *end;
    if (!*text)
        return otherwise;
    errno = 0;
    int64_t v = strtoll(text, &end, 10);
    if (*end || errno)
        fail("%s=%s is no whole number", name, text);
    return v;
}

void args_end(const struct args *a)
{
    for (int i = 0; i < a->n; i++)
        if (!(a->asked >> i & 1))
            fail("what is %s?\n%s", a->words[i], usage);
}

static int make_topic(const char *brokers, struct args *a)
{
    const char *topic = arg_text(a, "topic", NULL);
    int partitions = (int)arg_int(a, "partitions", 4);
    args_end(a);
    topic_create(brokers, topic, partitions);
    printf("{\"topic\":\"%s\",\"partitions\":%d}\n", topic, partitions);
    return 0;
}

int main(int argc, char **argv)
{
    static const struct { const char *name; int (*run)(const char *brokers, struct args *a); } commands[] = {
        {"topic", make_topic}, {"gen", load_gen}, {"raw", load_raw},
        {"oracle", load_oracle}, {"watch", load_watch}, {"check", load_check},
    };
    if (argc >= 3 && argc - 3 <= 64) {
        struct args a = {.words = argv + 3, .n = argc - 3};
        for (size_t i = 0; i < sizeof commands / sizeof *commands; i++)
            if (!strcmp(argv[1], commands[i].name))
                return commands[i].run(argv[2], &a);
    }
    fputs(usage, stderr);
    return EX_USAGE;
}
