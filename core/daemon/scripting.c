#include "daemon/scripting.h"

#include "base/mem.h"
#include "conf/conf.h"

struct report {
    struct kv_script_faults faults;
    const struct kv_config *config;
};

/* Of a script that cannot be read, or is not named, the fault is noted already. */
static void note(struct kv_script_faults *faults, const struct kv_script_config *config,
                 const char *option, const char *text)
{
    const struct report *report = KV_CONTAINER(faults, struct report, faults);
    struct kv_conf *conf = report->config->conf;
    size_t i = (size_t)(config - report->config->scripts);
    const struct kv_configured_script *script = &report->config->configured_scripts[i];
    const struct kv_conf_node *at = script->options_node;
    if (option == NULL) {
        if (script->at != NULL && !kv_conf_has_fault(conf, script->at, kv_conf_n_faults(conf)))
            kv_conf_fault(conf, script->at, "%s", text);
        return;
    }
    if (kv_conf_node_find(at, option) != NULL)
        at = kv_conf_node_find(at, option);
    kv_conf_fault(conf, at == NULL ? script->at : at, "scripts[%zu].options%s%s: %s", i,
                  *option == '\0' ? "" : ".", option, text);
}

struct kv_scripts *kv_scripting_load(const struct kv_config *config, uint32_t n_loops)
{
    struct report report = {.faults = {.add = note}, .config = config};
    return kv_scripts_load(config->scripts, config->n_scripts, n_loops, &report.faults);
}
