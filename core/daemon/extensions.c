/* Converts lists of the file to the configurations of the keyspace, the sinks' host and the
 * scripts' host. */
#include "daemon/extensions.h"

#include <stdlib.h>

#include "base/mem.h"
#include "daemon/given.h"
#include "daemon/modules.h"
#include "daemon/schema.h"

void kv_extensions_read_ttl(struct kv_config *config)
{
    const struct kv_option_value *chain = &config->values[CONFIG_TTL];
    config->ttl = kv_calloc(chain->list.n, sizeof(*config->ttl));
    for (; config->n_ttl < chain->list.n; config->n_ttl++) {
        const struct kv_option_value *entry = &chain->list.items[config->n_ttl];
        kv_modules_read_entry(config, KV_MODULE_TTL, "ttl", config->n_ttl,
                              kv_given_field(entry, MODULE_NAME)->string.bytes,
                              kv_given_field(entry, MODULE_OPTIONS)->tree,
                              &config->ttl[config->n_ttl]);
    }
}

static struct kv_slice *read_prefixes(const struct kv_option_value *list)
{
    struct kv_slice *prefixes = kv_calloc(list->list.n, sizeof(*prefixes));
    for (size_t i = 0; i < list->list.n; i++)
        prefixes[i] = list->list.items[i].string;
    return prefixes;
}

/* ---- sinks ---- */

static uint32_t selected_events(const struct kv_option_value *events)
{
    uint32_t selected = 0;
    for (size_t i = 0; i < events->list.n; i++)
        selected |= 1u << (KV_EVENT_SET + events->list.items[i].integer);
    return events->list.n == 0 ? ~0u : selected;
}

/* If several sinks use the same module, their names contain their indexes. */
static void name_sink(struct kv_config *config, size_t i)
{
    struct kv_configured_sink *sink = &config->sinks[i];
    const char *module = sink->module.module->identity->name;
    size_t n_before = 0;
    for (size_t k = 0; k < i; k++) {
        const struct kv_loaded_module *other = config->sinks[k].module.module;
        n_before += other != NULL && strcmp(other->identity->name, module) == 0;
    }
    snprintf(sink->name, sizeof(sink->name), n_before == 0 ? "sink/%s" : "sink/%s#%zu", module,
             n_before + 1);
}

static void check_retry(struct kv_config *config, size_t i, const struct kv_option_value *retry)
{
    const struct kv_conf_node *at = kv_conf_node_child(kv_given_node(config, "sinks"), i);
    long long first = kv_given_field(retry, RETRY_FIRST)->integer;
    long long longest = kv_given_field(retry, RETRY_LONGEST)->integer;
    const char *wrong = kv_given_field(retry, RETRY_FIRST)->is_given ? "first" : "longest";
    if (first <= longest)
        return;
    kv_conf_fault(config->conf, kv_conf_node_find(kv_conf_node_find(at, "retry"), wrong),
                  "sinks[%zu].retry.%s: first (%lld ms) is longer than longest (%lld ms)", i, wrong,
                  first, longest);
}

static void read_sink(struct kv_config *config, size_t i, const struct kv_option_value *entry)
{
    struct kv_configured_sink *sink = &config->sinks[i];
    const struct kv_option_value *prefixes = kv_given_field(entry, SINK_PREFIXES);
    const struct kv_option_value *queue = kv_given_field(entry, SINK_QUEUE);
    const struct kv_option_value *retry = kv_given_field(entry, SINK_RETRY);
    check_retry(config, i, retry);
    sink->prefixes = read_prefixes(prefixes);
    name_sink(config, i);
    sink->config = (struct kv_sink_config){
        .name = sink->name,
        .ops = kv_module_sink_ops(sink->module.module),
        .options = sink->module.options,
        .prefixes = sink->prefixes,
        .n_prefixes = prefixes->list.n,
        .events = selected_events(kv_given_field(entry, SINK_EVENTS)),
        .max_events = (uint64_t)kv_given_field(queue, QUEUE_EVENTS)->integer,
        .max_bytes = (size_t)kv_given_field(queue, QUEUE_BYTES)->integer,
        .when_full = (enum kv_sink_when_full)kv_given_field(entry, SINK_WHEN_FULL)->integer,
        .first_retry_ms = kv_given_field(retry, RETRY_FIRST)->integer,
        .longest_retry_ms = kv_given_field(retry, RETRY_LONGEST)->integer,
        .give_up_ms = kv_given_field(retry, RETRY_GIVE_UP)->integer,
    };
}

void kv_extensions_read_sinks(struct kv_config *config)
{
    const struct kv_option_value *list = &config->values[CONFIG_SINKS];
    config->sinks = kv_calloc(list->list.n, sizeof(*config->sinks));
    for (; config->n_sinks < list->list.n; config->n_sinks++) {
        size_t i = config->n_sinks;
        const struct kv_option_value *entry = &list->list.items[i];
        struct kv_configured_module *module = &config->sinks[i].module;
        kv_modules_read_entry(config, KV_MODULE_SINK, "sinks", i,
                              kv_given_field(entry, SINK_MODULE)->string.bytes,
                              kv_given_field(entry, SINK_OPTIONS)->tree, module);
        if (module->module != NULL)
            read_sink(config, i, entry);
    }
}

/* ---- scripts ---- */

static void read_script_option(struct kv_config *config, size_t i, const struct kv_conf_node *tree,
                               size_t k)
{
    const char *name = kv_conf_node_name(tree, k);
    const struct kv_conf_node *child = kv_conf_node_child(tree, k);
    const char *text = kv_conf_node_text(child);
    if (text == NULL && !kv_conf_node_is_faulty(child))
        kv_conf_fault(config->conf, child, "scripts[%zu].options.%s: a text is expected", i, name);
    config->configured_scripts[i].options[k] =
        (struct kv_script_option){kv_slice_of(name), kv_slice_of(text == NULL ? "" : text)};
}

static void read_script_options(struct kv_config *config, size_t i, const struct kv_conf_node *tree)
{
    size_t n = kv_conf_node_is_mapping(tree) ? kv_conf_node_size(tree) : 0;
    if (!kv_conf_node_is_empty(tree) && !kv_conf_node_is_mapping(tree) &&
        !kv_conf_node_is_faulty(tree))
        kv_conf_fault(config->conf, tree,
                      "scripts[%zu].options: a mapping of names to texts is expected", i);
    config->configured_scripts[i].options = kv_calloc(n, sizeof(struct kv_script_option));
    config->configured_scripts[i].options_node = tree;
    config->scripts[i].options = config->configured_scripts[i].options;
    config->scripts[i].n_options = n;
    for (size_t k = 0; k < n; k++)
        read_script_option(config, i, tree, k);
}

static const char *base_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash == NULL ? path : slash + 1;
}

static void read_script(struct kv_config *config, size_t i, const struct kv_option_value *entry)
{
    struct kv_configured_script *owned = &config->configured_scripts[i];
    const struct kv_option_value *limits = kv_given_field(entry, SCRIPT_LIMITS);
    const char *file = kv_given_field(entry, SCRIPT_FILE)->string.bytes;
    owned->at = kv_conf_node_find(kv_conf_node_child(kv_given_node(config, "scripts"), i),
                                  kv_script_fields[SCRIPT_FILE].name);
    owned->prefixes = read_prefixes(kv_given_field(entry, SCRIPT_PREFIXES));
    snprintf(owned->name, sizeof(owned->name), "script/%s", base_name(file));
    config->scripts[i] = (struct kv_script_config){
        .file = file,
        .name = owned->name,
        .prefixes = owned->prefixes,
        .n_prefixes = kv_given_field(entry, SCRIPT_PREFIXES)->list.n,
        .passes_on_error = kv_given_field(entry, SCRIPT_ON_ERROR)->integer != 0,
        .limits = {.instructions = kv_given_field(limits, SCRIPT_INSTRUCTIONS)->integer,
                   .time_us = kv_given_field(limits, SCRIPT_TIME)->integer * 1000,
                   .memory = (size_t)kv_given_field(limits, SCRIPT_MEMORY)->integer},
        .max_depth = (uint32_t)kv_given_field(limits, SCRIPT_DEPTH)->integer,
        .max_pending = (uint32_t)kv_given_field(limits, SCRIPT_PENDING)->integer,
        .sizes = {.key = config->http.limits.max_key_bytes,
                  .value = config->http.limits.max_value_bytes},
    };
    read_script_options(config, i, kv_given_field(entry, SCRIPT_OPTIONS)->tree);
}

void kv_extensions_read_scripts(struct kv_config *config)
{
    const struct kv_option_value *list = &config->values[CONFIG_SCRIPTS];
    config->n_scripts = list->list.n;
    config->scripts = kv_calloc(list->list.n, sizeof(*config->scripts));
    config->configured_scripts = kv_calloc(list->list.n, sizeof(*config->configured_scripts));
    for (size_t i = 0; i < list->list.n; i++)
        read_script(config, i, &list->list.items[i]);
}

void kv_extensions_fini(struct kv_config *config)
{
    for (size_t i = 0; i < config->n_ttl; i++)
        kv_modules_unload(&config->ttl[i]);
    for (size_t i = 0; i < config->n_sinks; i++) {
        kv_modules_unload(&config->sinks[i].module);
        free(config->sinks[i].prefixes);
    }
    for (size_t i = 0; config->configured_scripts != NULL && i < config->n_scripts; i++) {
        free(config->configured_scripts[i].prefixes);
        free(config->configured_scripts[i].options);
    }
    free(config->ttl);
    free(config->sinks);
    free(config->scripts);
    free(config->configured_scripts);
}
