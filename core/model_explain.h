// A compiled model in words again: for people who want to know what a machine made of their file.
#pragma once
#include "buffer.h"
#include "model.h"

// All append to the buffer. 0, or negative: no memory.

// Every stage: what it is for, how one gets in and out, what is sent; then caps and transitions as a table.
int model_explain(const struct model *m, struct buffer *b);
// The stage diagram in Graphviz's language; transitions by time alone are dashed.
int model_dot(const struct model *m, struct buffer *b);
// An expression as one would write it; root is a node.
int expr_text(const struct model *m, int root, struct buffer *b);
// A rule's or trigger's condition: "when complaint, if count(complaint, 30d) >= 2"; "at once" if it has none.
int condition_text(const struct model *m, const struct condition *on, struct buffer *b);
