/* The effective configuration: the server's own options as printed by core/conf, and the blocks of
 * the modules by their own schemas. */
#include "daemon/print.h"

#include "conf/conf.h"
#include "conf/print.h"
#include "daemon/schema.h"

/* Prints an option of the server's schema. block: the block that contains it; NULL: it is not in
 * the file. */
static void print_option(struct kv_conf_printer *printer, const struct kv_option *option,
                         const struct kv_conf_node *block, const struct kv_option_value *value,
                         unsigned indent)
{
    const struct kv_conf_block one = {
        .node = block, .options = option, .n_options = 1, .option_size = sizeof(*option)};
    kv_conf_print(printer, &one, value, indent);
}

static const struct kv_conf_node *given(const struct kv_config *config, const char *list, size_t i)
{
    return kv_conf_node_child(kv_conf_node_find(kv_conf_root(config->conf), list), i);
}

/* name: of the block. */
static void print_module_options(const struct kv_configured_module *module, const char *name,
                                 unsigned indent, struct kv_conf_printer *printer)
{
    if (module->block.n_options == 0)
        return;
    kv_buffer_printf(printer->out, "%*s%s:\n", (int)indent, "", name);
    kv_conf_print(printer, &module->block, module->options, indent + 2);
}

static void print_storage(const struct kv_config *config, struct kv_conf_printer *printer)
{
    const char *name = config->store.module->identity->name;
    kv_buffer_printf(printer->out, "storage:\n  module: %s\n", name);
    print_module_options(&config->store, name, 2, printer);
}

static void print_ttl(const struct kv_config *config, struct kv_conf_printer *printer)
{
    kv_buffer_printf(printer->out, config->n_ttl == 0 ? "ttl: []\n" : "ttl:\n");
    for (size_t i = 0; i < config->n_ttl; i++) {
        kv_buffer_printf(printer->out, "  - module: %s\n", config->ttl[i].module->identity->name);
        print_module_options(&config->ttl[i], "options", 4, printer);
    }
}

/* The options of the sinks' host follow the module's own. */
static void print_sink(const struct kv_config *config, size_t i, struct kv_conf_printer *printer)
{
    const struct kv_configured_sink *sink = &config->sinks[i];
    const struct kv_option_value *entry = &config->values[CONFIG_SINKS].list.items[i];
    kv_buffer_printf(printer->out, "  - module: %s\n", sink->module.module->identity->name);
    print_module_options(&sink->module, "options", 4, printer);
    for (size_t k = SINK_PREFIXES; k < KV_COUNT(kv_sink_fields); k++)
        print_option(printer, &kv_sink_fields[k], given(config, "sinks", i), &entry->list.items[k],
                     4);
}

static void print_sinks(const struct kv_config *config, struct kv_conf_printer *printer)
{
    kv_buffer_printf(printer->out, config->n_sinks == 0 ? "sinks: []\n" : "sinks:\n");
    for (size_t i = 0; i < config->n_sinks; i++)
        print_sink(config, i, printer);
}

/* It is unknown which of them are secrets: texts from the environment are not shown. */
static void print_script_options(const struct kv_config *config, size_t i,
                                 struct kv_conf_printer *printer)
{
    const struct kv_script_config *script = &config->scripts[i];
    const struct kv_conf_node *node = config->configured_scripts[i].options_node;
    if (script->n_options == 0)
        return;
    kv_buffer_append(printer->out, KV_SLICE("    options:\n"));
    for (size_t k = 0; k < script->n_options; k++) {
        kv_buffer_append(printer->out, KV_SLICE("      "));
        kv_conf_print_text(printer->out, script->options[k].name, script->options[k].name.bytes);
        kv_buffer_append(printer->out, KV_SLICE(": "));
        kv_conf_print_text(printer->out, script->options[k].text,
                           kv_conf_node_source(kv_conf_node_child(node, k)));
        kv_buffer_append_char(printer->out, '\n');
    }
}

static void print_script(const struct kv_config *config, size_t i, struct kv_conf_printer *printer)
{
    const struct kv_option_value *entry = &config->values[CONFIG_SCRIPTS].list.items[i];
    size_t at = printer->out->len;
    for (size_t k = 0; k < KV_COUNT(kv_script_fields); k++) {
        if (k == SCRIPT_OPTIONS)
            print_script_options(config, i, printer);
        else
            print_option(printer, &kv_script_fields[k], given(config, "scripts", i),
                         &entry->list.items[k], 4);
    }
    printer->out->bytes[at + 2] = '-'; /* before the first of its lines */
}

static void print_scripts(const struct kv_config *config, struct kv_conf_printer *printer)
{
    kv_buffer_printf(printer->out, config->n_scripts == 0 ? "scripts: []\n" : "scripts:\n");
    for (size_t i = 0; i < config->n_scripts; i++)
        print_script(config, i, printer);
}

/* An address has either a host and a port, and possibly TLS, or a Unix socket and its mode. */
static void print_address(const struct kv_config *config, size_t i, struct kv_conf_printer *printer)
{
    const struct kv_option_value *entry = &config->values[CONFIG_LISTEN].list.items[i];
    bool is_unix = config->listen[i].unix_path != NULL;
    size_t at = printer->out->len;
    for (int k = is_unix ? LISTEN_UNIX : LISTEN_HOST; k <= (is_unix ? LISTEN_MODE : LISTEN_PORT);
         k++)
        print_option(printer, &kv_listen_fields[k], given(config, "listen", i),
                     &entry->list.items[k], 4);
    if (config->listen[i].tls.is_given)
        print_option(printer, &kv_listen_fields[LISTEN_TLS], given(config, "listen", i),
                     &entry->list.items[LISTEN_TLS], 4);
    printer->out->bytes[at + 2] = '-'; /* before the first of its lines */
}

static void print_listen(const struct kv_config *config, struct kv_conf_printer *printer)
{
    kv_buffer_append(printer->out, KV_SLICE("listen:\n"));
    for (size_t i = 0; i < config->n_listen; i++)
        print_address(config, i, printer);
}

void kv_config_print(const struct kv_config *config, bool shows_absent,
                     struct kv_conf_printer *printer)
{
    for (int i = 0; i < N_CONFIG; i++) {
        if (i == CONFIG_LISTEN)
            print_listen(config, printer);
        else if (i == CONFIG_STORAGE)
            print_storage(config, printer);
        else if (i == CONFIG_TTL)
            print_ttl(config, printer);
        else if (i == CONFIG_SINKS)
            print_sinks(config, printer);
        else if (i == CONFIG_SCRIPTS)
            print_scripts(config, printer);
        else if (i != CONFIG_ACCESS || config->values[i].is_given || shows_absent)
            print_option(printer, &kv_config_options[i], kv_conf_root(config->conf),
                         &config->values[i], 0);
    }
}
