#include "daemon/scripting.h"

#include "conf/conf.h"

struct kv_scripts *kv_scripting_load(const struct kv_config *config, uint32_t n_loops)
{
    struct kv_error error;
    size_t failed = 0;
    struct kv_scripts *scripts =
        kv_scripts_load(config->scripts, config->n_scripts, n_loops, &failed, &error);
    if (scripts != NULL)
        return scripts;
    kv_conf_fault(config->conf, config->configured_scripts[failed].at, "%s", error.text);
    return NULL;
}
