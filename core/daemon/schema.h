/*
 * The schema of the server's own configuration. The enums are the indexes of the options in their
 * blocks.
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
    LISTEN_TLS
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
    MODULE_OPTIONS
};
enum {
    SINK_MODULE,
    SINK_OPTIONS,
    SINK_PREFIXES,
    SINK_EVENTS,
    SINK_QUEUE,
    SINK_WHEN_FULL,
    SINK_RETRY
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
    SCRIPT_LIMITS
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

#define KV_LONGEST_TIMEOUT_MS (INT64_C(1000) * 3600 * 24 * 365)

static const struct kv_option certificate_fields[] = {
    {.name = "cert", .type = KV_OPTION_PATH, .flags = KV_OPTION_REQUIRED | KV_OPTION_READS},
    {.name = "key", .type = KV_OPTION_PATH, .flags = KV_OPTION_REQUIRED | KV_OPTION_READS},
};
static const struct kv_option certificate_element = {.type = KV_OPTION_BLOCK,
                                                     .flags = KV_OPTION_REQUIRED,
                                                     .fields = certificate_fields,
                                                     .n_fields = KV_COUNT(certificate_fields)};
static const char *const client_auth_names[] = {"required", "optional", NULL};
static const struct kv_option tls_fields[] = {
    {.name = "cert",
     .type = KV_OPTION_PATH,
     .flags = KV_OPTION_READS,
     .doc = "PEM: the certificate, followed by the intermediate ones"},
    {.name = "key", .type = KV_OPTION_PATH, .flags = KV_OPTION_READS, .doc = "PEM, unencrypted"},
    {.name = "certificates",
     .type = KV_OPTION_LIST,
     .fields = &certificate_element,
     .n_fields = 1,
     .doc = "further certificates, selected by the name that clients request (SNI)"},
    {.name = "client_ca",
     .type = KV_OPTION_PATH,
     .flags = KV_OPTION_READS,
     .doc = "PEM: the authorities that sign clients' certificates"},
    {.name = "client_auth",
     .type = KV_OPTION_CHOICE,
     .choices = client_auth_names,
     .fallback = "required",
     .doc = "with client_ca: whether clients must have a certificate"},
};

static const struct kv_option listen_fields[] = {
    {.name = "host",
     .type = KV_OPTION_STRING,
     .fallback = "127.0.0.1",
     .doc = "a name or an address; 0.0.0.0 or :: for all"},
    {.name = "port", .type = KV_OPTION_INT, .fallback = "3000", .max = 65535, .doc = "0: any"},
    {.name = "unix",
     .type = KV_OPTION_PATH,
     .flags = KV_OPTION_WRITES,
     .doc = "the path of a Unix socket, instead of host and port"},
    {.name = "mode",
     .type = KV_OPTION_STRING,
     .fallback = "0660",
     .doc = "the mode of the Unix socket, like a file's: who may connect"},
    {.name = "tls",
     .type = KV_OPTION_BLOCK,
     .fields = tls_fields,
     .n_fields = KV_COUNT(tls_fields),
     .doc = "TLS 1.2 and 1.3 instead of clear text"},
};
static const struct kv_option listen_element = {.type = KV_OPTION_BLOCK,
                                                .flags = KV_OPTION_REQUIRED,
                                                .fields = listen_fields,
                                                .n_fields = KV_COUNT(listen_fields)};

static const struct kv_option module_fields[] = {
    {.name = "module", .type = KV_OPTION_STRING, .flags = KV_OPTION_REQUIRED},
    {.name = "options", .type = KV_OPTION_TREE},
};
static const struct kv_option module_element = {.type = KV_OPTION_BLOCK,
                                                .flags = KV_OPTION_REQUIRED,
                                                .fields = module_fields,
                                                .n_fields = KV_COUNT(module_fields)};

static const struct kv_option prefix_element = {.type = KV_OPTION_STRING};
static const char *const event_names[] = {"set", "delete", "expire", NULL};
static const struct kv_option event_element = {.type = KV_OPTION_CHOICE, .choices = event_names};
static const char *const when_full_names[] = {"drop_oldest", "block_writes", NULL};
static const struct kv_option queue_fields[] = {
    {.name = "events", .type = KV_OPTION_INT, .fallback = "100000", .min = 1, .max = 1 << 30},
    {.name = "bytes",
     .type = KV_OPTION_SIZE,
     .fallback = "64MiB",
     .min = 1,
     .max = INT64_C(1) << 40},
};
static const struct kv_option retry_fields[] = {
    {.name = "first",
     .type = KV_OPTION_DURATION,
     .fallback = "100ms",
     .min = 1,
     .max = KV_LONGEST_TIMEOUT_MS},
    {.name = "longest",
     .type = KV_OPTION_DURATION,
     .fallback = "30s",
     .min = 1,
     .max = KV_LONGEST_TIMEOUT_MS},
    {.name = "give_up",
     .type = KV_OPTION_DURATION,
     .fallback = "0",
     .max = KV_LONGEST_TIMEOUT_MS,
     .doc = "events that could not be delivered for this long are dropped; 0: never"},
};
static const struct kv_option sink_fields[] = {
    {.name = "module", .type = KV_OPTION_STRING, .flags = KV_OPTION_REQUIRED},
    {.name = "options", .type = KV_OPTION_TREE},
    {.name = "prefixes",
     .type = KV_OPTION_LIST,
     .fields = &prefix_element,
     .n_fields = 1,
     .doc = "only keys that begin with one of these; none: all keys"},
    {.name = "events",
     .type = KV_OPTION_LIST,
     .fields = &event_element,
     .n_fields = 1,
     .doc = "set, delete, expire; none: all of them"},
    {.name = "queue",
     .type = KV_OPTION_BLOCK,
     .fields = queue_fields,
     .n_fields = KV_COUNT(queue_fields)},
    {.name = "when_full",
     .type = KV_OPTION_CHOICE,
     .choices = when_full_names,
     .fallback = "drop_oldest"},
    {.name = "retry",
     .type = KV_OPTION_BLOCK,
     .fields = retry_fields,
     .n_fields = KV_COUNT(retry_fields)},
};
static const struct kv_option sink_element = {.type = KV_OPTION_BLOCK,
                                              .flags = KV_OPTION_REQUIRED,
                                              .fields = sink_fields,
                                              .n_fields = KV_COUNT(sink_fields)};

static const char *const on_error_names[] = {"refuse", "pass", NULL};
static const struct kv_option script_limit_fields[] = {
    {.name = "instructions",
     .type = KV_OPTION_INT,
     .fallback = "1000000",
     .min = 1000,
     .max = INT64_C(1) << 50,
     .doc = "of one hook"},
    {.name = "time",
     .type = KV_OPTION_DURATION,
     .fallback = "100ms",
     .min = 1,
     .max = KV_LONGEST_TIMEOUT_MS,
     .doc = "processor time of one hook; waiting does not count"},
    {.name = "memory",
     .type = KV_OPTION_SIZE,
     .fallback = "64MiB",
     .min = 64 << 10,
     .max = INT64_C(1) << 40,
     .doc = "of the script on one event loop"},
    {.name = "depth",
     .type = KV_OPTION_INT,
     .fallback = "8",
     .max = 1000,
     .doc = "of chains of hooks that are called for the writes of hooks"},
    {.name = "pending",
     .type = KV_OPTION_INT,
     .fallback = "10000",
     .min = 1,
     .max = 1 << 30,
     .doc = "hooks after changes, running on one event loop; beyond this, writes are held back"},
};
static const struct kv_option script_fields[] = {
    {.name = "file", .type = KV_OPTION_PATH, .flags = KV_OPTION_REQUIRED | KV_OPTION_READS},
    {.name = "prefixes",
     .type = KV_OPTION_LIST,
     .fields = &prefix_element,
     .n_fields = 1,
     .doc = "only keys that begin with one of these; none: all keys"},
    {.name = "options", .type = KV_OPTION_TREE, .doc = "names and texts, for kv.options"},
    {.name = "on_error",
     .type = KV_OPTION_CHOICE,
     .choices = on_error_names,
     .fallback = "refuse",
     .doc = "whether a write is refused or passes if a hook before it fails"},
    {.name = "limits",
     .type = KV_OPTION_BLOCK,
     .fields = script_limit_fields,
     .n_fields = KV_COUNT(script_limit_fields)},
};
static const struct kv_option script_element = {.type = KV_OPTION_BLOCK,
                                                .flags = KV_OPTION_REQUIRED,
                                                .fields = script_fields,
                                                .n_fields = KV_COUNT(script_fields)};

static const struct kv_option origin_element = {.type = KV_OPTION_STRING,
                                                .flags = KV_OPTION_REQUIRED};

static const struct kv_option host_element = {.type = KV_OPTION_STRING,
                                              .flags = KV_OPTION_REQUIRED};

static const struct kv_option proxy_element = {.type = KV_OPTION_STRING,
                                               .flags = KV_OPTION_REQUIRED};

/* An omitted prefix is a mistake; the prefix of every key is written "". */
static const struct kv_option granted_element = {.type = KV_OPTION_STRING,
                                                 .flags = KV_OPTION_REQUIRED};
static const char *const admin_names[] = {"metrics", "backup",  "clients", "slowlog",
                                          "restore", "cluster", NULL};
static const struct kv_option admin_element = {
    .type = KV_OPTION_CHOICE, .flags = KV_OPTION_REQUIRED, .choices = admin_names};
static const struct kv_option anonymous_fields[] = {
    {.name = "read",
     .type = KV_OPTION_LIST,
     .fields = &granted_element,
     .n_fields = 1,
     .doc = "of keys that begin with one of these; \"\" is every key"},
    {.name = "write", .type = KV_OPTION_LIST, .fields = &granted_element, .n_fields = 1},
};
static const struct kv_option token_fields[] = {
    {.name = "name", .type = KV_OPTION_STRING, .flags = KV_OPTION_REQUIRED},
    {.name = "sha256",
     .type = KV_OPTION_STRING,
     .flags = KV_OPTION_SECRET,
     .doc = "of the token, as printed by kvserver --hash-token"},
    {.name = "certificate",
     .type = KV_OPTION_STRING,
     .doc = "instead, or in addition: the name in a client's certificate (listen[].tls.client_ca)"},
    {.name = "read", .type = KV_OPTION_LIST, .fields = &granted_element, .n_fields = 1},
    {.name = "write", .type = KV_OPTION_LIST, .fields = &granted_element, .n_fields = 1},
    {.name = "admin",
     .type = KV_OPTION_LIST,
     .fields = &admin_element,
     .n_fields = 1,
     .doc = "metrics, backup, clients, slowlog, restore, cluster"},
};
static const struct kv_option token_element = {.type = KV_OPTION_BLOCK,
                                               .flags = KV_OPTION_REQUIRED,
                                               .fields = token_fields,
                                               .n_fields = KV_COUNT(token_fields)};
/* In the order of enum kv_jwt_algorithm. */
static const char *const jwt_algorithms[] = {"HS256", "RS256", "PS256", "ES256", "EdDSA", NULL};
static const struct kv_option jwt_algorithm_element = {
    .type = KV_OPTION_CHOICE, .flags = KV_OPTION_REQUIRED, .choices = jwt_algorithms};
static const struct kv_option jwt_fields[] = {
    {.name = "issuer",
     .type = KV_OPTION_STRING,
     .flags = KV_OPTION_REQUIRED,
     .doc = "`iss` of its tokens, exactly"},
    {.name = "audience", .type = KV_OPTION_STRING, .doc = "must be one of `aud`"},
    {.name = "keys",
     .type = KV_OPTION_STRING,
     .flags = KV_OPTION_URL,
     .doc = "a JWK Set: a file, or its https URL"},
    {.name = "ca_file",
     .type = KV_OPTION_PATH,
     .flags = KV_OPTION_READS,
     .doc = "certificates to trust for that URL instead of the system's"},
    {.name = "secret",
     .type = KV_OPTION_STRING,
     .flags = KV_OPTION_SECRET,
     .doc = "instead of `keys`, for HS256: at least 32 bytes"},
    {.name = "algorithms",
     .type = KV_OPTION_LIST,
     .fields = &jwt_algorithm_element,
     .n_fields = 1,
     .doc = "unless given, all that fit the keys"},
    {.name = "grants",
     .type = KV_OPTION_BLOCK,
     .fields = anonymous_fields,
     .n_fields = KV_COUNT(anonymous_fields),
     .doc = "for each of its tokens; {sub} is the token's subject"},
    {.name = "claim",
     .type = KV_OPTION_STRING,
     .doc = "of tokens with further grants: {\"read\": [...], \"write\": [...]}"},
    {.name = "at_most",
     .type = KV_OPTION_BLOCK,
     .fields = anonymous_fields,
     .n_fields = KV_COUNT(anonymous_fields),
     .doc = "limits for such grants"},
};
static const struct kv_option jwt_element = {.type = KV_OPTION_BLOCK,
                                             .flags = KV_OPTION_REQUIRED,
                                             .fields = jwt_fields,
                                             .n_fields = KV_COUNT(jwt_fields)};
static const char *const per_names[] = {"token", "address", NULL};
static const struct kv_option per_element = {
    .type = KV_OPTION_CHOICE, .flags = KV_OPTION_REQUIRED, .choices = per_names};
static const struct kv_option rate_fields[] = {
    {.name = "requests",
     .type = KV_OPTION_STRING,
     .doc = "such as 1000/s; bursts of this number are allowed"},
    {.name = "connections", .type = KV_OPTION_STRING, .doc = "new connections"},
    {.name = "per",
     .type = KV_OPTION_LIST,
     .fields = &per_element,
     .n_fields = 1,
     .doc = "token, address; default: both"},
};
static const struct kv_option access_fields[] = {
    {.name = "anonymous",
     .type = KV_OPTION_BLOCK,
     .fields = anonymous_fields,
     .n_fields = KV_COUNT(anonymous_fields),
     .doc = "the rights of clients without a token"},
    {.name = "tokens", .type = KV_OPTION_LIST, .fields = &token_element, .n_fields = 1},
    {.name = "jwt",
     .type = KV_OPTION_LIST,
     .fields = &jwt_element,
     .n_fields = 1,
     .doc = "issuers of JSON Web Tokens"},
    {.name = "cookie",
     .type = KV_OPTION_STRING,
     .doc = "the name of a cookie that may hold a token, from pages of `origins`"},
    {.name = "rates",
     .type = KV_OPTION_BLOCK,
     .fields = rate_fields,
     .n_fields = KV_COUNT(rate_fields),
     .doc = "limits on the rate of each client"},
    {.name = "revoked",
     .type = KV_OPTION_STRING,
     .doc = "a prefix: keys jti/ID and sub/ISSUER/SUBJECT below it revoke tokens of issuers"},
};

static const struct kv_option limit_fields[] = {
    {.name = "key", .type = KV_OPTION_SIZE, .fallback = "1MiB", .min = 1, .max = 1 << 30},
    {.name = "value",
     .type = KV_OPTION_SIZE,
     .fallback = "256MiB",
     .min = 1,
     .max = INT64_C(1) << 40},
    {.name = "message",
     .type = KV_OPTION_SIZE,
     .fallback = "257MiB",
     .min = 1,
     .max = INT64_C(1) << 40},
    {.name = "depth", .type = KV_OPTION_INT, .fallback = "1024", .min = 1, .max = 65534},
    {.name = "connections",
     .type = KV_OPTION_INT,
     .keyword = "auto",
     .fallback = "auto",
     .min = 1,
     .max = 1 << 30,
     .doc = "auto: as many as the system's limit of open files allows, at most 100000"},
    {.name = "connections_per_address",
     .type = KV_OPTION_INT,
     .fallback = "0",
     .max = 1 << 30,
     .doc = "with IPv6, of a network of 64 bits; 0: no limit"},
    {.name = "connections_per_token",
     .type = KV_OPTION_INT,
     .fallback = "0",
     .max = 1 << 30,
     .doc = "of each of `access.tokens`, and of each subject of an issuer; 0: no limit"},
    {.name = "subscriptions_per_connection",
     .type = KV_OPTION_INT,
     .fallback = "10000",
     .max = 1 << 30},
    {.name = "unsent_per_connection",
     .type = KV_OPTION_SIZE,
     .fallback = "16MiB",
     .min = 1,
     .max = INT64_C(1) << 40},
    {.name = "pending_per_connection",
     .type = KV_OPTION_INT,
     .fallback = "1024",
     .min = 1,
     .max = 1 << 20},
    {.name = "batch", .type = KV_OPTION_INT, .fallback = "10000", .min = 1, .max = 1 << 20},
    {.name = "leases", .type = KV_OPTION_INT, .fallback = "1000", .max = 1 << 20},
    {.name = "least_rate",
     .type = KV_OPTION_SIZE,
     .fallback = "1KiB",
     .max = INT64_C(1) << 30,
     .doc = "bytes per second at which requests arrive or answers are read, at least; 0: none"},
    {.name = "memory",
     .type = KV_OPTION_SIZE,
     .keyword = "auto",
     .fallback = "auto",
     .min = 1 << 20,
     .max = INT64_C(1) << 50,
     .doc = "of all connections together; auto: a quarter of the machine's, or of the control "
            "group's"},
};

static const struct kv_option timeout_fields[] = {
    {.name = "idle",
     .type = KV_OPTION_DURATION,
     .fallback = "75s",
     .min = 1,
     .max = KV_LONGEST_TIMEOUT_MS},
    {.name = "request",
     .type = KV_OPTION_DURATION,
     .fallback = "1h",
     .min = 1,
     .max = KV_LONGEST_TIMEOUT_MS,
     .doc = "for a request, or a message, to arrive completely"},
    {.name = "request_progress",
     .type = KV_OPTION_DURATION,
     .fallback = "30s",
     .min = 1,
     .max = KV_LONGEST_TIMEOUT_MS},
    {.name = "websocket_ping",
     .type = KV_OPTION_DURATION,
     .fallback = "25s",
     .min = 1,
     .max = KV_LONGEST_TIMEOUT_MS},
    {.name = "stalled_reader",
     .type = KV_OPTION_DURATION,
     .fallback = "30s",
     .min = 1,
     .max = KV_LONGEST_TIMEOUT_MS},
    {.name = "drain", .type = KV_OPTION_DURATION, .fallback = "10s", .max = KV_LONGEST_TIMEOUT_MS},
    {.name = "auth",
     .type = KV_OPTION_DURATION,
     .fallback = "10s",
     .min = 1,
     .max = KV_LONGEST_TIMEOUT_MS,
     .doc = "for a WebSocket without rights to send a token"},
};

static const struct kv_option change_log_fields[] = {
    {.name = "size",
     .type = KV_OPTION_SIZE,
     .keyword = "auto",
     .fallback = "auto",
     .max = INT64_C(1) << 50,
     .doc = "0: no log; auto: 64MiB in memory, 256MiB if the store keeps it on disk"},
    {.name = "age",
     .type = KV_OPTION_DURATION,
     .keyword = "auto",
     .fallback = "auto",
     .min = 1,
     .max = KV_LONGEST_TIMEOUT_MS,
     .doc = "auto: 1h in memory, 1d if the store keeps it on disk"},
};

static const struct kv_option http_fields[] = {
    {.name = "front",
     .type = KV_OPTION_BOOL,
     .fallback = "true",
     .doc = "whether plain requests take a fast path without libh2o"},
};

static const char *const console_names[] = {"auto", "true", "false", NULL}; /* enum kv_console */

static const struct kv_option pages_fields[] = {
    {.name = "folder",
     .type = KV_OPTION_PATH,
     .fallback = "",
     .doc = "a folder of files, served at all paths that are not the server's own"},
};

static const struct kv_option websocket_fields[] = {
    {.name = "deflate",
     .type = KV_OPTION_BOOL,
     .fallback = "false",
     .doc = "permessage-deflate, for clients that offer it"},
};

static const char *const log_levels[] = {"debug", "info", "warn", "error", NULL};
static const char *const log_formats[] = {"text", "json", NULL};
static const struct kv_option log_fields[] = {
    {.name = "level", .type = KV_OPTION_CHOICE, .choices = log_levels, .fallback = "info"},
    {.name = "format", .type = KV_OPTION_CHOICE, .choices = log_formats, .fallback = "text"},
    {.name = "slow",
     .type = KV_OPTION_DURATION,
     .fallback = "100ms",
     .min = 1,
     .max = KV_LONGEST_TIMEOUT_MS,
     .doc = "commands that take this long are logged, and listed by /admin/slowlog"},
    {.name = "access",
     .type = KV_OPTION_INT,
     .keyword = "off",
     .fallback = "off",
     .min = 1,
     .max = 1 << 30,
     .doc = "one in this many requests and messages is logged; 1: all"},
};

static const struct kv_option config_options[N_CONFIG] = {
    [CONFIG_LISTEN] = {.name = "listen",
                       .type = KV_OPTION_LIST,
                       .fields = &listen_element,
                       .n_fields = 1},
    [CONFIG_THREADS] = {.name = "threads",
                        .type = KV_OPTION_INT,
                        .keyword = "auto",
                        .fallback = "auto",
                        .min = 1,
                        .max = KV_KEYSPACE_MAX_LOOPS},
    [CONFIG_MODULES] = {.name = "modules", .type = KV_OPTION_PATH},
    [CONFIG_STORAGE] = {.name = "storage", .type = KV_OPTION_TREE},
    [CONFIG_TTL] = {.name = "ttl",
                    .type = KV_OPTION_LIST,
                    .fields = &module_element,
                    .n_fields = 1},
    [CONFIG_SINKS] = {.name = "sinks",
                      .type = KV_OPTION_LIST,
                      .fields = &sink_element,
                      .n_fields = 1},
    [CONFIG_SCRIPTS] = {.name = "scripts",
                        .type = KV_OPTION_LIST,
                        .fields = &script_element,
                        .n_fields = 1},
    [CONFIG_ORIGINS] = {.name = "origins",
                        .type = KV_OPTION_LIST,
                        .fields = &origin_element,
                        .n_fields = 1},
    [CONFIG_HOSTS] = {.name = "hosts",
                      .type = KV_OPTION_LIST,
                      .fields = &host_element,
                      .n_fields = 1},
    [CONFIG_PROXIES] = {.name = "trusted_proxies",
                        .type = KV_OPTION_LIST,
                        .fields = &proxy_element,
                        .n_fields = 1,
                        .doc = "addresses such as 10.0.0.0/8, and unix: their PROXY header and "
                               "X-Forwarded-For name the client"},
    [CONFIG_ACCESS] = {.name = "access",
                       .type = KV_OPTION_BLOCK,
                       .fields = access_fields,
                       .n_fields = KV_COUNT(access_fields)},
    [CONFIG_LIMITS] = {.name = "limits",
                       .type = KV_OPTION_BLOCK,
                       .fields = limit_fields,
                       .n_fields = KV_COUNT(limit_fields)},
    [CONFIG_TIMEOUTS] = {.name = "timeouts",
                         .type = KV_OPTION_BLOCK,
                         .fields = timeout_fields,
                         .n_fields = KV_COUNT(timeout_fields)},
    [CONFIG_CHANGE_LOG] = {.name = "change_log",
                           .type = KV_OPTION_BLOCK,
                           .fields = change_log_fields,
                           .n_fields = KV_COUNT(change_log_fields)},
    [CONFIG_HTTP] = {.name = "http",
                     .type = KV_OPTION_BLOCK,
                     .fields = http_fields,
                     .n_fields = KV_COUNT(http_fields)},
    [CONFIG_CONSOLE] = {.name = "console",
                        .type = KV_OPTION_CHOICE,
                        .choices = console_names,
                        .fallback = "auto",
                        .doc = "whether /console/ is served; auto: while it listens on loopback "
                               "addresses and Unix sockets only"},
    [CONFIG_PAGES] = {.name = "pages",
                      .type = KV_OPTION_BLOCK,
                      .fields = pages_fields,
                      .n_fields = KV_COUNT(pages_fields)},
    [CONFIG_WEBSOCKET] = {.name = "websocket",
                          .type = KV_OPTION_BLOCK,
                          .fields = websocket_fields,
                          .n_fields = KV_COUNT(websocket_fields)},
    [CONFIG_LOG] = {.name = "log",
                    .type = KV_OPTION_BLOCK,
                    .fields = log_fields,
                    .n_fields = KV_COUNT(log_fields)},
};

#endif
