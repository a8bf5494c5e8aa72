// Where a byte of a YAML scalar stands in the file. YAML tells only where the scalar begins, but an
// expression can be long, fold over several lines, and be wrong in the middle.
#include "model_private.h"

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static const char *skip_blanks(const char *p, const char *end)
{
    while (p < end && is_blank(*p))
        p++;
    return p;
}

static bool begins_character(char c)
{
    return ((unsigned char)c & 0xc0) != 0x80;
}

// The first byte of a line; NULL if there are fewer. A byte order mark is no part of the first.
static const char *line_start(const struct compiler *k, int line)
{
    const char *p = k->text, *end = k->text + k->len;
    if (line == 1 && k->len >= 3 && memcmp(p, "\xef\xbb\xbf", 3) == 0)
        return p + 3;
    for (; line > 1 && p; line--) {
        p = memchr(p, '\n', (size_t)(end - p));
        p = p ? p + 1 : NULL;
    }
    return p;
}

// Where the scalar's content begins in the file; NULL if that is not plain to see.
static const char *content_start(const struct compiler *k, const struct yaml_node *n)
{
    const char *p = line_start(k, n->line), *end = k->text + k->len;
    for (int column = 1; p && p < end && column < n->column; column++)
        do
            p++;
        while (p < end && !begins_character(*p));
    if (!p || p >= end)
        return NULL;
    if (*p == '|' || *p == '>') {
        p = memchr(p, '\n', (size_t)(end - p));
        return p ? skip_blanks(p, end) : NULL;
    }
    return *p == '"' || *p == '\'' ? p + 1 : p;
}

// Walks text and file side by side, where blanks of the text may be line breaks and indentation in the file.
// Returns the place in the file; NULL where they differ: at an escape.
static const char *find(const struct compiler *k, const struct yaml_node *n, const char *where)
{
    const char *p = content_start(k, n), *end = k->text + k->len;
    for (const char *t = n->text; p && t < where;) {
        if (is_blank(*t)) {
            t = skip_blanks(t, where);
            p = skip_blanks(p, end);
        } else {
            p = p < end && *p == *t ? p + 1 : NULL;
            t++;
        }
    }
    return p;
}

void scalar_place(const struct compiler *k, const struct yaml_node *n, const char *where, int *ret_line,
                  int *ret_column)
{
    *ret_line = n->line;
    *ret_column = n->column;
    const char *p = find(k, n, where);
    if (!p)
        return;
    int line = 1;
    for (const char *q = k->text; q < p; q++)
        line += *q == '\n';
    int column = 1;
    for (const char *q = line_start(k, line); q < p; q++)
        column += begins_character(*q);
    *ret_line = line;
    *ret_column = column;
}
