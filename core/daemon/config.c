/*
 * From the file's values to the structs that the parts of the server are made from. Modules are
 * loaded on the way, as their schemas are needed to check their blocks; the blocks of stores that
 * are not selected are checked as well, so that swapping the store is one line.
 */
#include "daemon/config.h"

#include <limits.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/mem.h"
#include "conf/conf.h"
#include "conf/schema.h"
#include "daemon/cpus.h"
#include "daemon/schema.h"

static const struct kv_option_value *field(const struct kv_option_value *block, int place)
{
    return &block->list.items[place];
}

/* Modules. */

/* Beside the program, as it is built; or where both are installed. */
static char *folder_of_modules(void)
{
    char path[PATH_MAX];
    ssize_t len = readlink("/proc/self/exe", path, sizeof(path) - 1);
    while (len > 0 && path[len - 1] != '/')
        len--;
    if (len <= 0)
        return kv_strdup("modules");
    path[len] = '\0';
    struct kv_buffer folder = {0};
    kv_buffer_printf(&folder, "%smodules", path);
    kv_buffer_append_char(&folder, '\0');
    if (access(folder.bytes, F_OK) == 0)
        return folder.bytes;
    folder.len = 0;
    kv_buffer_printf(&folder, "%s../" KV_INSTALLED_MODULES, path);
    kv_buffer_append_char(&folder, '\0');
    return folder.bytes;
}

static void unload(struct kv_configured_module *module)
{
    kv_module_unload(module->module);
    *module = (struct kv_configured_module){0};
}

/* Loads a module and checks its block (NULL: all defaults). at: what to complain about when it
 * cannot be loaded. */
static int configure_module(struct kv_config *config, enum kv_module_kind kind, const char *name,
                            const struct kv_conf_node *at, const struct kv_conf_node *block,
                            const char *path, struct kv_configured_module *ret,
                            struct kv_error *reterr)
{
    struct kv_configured_module module = {.at = at};
    struct kv_error error;
    if (kv_module_load(config->values[CONFIG_MODULES].string.bytes, kind, name, &module.module,
                       &error) != 0) {
        if (at == NULL)
            *reterr = error;
        else
            kv_conf_error_at(config->conf, at, reterr, "%s", error.text);
        return -1;
    }
    const struct kv_module *identity = module.module->identity;
    if (kv_schema_check(identity->options, identity->n_options, identity->option_size, &error) !=
        0) {
        kv_error_set(reterr, "%s: its options are unsound: %s", module.module->path, error.text);
        unload(&module);
        return -1;
    }
    if (kv_conf_check(config->conf, block, path, identity->options, identity->n_options,
                      identity->option_size, &module.options, reterr) != 0) {
        unload(&module);
        return -1;
    }
    *ret = module;
    return 0;
}

static int check_other_store(struct kv_config *config, const char *name,
                             const struct kv_conf_node *block, struct kv_error *reterr)
{
    struct kv_configured_module other;
    char path[256];
    snprintf(path, sizeof(path), "storage.%s", name);
    if (configure_module(config, KV_MODULE_STORE, name, block, block, path, &other, reterr) != 0)
        return -1;
    unload(&other);
    return 0;
}

static int read_storage(struct kv_config *config, struct kv_error *reterr)
{
    const struct kv_conf_node *storage = config->values[CONFIG_STORAGE].tree;
    if (!kv_conf_node_is_empty(storage) && !kv_conf_node_is_mapping(storage))
        return kv_conf_error_at(config->conf, storage, reterr,
                                "storage must be a mapping like {module: " KV_DEFAULT_STORE "}");
    const struct kv_conf_node *named = kv_conf_node_find(storage, "module");
    const char *name = kv_conf_node_text(named);
    if (named != NULL && name == NULL && !kv_conf_node_is_empty(named))
        return kv_conf_error_at(config->conf, named, reterr, "storage.module must be a name");
    if (name == NULL)
        name = KV_DEFAULT_STORE;
    for (size_t i = 0; i < kv_conf_node_size(storage); i++) {
        const char *block = kv_conf_node_name(storage, i);
        if (strcmp(block, "module") != 0 && strcmp(block, name) != 0 &&
            check_other_store(config, block, kv_conf_node_child(storage, i), reterr) != 0)
            return -1;
    }
    char path[256];
    snprintf(path, sizeof(path), "storage.%s", name);
    return configure_module(config, KV_MODULE_STORE, name, named, kv_conf_node_find(storage, name),
                            path, &config->store, reterr);
}

/* `scheme://host[:port]`, as browsers send it, or `null`. */
static bool is_origin(struct kv_slice text)
{
    const char *colon = memmem(text.bytes, text.len, "://", 3);
    if (kv_slice_equals(text, KV_SLICE("null")))
        return true;
    if (colon == NULL || colon == text.bytes)
        return false;
    size_t host_at = (size_t)(colon - text.bytes) + 3;
    return host_at < text.len && strcspn(text.bytes + host_at, "/?#* ") == text.len - host_at;
}

/* What the schema cannot say of the texts in lists. */
static int check_texts(const struct kv_config *config, struct kv_error *reterr)
{
    const struct kv_conf_node *root = kv_conf_root(config->conf);
    const struct kv_conf_node *origins = kv_conf_node_find(root, "origins");
    const struct kv_conf_node *listen = kv_conf_node_find(root, "listen");
    for (size_t i = 0; i < kv_conf_node_size(origins); i++)
        if (!is_origin(config->origins[i]))
            return kv_conf_error_at(config->conf, kv_conf_node_child(origins, i), reterr,
                                    "origins[%zu]: \"%s\" is not an origin like "
                                    "https://example.org or http://example.org:8080",
                                    i, config->origins[i].bytes);
    for (size_t i = 0; i < kv_conf_node_size(listen); i++)
        if (config->listen[i].host[0] == '\0')
            return kv_conf_error_at(config->conf, kv_conf_node_child(listen, i), reterr,
                                    "listen[%zu].host: a name or an address is expected", i);
    return 0;
}

/* The i-th module of a list of them, whose entries begin with its name and its options. */
static int configure_listed(struct kv_config *config, enum kv_module_kind kind, const char *list,
                            size_t i, const struct kv_option_value *entry,
                            struct kv_configured_module *ret, struct kv_error *reterr)
{
    char path[64];
    snprintf(path, sizeof(path), "%s[%zu].options", list, i);
    const struct kv_conf_node *at = kv_conf_node_find(kv_conf_root(config->conf), list);
    if (at != NULL)
        at = kv_conf_node_find(kv_conf_node_child(at, i), "module");
    return configure_module(config, kind, field(entry, MODULE_NAME)->string.bytes, at,
                            field(entry, MODULE_OPTIONS)->tree, path, ret, reterr);
}

static int read_ttl(struct kv_config *config, struct kv_error *reterr)
{
    const struct kv_option_value *chain = &config->values[CONFIG_TTL];
    config->ttl = kv_calloc(chain->list.n, sizeof(*config->ttl));
    for (; config->n_ttl < chain->list.n; config->n_ttl++)
        if (configure_listed(config, KV_MODULE_TTL, "ttl", config->n_ttl,
                             &chain->list.items[config->n_ttl], &config->ttl[config->n_ttl],
                             reterr) != 0)
            return -1;
    return 0;
}

static struct kv_slice *read_prefixes(const struct kv_option_value *list)
{
    struct kv_slice *prefixes = kv_calloc(list->list.n, sizeof(*prefixes));
    for (size_t i = 0; i < list->list.n; i++)
        prefixes[i] = list->list.items[i].string;
    return prefixes;
}

/* Sinks. */

static uint32_t selected_events(const struct kv_option_value *events)
{
    uint32_t selected = 0;
    for (size_t i = 0; i < events->list.n; i++)
        selected |= 1u << (KV_EVENT_SET + events->list.items[i].integer);
    return events->list.n == 0 ? ~0u : selected;
}

/* Several sinks of one module are told apart by their places. */
static void name_sink(struct kv_config *config, size_t i)
{
    struct kv_configured_sink *sink = &config->sinks[i];
    const char *module = sink->module.module->identity->name;
    size_t n_before = 0;
    for (size_t k = 0; k < i; k++)
        n_before += strcmp(config->sinks[k].module.module->identity->name, module) == 0;
    snprintf(sink->name, sizeof(sink->name), n_before == 0 ? "sink/%s" : "sink/%s#%zu", module,
             n_before + 1);
}

static void read_sink(struct kv_config *config, size_t i, const struct kv_option_value *entry)
{
    struct kv_configured_sink *sink = &config->sinks[i];
    const struct kv_option_value *prefixes = field(entry, SINK_PREFIXES);
    const struct kv_option_value *queue = field(entry, SINK_QUEUE);
    const struct kv_option_value *retry = field(entry, SINK_RETRY);
    sink->prefixes = read_prefixes(prefixes);
    name_sink(config, i);
    sink->config = (struct kv_sink_config){
        .name = sink->name,
        .ops = kv_module_sink_ops(sink->module.module),
        .options = sink->module.options,
        .prefixes = sink->prefixes,
        .n_prefixes = prefixes->list.n,
        .events = selected_events(field(entry, SINK_EVENTS)),
        .max_events = (uint64_t)field(queue, QUEUE_EVENTS)->integer,
        .max_bytes = (size_t)field(queue, QUEUE_BYTES)->integer,
        .when_full = (enum kv_sink_when_full)field(entry, SINK_WHEN_FULL)->integer,
        .first_retry_ms = field(retry, RETRY_FIRST)->integer,
        .longest_retry_ms = field(retry, RETRY_LONGEST)->integer,
        .give_up_ms = field(retry, RETRY_GIVE_UP)->integer,
    };
}

static int read_sinks(struct kv_config *config, struct kv_error *reterr)
{
    const struct kv_option_value *list = &config->values[CONFIG_SINKS];
    config->sinks = kv_calloc(list->list.n, sizeof(*config->sinks));
    for (; config->n_sinks < list->list.n; config->n_sinks++) {
        size_t i = config->n_sinks;
        if (configure_listed(config, KV_MODULE_SINK, "sinks", i, &list->list.items[i],
                             &config->sinks[i].module, reterr) != 0)
            return -1;
        read_sink(config, i, &list->list.items[i]);
    }
    return 0;
}

/* Scripts. */

static int read_script_options(struct kv_config *config, size_t i, const struct kv_conf_node *tree,
                               struct kv_error *reterr)
{
    size_t n = kv_conf_node_size(tree);
    if (!kv_conf_node_is_empty(tree) && !kv_conf_node_is_mapping(tree))
        return kv_conf_error_at(config->conf, tree, reterr,
                                "scripts[%zu].options must be a mapping of names to texts", i);
    struct kv_script_option *options = kv_calloc(n, sizeof(*options));
    config->configured_scripts[i].options = options;
    config->scripts[i].options = options;
    config->scripts[i].n_options = n;
    for (size_t k = 0; k < n; k++) {
        const char *name = kv_conf_node_name(tree, k);
        const char *text = kv_conf_node_text(kv_conf_node_child(tree, k));
        if (text == NULL)
            return kv_conf_error_at(config->conf, kv_conf_node_child(tree, k), reterr,
                                    "scripts[%zu].options.%s must be a text", i, name);
        options[k] = (struct kv_script_option){kv_slice_of(name), kv_slice_of(text)};
    }
    return 0;
}

static const char *base_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash == NULL ? path : slash + 1;
}

static int read_script(struct kv_config *config, size_t i, const struct kv_option_value *entry,
                       struct kv_error *reterr)
{
    struct kv_configured_script *owned = &config->configured_scripts[i];
    const struct kv_option_value *limits = field(entry, SCRIPT_LIMITS);
    const char *file = field(entry, SCRIPT_FILE)->string.bytes;
    const struct kv_conf_node *list =
        kv_conf_node_find(kv_conf_root(config->conf), config_options[CONFIG_SCRIPTS].name);
    owned->at = kv_conf_node_find(kv_conf_node_child(list, i), script_fields[SCRIPT_FILE].name);
    owned->prefixes = read_prefixes(field(entry, SCRIPT_PREFIXES));
    snprintf(owned->name, sizeof(owned->name), "script/%s", base_name(file));
    config->scripts[i] = (struct kv_script_config){
        .file = file,
        .name = owned->name,
        .prefixes = owned->prefixes,
        .n_prefixes = field(entry, SCRIPT_PREFIXES)->list.n,
        .passes_on_error = field(entry, SCRIPT_ON_ERROR)->integer != 0,
        .max_instructions = field(limits, SCRIPT_INSTRUCTIONS)->integer,
        .max_time_us = field(limits, SCRIPT_TIME)->integer * 1000,
        .max_memory = (size_t)field(limits, SCRIPT_MEMORY)->integer,
        .max_depth = (uint32_t)field(limits, SCRIPT_DEPTH)->integer,
        .max_pending = (uint32_t)field(limits, SCRIPT_PENDING)->integer,
        .max_key_bytes = config->http.max_key_bytes,
        .max_value_bytes = config->http.max_value_bytes,
    };
    return read_script_options(config, i, field(entry, SCRIPT_OPTIONS)->tree, reterr);
}

static int read_scripts(struct kv_config *config, struct kv_error *reterr)
{
    const struct kv_option_value *list = &config->values[CONFIG_SCRIPTS];
    config->n_scripts = list->list.n;
    config->scripts = kv_calloc(list->list.n, sizeof(*config->scripts));
    config->configured_scripts = kv_calloc(list->list.n, sizeof(*config->configured_scripts));
    for (size_t i = 0; i < list->list.n; i++)
        if (read_script(config, i, &list->list.items[i], reterr) != 0)
            return -1;
    return 0;
}

/* Values. */

static uint32_t threads_for_all_cpus(void)
{
    uint32_t n = kv_cpus_count("");
    return n > KV_KEYSPACE_MAX_LOOPS ? KV_KEYSPACE_MAX_LOOPS : n;
}

static void read_listen(struct kv_config *config)
{
    const struct kv_option_value *list = &config->values[CONFIG_LISTEN];
    config->n_listen = list->list.n;
    config->listen = kv_calloc(list->list.n, sizeof(*config->listen));
    for (size_t i = 0; i < list->list.n; i++) {
        config->listen[i].host = field(&list->list.items[i], LISTEN_HOST)->string.bytes;
        config->listen[i].port = (uint16_t)field(&list->list.items[i], LISTEN_PORT)->integer;
    }
}

static void read_origins(struct kv_config *config)
{
    const struct kv_option_value *list = &config->values[CONFIG_ORIGINS];
    config->origins = kv_calloc(list->list.n, sizeof(*config->origins));
    for (size_t i = 0; i < list->list.n; i++)
        config->origins[i] = list->list.items[i].string;
}

static void read_net(struct kv_config *config)
{
    const struct kv_option_value *limits = &config->values[CONFIG_LIMITS];
    const struct kv_option_value *timeouts = &config->values[CONFIG_TIMEOUTS];
    int64_t connections = field(limits, LIMIT_CONNECTIONS)->integer;
    config->connections_are_auto = connections == KV_OPTION_KEYWORD;
    config->net = (struct kv_net_config){
        .max_connections =
            config->connections_are_auto ? KV_DEFAULT_CONNECTIONS : (uint32_t)connections,
        .patience = {.idle_ms = field(timeouts, TIMEOUT_IDLE)->integer,
                     .request_progress_ms = field(timeouts, TIMEOUT_PROGRESS)->integer,
                     .stalled_reader_ms = field(timeouts, TIMEOUT_STALLED)->integer},
    };
}

static void read_http(struct kv_config *config)
{
    const struct kv_option_value *limits = &config->values[CONFIG_LIMITS];
    config->http = (struct kv_http_config){
        .max_key_bytes = (size_t)field(limits, LIMIT_KEY)->integer,
        .max_value_bytes = (size_t)field(limits, LIMIT_VALUE)->integer,
        .max_depth = (uint32_t)field(limits, LIMIT_DEPTH)->integer,
        .max_pending = (uint32_t)field(limits, LIMIT_PENDING)->integer,
        .max_unsent_bytes = (size_t)field(limits, LIMIT_UNSENT)->integer,
        .has_front = field(&config->values[CONFIG_HTTP], HTTP_FRONT)->boolean,
        .origins = config->origins,
        .n_origins = config->values[CONFIG_ORIGINS].list.n,
    };
}

static void read_ws(struct kv_config *config)
{
    const struct kv_option_value *limits = &config->values[CONFIG_LIMITS];
    const struct kv_option_value *timeouts = &config->values[CONFIG_TIMEOUTS];
    config->ws = (struct kv_ws_config){
        .max_key_bytes = config->http.max_key_bytes,
        .max_value_bytes = config->http.max_value_bytes,
        .max_message_bytes = (size_t)field(limits, LIMIT_MESSAGE)->integer,
        .max_depth = config->http.max_depth,
        .max_subscriptions = (uint32_t)field(limits, LIMIT_SUBSCRIPTIONS)->integer,
        .max_unsent_bytes = config->http.max_unsent_bytes,
        .max_pending = config->http.max_pending,
        .ping_ms = field(timeouts, TIMEOUT_PING)->integer,
        .idle_ms = config->net.patience.idle_ms,
        .stalled_reader_ms = config->net.patience.stalled_reader_ms,
    };
}

static void read_values(struct kv_config *config)
{
    const struct kv_option_value *threads = &config->values[CONFIG_THREADS];
    const struct kv_option_value *log = &config->values[CONFIG_LOG];
    struct kv_option_value *folder = &config->owned_values[CONFIG_MODULES];
    config->n_threads =
        threads->integer == KV_OPTION_KEYWORD ? threads_for_all_cpus() : (uint32_t)threads->integer;
    if (folder->string.len == 0)
        folder->string = kv_slice_of(config->module_folder = folder_of_modules());
    config->drain_ms = field(&config->values[CONFIG_TIMEOUTS], TIMEOUT_DRAIN)->integer;
    config->log_level = (enum kv_log_level)field(log, LOG_LEVEL)->integer;
    config->log_format = (enum kv_log_format)field(log, LOG_FORMAT)->integer;
    read_listen(config);
    read_origins(config);
    read_net(config);
    read_http(config);
    read_ws(config);
}

static int check(struct kv_conf *conf, const struct kv_option_value **ret_values,
                 struct kv_error *reterr)
{
    return kv_conf_check(conf, kv_conf_root(conf), "", config_options, N_CONFIG,
                         sizeof(struct kv_option), ret_values, reterr);
}

/* The values of the file, with the default lists where it gives none. */
static int check_with_default_lists(struct kv_config *config, struct kv_error *reterr)
{
    const struct kv_option_value *given, *fallback;
    if (check(config->conf, &given, reterr) != 0 ||
        kv_conf_parse("built-in", KV_SLICE(KV_DEFAULT_LISTS), &config->fallback_conf, reterr) !=
            0 ||
        check(config->fallback_conf, &fallback, reterr) != 0)
        return -1;
    config->owned_values = kv_memdup(given, N_CONFIG * sizeof(*given));
    if (!given[CONFIG_LISTEN].is_given)
        config->owned_values[CONFIG_LISTEN] = fallback[CONFIG_LISTEN];
    if (!given[CONFIG_TTL].is_given)
        config->owned_values[CONFIG_TTL] = fallback[CONFIG_TTL];
    config->values = config->owned_values;
    if (config->values[CONFIG_LISTEN].list.n == 0)
        return kv_conf_error_at(config->conf,
                                kv_conf_node_find(kv_conf_root(config->conf), "listen"), reterr,
                                "listen must name at least one address");
    return 0;
}

static int load(const char *path, struct kv_config *config, struct kv_error *reterr)
{
    int loaded = path == NULL
                     ? kv_conf_parse("built-in defaults", KV_SLICE(""), &config->conf, reterr)
                     : kv_conf_load(path, &config->conf, reterr);
    if (loaded != 0 || check_with_default_lists(config, reterr) != 0)
        return -1;
    read_values(config);
    if (check_texts(config, reterr) != 0)
        return -1;
    if (read_storage(config, reterr) != 0 || read_ttl(config, reterr) != 0 ||
        read_sinks(config, reterr) != 0 || read_scripts(config, reterr) != 0)
        return -1;
    return 0;
}

int kv_config_load(const char *path, struct kv_config *ret_config, struct kv_error *reterr)
{
    struct kv_config config = {0};
    if (load(path, &config, reterr) != 0) {
        kv_config_fini(&config);
        return -1;
    }
    *ret_config = config;
    return 0;
}

void kv_config_fini(struct kv_config *config)
{
    for (size_t i = 0; i < config->n_ttl; i++)
        unload(&config->ttl[i]);
    for (size_t i = 0; i < config->n_sinks; i++) {
        unload(&config->sinks[i].module);
        free(config->sinks[i].prefixes);
    }
    for (size_t i = 0; config->configured_scripts != NULL && i < config->n_scripts; i++) {
        free(config->configured_scripts[i].prefixes);
        free(config->configured_scripts[i].options);
    }
    unload(&config->store);
    kv_conf_destroy(config->conf);
    kv_conf_destroy(config->fallback_conf);
    free(config->owned_values);
    free(config->module_folder);
    free(config->listen);
    free(config->ttl);
    free(config->sinks);
    free(config->scripts);
    free(config->configured_scripts);
    free(config->origins);
    *config = (struct kv_config){0};
}
