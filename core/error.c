// Diagnostics are kept, not printed: a file's mistakes are gathered while its parts are checked in whatever
// order is convenient, then sorted by place. Running out of memory must not hide a mistake: counting never
// fails.
#define _GNU_SOURCE // vasprintf
#include "error.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cleanup.h"
#include "bounds.h"

void diag_add(struct diags *d, bool warning, const char *file, int line, int column, const char *fmt, ...)
{
    if (warning)
        d->warnings++;
    else
        d->errors++;
    if (d->n >= DIAGS_MAX)
        return;
    if (!d->v && !(d->v = calloc(DIAGS_MAX, sizeof(*d->v))))
        return;

    struct diag *v = &d->v[d->n];
    va_list args;
    va_start(args, fmt);
    int r = vasprintf(&v->text, fmt, args);
    va_end(args);
    if (r < 0)
        return;
    v->file = strdup(file ? file : "");
    if (!v->file) {
        free(v->text);
        return;
    }
    v->line = line;
    v->column = column;
    v->warning = warning;
    d->n++;
}

static int compare_place(const struct diag *a, const struct diag *b)
{
    int c = strcmp(a->file, b->file);
    if (c)
        return c;
    if (a->line != b->line)
        return a->line < b->line ? -1 : 1;
    return (a->column > b->column) - (a->column < b->column);
}

void diags_sort(struct diags *d)
{
    // Insertion, because it is stable and there are DIAGS_MAX of them at most.
    for (size_t i = 1; i < d->n; i++) {
        struct diag x = d->v[i];
        size_t j = i;
        for (; j > 0 && compare_place(&d->v[j - 1], &x) > 0; j--)
            d->v[j] = d->v[j - 1];
        d->v[j] = x;
    }
}

char *diags_format(const struct diags *d)
{
    _cleanup_free_ char *text = NULL;
    size_t size = 0;
    FILE *f = open_memstream(&text, &size);
    if (!f)
        return NULL;
    for (size_t i = 0; i < d->n; i++) {
        const struct diag *v = &d->v[i];
        const char *mark = v->warning ? "warning: " : "";
        if (v->line > 0)
            fprintf(f, "%s:%d:%d: %s%s\n", v->file, v->line, v->column, mark, v->text);
        else
            fprintf(f, "%s: %s%s\n", v->file, mark, v->text);
    }
    if (d->errors + d->warnings > d->n)
        fprintf(f, "and %zu more\n", d->errors + d->warnings - d->n);
    bool failed = ferror(f) != 0;
    if (fclose(f) != 0 || failed)
        return NULL;
    char *ret = text;
    text = NULL;
    return ret;
}

void diags_clear(struct diags *d)
{
    for (size_t i = 0; i < d->n; i++) {
        free(d->v[i].file);
        free(d->v[i].text);
    }
    free(d->v);
    *d = (struct diags){0};
}

enum { NEAREST_BYTES_MAX = 2 * NAME_BYTES_MAX };

static int lower(char c)
{
    return c >= 'A' && c <= 'Z' ? c + ('a' - 'A') : c;
}

// Letters wrong, missing, too many, or swapped with their neighbour: each counts one (optimal string
// alignment).
static size_t letters_wrong(const char *a, size_t na, const char *b, size_t nb)
{
    size_t rows[3][NEAREST_BYTES_MAX + 1];
    size_t *before = rows[0], *last = rows[1], *row = rows[2];
    for (size_t j = 0; j <= nb; j++)
        last[j] = j;
    for (size_t i = 1; i <= na; i++) {
        row[0] = i;
        for (size_t j = 1; j <= nb; j++) {
            bool same = lower(a[i - 1]) == lower(b[j - 1]);
            size_t best = last[j - 1] + !same;
            if (last[j] + 1 < best)
                best = last[j] + 1;
            if (row[j - 1] + 1 < best)
                best = row[j - 1] + 1;
            bool swapped = i > 1 && j > 1 && lower(a[i - 1]) == lower(b[j - 2]) && lower(a[i - 2]) == lower(b[j - 1]);
            if (swapped && before[j - 2] + 1 < best)
                best = before[j - 2] + 1;
            row[j] = best;
        }
        size_t *spare = before;
        before = last;
        last = row;
        row = spare;
    }
    return last[nb];
}

const char *name_nearest(const char *name, const char *const *candidates, size_t n)
{
    size_t len = strlen(name);
    if (len == 0 || len > NEAREST_BYTES_MAX)
        return NULL;
    const char *ret = NULL;
    size_t best = len / 3 + 1;
    for (size_t i = 0; i < n; i++) {
        size_t other = strlen(candidates[i]);
        if (other > NEAREST_BYTES_MAX)
            continue;
        size_t wrong = letters_wrong(name, len, candidates[i], other);
        if (wrong < best) {
            best = wrong;
            ret = candidates[i];
        }
    }
    return ret;
}
