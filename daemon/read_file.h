// A whole file as a text.
#pragma once
#include <stddef.h>

// Reads `path`. 0: *ret_text is the caller's (free), *ret_len bytes and a NUL after them. 1: unreadable
// (errno says why; EFBIG: more than `max` bytes). Negative: no memory.
int read_file(const char *path, size_t max, char **ret_text, size_t *ret_len);
