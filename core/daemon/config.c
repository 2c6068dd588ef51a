/*
 * Converts the file's values to the structs from which the parts of the server are created. Modules
 * are loaded meanwhile, as their schemas are needed to check their blocks. After a fault is noted,
 * the rest is still checked; nothing is created from a configuration with faults.
 */
#include "daemon/config.h"

#include <assert.h>
#include <stdlib.h>

#include "base/mem.h"
#include "daemon/access_rules.h"
#include "daemon/addresses.h"
#include "daemon/cpus.h"
#include "daemon/extensions.h"
#include "daemon/given.h"
#include "daemon/listen_addresses.h"
#include "daemon/listen_tls.h"
#include "daemon/machine_memory.h"
#include "daemon/modules.h"
#include "daemon/proxies.h"
#include "daemon/schema.h"

static uint32_t threads_for_all_cpus(void)
{
    uint32_t n = kv_cpus_count("");
    return n > KV_KEYSPACE_MAX_LOOPS ? KV_KEYSPACE_MAX_LOOPS : n;
}

typedef void (*check_text_fn)(struct kv_conf *conf, const struct kv_conf_node *at, const char *path,
                              struct kv_slice text);

/* Owns: the caller, only the array. */
static struct kv_slice *read_texts(struct kv_config *config, int place, const char *name,
                                   check_text_fn check)
{
    const struct kv_option_value *list = &config->values[place];
    struct kv_slice *texts = kv_calloc(list->list.n, sizeof(*texts));
    for (size_t i = 0; i < list->list.n; i++) {
        const struct kv_conf_node *at = kv_conf_node_child(kv_given_node(config, name), i);
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
    int64_t bytes = kv_given_field(&config->values[CONFIG_LIMITS], LIMIT_MEMORY)->integer;
    config->memory = bytes == KV_OPTION_KEYWORD ? memory_of_machine() : (size_t)bytes;
}

static void read_net(struct kv_config *config)
{
    const struct kv_option_value *limits = &config->values[CONFIG_LIMITS];
    const struct kv_option_value *timeouts = &config->values[CONFIG_TIMEOUTS];
    int64_t connections = kv_given_field(limits, LIMIT_CONNECTIONS)->integer;
    config->connections_are_auto = connections == KV_OPTION_KEYWORD;
    config->net = (struct kv_net_config){
        .max_connections =
            config->connections_are_auto ? KV_DEFAULT_CONNECTIONS : (uint32_t)connections,
        .max_per_address = (uint32_t)kv_given_field(limits, LIMIT_PER_ADDRESS)->integer,
        .patience = {.idle_ms = kv_given_field(timeouts, TIMEOUT_IDLE)->integer,
                     .request_ms = kv_given_field(timeouts, TIMEOUT_REQUEST)->integer,
                     .request_progress_ms = kv_given_field(timeouts, TIMEOUT_PROGRESS)->integer,
                     .stalled_reader_ms = kv_given_field(timeouts, TIMEOUT_STALLED)->integer,
                     .least_rate = (size_t)kv_given_field(limits, LIMIT_LEAST_RATE)->integer},
    };
}

static struct kv_http_limits read_http_limits(const struct kv_option_value *limits)
{
    return (struct kv_http_limits){
        .max_key_bytes = (size_t)kv_given_field(limits, LIMIT_KEY)->integer,
        .max_value_bytes = (size_t)kv_given_field(limits, LIMIT_VALUE)->integer,
        .max_depth = (uint32_t)kv_given_field(limits, LIMIT_DEPTH)->integer,
        .max_pending = (uint32_t)kv_given_field(limits, LIMIT_PENDING)->integer,
        .max_unsent_bytes = (size_t)kv_given_field(limits, LIMIT_UNSENT)->integer,
        .max_batch = (uint32_t)kv_given_field(limits, LIMIT_BATCH)->integer,
        .hello = {.version = KV_VERSION,
                  .max_key_bytes = (size_t)kv_given_field(limits, LIMIT_KEY)->integer,
                  .max_value_bytes = (size_t)kv_given_field(limits, LIMIT_VALUE)->integer,
                  .max_message_bytes = (size_t)kv_given_field(limits, LIMIT_MESSAGE)->integer},
    };
}

static void read_http(struct kv_config *config)
{
    config->http = (struct kv_http_config){
        .limits = read_http_limits(&config->values[CONFIG_LIMITS]),
        .console = (enum kv_console)config->values[CONFIG_CONSOLE].integer,
        .has_deflate =
            kv_given_field(&config->values[CONFIG_WEBSOCKET], WEBSOCKET_DEFLATE)->boolean,
        .has_fast_path = kv_given_field(&config->values[CONFIG_HTTP], HTTP_FRONT)->boolean,
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
        .hello = config->http.limits.hello,
        .max_leases = (uint32_t)kv_given_field(limits, LIMIT_LEASES)->integer,
        .max_key_bytes = config->http.limits.max_key_bytes,
        .max_value_bytes = config->http.limits.max_value_bytes,
        .max_message_bytes = (size_t)kv_given_field(limits, LIMIT_MESSAGE)->integer,
        .max_depth = config->http.limits.max_depth,
        .max_subscriptions = (uint32_t)kv_given_field(limits, LIMIT_SUBSCRIPTIONS)->integer,
        .max_unsent_bytes = config->http.limits.max_unsent_bytes,
        .max_pending = config->http.limits.max_pending,
        .auth_ms = kv_given_field(timeouts, TIMEOUT_AUTH)->integer,
        .ping_ms = kv_given_field(timeouts, TIMEOUT_PING)->integer,
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

static int64_t value_or(const struct kv_option_value *value, int64_t automatic)
{
    return value->integer == KV_OPTION_KEYWORD ? automatic : value->integer;
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
    config->drain_ms = kv_given_field(&config->values[CONFIG_TIMEOUTS], TIMEOUT_DRAIN)->integer;
    config->log_level = (enum kv_log_level)kv_given_field(log, LOG_LEVEL)->integer;
    config->slow_ms = kv_given_field(log, LOG_SLOW)->integer;
    config->log_every = (uint32_t)value_or(kv_given_field(log, LOG_ACCESS), 0);
    config->log_format = (enum kv_log_format)kv_given_field(log, LOG_FORMAT)->integer;
    kv_listen_addresses_read(config);
    kv_access_rules_check(config);
    config->origins = read_texts(config, CONFIG_ORIGINS, "origins", kv_origin_check);
    config->hosts = read_texts(config, CONFIG_HOSTS, "hosts", kv_served_host_check);
    read_memory(config);
    read_net(config);
    kv_proxies_read(config);
    read_http(config);
    read_ws(config);
    read_events(config);
}

static void read_change_log(struct kv_config *config)
{
    const struct kv_option_value *log = &config->values[CONFIG_CHANGE_LOG];
    const struct kv_loaded_module *store = config->store.module;
    bool is_stores = store != NULL && (store->identity->capabilities & KV_STORE_LOG) != 0;
    config->log_bytes =
        (uint64_t)value_or(kv_given_field(log, CHANGE_LOG_SIZE),
                           is_stores ? KV_DEFAULT_STORE_LOG_BYTES : KV_DEFAULT_LOG_BYTES);
    config->log_ms = value_or(kv_given_field(log, CHANGE_LOG_AGE),
                              is_stores ? KV_DEFAULT_STORE_LOG_MS : KV_DEFAULT_LOG_MS);
}

static const struct kv_option_value *check(struct kv_conf *conf)
{
    const struct kv_conf_block block = {
        .node = kv_conf_root(conf),
        .path = "",
        .options = kv_config_options,
        .n_options = N_CONFIG,
        .option_size = sizeof(struct kv_option),
    };
    const struct kv_option_value *values;
    kv_conf_check(conf, &block, &values);
    return values;
}

/* The values of the file, and the default lists that it does not give. */
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
        kv_access_revoked_check(&config);
        read_change_log(&config);
        kv_extensions_read_ttl(&config);
        kv_extensions_read_sinks(&config);
        kv_extensions_read_scripts(&config);
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
    for (size_t i = 0; i < config->n_listen; i++) {
        free(config->listen[i].host);
        kv_listen_tls_fini(&config->listen[i]);
    }
    kv_extensions_fini(config);
    kv_modules_unload(&config->store);
    kv_conf_destroy(config->conf);
    kv_conf_destroy(config->fallback_conf);
    free(config->owned_values);
    free(config->module_folder);
    free(config->listen);
    free(config->origins);
    free(config->hosts);
    free(config->proxies);
    *config = (struct kv_config){0};
}
