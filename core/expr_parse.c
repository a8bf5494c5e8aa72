// Expressions: text to nodes, by recursive descent. A node's children are made before it, so they have
// smaller indexes. Every mistake names the place inside the text, not just where the YAML scalar begins.
#include "model_private.h"

struct token {
    enum { WORD, COMPARE_OP, PUNCTUATION, END } kind;
    const char *p;
    size_t n;
};

struct parser {
    struct compiler *k;
    const struct yaml_node *scalar;
    const char *at;     // after the current token
    struct token token; // the current one
    int depth;          // of parentheses and `not`
    bool failed;        // a syntax mistake was reported: nothing more is
    bool wrong;         // any mistake was reported
};

#define mistake_at(x, where, ...) \
    do { \
        int line_, column_; \
        scalar_place((x)->k, (x)->scalar, (where), &line_, &column_); \
        (x)->wrong = true; \
        diag_add((x)->k->d, false, (x)->k->file, line_, column_, __VA_ARGS__); \
    } while (0)

// ---- tokens

static bool word_byte(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_' ||
           c == '.' || (unsigned char)c >= 0x80; // letters of other alphabets, for the message
}

static void next(struct parser *x)
{
    const char *p = x->at + strspn(x->at, " \t\r\n");
    x->token = (struct token){PUNCTUATION, p, 1};
    if (!*p) {
        x->token = (struct token){END, x->at, 0}; // right after the last one, whatever blanks follow
    } else if (word_byte(*p)) {
        x->token.kind = WORD;
        while (word_byte(p[x->token.n]))
            x->token.n++;
    } else if (strchr("<>=!", *p)) {
        x->token.kind = COMPARE_OP;
        while (p[x->token.n] && strchr("<>=!", p[x->token.n]))
            x->token.n++;
    } else if (strchr("&|", *p) && p[1] == *p) {
        x->token.n = 2;
    }
    x->at = p + x->token.n;
}

static bool is(const struct parser *x, const char *text)
{
    return x->token.n == strlen(text) && memcmp(x->token.p, text, x->token.n) == 0;
}

// What other languages write, and what it is here.
static const struct {
    const char *found, *advice;
} habits[] = {
    {"&&", "; write 'and'"}, {"AND", "; write 'and'"}, {"||", "; write 'or'"},  {"OR", "; write 'or'"},
    {"!", "; write 'not'"},  {"NOT", "; write 'not'"}, {"=", "; write '=='"},   {"<>", "; write '!='"},
    {"=<", "; write '<='"},  {"=>", "; write '>='"},   {"===", "; write '=='"},
};

static void expected(struct parser *x, const char *what)
{
    if (x->failed)
        return;
    x->failed = true;
    const struct token *t = &x->token;
    const char *advice = "";
    for (size_t i = 0; i < sizeof(habits) / sizeof(habits[0]); i++)
        if (is(x, habits[i].found))
            advice = habits[i].advice;
    if (t->kind == END && x->scalar->plain)
        advice = "; an expression with a comma needs quotes";
    if (t->kind == END)
        mistake_at(x, t->p, "expected %s, but the expression ends%s", what, advice);
    else
        mistake_at(x, t->p, "expected %s, found '%.*s'%s", what, (int)(t->n < 80 ? t->n : 80), t->p, advice);
}

static bool skip(struct parser *x, const char *text, const char *what)
{
    if (x->failed || !is(x, text)) {
        expected(x, what);
        return false;
    }
    next(x);
    return true;
}

// ---- facts

enum { ARG_SIGNAL = 1, ARG_WINDOW = 2, ARG_WINDOW_OR_STAGE = 4, ARG_STAGE = 8 };

static const struct {
    const char *name;
    uint8_t fact, args;
    bool duration; // what it is compared with
} facts[] = {
    {"count", FACT_COUNT, ARG_SIGNAL | ARG_WINDOW_OR_STAGE, false},
    {"sum", FACT_SUM, ARG_SIGNAL, false},
    {"mean", FACT_MEAN, ARG_SIGNAL, false},
    {"value", FACT_VALUE, ARG_SIGNAL, false},
    {"since", FACT_SINCE, ARG_SIGNAL, true},
    {"gap", FACT_GAP, ARG_SIGNAL, true},
    {"in_stage", FACT_IN_STAGE, 0, true},
    {"age", FACT_AGE, 0, true},
    {"visits", FACT_VISITS, ARG_STAGE, false},
    {"score", FACT_SCORE, 0, false},
    {"trend", FACT_TREND, ARG_SIGNAL | ARG_WINDOW, false},
};
enum { NFACTS = sizeof(facts) / sizeof(facts[0]) };

// The token as a string, for name_nearest: longer ones are no names anyway.
static char *word(const struct token *t, char out[static NAME_BYTES_MAX + 1])
{
    size_t n = t->n < NAME_BYTES_MAX ? t->n : NAME_BYTES_MAX;
    while (n > 0 && n < t->n && ((unsigned char)t->p[n] & 0xc0) == 0x80) // whole characters
        n--;
    memcpy(out, t->p, n);
    out[n] = '\0';
    return out;
}

static void parse_signal(struct parser *x, struct compare *c)
{
    if (x->token.kind != WORD) {
        expected(x, "the name of a signal");
        return;
    }
    c->signal = (int16_t)model_signal(x->k->m, x->token.p, x->token.n);
    if (c->signal == NONE) {
        char name[NAME_BYTES_MAX + 1];
        int line, column;
        scalar_place(x->k, x->scalar, x->token.p, &line, &column);
        unknown_signal(x->k, line, column, word(&x->token, name));
        x->wrong = true;
    }
    next(x);
}

static void parse_stage(struct parser *x, struct compare *c)
{
    if (x->token.kind != WORD) {
        expected(x, "the name of a stage");
        return;
    }
    c->stage = (int16_t)model_stage(x->k->m, x->token.p, x->token.n);
    if (c->stage == NONE) {
        char name[NAME_BYTES_MAX + 1];
        int line, column;
        scalar_place(x->k, x->scalar, x->token.p, &line, &column);
        unknown_stage(x->k, line, column, word(&x->token, name));
        x->wrong = true;
    }
    next(x);
}

// What follows the signal: ", 30d" or ", stage".
static void parse_window(struct parser *x, struct compare *c, bool stage_too)
{
    if (stage_too && is(x, "stage")) {
        c->fact = FACT_COUNT_STAGE;
    } else if (x->token.kind != WORD || parse_duration(x->token.p, x->token.n, &c->window_ms) != 0) {
        expected(x, stage_too ? "a duration such as 30d, or 'stage'" : "a duration such as 30d");
        return;
    } else {
        if (c->window_ms == 0)
            mistake_at(x, x->token.p, "the window is empty; it should be longer than 0");
        if (stage_too)
            c->fact = FACT_COUNT_WINDOW;
    }
    next(x);
}

static void check_fact(struct parser *x, const struct compare *c, const char *at)
{
    bool of_value = c->fact == FACT_SUM || c->fact == FACT_MEAN || c->fact == FACT_VALUE;
    if (of_value && c->signal != NONE && !x->k->valued[c->signal])
        mistake_at(x, at, "signal '%s' keeps no values; give it 'value: true'", x->k->m->signals[c->signal].name);
    if (c->fact == FACT_SCORE && !x->k->score_given)
        mistake_at(x, at, "the model has no score; add 'score:' with half_life, potential and weights");
}

// Returns the fact's row, or NONE.
static int parse_fact(struct parser *x, struct compare *c)
{
    const char *at = x->token.p;
    if (x->token.kind != WORD) {
        expected(x, "a fact such as count(purchase)");
        return NONE;
    }
    int row = 0;
    while (row < NFACTS && !is(x, facts[row].name))
        row++;
    if (row == NFACTS) {
        const char *names[NFACTS];
        for (int i = 0; i < NFACTS; i++)
            names[i] = facts[i].name;
        char name[NAME_BYTES_MAX + 1];
        const char *nearest = name_nearest(word(&x->token, name), names, NFACTS);
        x->failed = true;
        if (nearest)
            mistake_at(x, at, "unknown fact '%s'; did you mean '%s'?", name, nearest);
        else
            mistake_at(x, at,
                       "unknown fact '%s'; a comparison begins with count(...), sum(...), mean(...), value(...), "
                       "since(...), gap(...), in_stage, age, visits(...), score or trend(...)",
                       name);
        return NONE;
    }
    *c = (struct compare){.fact = facts[row].fact, .signal = NONE, .stage = NONE};
    next(x);
    int args = facts[row].args;
    if (args) {
        if (!skip(x, "(", "'('"))
            return NONE;
        if (args & ARG_SIGNAL)
            parse_signal(x, c);
        else
            parse_stage(x, c);
        if ((args & ARG_WINDOW) && skip(x, ",", "',' and a duration"))
            parse_window(x, c, false);
        else if ((args & ARG_WINDOW_OR_STAGE) && is(x, ",")) {
            next(x);
            parse_window(x, c, true);
        }
        if (x->failed || !skip(x, ")", "')'"))
            return NONE;
    }
    check_fact(x, c, at);
    return row;
}

// The most recent times that decide a comparison of a windowed count: those at which it turns.
static int64_t recent_needed(const struct compare *c)
{
    int64_t floor = c->literal / 1000 - (c->literal % 1000 < 0);
    bool whole = c->literal % 1000 == 0;
    int64_t need = whole && (c->op == OP_GE || c->op == OP_LT) ? floor : floor + 1;
    return need < 1 ? 1 : need;
}

void use_fact(struct compiler *k, const struct compare *c)
{
    if (c->fact == FACT_SCORE)
        k->m->has_score = true;
    if (c->signal == NONE)
        return;
    struct use *u = &k->use[c->signal];
    u->count |= c->fact == FACT_COUNT;
    u->count_visit |= c->fact == FACT_COUNT_STAGE;
    u->sum |= c->fact == FACT_SUM || c->fact == FACT_MEAN;
    u->nvalues |= c->fact == FACT_MEAN;
    u->value |= c->fact == FACT_VALUE;
    u->last |= c->fact == FACT_SINCE || c->fact == FACT_GAP;
    u->previous |= c->fact == FACT_GAP;
    int64_t need = c->fact == FACT_TREND ? TREND_RECENT_MAX : 0;
    if (c->fact == FACT_COUNT_WINDOW)
        need = recent_needed(c);
    if (need > u->recent)
        u->recent = need < RECENT_MAX ? (int)need : RECENT_MAX;
}

// ---- comparisons and what joins them

// Adds a node that was written at `at`, with so many levels.
static int add_node(struct parser *x, struct node n, int height, const char *at)
{
    struct model *m = x->k->m;
    if (x->failed)
        return NONE;
    if (m->nnodes == NODES_MAX || height > EXPR_DEPTH_MAX) {
        x->failed = true;
        if (m->nnodes == NODES_MAX)
            mistake_at(x, at, "the model's expressions have more than %d parts; make them smaller", NODES_MAX);
        else
            mistake_at(x, at, "the expression joins or nests more than %d parts; make it smaller", EXPR_DEPTH_MAX);
        return NONE;
    }
    x->k->nodes[m->nnodes] = n;
    x->k->height[m->nnodes] = (uint8_t)height;
    return m->nnodes++;
}

static void parse_literal(struct parser *x, struct compare *c, int row)
{
    const char *text = x->token.p;
    size_t n = x->token.n;
    int64_t other;
    if (x->token.kind != WORD) {
        expected(x, facts[row].duration ? "a duration such as 30d" : "a number");
    } else if (facts[row].duration && parse_duration(text, n, &c->literal) != 0) {
        x->failed = true;
        mistake_at(x, text,
                   "'%s' is compared with a duration, but '%.*s' is none; write a whole number and a unit, "
                   "such as 30d",
                   facts[row].name, (int)(n < 80 ? n : 80), text);
    } else if (!facts[row].duration && parse_decimal(text, n, &c->literal) != 0) {
        x->failed = true;
        mistake_at(x, text, "'%s' is compared with a number, but '%.*s' is %s; write one, such as 3", facts[row].name,
                   (int)(n < 80 ? n : 80), text, parse_duration(text, n, &other) == 0 ? "a duration" : "none");
    }
    if (!x->failed && c->fact == FACT_COUNT_WINDOW && recent_needed(c) > RECENT_MAX)
        mistake_at(x, text, "a count in a window is exact up to %d; use a smaller number", RECENT_MAX);
    next(x);
}

static int parse_comparison(struct parser *x)
{
    static const struct {
        const char *text;
        uint8_t op;
    } ops[] = {{"<", OP_LT}, {"<=", OP_LE}, {">", OP_GT}, {">=", OP_GE}, {"==", OP_EQ}, {"!=", OP_NE}};
    struct compare c;
    const char *at = x->token.p;
    int row = parse_fact(x, &c);
    if (row == NONE)
        return NONE;
    size_t op = 0;
    while (op < sizeof(ops) / sizeof(ops[0]) && !is(x, ops[op].text))
        op++;
    if (op == sizeof(ops) / sizeof(ops[0])) {
        expected(x, "a comparison (<, <=, >, >=, ==, !=)");
        return NONE;
    }
    c.op = ops[op].op;
    next(x);
    parse_literal(x, &c, row);
    if (x->failed)
        return NONE;
    use_fact(x->k, &c);
    return add_node(x, (struct node){.kind = NODE_COMPARE, .a = NONE, .b = NONE, .c = c}, 1, at);
}

static int parse_or(struct parser *x);

static int parse_unary(struct parser *x)
{
    bool not = is(x, "not");
    if (!not&&!is(x, "("))
        return parse_comparison(x);
    if (++x->depth > EXPR_DEPTH_MAX) {
        if (!x->failed)
            mistake_at(x, x->token.p, "the expression nests deeper than %d; make it flatter", EXPR_DEPTH_MAX);
        x->failed = true;
        return NONE;
    }
    const char *at = x->token.p;
    next(x);
    int a = not ? parse_unary(x) : parse_or(x);
    x->depth--;
    if (a == NONE)
        return NONE;
    if (not)
        return add_node(x, (struct node){.kind = NODE_NOT, .a = (int16_t)a, .b = NONE}, x->k->height[a] + 1, at);
    return skip(x, ")", "'and', 'or' or ')'") ? a : NONE;
}

static int parse_joined(struct parser *x, const char *word, uint8_t kind, int (*operand)(struct parser *x))
{
    int a = operand(x);
    while (a != NONE && is(x, word)) {
        const char *at = x->token.p;
        next(x);
        int b = operand(x);
        if (b == NONE)
            return NONE;
        int higher = x->k->height[a] > x->k->height[b] ? x->k->height[a] : x->k->height[b];
        a = add_node(x, (struct node){.kind = kind, .a = (int16_t)a, .b = (int16_t)b}, higher + 1, at);
    }
    return a;
}

static int parse_and(struct parser *x)
{
    return parse_joined(x, "and", NODE_AND, parse_unary);
}

static int parse_or(struct parser *x)
{
    return parse_joined(x, "or", NODE_OR, parse_and);
}

static struct parser begin(struct compiler *k, const struct yaml_node *n, const char *what)
{
    const char *text = read_text(k, n, what);
    struct parser x = {.k = k, .scalar = n, .at = text, .failed = !text, .wrong = !text};
    if (text)
        next(&x);
    return x;
}

int expr_parse(struct compiler *k, const struct yaml_node *n)
{
    if (!n)
        return NONE;
    struct parser x = begin(k, n, "the expression");
    if (x.failed)
        return NONE;
    int root = parse_or(&x);
    if (!x.failed && x.token.kind != END)
        expected(&x, "'and', 'or' or the end");
    return x.wrong ? NONE : root;
}

bool expr_parse_fact(struct compiler *k, const struct yaml_node *n, struct compare *ret)
{
    struct parser x = begin(k, n, "the fact");
    if (x.failed)
        return false;
    struct compare c;
    int row = parse_fact(&x, &c);
    if (row != NONE && x.token.kind != END)
        expected(&x, "the end of the fact");
    if (row == NONE || x.wrong)
        return false;
    *ret = c;
    return true;
}
