// Every mistake in models, or in a configuration and its models; and what a machine made of them: as tables,
// or as the state diagram.
#include "ctl.h"

#include <stdio.h>
#include <sysexits.h>

#include "model_explain.h"

struct check_options {
    const char *config;
    struct option_list overrides;
    bool explain, dot;
};

#define FIELD(f) offsetof(struct check_options, f)

static const struct option_row rows[] = {
    {'c', "config", OPTION_TEXT, "FILE", FIELD(config), "check this configuration and its models"},
    {0, "set", OPTION_LIST, "KEY=VALUE", FIELD(overrides), "instead of that key in FILE; redis.timeout=5s"},
    {0, "explain", OPTION_FLAG, NULL, FIELD(explain), "show the compiled stages, rules and triggers"},
    {0, "dot", OPTION_FLAG, NULL, FIELD(dot), "show the state diagram in Graphviz's language"},
};

static const struct command command = {
    .name = "engagectl check",
    .arguments = "[MODEL...]",
    .about = "Reports every mistake as file:line:column, and ends with 78 if there is one. Without MODEL it "
             "checks the\n"
             "configuration (" CONFIG_PATH_DEFAULT ") and the models that it names.\n",
    .rows = rows,
    .nrows = sizeof(rows) / sizeof(rows[0]),
    .arguments_max = ARGUMENTS_MANY,
};

static int show(const struct check_options *o, const struct model *m)
{
    _cleanup_(buffer_clear) struct buffer b = {0};
    int k = 0;
    if (o->explain)
        k = model_explain(m, &b);
    if (k == 0 && o->dot)
        k = model_dot(m, &b);
    if (!o->explain && !o->dot)
        buffer_printf(&b, "%s: ok: model %s, version %u: %d stages, %d transitions, %d triggers\n", m->file, m->name,
                      m->version, m->nstages, m->nrules, m->ntriggers);
    return k < 0 ? k : ctl_put(&b);
}

static int check_models(const struct check_options *o, int n, char **paths)
{
    int status = EX_OK;
    for (int i = 0; i < n; i++) {
        struct model *m = NULL;
        int k = ctl_model(paths[i], &m);
        if (k == EX_OK)
            k = show(o, m);
        if (k != EX_OK)
            status = k;
        model_free(m);
    }
    return status;
}

static int check_config(const struct check_options *o)
{
    _cleanup_(config_free_p) struct config *c = NULL;
    int status = ctl_config(o->config, &o->overrides, &c);
    for (int i = 0; status == EX_OK && i < c->program.nmodels; i++)
        status = show(o, c->program.models[i]);
    return status;
}

int ctl_check(int argc, char **argv)
{
    struct check_options o = {0};
    int first, status = options_parse(&command, argc, argv, &o, &first);
    if (status != OPTIONS_RUN)
        return status;
    if (first == argc)
        return ctl_written(command.name, check_config(&o));
    status = o.config || o.overrides.n > 0 ? check_config(&(struct check_options){o.config, o.overrides, 0, 0}) : EX_OK;
    int k = check_models(&o, argc - first, argv + first);
    return ctl_written(command.name, k != EX_OK ? k : status);
}
