// What one scalar of the configuration means: texts with ${...} in them, numbers with units, names and
// addresses. Messages show a value as it stands in the file, never what a ${...} became: that may be a
// password.
#define _GNU_SOURCE // asprintf
#include "config_private.h"

#include <errno.h>
#include <string.h>

#include "buffer.h"
#include "read_file.h"

enum { SECRET_BYTES_MAX = 64 << 10, TOPIC_BYTES_MAX = 249 };

#define LETTERS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
#define DIGITS "0123456789"
static const char name_letters[] = LETTERS DIGITS "-_.";
static const char variable_letters[] = LETTERS DIGITS "_";

char *config_keep(struct config_reader *r, char *text)
{
    struct config_texts *entry = text ? malloc(sizeof(*entry)) : NULL;
    if (!entry) {
        free(text);
        r->failed = true;
        return NULL;
    }
    *entry = (struct config_texts){text, r->config->texts};
    r->config->texts = entry;
    return text;
}

const char *config_path(struct config_reader *r, const char *path)
{
    const char *slash = strrchr(r->config->file, '/');
    if (path[0] == '/' || !slash)
        return config_keep(r, strdup(path));
    struct buffer b = {0};
    buffer_put(&b, r->config->file, (size_t)(slash + 1 - r->config->file));
    buffer_put(&b, path, strlen(path) + 1);
    if (b.failed)
        buffer_clear(&b);
    return config_keep(r, b.p);
}

// ---- ${NAME} and ${file:PATH}

static void put_variable(struct config_reader *r, const struct yaml_node *n, struct span name, struct buffer *out)
{
    char text[256];
    if (name.n == 0 || name.n >= sizeof(text) || strspn(name.p, variable_letters) < name.n) {
        mistake(r, n, "'%.*s' is no name of an environment variable; write ${NAME} or ${file:PATH}, and $${ for ${",
                (int)(name.n < 80 ? name.n : 80), name.p);
        return;
    }
    memcpy(text, name.p, name.n);
    text[name.n] = '\0';
    const char *value = getenv(text);
    if (value)
        buffer_text(out, value);
    else
        mistake(r, n, "the environment variable %s is not set; set it, or write the value here", text);
}

static void put_secret(struct config_reader *r, const struct yaml_node *n, const char *as_written, struct buffer *out)
{
    const char *path = config_path(r, as_written);
    char *text = NULL;
    size_t len = 0;
    int k = path ? read_file(path, SECRET_BYTES_MAX, &text, &len) : ERR_NOMEM;
    if (k < 0) {
        r->failed = true;
        return;
    }
    if (k > 0) {
        mistake(r, n, "the secret file %s cannot be read: %s; check its name and permissions", path, strerror(errno));
        return;
    }
    if (len > 0 && text[len - 1] == '\n') // an editor's last line end is no part of the secret
        len -= len > 1 && text[len - 2] == '\r' ? 2 : 1;
    if (len == 0 || memchr(text, '\0', len))
        mistake(r, n, "the secret file %s %s", path, len ? "is no text; it contains NUL bytes" : "is empty");
    else
        buffer_put(out, text, len);
    free(text);
}

// The '}' that closes what begins at s, other ${ } inside it skipped; or NULL.
static const char *closing_brace(const char *s, const char *end)
{
    for (int depth = 0; s < end; s++) {
        if (*s == '}' && depth-- == 0)
            return s;
        depth += s[0] == '$' && s + 1 < end && s[1] == '{';
    }
    return NULL;
}

// Appends [s, end) with everything replaced. In the path of a secret $NAME is a variable, too: as in
// ${file:$CREDENTIALS_DIRECTORY/redis}.
static void put_expanded(struct config_reader *r, const struct yaml_node *n, const char *s, const char *end, bool path,
                         struct buffer *out)
{
    while (s < end) {
        if (end - s >= 3 && memcmp(s, "$${", 3) == 0) {
            buffer_text(out, "${");
            s += 3;
        } else if (end - s >= 2 && memcmp(s, "${", 2) == 0) {
            const char *inner = s + 2, *close = closing_brace(inner, end);
            if (!close) {
                mistake(r, n, "a ${ is not closed; write ${NAME} or ${file:PATH}, and $${ for ${");
                return;
            }
            if (close - inner >= 5 && memcmp(inner, "file:", 5) == 0) {
                struct buffer name = {0};
                size_t errors = r->d->errors;
                put_expanded(r, n, inner + 5, close, true, &name);
                buffer_byte(&name, '\0');
                r->failed |= name.failed;
                if (!name.failed && r->d->errors == errors)
                    put_secret(r, n, name.p, out);
                buffer_clear(&name);
            } else {
                put_variable(r, n, (struct span){inner, (size_t)(close - inner)}, out);
            }
            s = close + 1;
        } else if (path && *s == '$') {
            size_t len = strspn(s + 1, variable_letters);
            put_variable(r, n, (struct span){s + 1, len}, out);
            s += 1 + len;
        } else {
            buffer_byte(out, *s++);
        }
    }
}

const char *config_text(struct config_reader *r, const char *what, const struct yaml_node *n)
{
    if (n->kind != YAML_SCALAR) {
        mistake(r, n, "%s is a %s; it should be a single value", what, n->kind == YAML_LIST ? "list" : "map");
        return NULL;
    }
    if (yaml_is_null(n)) {
        mistake(r, n, "%s has no value; write one, or leave the key out", what);
        return NULL;
    }
    struct buffer b = {0};
    size_t errors = r->d->errors;
    put_expanded(r, n, n->text, n->text + strlen(n->text), false, &b);
    buffer_byte(&b, '\0');
    if (b.failed)
        buffer_clear(&b);
    const char *text = config_keep(r, b.p);
    if (!text || r->d->errors > errors)
        return NULL;
    if (!*text) {
        mistake(r, n, "%s is empty; write a value, or leave the key out", what);
        return NULL;
    }
    return text;
}

// ---- texts

void value_text(struct config_reader *r, const struct config_row *row, const struct yaml_node *n, void *target)
{
    const char *text = config_text(r, row->key, n);
    if (text)
        *(const char **)target = text;
}

void value_name(struct config_reader *r, const struct config_row *row, const struct yaml_node *n, void *target)
{
    const char *text = config_text(r, row->key, n);
    if (!text)
        return;
    if (strlen(text) > NAME_BYTES_MAX || text[strspn(text, name_letters)])
        mistake(r, n, "%s '%.80s' is no name; write at most %d letters, digits, '-', '_' and '.'", row->key, n->text,
                NAME_BYTES_MAX);
    else
        *(const char **)target = text;
}

void value_app(struct config_reader *r, const struct config_row *row, const struct yaml_node *n, void *target)
{
    value_name(r, row, n, target);
    const char *app = *(const char **)target;
    char *journal = NULL;
    if (app)
        r->config->outputs.journal = config_keep(r, asprintf(&journal, "%s.journal", app) < 0 ? NULL : journal);
}

void value_topic(struct config_reader *r, const struct config_row *row, const struct yaml_node *n, void *target)
{
    const char *text = config_text(r, row->key, n), *source = r->config->source.topic;
    if (!text)
        return;
    if (strlen(text) > TOPIC_BYTES_MAX || text[strspn(text, name_letters)] || !text[strspn(text, ".")])
        mistake(r, n, "%s '%.80s' is no name of a topic; Kafka takes at most %d letters, digits, '-', '_' and '.'",
                row->key, n->text, TOPIC_BYTES_MAX);
    else if (r->config->outputs.journal && strcmp(text, r->config->outputs.journal) == 0)
        mistake(r, n, "%s '%.80s' is the journal's topic; take another", row->key, n->text);
    else if (source && strcmp(text, source) == 0)
        mistake(r, n, "%s '%.80s' is the topic that events come from; take another", row->key, n->text);
    else
        *(const char **)target = text;
}

void value_topic_or_none(struct config_reader *r, const struct config_row *row, const struct yaml_node *n, void *target)
{
    if (!yaml_is_null(n))
        value_topic(r, row, n, target);
}

static void mistake_choice(struct config_reader *r, const struct yaml_node *n, const char *what,
                           const char *const *choices, size_t nchoices)
{
    struct buffer list = {0};
    for (size_t i = 0; i < nchoices; i++)
        buffer_printf(&list, "%s%s", i ? ", " : "", choices[i]);
    const char *nearest = name_nearest(n->text, choices, nchoices);
    mistake(r, n, "%s '%.80s' is none of %s%s%s%s", what, n->text, list.failed ? "those known" : list.p,
            nearest ? "; did you mean '" : "", nearest ? nearest : "", nearest ? "'?" : "");
    buffer_clear(&list);
}

void value_choice(struct config_reader *r, const struct config_row *row, const struct yaml_node *n, void *target)
{
    const char *text = config_text(r, row->key, n);
    size_t nchoices = 0;
    while (row->choices[nchoices])
        nchoices++;
    for (size_t i = 0; text && i < nchoices; i++) {
        if (strcmp(text, row->choices[i]) == 0) {
            *(int *)target = (int)i;
            return;
        }
    }
    if (text)
        mistake_choice(r, n, row->key, row->choices, nchoices);
}

void value_bool(struct config_reader *r, const struct config_row *row, const struct yaml_node *n, void *target)
{
    const char *text = config_text(r, row->key, n);
    if (!text)
        return;
    if (strcmp(text, "true") == 0 || strcmp(text, "false") == 0)
        *(bool *)target = text[0] == 't';
    else
        mistake(r, n, "%s '%.80s' is neither true nor false", row->key, n->text);
}

// ---- numbers

// Digits only. 0, or 1: none, or others, or too many.
static int parse_digits(const char *s, size_t n, int64_t *ret)
{
    int64_t v = 0;
    if (n == 0 || n > 18 || strspn(s, DIGITS) < n)
        return 1;
    for (size_t i = 0; i < n; i++)
        v = v * 10 + (s[i] - '0');
    *ret = v;
    return 0;
}

void value_whole(struct config_reader *r, const struct config_row *row, const struct yaml_node *n, void *target)
{
    const char *text = config_text(r, row->key, n);
    int64_t v;
    if (!text)
        return;
    if (parse_digits(text, strlen(text), &v) != 0 || v < row->min || v > row->max)
        mistake(r, n, "%s '%.80s' is no whole number from %lld to %lld", row->key, n->text, (long long)row->min,
                (long long)row->max);
    else
        *(int64_t *)target = v;
}

void value_duration(struct config_reader *r, const struct config_row *row, const struct yaml_node *n, void *target)
{
    const char *text = config_text(r, row->key, n);
    int64_t ms;
    if (!text)
        return;
    if (parse_duration(text, strlen(text), &ms) == 0 && ms >= row->min && ms <= row->max) {
        *(int64_t *)target = ms;
        return;
    }
    char min[DURATION_TEXT_BYTES], max[DURATION_TEXT_BYTES];
    format_duration(row->min, min);
    format_duration(row->max, max);
    mistake(r, n, "%s '%.80s' is no duration from %s to %s; write a whole number and a unit (ms, s, m, h, d, w)",
            row->key, n->text, min, max);
}

void value_duration_or_never(struct config_reader *r, const struct config_row *row, const struct yaml_node *n,
                             void *target)
{
    if (yaml_is_null(n))
        *(int64_t *)target = NEVER;
    else
        value_duration(r, row, n, target);
}

static const struct {
    const char *name;
    int shift;
} size_units[] = {{"TiB", 40}, {"GiB", 30}, {"MiB", 20}, {"KiB", 10}, {"B", 0}};
enum { SIZE_UNITS = sizeof(size_units) / sizeof(size_units[0]) };

static int parse_size(const char *s, int64_t *ret)
{
    size_t n = strspn(s, DIGITS);
    int64_t v;
    if (parse_digits(s, n, &v) != 0)
        return 1;
    for (int i = 0; i < SIZE_UNITS; i++) {
        if (strcmp(s + n, size_units[i].name) == 0 && v <= INT64_MAX >> size_units[i].shift) {
            *ret = v << size_units[i].shift;
            return 0;
        }
    }
    return 1;
}

static void format_size(int64_t bytes, char out[static 32])
{
    int i = 0;
    while (bytes & ((INT64_C(1) << size_units[i].shift) - 1))
        i++;
    snprintf(out, 32, "%lld%s", (long long)(bytes >> size_units[i].shift), size_units[i].name);
}

void value_size(struct config_reader *r, const struct config_row *row, const struct yaml_node *n, void *target)
{
    const char *text = config_text(r, row->key, n);
    int64_t bytes;
    if (!text)
        return;
    if (parse_size(text, &bytes) == 0 && bytes >= row->min && bytes <= row->max) {
        *(int64_t *)target = bytes;
        return;
    }
    char min[32], max[32];
    format_size(row->min, min);
    format_size(row->max, max);
    mistake(r, n, "%s '%.80s' is no size from %s to %s; write a whole number and a unit (B, KiB, MiB, GiB, TiB)",
            row->key, n->text, min, max);
}

// ---- addresses

void value_listen(struct config_reader *r, const struct config_row *row, const struct yaml_node *n, void *target)
{
    (void)target;
    if (yaml_is_null(n))
        return;
    const char *text = config_text(r, row->key, n);
    if (!text)
        return;
    const char *colon = strrchr(text, ':'), *host = text;
    size_t len = colon ? (size_t)(colon - text) : 0;
    bool brackets = len > 2 && text[0] == '[' && colon[-1] == ']';
    if (brackets) {
        host++;
        len -= 2;
    }
    int64_t port = -1;
    if (!colon || parse_digits(colon + 1, strlen(colon + 1), &port) != 0 || port > 65535 ||
        strcspn(host, brackets ? " []" : " []:") < len) {
        mistake(r, n,
                "%s '%.80s' is no address; write HOST:PORT, such as 127.0.0.1:9464 or [::1]:9464, or null "
                "for none",
                row->key, n->text);
        return;
    }
    r->config->http.host = config_keep(r, strndup(host, len));
    r->config->http.port = colon + 1;
}

void value_redis_url(struct config_reader *r, const struct config_row *row, const struct yaml_node *n, void *target)
{
    const char *text = config_text(r, row->key, n);
    struct why why;
    int k = text ? redis_url_parse(text, target, &why) : 0;
    r->failed |= k < 0;
    if (k > 0)
        mistake(r, n, "%s: %s", row->key, why.text);
}
