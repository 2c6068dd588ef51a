/* The effective configuration: the server's own options as core/conf prints them, and the blocks
 * of the modules by their own schemas. */
#include "conf/print.h"
#include "daemon/config.h"
#include "daemon/schema.h"

static void print_module_options(const struct kv_configured_module *module, unsigned indent,
                                 struct kv_buffer *out)
{
    const struct kv_module *identity = module->module->identity;
    kv_conf_print(identity->options, identity->n_options, identity->option_size, module->options,
                  indent, out);
}

static void print_storage(const struct kv_config *config, struct kv_buffer *out)
{
    const struct kv_module *identity = config->store.module->identity;
    kv_buffer_printf(out, "storage:\n  module: %s\n", identity->name);
    if (identity->n_options == 0)
        return;
    kv_buffer_printf(out, "  %s:\n", identity->name);
    print_module_options(&config->store, 4, out);
}

static void print_ttl(const struct kv_config *config, struct kv_buffer *out)
{
    kv_buffer_printf(out, config->n_ttl == 0 ? "ttl: []\n" : "ttl:\n");
    for (size_t i = 0; i < config->n_ttl; i++) {
        const struct kv_module *identity = config->ttl[i].module->identity;
        kv_buffer_printf(out, "  - module: %s\n", identity->name);
        if (identity->n_options == 0)
            continue;
        kv_buffer_append(out, KV_SLICE("    options:\n"));
        print_module_options(&config->ttl[i], 6, out);
    }
}

/* What the host of a sink is told stands behind the module's own options. */
static void print_sink(const struct kv_configured_sink *sink, const struct kv_option_value *entry,
                       struct kv_buffer *out)
{
    const struct kv_module *identity = sink->module.module->identity;
    kv_buffer_printf(out, "  - module: %s\n", identity->name);
    if (identity->n_options != 0) {
        kv_buffer_append(out, KV_SLICE("    options:\n"));
        print_module_options(&sink->module, 6, out);
    }
    for (size_t i = SINK_PREFIXES; i < KV_COUNT(sink_fields); i++)
        kv_conf_print(&sink_fields[i], 1, sizeof(struct kv_option), &entry->list.items[i], 4, out);
}

static void print_sinks(const struct kv_config *config, struct kv_buffer *out)
{
    kv_buffer_printf(out, config->n_sinks == 0 ? "sinks: []\n" : "sinks:\n");
    for (size_t i = 0; i < config->n_sinks; i++)
        print_sink(&config->sinks[i], &config->values[CONFIG_SINKS].list.items[i], out);
}

static void print_script_options(const struct kv_script_config *script, struct kv_buffer *out)
{
    if (script->n_options == 0)
        return;
    kv_buffer_append(out, KV_SLICE("    options:\n"));
    for (size_t i = 0; i < script->n_options; i++) {
        const struct kv_option option = {.name = script->options[i].name.bytes,
                                         .type = KV_OPTION_STRING};
        const struct kv_option_value value = {.is_given = true, .string = script->options[i].text};
        kv_conf_print(&option, 1, sizeof(option), &value, 6, out);
    }
}

static void print_scripts(const struct kv_config *config, struct kv_buffer *out)
{
    kv_buffer_printf(out, config->n_scripts == 0 ? "scripts: []\n" : "scripts:\n");
    for (size_t i = 0; i < config->n_scripts; i++) {
        const struct kv_option_value *entry = &config->values[CONFIG_SCRIPTS].list.items[i];
        size_t at = out->len;
        for (size_t k = 0; k < KV_COUNT(script_fields); k++) {
            if (k == SCRIPT_OPTIONS)
                print_script_options(&config->scripts[i], out);
            else
                kv_conf_print(&script_fields[k], 1, sizeof(struct kv_option), &entry->list.items[k],
                              4, out);
        }
        out->bytes[at + 2] = '-'; /* of the first of its lines */
    }
}

void kv_config_print(const struct kv_config *config, struct kv_buffer *out)
{
    for (int i = 0; i < N_CONFIG; i++) {
        if (i == CONFIG_STORAGE)
            print_storage(config, out);
        else if (i == CONFIG_TTL)
            print_ttl(config, out);
        else if (i == CONFIG_SINKS)
            print_sinks(config, out);
        else if (i == CONFIG_SCRIPTS)
            print_scripts(config, out);
        else
            kv_conf_print(&config_options[i], 1, sizeof(struct kv_option), &config->values[i], 0,
                          out);
    }
}
