// Any bytes as a YAML document: a tree that keeps the promises of yaml.h, or mistakes with their places.
#include "yaml_tree.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "bounds.h"

#define CHECK(x) ((x) ? (void)0 : abort())

static void check_node(const struct yaml_node *n, int depth)
{
    CHECK(n->line >= 1 && n->column >= 1);
    if (n->kind == YAML_SCALAR) {
        CHECK(n->text && !n->items && !n->keys);
        CHECK(!yaml_is_null(n) || n->plain);
        return;
    }
    CHECK(depth < YAML_DEPTH_MAX && !n->text);
    for (size_t i = 0; i < n->n; i++) {
        if (n->kind == YAML_MAP) {
            CHECK(n->keys[i]->kind == YAML_SCALAR);
            // None twice: each key finds its own value (where looking is cheap).
            CHECK(n->n > 1000 || yaml_get(n, n->keys[i]->text) == n->items[i]);
            check_node(n->keys[i], depth + 1);
        }
        check_node(n->items[i], depth + 1);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = malloc(size);
    if (size > 0)
        memcpy(text, data, size);
    struct diags d = {0};
    struct yaml_doc *doc = NULL;
    int k = yaml_parse("f", text, size, &doc, &d);
    CHECK(k == 0 || k == 1);
    CHECK((k == 0) == (d.errors == 0) && (k == 0) == (doc != NULL));
    if (k == 0) {
        static const char *const known[] = {"model", "stages", "from", NULL};
        CHECK(yaml_root(doc)->kind == YAML_MAP);
        check_node(yaml_root(doc), 0);
        yaml_check_keys("f", yaml_root(doc), known, "the file", &d);
    }
    yaml_doc_free(doc);
    diags_sort(&d);
    for (size_t i = 0; i < d.n; i++)
        CHECK(d.v[i].line >= 0 && (d.v[i].line == 0 || d.v[i].column >= 1) && strlen(d.v[i].text) > 0);
    char *all = diags_format(&d);
    CHECK(all);
    free(all);
    diags_clear(&d);
    free(text);
    return 0;
}
