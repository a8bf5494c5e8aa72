// How all subcommands speak: mistakes and reasons on standard error, and one status for each kind of them.
#include "ctl.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sysexits.h>

int ctl_usage(const char *command, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    fprintf(stderr, "%s: ", command);
    vfprintf(stderr, fmt, args);
    fprintf(stderr, "; see %s --help\n", command);
    va_end(args);
    return EX_USAGE;
}

int ctl_format(const char *command, const char *format, bool *ret_json)
{
    if (!format)
        return 0;
    bool json = !strcmp(format, "json");
    if (!json && strcmp(format, "table") != 0)
        return ctl_usage(command, "no format %s: there are table and json", format);
    *ret_json = json;
    return 0;
}

int ctl_put(struct buffer *b)
{
    if (b->failed)
        return ERR_NOMEM;
    fwrite(b->p, 1, b->n, stdout);
    b->n = 0;
    return 0;
}

int ctl_written(const char *command, int status)
{
    if (status < 0)
        fprintf(stderr, "%s: %s\n", command, status == ERR_NOMEM ? "out of memory" : "an internal error");
    if (status < 0)
        return EX_SOFTWARE;
    if (fflush(stdout) == 0 && !ferror(stdout))
        return status;
    fprintf(stderr, "%s: the output cannot be written: %s\n", command, strerror(errno));
    return EX_SOFTWARE;
}

int ctl_port(const char *command, int result, const struct why *why)
{
    if (result <= 0)
        return result;
    fprintf(stderr, "%s: %s\n", command, why->text);
    return result == PORT_REFUSED ? EX_CONFIG : EX_UNAVAILABLE;
}
