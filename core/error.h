// Two classes of result: negative is fatal and travels up, positive is a condition that the caller handles.
// Mistakes in files that people write are collected as diagnostics, all of them in one run, and printed by whoever
// has a terminal or a log; nothing in core prints.
#pragma once
#include <stdbool.h>
#include <stddef.h>

enum {
    ERR_NOMEM = -1,
    ERR_INTERNAL = -2,
};

struct diag {
    char *file; // owned
    int line;   // 1-based; 0: the whole file
    int column; // 1-based
    bool warning;
    char *text; // owned: "what is wrong; what would be right"
};

struct diags {
    struct diag *v;
    size_t n;
    size_t errors; // counted even past DIAGS_MAX
    size_t warnings;
};

// Appends a mistake (or a warning). Copies file and text. Beyond DIAGS_MAX only counts.
void diag_add(struct diags *d, bool warning, const char *file, int line, int column, const char *fmt, ...)
    __attribute__((format(printf, 6, 7)));
// Sorts by position (stable), so that a reader goes through the file once.
void diags_sort(struct diags *d);
// "file:line:column: [warning: ]text\n" for each; owned by the caller, NULL without memory.
char *diags_format(const struct diags *d);
void diags_clear(struct diags *d);
// The candidate nearest to `name` (at most a third of its letters wrong, case ignored), or NULL: for "did you mean".
const char *name_nearest(const char *name, const char *const *candidates, size_t n);
