// Read until the end, not by the size that stat tells: a pipe or a file of /proc has none.
#include "read_file.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "buffer.h"
#include "cleanup.h"
#include "error.h"

static void close_fd(int *fd)
{
    int saved = errno;
    if (*fd >= 0)
        close(*fd);
    errno = saved;
}

int read_file(const char *path, size_t max, char **ret_text, size_t *ret_len)
{
    _cleanup_(close_fd) int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return 1;
    _cleanup_(buffer_clear) struct buffer text = {0};
    for (;;) {
        enum { CHUNK = 16384 };
        char *to = buffer_reserve(&text, CHUNK + 1); // one byte for the NUL
        if (!to)
            return ERR_NOMEM;
        ssize_t n = read(fd, to, CHUNK);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return 1;
        text.n += (size_t)n;
        text.p[text.n] = '\0';
        if (n == 0)
            break;
        if (text.n > max) {
            errno = EFBIG;
            return 1;
        }
    }
    *ret_text = text.p;
    *ret_len = text.n;
    text = (struct buffer){0};
    return 0;
}
