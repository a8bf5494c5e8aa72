// Loads a model from a string, for tests.
#pragma once
#include "buffer.h"
#include "cleanup.h"
#include "model.h"

// The model, or NULL; *ret_found: all mistakes and warnings as printed, the caller's.
static inline struct model *load(const char *text, char **ret_found)
{
    struct diags d = {0};
    struct model *m = NULL;
    int r = model_load("m.yaml", text, strlen(text), &m, &d);
    if (r < 0 || (r == 0) != (d.errors == 0))
        abort(); // no memory, or a result that does not fit what was found
    diags_sort(&d);
    *ret_found = diags_format(&d);
    diags_clear(&d);
    return m;
}
