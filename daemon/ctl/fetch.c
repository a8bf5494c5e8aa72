// HTTP/1.0, so that the body is what comes until the connection ends.
#define _GNU_SOURCE // memmem
#include "fetch.h"

#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "cleanup.h"
#include "error.h"

enum { TIMEOUT_S = 2, BODY_BYTES_MAX = 64 << 20, CHUNK = 16384 };

static void close_fd(int *fd)
{
    if (*fd >= 0)
        close(*fd);
}

static int away(struct why *why, const char *reason)
{
    snprintf(why->text, sizeof why->text, "%s", reason);
    return PORT_AWAY;
}

static int dial(const char *host, const char *port, int *ret_fd, struct why *why)
{
    struct addrinfo *list = NULL, hints = {.ai_socktype = SOCK_STREAM};
    const struct timeval timeout = {.tv_sec = TIMEOUT_S};
    int k = getaddrinfo(*host ? host : NULL, port, &hints, &list), fd = -1, error = 0;
    if (k)
        return away(why, gai_strerror(k));
    for (const struct addrinfo *a = list; a && fd < 0; a = a->ai_next) {
        fd = socket(a->ai_family, a->ai_socktype | SOCK_CLOEXEC, a->ai_protocol);
        if (fd < 0) {
            error = errno;
            continue;
        }
        setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &timeout, sizeof timeout); // of connecting, too
        setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof timeout);
        if (connect(fd, a->ai_addr, a->ai_addrlen) == 0)
            break;
        error = errno == EINPROGRESS ? ETIMEDOUT : errno;
        close_fd(&fd);
        fd = -1;
    }
    freeaddrinfo(list);
    if (fd < 0)
        return away(why, strerror(error));
    *ret_fd = fd;
    return PORT_OK;
}

static int receive(int fd, struct buffer *b, struct why *why)
{
    for (;;) {
        char *to = buffer_reserve(b, CHUNK);
        if (!to)
            return ERR_NOMEM;
        ssize_t n = recv(fd, to, CHUNK, 0);
        if (n == 0)
            return PORT_OK;
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 || b->n > BODY_BYTES_MAX)
            return away(why, n < 0 && errno == EAGAIN ? "no answer in time" : "the answer breaks off");
        b->n += (size_t)n;
    }
}

int fetch(const char *host, const char *port, const char *path, struct buffer *ret_body, struct why *ret_why)
{
    _cleanup_(close_fd) int fd = -1;
    _cleanup_(buffer_clear) struct buffer b = {0};
    int r = dial(host, port, &fd, ret_why);
    if (r)
        return r;
    buffer_printf(&b, "GET %s HTTP/1.0\r\nHost: %s\r\n\r\n", path, *host ? host : "localhost");
    if (b.failed)
        return ERR_NOMEM;
    if (send(fd, b.p, b.n, MSG_NOSIGNAL) != (ssize_t)b.n)
        return away(ret_why, "the request cannot be sent");
    b.n = 0;
    r = receive(fd, &b, ret_why);
    if (r)
        return r;
    const char *body = memmem(b.p, b.n, "\r\n\r\n", 4);
    if (!body || b.n < 12 || memcmp(b.p, "HTTP/1.", 7) != 0 || memcmp(b.p + 8, " 200", 4) != 0)
        return away(ret_why, "it is no daemon that answers there");
    buffer_put(ret_body, body + 4, b.n - (size_t)(body + 4 - b.p));
    return ret_body->failed ? ERR_NOMEM : PORT_OK;
}
