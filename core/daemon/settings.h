/*
 * The data of the server's configuration, after it has been read (config.h).
 */
#ifndef KV_DAEMON_SETTINGS_H
#define KV_DAEMON_SETTINGS_H

#include "base/log.h"
#include "conf/check.h"
#include "events/events.h"
#include "http/http.h"
#include "module/module.h"
#include "net/net.h"
#include "net/tls.h"
#include "script/scripts.h"
#include "sink/sinks.h"
#include "ws/ws.h"

/* A module named in the file, loaded, and its checked options. */
struct kv_configured_module {
    struct kv_loaded_module *module;
    const struct kv_option_value *options;
    struct kv_conf_block block; /* of the options; `at`: where the file names the module, or NULL */
    bool is_faulty;             /* it must not be opened with these options */
    size_t first_path, end_path; /* of its options, for kv_conf_check_paths() */
};

struct kv_configured_sink {
    struct kv_configured_module module;
    struct kv_sink_config config;
    char name[64]; /* for the log */
    struct kv_slice *prefixes;
};

/* The data that the i-th of `scripts` points to. */
struct kv_configured_script {
    const struct kv_conf_node *at; /* where the file names it */
    char name[64];                 /* for the log */
    struct kv_slice *prefixes;
    struct kv_script_option *options;
    const struct kv_conf_node *options_node;
};

/* `tls` of an address. */
struct kv_listen_tls {
    bool is_given;
    struct kv_tls_config config;
    struct kv_tls_certificate *certificates; /* of `config` */
    size_t n_listed_from;                    /* from here on, those of the list `certificates` */
};

struct kv_listen_address {
    char *host; /* NULL: a Unix socket, or a fault has been noted */
    uint16_t port;
    const char *unix_path; /* NULL: none */
    uint32_t unix_mode;
    struct kv_listen_tls tls;
    const struct kv_conf_node *at; /* its place; NULL for a default */
};

struct kv_config {
    const char *path;                     /* of the file; NULL: defaults only */
    struct kv_conf *conf;                 /* owns every text and value below */
    struct kv_conf *fallback_conf;        /* the same for defaults that are lists */
    const struct kv_option_value *values; /* of the server's schema */
    struct kv_option_value *owned_values;
    char *module_folder; /* if it was not given */
    size_t end_path;     /* of the server's own options, for kv_conf_check_paths() */
    struct kv_listen_address *listen;
    size_t n_listen;
    uint32_t n_threads;
    struct kv_configured_module store;
    struct kv_configured_module *ttl; /* the chain, in order */
    size_t n_ttl;
    struct kv_configured_sink *sinks;
    size_t n_sinks;
    struct kv_script_config *scripts;
    struct kv_configured_script *configured_scripts;
    size_t n_scripts;
    struct kv_slice *origins;
    struct kv_slice *hosts;
    struct kv_address_range *proxies; /* of `net` */
    struct kv_net_config net;
    size_t memory;             /* for all connections */
    bool connections_are_auto; /* then net.max_connections is only an upper bound */
    struct kv_http_config http;
    struct kv_ws_config ws;
    struct kv_events_config events;
    int64_t drain_ms;
    uint64_t log_bytes; /* of the change log; 0: none */
    int64_t log_ms;
    enum kv_log_level log_level;
    uint32_t log_every; /* one in this many requests is logged; 0: none */
    int64_t slow_ms;    /* commands that take at least this long are in the slow log */
    enum kv_log_format log_format;
};

#endif
