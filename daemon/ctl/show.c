// What is stored of one customer. The text is made from the JSON that HTTP gives, so that both tell the same.
#include <stdio.h>
#include <string.h>

#include <yyjson.h>

#include "ctl.h"
#include "sources.h"

struct show_options {
    const char *config, *format;
    struct option_list overrides;
};

#define FIELD(f) offsetof(struct show_options, f)

static const struct option_row rows[] = {
    CONFIG_OPTION_ROWS,
    {'f', "format", OPTION_TEXT, "json|table", FIELD(format), "as HTTP has it, or as a table (default)"},
};

static const struct command command = {
    .name = "engagectl show",
    .arguments = "CUSTOMER",
    .about =
        "Stage, facts and next deadline of a customer in each model, as they are stored in Redis. Needs no "
        "daemon.\n",
    .rows = rows,
    .nrows = sizeof rows / sizeof *rows,
    .arguments_min = 1,
    .arguments_max = 1,
};

static void put_line(struct buffer *b, int indent, const char *name, yyjson_val *v)
{
    buffer_printf(b, "%*s%-*s ", indent, "", 30 - indent, name);
    if (yyjson_is_str(v))
        buffer_put(b, yyjson_get_str(v), yyjson_get_len(v));
    else if (yyjson_is_raw(v))
        buffer_put(b, yyjson_get_raw(v), yyjson_get_len(v));
    buffer_byte(b, '\n');
}

// An object's members: those of an object in it as "count(purchase)".
static void put_members(struct buffer *b, int indent, yyjson_val *object)
{
    size_t i, n, k, nk;
    yyjson_val *key, *v, *inner, *w;
    yyjson_obj_foreach(object, i, n, key, v)
    {
        const char *name = yyjson_get_str(key);
        if (!yyjson_is_obj(v)) {
            put_line(b, indent, name, v);
            continue;
        }
        bool facts = !strcmp(name, "facts"), deadline = !strcmp(name, "deadline");
        if (facts || deadline)
            buffer_printf(b, "%*s%s\n", indent, "", name);
        if (facts || deadline) {
            put_members(b, indent + 2, v);
            continue;
        }
        yyjson_obj_foreach(v, k, nk, inner, w)
        {
            char fact[2 * NAME_BYTES_MAX + DURATION_TEXT_BYTES];
            snprintf(fact, sizeof fact, "%s(%s)", name, yyjson_get_str(inner));
            put_line(b, indent, fact, w);
        }
    }
}

static int put_table(const struct buffer *json, struct buffer *b)
{
    size_t i, n;
    yyjson_val *state;
    yyjson_doc *doc = yyjson_read(json->p, json->n, YYJSON_READ_NUMBER_AS_RAW);
    if (!doc)
        return ERR_INTERNAL;
    put_line(b, 0, "customer", yyjson_obj_get(yyjson_doc_get_root(doc), "customer"));
    yyjson_arr_foreach(yyjson_obj_get(yyjson_doc_get_root(doc), "models"), i, n, state)
    {
        buffer_byte(b, '\n');
        put_members(b, 0, state);
    }
    yyjson_doc_free(doc);
    return 0;
}

int ctl_show(int argc, char **argv)
{
    struct show_options o = {0};
    bool json = false;
    int first, r = options_parse(&command, argc, argv, &o, &first);
    if (r != OPTIONS_RUN)
        return r;
    if ((r = ctl_format(command.name, o.format, &json)) != 0)
        return r;
    _cleanup_(sources_close) struct sources s;
    _cleanup_(buffer_clear) struct buffer body = {0}, table = {0};
    r = sources_open(command.name, o.config, &o.overrides, &s);
    if (r == 0)
        r = sources_customer_json(&s, argv[first], &body);
    if (r == 0 && json)
        buffer_byte(&body, '\n');
    else if (r == 0)
        r = put_table(&body, &table);
    if (r == 0)
        r = ctl_put(json ? &body : &table);
    return ctl_written(command.name, r);
}
