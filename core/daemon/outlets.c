#include "daemon/outlets.h"

#include <stdlib.h>

#include "base/mem.h"
#include "conf/conf.h"

struct kv_outlets {
    struct kv_sink_config *configs;
    struct kv_sinks *sinks;
};

struct kv_outlets *kv_outlets_open(const struct kv_config *config)
{
    struct kv_outlets *outlets = kv_calloc(1, sizeof(*outlets));
    struct kv_error error;
    size_t failed = 0;
    if (config->n_sinks == 0)
        return outlets;
    outlets->configs = kv_calloc(config->n_sinks, sizeof(*outlets->configs));
    for (size_t i = 0; i < config->n_sinks; i++)
        outlets->configs[i] = config->sinks[i].config;
    outlets->sinks = kv_sinks_open(outlets->configs, config->n_sinks, &failed, &error);
    if (outlets->sinks != NULL)
        return outlets;
    kv_conf_fault(config->conf, config->sinks[failed].module.block.at, "%s: %s",
                  config->sinks[failed].name, error.text);
    kv_outlets_close(outlets);
    return NULL;
}

void kv_outlets_close(struct kv_outlets *outlets)
{
    if (outlets == NULL)
        return;
    kv_sinks_close(outlets->sinks);
    free(outlets->configs);
    free(outlets);
}

struct kv_sinks *kv_outlets_sinks(const struct kv_outlets *outlets)
{
    return outlets->sinks;
}
