// What subcommands run: configurations, models and presets, with every mistake on standard error.
#include "ctl.h"
#include "read_file.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sysexits.h>

static void print_diags(struct diags *d)
{
    diags_sort(d);
    _cleanup_free_ char *text = diags_format(d);
    if (text)
        fputs(text, stderr);
    diags_clear(d);
}

// Of a result that is 1 for mistakes in a file; negative stays.
static int status_of(int result)
{
    return result > 0 ? EX_CONFIG : result;
}

int ctl_config(const char *path, const struct option_list *overrides, struct config **ret)
{
    struct diags d = {0};
    int r = config_load(path ? path : CONFIG_PATH_DEFAULT, overrides ? overrides->v : NULL, ret, &d);
    print_diags(&d);
    return status_of(r);
}

int ctl_model(const char *path, struct model **ret)
{
    _cleanup_free_ char *text = NULL;
    size_t n;
    struct diags d = {0};
    int r = read_file(path, YAML_BYTES_MAX, &text, &n);
    if (r > 0)
        fprintf(stderr, "%s: cannot be read: %s\n", path, strerror(errno));
    if (r == 0)
        r = model_load(path, text, n, ret, &d);
    print_diags(&d);
    return status_of(r);
}

static const struct {
    const char *name;
    enum event_preset preset;
} presets[] = {
    {"plain", PRESET_PLAIN},
    {"segment", PRESET_SEGMENT},
    {"rudderstack", PRESET_RUDDERSTACK},
    {"cloudevents", PRESET_CLOUDEVENTS},
    {"snowplow", PRESET_SNOWPLOW},
};

static int take_preset(const char *name, struct program *p)
{
    for (size_t i = 0; i < sizeof presets / sizeof *presets; i++)
        if (!strcmp(presets[i].name, name)) {
            field_map_clear(&p->map);
            return field_map_preset(&p->map, presets[i].preset) ? ERR_NOMEM : 0;
        }
    fprintf(stderr, "no preset %s; there are plain, segment, rudderstack, cloudevents and snowplow\n", name);
    return EX_USAGE;
}

static int take_models(const char *const *models, int nmodels, struct program *p)
{
    for (int i = 0; i < p->nmodels; i++)
        model_free(p->models[i]);
    free(p->models);
    p->nmodels = 0;
    if (!(p->models = calloc((size_t)nmodels, sizeof *p->models)))
        return ERR_NOMEM;
    int status = 0;
    for (int i = 0; i < nmodels; i++) {
        int r = ctl_model(models[i], &p->models[p->nmodels]);
        if (r == 0)
            p->nmodels++;
        else
            status = r;
    }
    return status;
}

int ctl_program(const char *config, const char *const *models, int nmodels, const char *preset, struct program *ret)
{
    struct program p = {.grace_ms = 10000};
    struct diags d = {0};
    int r = 0;
    if (config) {
        struct config *c = NULL;
        if ((r = ctl_config(config, NULL, &c)) != 0)
            return r;
        p = c->program;
        c->program = (struct program){0};
        config_free(c);
    }
    if (preset || !config)
        r = take_preset(preset ? preset : "plain", &p);
    if (r == 0 && nmodels > 0)
        r = take_models(models, nmodels, &p);
    if (r == 0 && (nmodels > 0 || preset)) {
        r = status_of(program_link(&p, &d));
        print_diags(&d);
    }
    if (r)
        program_clear(&p);
    else
        *ret = p;
    return r;
}
