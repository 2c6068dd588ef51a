/*
 * The schema of the server's own configuration: the enums are the indexes of the options in their
 * blocks, schema.c has the options.
 */
#ifndef KV_DAEMON_SCHEMA_H
#define KV_DAEMON_SCHEMA_H

#include <kvserver/option.h>

#define KV_COUNT(array) (sizeof(array) / sizeof((array)[0]))

enum {
    TOKEN_NAME,
    TOKEN_SHA256,
    TOKEN_CERTIFICATE,
    TOKEN_READ,
    TOKEN_WRITE,
    TOKEN_ADMIN
};
enum {
    ANONYMOUS_READ,
    ANONYMOUS_WRITE
};
enum {
    JWT_ISSUER,
    JWT_AUDIENCE,
    JWT_KEYS,
    JWT_CA_FILE,
    JWT_SECRET,
    JWT_ALGORITHMS,
    JWT_GRANTS,
    JWT_CLAIM,
    JWT_AT_MOST
};
enum {
    ACCESS_ANONYMOUS,
    ACCESS_TOKENS,
    ACCESS_JWT,
    ACCESS_COOKIE,
    ACCESS_RATES,
    ACCESS_REVOKED
};
enum {
    RATES_REQUESTS,
    RATES_CONNECTIONS,
    RATES_PER
};
/* The choices of RATES_PER. */
enum {
    RATES_PER_TOKEN,
    RATES_PER_ADDRESS
};
enum {
    LISTEN_HOST,
    LISTEN_PORT,
    LISTEN_UNIX,
    LISTEN_MODE,
    LISTEN_TLS,
    N_LISTEN
};
enum {
    TLS_CERT,
    TLS_KEY,
    TLS_CERTIFICATES,
    TLS_CLIENT_CA,
    TLS_CLIENT_AUTH
};
enum {
    CERTIFICATE_CERT,
    CERTIFICATE_KEY
};
enum {
    MODULE_NAME,
    MODULE_OPTIONS,
    N_MODULE
};
enum {
    SINK_MODULE,
    SINK_OPTIONS,
    SINK_PREFIXES,
    SINK_EVENTS,
    SINK_QUEUE,
    SINK_WHEN_FULL,
    SINK_RETRY,
    N_SINK
};
enum {
    QUEUE_EVENTS,
    QUEUE_BYTES
};
enum {
    RETRY_FIRST,
    RETRY_LONGEST,
    RETRY_GIVE_UP
};
enum {
    SCRIPT_FILE,
    SCRIPT_PREFIXES,
    SCRIPT_OPTIONS,
    SCRIPT_ON_ERROR,
    SCRIPT_LIMITS,
    N_SCRIPT
};
enum {
    SCRIPT_INSTRUCTIONS,
    SCRIPT_TIME,
    SCRIPT_MEMORY,
    SCRIPT_DEPTH,
    SCRIPT_PENDING
};
enum {
    LIMIT_KEY,
    LIMIT_VALUE,
    LIMIT_MESSAGE,
    LIMIT_DEPTH,
    LIMIT_CONNECTIONS,
    LIMIT_PER_ADDRESS,
    LIMIT_PER_TOKEN,
    LIMIT_SUBSCRIPTIONS,
    LIMIT_UNSENT,
    LIMIT_PENDING,
    LIMIT_BATCH,
    LIMIT_LEASES,
    LIMIT_LEAST_RATE,
    LIMIT_MEMORY,
};
enum {
    TIMEOUT_IDLE,
    TIMEOUT_REQUEST,
    TIMEOUT_PROGRESS,
    TIMEOUT_PING,
    TIMEOUT_STALLED,
    TIMEOUT_DRAIN,
    TIMEOUT_AUTH
};
enum {
    CHANGE_LOG_SIZE,
    CHANGE_LOG_AGE
};
enum {
    HTTP_FRONT
};
enum {
    PAGES_FOLDER
};
enum {
    WEBSOCKET_DEFLATE
};
enum {
    LOG_LEVEL,
    LOG_FORMAT,
    LOG_SLOW,
    LOG_ACCESS
};
enum {
    CONFIG_LISTEN,
    CONFIG_THREADS,
    CONFIG_MODULES,
    CONFIG_STORAGE,
    CONFIG_TTL,
    CONFIG_SINKS,
    CONFIG_SCRIPTS,
    CONFIG_ORIGINS,
    CONFIG_HOSTS,
    CONFIG_PROXIES,
    CONFIG_ACCESS,
    CONFIG_LIMITS,
    CONFIG_TIMEOUTS,
    CONFIG_CHANGE_LOG,
    CONFIG_HTTP,
    CONFIG_CONSOLE,
    CONFIG_PAGES,
    CONFIG_WEBSOCKET,
    CONFIG_LOG,
    N_CONFIG,
};

/* Defaults that are lists. As a schema's fallback is a scalar, they are parsed like a file. */
#define KV_DEFAULT_LISTS "listen: [{host: 127.0.0.1, port: 3000}]\nttl: [{module: fixed}]\n"
#define KV_DEFAULT_STORE "memory"

#define KV_DEFAULT_CONNECTIONS 100000

/* The size and age of the change log: in memory, and if the store keeps it. */
#define KV_DEFAULT_LOG_BYTES       (INT64_C(64) << 20)
#define KV_DEFAULT_LOG_MS          (INT64_C(3600) * 1000)
#define KV_DEFAULT_STORE_LOG_BYTES (INT64_C(256) << 20)
#define KV_DEFAULT_STORE_LOG_MS    (INT64_C(24) * 3600 * 1000)

#define KV_DEFAULT_MEMORY (INT64_C(1) << 30) /* if the system does not report its memory */

extern const struct kv_option kv_config_options[N_CONFIG]; /* the whole file */
extern const struct kv_option kv_listen_fields[N_LISTEN];
extern const struct kv_option kv_module_fields[N_MODULE];
extern const struct kv_option kv_sink_fields[N_SINK];
extern const struct kv_option kv_script_fields[N_SCRIPT];

#endif
