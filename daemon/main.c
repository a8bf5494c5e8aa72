// The daemon's entry: command line and configuration, then app.
#include <stdio.h>
#include <sysexits.h>

#include "app.h"
#include "log.h"
#include "options.h"

int main(int argc, char **argv)
{
    struct engaged_options o = {.config = CONFIG_PATH_DEFAULT};
    int status = engaged_options(argc, argv, &o);
    if (status != OPTIONS_RUN)
        return status;
    struct config *config = NULL;
    struct diags d = {0};
    int r = config_load(o.config, o.overrides.v, &config, &d);
    diags_sort(&d);
    _cleanup_free_ char *text = diags_format(&d);
    diags_clear(&d);
    if (text)
        fputs(text, stderr);
    if (r < 0)
        fputs("engaged: out of memory\n", stderr);
    if (r)
        return r > 0 ? EX_CONFIG : EX_SOFTWARE;
    if (o.check_config) {
        config_free(config);
        return EX_OK;
    }
    log_open((enum note_level)config->log.level, config->log.format);
    return app_run(config, o.overrides.v);
}
