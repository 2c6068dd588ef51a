/*
 * From the file's values to the structs that the parts of the server are made from. Modules are
 * loaded on the way, as their schemas are needed to check their blocks. A fault is noted, and the
 * rest is looked at nevertheless; nothing is made from a configuration that has any.
 */
#include "daemon/config.h"

#include <assert.h>
#include <stdlib.h>
#include <sys/un.h>

#include "base/mem.h"
#include "conf/conf.h"
#include "daemon/addresses.h"
#include "daemon/cpus.h"
#include "daemon/machine_memory.h"
#include "daemon/modules.h"
#include "daemon/schema.h"

static const struct kv_option_value *field(const struct kv_option_value *block, int place)
{
    return &block->list.items[place];
}

static const struct kv_conf_node *given_list(const struct kv_config *config, const char *name)
{
    return kv_conf_node_find(kv_conf_root(config->conf), name);
}

static void read_ttl(struct kv_config *config)
{
    const struct kv_option_value *chain = &config->values[CONFIG_TTL];
    config->ttl = kv_calloc(chain->list.n, sizeof(*config->ttl));
    for (; config->n_ttl < chain->list.n; config->n_ttl++) {
        const struct kv_option_value *entry = &chain->list.items[config->n_ttl];
        kv_modules_read_entry(config, KV_MODULE_TTL, "ttl", config->n_ttl,
                              field(entry, MODULE_NAME)->string.bytes,
                              field(entry, MODULE_OPTIONS)->tree, &config->ttl[config->n_ttl]);
    }
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
    for (size_t k = 0; k < i; k++) {
        const struct kv_loaded_module *other = config->sinks[k].module.module;
        n_before += other != NULL && strcmp(other->identity->name, module) == 0;
    }
    snprintf(sink->name, sizeof(sink->name), n_before == 0 ? "sink/%s" : "sink/%s#%zu", module,
             n_before + 1);
}

static void check_retry(struct kv_config *config, size_t i, const struct kv_option_value *retry)
{
    const struct kv_conf_node *at = kv_conf_node_child(given_list(config, "sinks"), i);
    long long first = field(retry, RETRY_FIRST)->integer;
    long long longest = field(retry, RETRY_LONGEST)->integer;
    const char *wrong = field(retry, RETRY_FIRST)->is_given ? "first" : "longest";
    if (first <= longest)
        return;
    kv_conf_fault(config->conf, kv_conf_node_find(kv_conf_node_find(at, "retry"), wrong),
                  "sinks[%zu].retry.%s: first (%lld ms) is longer than longest (%lld ms)", i, wrong,
                  first, longest);
}

static void read_sink(struct kv_config *config, size_t i, const struct kv_option_value *entry)
{
    struct kv_configured_sink *sink = &config->sinks[i];
    const struct kv_option_value *prefixes = field(entry, SINK_PREFIXES);
    const struct kv_option_value *queue = field(entry, SINK_QUEUE);
    const struct kv_option_value *retry = field(entry, SINK_RETRY);
    check_retry(config, i, retry);
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

static void read_sinks(struct kv_config *config)
{
    const struct kv_option_value *list = &config->values[CONFIG_SINKS];
    config->sinks = kv_calloc(list->list.n, sizeof(*config->sinks));
    for (; config->n_sinks < list->list.n; config->n_sinks++) {
        size_t i = config->n_sinks;
        const struct kv_option_value *entry = &list->list.items[i];
        struct kv_configured_module *module = &config->sinks[i].module;
        kv_modules_read_entry(config, KV_MODULE_SINK, "sinks", i,
                              field(entry, SINK_MODULE)->string.bytes,
                              field(entry, SINK_OPTIONS)->tree, module);
        if (module->module != NULL)
            read_sink(config, i, entry);
    }
}

/* Scripts. */

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
    const struct kv_option_value *limits = field(entry, SCRIPT_LIMITS);
    const char *file = field(entry, SCRIPT_FILE)->string.bytes;
    owned->at = kv_conf_node_find(kv_conf_node_child(given_list(config, "scripts"), i),
                                  script_fields[SCRIPT_FILE].name);
    owned->prefixes = read_prefixes(field(entry, SCRIPT_PREFIXES));
    snprintf(owned->name, sizeof(owned->name), "script/%s", base_name(file));
    config->scripts[i] = (struct kv_script_config){
        .file = file,
        .name = owned->name,
        .prefixes = owned->prefixes,
        .n_prefixes = field(entry, SCRIPT_PREFIXES)->list.n,
        .passes_on_error = field(entry, SCRIPT_ON_ERROR)->integer != 0,
        .limits = {.instructions = field(limits, SCRIPT_INSTRUCTIONS)->integer,
                   .time_us = field(limits, SCRIPT_TIME)->integer * 1000,
                   .memory = (size_t)field(limits, SCRIPT_MEMORY)->integer},
        .max_depth = (uint32_t)field(limits, SCRIPT_DEPTH)->integer,
        .max_pending = (uint32_t)field(limits, SCRIPT_PENDING)->integer,
        .max_key_bytes = config->http.max_key_bytes,
        .max_value_bytes = config->http.max_value_bytes,
    };
    read_script_options(config, i, field(entry, SCRIPT_OPTIONS)->tree);
}

static void read_scripts(struct kv_config *config)
{
    const struct kv_option_value *list = &config->values[CONFIG_SCRIPTS];
    config->n_scripts = list->list.n;
    config->scripts = kv_calloc(list->list.n, sizeof(*config->scripts));
    config->configured_scripts = kv_calloc(list->list.n, sizeof(*config->configured_scripts));
    for (size_t i = 0; i < list->list.n; i++)
        read_script(config, i, &list->list.items[i]);
}

/* Values. */

static uint32_t threads_for_all_cpus(void)
{
    uint32_t n = kv_cpus_count("");
    return n > KV_KEYSPACE_MAX_LOOPS ? KV_KEYSPACE_MAX_LOOPS : n;
}

/* `0660`: three octal digits, with or without a zero ahead of them. */
static uint32_t read_mode(struct kv_config *config, const struct kv_conf_node *at, size_t i,
                          struct kv_slice text)
{
    char *end;
    unsigned long mode = strtoul(text.bytes, &end, 8);
    if (text.len < 3 || text.len > 4 || *end != '\0' || mode > 0777)
        kv_conf_fault(config->conf, at,
                      "listen[%zu].mode: \"%s\" is not a valid file mode (example: \"0660\")", i,
                      text.bytes);
    return (uint32_t)mode;
}

static void read_unix(struct kv_config *config, size_t i, const struct kv_option_value *entry)
{
    struct kv_listen_address *address = &config->listen[i];
    const struct kv_conf_node *mode = kv_conf_node_find(address->at, "mode");
    address->unix_path = field(entry, LISTEN_UNIX)->string.bytes;
    address->unix_mode = read_mode(config, mode, i, field(entry, LISTEN_MODE)->string);
    if (address->unix_path[0] == '\0')
        kv_conf_fault(config->conf, kv_conf_node_find(address->at, "unix"),
                      "listen[%zu].unix: \"\" is not a path", i);
    if (strlen(address->unix_path) >= sizeof(((struct sockaddr_un *)NULL)->sun_path))
        kv_conf_fault(config->conf, kv_conf_node_find(address->at, "unix"),
                      "listen[%zu].unix: %s is longer than the path of a socket may be", i,
                      address->unix_path);
    if (field(entry, LISTEN_HOST)->is_given || field(entry, LISTEN_PORT)->is_given)
        kv_conf_fault(config->conf, address->at,
                      "listen[%zu]: it takes either `unix` or `host` and `port`", i);
}

static void read_address(struct kv_config *config, size_t i, const struct kv_option_value *entry)
{
    char path[64];
    snprintf(path, sizeof(path), "listen[%zu].host", i);
    const struct kv_conf_node *node = kv_conf_node_child(given_list(config, "listen"), i);
    const struct kv_conf_node *host = kv_conf_node_find(node, "host");
    config->listen[i].at = node;
    if (field(entry, LISTEN_UNIX)->is_given) {
        read_unix(config, i, entry);
        return;
    }
    if (field(entry, LISTEN_MODE)->is_given)
        kv_conf_fault(config->conf, kv_conf_node_find(node, "mode"),
                      "listen[%zu].mode: only a Unix socket has one", i);
    config->listen[i].host = kv_host_read(config->conf, host == NULL ? node : host, path,
                                          field(entry, LISTEN_HOST)->string);
    config->listen[i].port = (uint16_t)field(entry, LISTEN_PORT)->integer;
}

static bool is_same_address(const struct kv_listen_address *a, const struct kv_listen_address *b)
{
    return a->host != NULL && b->host != NULL && strcmp(a->host, b->host) == 0 &&
           a->port == b->port && a->port != 0;
}

/* A socket that is listed twice is a path that is written twice, which is told elsewhere. */
static void note_address_twice(struct kv_config *config, size_t i)
{
    const struct kv_listen_address *address = &config->listen[i];
    for (size_t k = 0; k < i; k++)
        if (is_same_address(&config->listen[k], address))
            kv_conf_fault(config->conf, address->at,
                          "listen[%zu]: %s port %u is listed already, as listen[%zu]", i,
                          address->host, address->port, k);
}

static void read_listen(struct kv_config *config)
{
    const struct kv_option_value *list = &config->values[CONFIG_LISTEN];
    config->n_listen = list->list.n;
    config->listen = kv_calloc(list->list.n, sizeof(*config->listen));
    for (size_t i = 0; i < list->list.n; i++) {
        read_address(config, i, &list->list.items[i]);
        note_address_twice(config, i);
    }
    const struct kv_conf_node *given = given_list(config, "listen");
    if (given != NULL && kv_conf_node_size(given) == 0 &&
        (kv_conf_node_is_empty(given) || kv_conf_node_is_sequence(given)))
        kv_conf_fault(config->conf, given,
                      "listen: at least one address is expected, as {host: 127.0.0.1, port: 3000}");
}

typedef void (*check_text_fn)(struct kv_conf *conf, const struct kv_conf_node *at, const char *path,
                              struct kv_slice text);

/* Owns: the caller, the array. */
static struct kv_slice *read_texts(struct kv_config *config, int place, const char *name,
                                   check_text_fn check)
{
    const struct kv_option_value *list = &config->values[place];
    struct kv_slice *texts = kv_calloc(list->list.n, sizeof(*texts));
    for (size_t i = 0; i < list->list.n; i++) {
        const struct kv_conf_node *at = kv_conf_node_child(given_list(config, name), i);
        char path[64];
        snprintf(path, sizeof(path), "%s[%zu]", name, i);
        texts[i] = list->list.items[i].string;
        if (list->list.items[i].is_given)
            check(config->conf, at, path, texts[i]);
    }
    return texts;
}

/* A quarter: the store, the caches of its engine, and the kernel's buffers need the rest. */
static size_t memory_of_machine(void)
{
    uint64_t bytes = kv_machine_memory("") / 4;
    return bytes == 0 ? KV_DEFAULT_MEMORY : (size_t)bytes;
}

static void read_memory(struct kv_config *config)
{
    int64_t bytes = field(&config->values[CONFIG_LIMITS], LIMIT_MEMORY)->integer;
    config->memory = bytes == KV_OPTION_KEYWORD ? memory_of_machine() : (size_t)bytes;
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
        .max_per_address = (uint32_t)field(limits, LIMIT_PER_ADDRESS)->integer,
        .patience = {.idle_ms = field(timeouts, TIMEOUT_IDLE)->integer,
                     .request_ms = field(timeouts, TIMEOUT_REQUEST)->integer,
                     .request_progress_ms = field(timeouts, TIMEOUT_PROGRESS)->integer,
                     .stalled_reader_ms = field(timeouts, TIMEOUT_STALLED)->integer,
                     .least_rate = (size_t)field(limits, LIMIT_LEAST_RATE)->integer},
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
        .max_batch = (uint32_t)field(limits, LIMIT_BATCH)->integer,
        .hello = {.version = KV_VERSION,
                  .max_key_bytes = (size_t)field(limits, LIMIT_KEY)->integer,
                  .max_value_bytes = (size_t)field(limits, LIMIT_VALUE)->integer,
                  .max_message_bytes = (size_t)field(limits, LIMIT_MESSAGE)->integer},
        .has_fast_path = field(&config->values[CONFIG_HTTP], HTTP_FRONT)->boolean,
        .origins = config->origins,
        .n_origins = config->values[CONFIG_ORIGINS].list.n,
        .hosts = config->hosts,
        .n_hosts = config->values[CONFIG_HOSTS].list.n,
    };
}

static void read_ws(struct kv_config *config)
{
    const struct kv_option_value *limits = &config->values[CONFIG_LIMITS];
    const struct kv_option_value *timeouts = &config->values[CONFIG_TIMEOUTS];
    config->ws = (struct kv_ws_config){
        .hello = config->http.hello,
        .max_key_bytes = config->http.max_key_bytes,
        .max_value_bytes = config->http.max_value_bytes,
        .max_message_bytes = (size_t)field(limits, LIMIT_MESSAGE)->integer,
        .max_depth = config->http.max_depth,
        .max_subscriptions = (uint32_t)field(limits, LIMIT_SUBSCRIPTIONS)->integer,
        .max_unsent_bytes = config->http.max_unsent_bytes,
        .max_pending = config->http.max_pending,
        .ping_ms = field(timeouts, TIMEOUT_PING)->integer,
        .patience = config->net.patience,
    };
}

static void read_events(struct kv_config *config)
{
    config->events = (struct kv_events_config){
        .max_subscriptions = config->ws.max_subscriptions,
        .max_unsent_bytes = config->ws.max_unsent_bytes,
        .heartbeat_ms = config->ws.ping_ms,
        .patience = config->net.patience,
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
        folder->string = kv_slice_of(config->module_folder = kv_modules_folder());
    config->drain_ms = field(&config->values[CONFIG_TIMEOUTS], TIMEOUT_DRAIN)->integer;
    config->log_level = (enum kv_log_level)field(log, LOG_LEVEL)->integer;
    config->log_format = (enum kv_log_format)field(log, LOG_FORMAT)->integer;
    read_listen(config);
    config->origins = read_texts(config, CONFIG_ORIGINS, "origins", kv_origin_check);
    config->hosts = read_texts(config, CONFIG_HOSTS, "hosts", kv_served_host_check);
    read_memory(config);
    read_net(config);
    read_http(config);
    read_ws(config);
    read_events(config);
}

static int64_t value_or(const struct kv_option_value *value, int64_t automatic)
{
    return value->integer == KV_OPTION_KEYWORD ? automatic : value->integer;
}

static void read_change_log(struct kv_config *config)
{
    const struct kv_option_value *log = &config->values[CONFIG_CHANGE_LOG];
    const struct kv_loaded_module *store = config->store.module;
    bool is_stores = store != NULL && (store->identity->capabilities & KV_STORE_LOG) != 0;
    config->log_bytes = (uint64_t)value_or(
        field(log, CHANGE_LOG_SIZE), is_stores ? KV_DEFAULT_STORE_LOG_BYTES : KV_DEFAULT_LOG_BYTES);
    config->log_ms = value_or(field(log, CHANGE_LOG_AGE),
                              is_stores ? KV_DEFAULT_STORE_LOG_MS : KV_DEFAULT_LOG_MS);
}

static const struct kv_option_value *check(struct kv_conf *conf)
{
    const struct kv_conf_block block = {
        .node = kv_conf_root(conf),
        .path = "",
        .options = config_options,
        .n_options = N_CONFIG,
        .option_size = sizeof(struct kv_option),
    };
    const struct kv_option_value *values;
    kv_conf_check(conf, &block, &values);
    return values;
}

/* The values of the file, with the default lists where it gives none. */
static void check_with_default_lists(struct kv_config *config)
{
    const struct kv_option_value *given = check(config->conf);
    config->end_path = kv_conf_n_paths(config->conf);
    kv_conf_parse("built-in", KV_SLICE(KV_DEFAULT_LISTS), &config->fallback_conf);
    const struct kv_option_value *fallback = check(config->fallback_conf);
    assert(kv_conf_n_faults(config->fallback_conf) == 0);
    config->owned_values = kv_memdup(given, N_CONFIG * sizeof(*given));
    if (!given[CONFIG_LISTEN].is_given)
        config->owned_values[CONFIG_LISTEN] = fallback[CONFIG_LISTEN];
    if (!given[CONFIG_TTL].is_given)
        config->owned_values[CONFIG_TTL] = fallback[CONFIG_TTL];
    config->values = config->owned_values;
}

static int parse(const char *path, struct kv_conf **ret_conf)
{
    return path == NULL ? kv_conf_parse("built-in defaults", KV_SLICE(""), ret_conf)
                        : kv_conf_load(path, ret_conf);
}

int kv_config_load(const char *path, struct kv_config *ret_config)
{
    struct kv_config config = {.path = path};
    if (parse(path, &config.conf) == 0) {
        check_with_default_lists(&config);
        read_values(&config);
        kv_modules_read_storage(&config);
        read_change_log(&config);
        read_ttl(&config);
        read_sinks(&config);
        read_scripts(&config);
    }
    *ret_config = config;
    return kv_conf_n_faults(config.conf) == 0 ? 0 : -1;
}

void kv_config_append_faults(const struct kv_config *config, const char *prefix,
                             struct kv_buffer *out)
{
    kv_conf_append_faults(config->conf, prefix, out);
}

void kv_config_fini(struct kv_config *config)
{
    for (size_t i = 0; i < config->n_listen; i++)
        free(config->listen[i].host);
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
    kv_modules_unload(&config->store);
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
    free(config->hosts);
    *config = (struct kv_config){0};
}
