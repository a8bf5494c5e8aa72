// Any bytes as an expression: never a crash, mistakes exactly if there is none, each within the line where it
// stands; and a good expression, written out and read again, is written the same.
#include "model_explain.h"

static void check(bool ok)
{
    if (!ok)
        abort();
}

// As a double-quoted YAML scalar, escaping no more than must be, so that places stay exact where they can.
static void quote(struct buffer *b, const char *p, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (p[i] == '"' || p[i] == '\\')
            buffer_printf(b, "\\%c", p[i]);
        else if ((unsigned char)p[i] < ' ' || p[i] == 0x7f)
            buffer_printf(b, "\\x%02x", (unsigned)p[i]);
        else
            buffer_byte(b, p[i]);
    }
}

static struct model *load(const char *p, size_t n, struct diags *d)
{
    struct buffer text = {0};
    buffer_text(&text, "model: m\nversion: 1\n"
                       "signals: {a: {events: e, value: true}, b-c: f}\n"
                       "stages: {s: , t: }\n"
                       "score: {half_life: 1d, potential: 9, weights: {a: 1}}\n"
                       "transitions:\n"
                       "- {name: x, from: s, to: t, when: a, if: \"");
    quote(&text, p, n);
    buffer_text(&text, "\"}\n");
    check(!text.failed);
    struct model *m = NULL;
    int r = model_load("m.yaml", text.p, text.n, &m, d);
    check(r >= 0 && (r == 0) == (m != NULL) && (r == 0) == (d->errors == 0));
    for (size_t i = 0; i < d->n && !m; i++)
        check(d->v[i].line == 7 && d->v[i].column >= 42 && (size_t)d->v[i].column <= 42 + text.n);
    buffer_clear(&text);
    return m;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n);
int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
    if (!utf8_valid((const char *)bytes, n))
        return 0;
    struct diags d = {0};
    struct model *m = load((const char *)bytes, n, &d);
    if (m) {
        struct buffer text = {0}, again = {0};
        check(expr_text(m, m->rules[0].on.expr, &text) == 0);
        struct model *second = load(text.p, text.n, &d);
        check(second && expr_text(second, second->rules[0].on.expr, &again) == 0);
        check(text.n == again.n && memcmp(text.p, again.p, text.n) == 0);
        check(m->nslots == second->nslots && m->signals[0].slots.recent_max == second->signals[0].slots.recent_max);
        buffer_clear(&text);
        buffer_clear(&again);
        model_free(second);
    }
    diags_clear(&d);
    model_free(m);
    return 0;
}
