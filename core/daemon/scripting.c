#include "daemon/scripting.h"

#include "base/mem.h"
#include "conf/conf.h"

struct report {
    struct kv_script_faults faults;
    const struct kv_config *config;
    const struct kv_config *told; /* NULL: none */
};

static bool are_same(const struct kv_script_config *a, const struct kv_script_config *b)
{
    bool are_same = strcmp(a->file, b->file) == 0 && a->n_options == b->n_options &&
                    memcmp(&a->limits, &b->limits, sizeof(a->limits)) == 0;
    for (size_t i = 0; are_same && i < a->n_options; i++)
        are_same = kv_slice_equals(a->options[i].name, b->options[i].name) &&
                   kv_slice_equals(a->options[i].text, b->options[i].text);
    return are_same;
}

static bool was_told(const struct report *report, const struct kv_script_config *config)
{
    for (size_t i = 0; report->told != NULL && i < report->told->n_scripts; i++)
        if (are_same(&report->told->scripts[i], config))
            return true;
    return false;
}

/* If a script cannot be read, or is not named, that has been noted already. */
static void note(struct kv_script_faults *faults, const struct kv_script_config *config,
                 const char *option, const char *text)
{
    const struct report *report = KV_CONTAINER(faults, struct report, faults);
    struct kv_conf *conf = report->config->conf;
    size_t i = (size_t)(config - report->config->scripts);
    const struct kv_configured_script *script = &report->config->configured_scripts[i];
    const struct kv_conf_node *at = script->options_node;
    if (was_told(report, config)) {
        kv_conf_fault(conf, script->at, "scripts[%zu]: %s cannot be loaded: see above", i,
                      config->name);
        return;
    }
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

void kv_scripting_check(const struct kv_config *config, const struct kv_config *told)
{
    struct report report = {.faults = {.add = note}, .config = config, .told = told};
    kv_scripts_destroy(kv_scripts_load(config->scripts, config->n_scripts, 1, &report.faults));
}
