// Models, or what stands below the beginning of one, and the exact lines that their check says.
#pragma once
#include "load.h"

#include <check.h>

#define HEAD \
    "model: m\n" \
    "version: 1\n" \
    "signals: {buy: {events: [order], value: true}, view: [page], sad: [complaint]}\n" \
    "stages: {a: , b: {channels: [mail]}, c: }\n"

struct row {
    const char *text; // one that does not begin with `model:` stands below HEAD, from line 5 on
    const char *wanted;
};

static inline void check_row(const struct row *row)
{
    bool whole = !*row->text || strncmp(row->text, "model:", 6) == 0;
    _cleanup_(buffer_clear) struct buffer text = {0};
    buffer_text(&text, whole ? "" : HEAD);
    buffer_put(&text, row->text, strlen(row->text) + 1);
    _cleanup_free_ char *found = NULL;
    struct model *m = load(text.p, &found);
    ck_assert_str_eq(found, row->wanted);
    ck_assert_msg(!m == (*row->wanted && !strstr(row->wanted, "warning")), "a model exactly if nothing is wrong");
    model_free(m);
}
