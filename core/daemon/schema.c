/* In the order of need: each block is defined before the block that contains it. */
#include "daemon/schema.h"

#include "keyspace/parts.h"

#define LONGEST_TIMEOUT_MS (INT64_C(1000) * 3600 * 24 * 365)

static const struct kv_option certificate_fields[] = {
    [CERTIFICATE_CERT] = {.name = "cert",
                          .type = KV_OPTION_PATH,
                          .flags = KV_OPTION_REQUIRED | KV_OPTION_READS},
    [CERTIFICATE_KEY] = {.name = "key",
                         .type = KV_OPTION_PATH,
                         .flags = KV_OPTION_REQUIRED | KV_OPTION_READS},
};
static const struct kv_option certificate_element = {.type = KV_OPTION_BLOCK,
                                                     .flags = KV_OPTION_REQUIRED,
                                                     .fields = certificate_fields,
                                                     .n_fields = KV_COUNT(certificate_fields)};
static const char *const client_auth_names[] = {"required", "optional", NULL};
static const struct kv_option tls_fields[] = {
    [TLS_CERT] = {.name = "cert",
                  .type = KV_OPTION_PATH,
                  .flags = KV_OPTION_READS,
                  .doc = "PEM: the certificate, followed by the intermediate ones"},
    [TLS_KEY] = {.name = "key",
                 .type = KV_OPTION_PATH,
                 .flags = KV_OPTION_READS,
                 .doc = "PEM, unencrypted"},
    [TLS_CERTIFICATES] =
        {.name = "certificates",
         .type = KV_OPTION_LIST,
         .fields = &certificate_element,
         .n_fields = 1,
         .doc = "further certificates, selected by the name that clients request (SNI)"},
    [TLS_CLIENT_CA] = {.name = "client_ca",
                       .type = KV_OPTION_PATH,
                       .flags = KV_OPTION_READS,
                       .doc = "PEM: the authorities that sign clients' certificates"},
    [TLS_CLIENT_AUTH] = {.name = "client_auth",
                         .type = KV_OPTION_CHOICE,
                         .choices = client_auth_names,
                         .fallback = "required",
                         .doc = "with client_ca: whether clients must have a certificate"},
};

const struct kv_option kv_listen_fields[N_LISTEN] = {
    [LISTEN_HOST] = {.name = "host",
                     .type = KV_OPTION_STRING,
                     .fallback = "127.0.0.1",
                     .doc = "a name or an address; 0.0.0.0 or :: for all"},
    [LISTEN_PORT] =
        {.name = "port", .type = KV_OPTION_INT, .fallback = "3000", .max = 65535, .doc = "0: any"},
    [LISTEN_UNIX] = {.name = "unix",
                     .type = KV_OPTION_PATH,
                     .flags = KV_OPTION_WRITES,
                     .doc = "the path of a Unix socket, instead of host and port"},
    [LISTEN_MODE] = {.name = "mode",
                     .type = KV_OPTION_STRING,
                     .fallback = "0660",
                     .doc = "the mode of the Unix socket, like a file's: who may connect"},
    [LISTEN_TLS] = {.name = "tls",
                    .type = KV_OPTION_BLOCK,
                    .fields = tls_fields,
                    .n_fields = KV_COUNT(tls_fields),
                    .doc = "TLS 1.2 and 1.3 instead of clear text"},
};
static const struct kv_option listen_element = {.type = KV_OPTION_BLOCK,
                                                .flags = KV_OPTION_REQUIRED,
                                                .fields = kv_listen_fields,
                                                .n_fields = KV_COUNT(kv_listen_fields)};

const struct kv_option kv_module_fields[N_MODULE] = {
    [MODULE_NAME] = {.name = "module", .type = KV_OPTION_STRING, .flags = KV_OPTION_REQUIRED},
    [MODULE_OPTIONS] = {.name = "options", .type = KV_OPTION_TREE},
};
static const struct kv_option module_element = {.type = KV_OPTION_BLOCK,
                                                .flags = KV_OPTION_REQUIRED,
                                                .fields = kv_module_fields,
                                                .n_fields = KV_COUNT(kv_module_fields)};

static const struct kv_option prefix_element = {.type = KV_OPTION_STRING};
static const char *const event_names[] = {"set", "delete", "expire", NULL};
static const struct kv_option event_element = {.type = KV_OPTION_CHOICE, .choices = event_names};
static const char *const when_full_names[] = {"drop_oldest", "block_writes", NULL};
static const struct kv_option queue_fields[] = {
    [QUEUE_EVENTS] =
        {.name = "events", .type = KV_OPTION_INT, .fallback = "100000", .min = 1, .max = 1 << 30},
    [QUEUE_BYTES] = {.name = "bytes",
                     .type = KV_OPTION_SIZE,
                     .fallback = "64MiB",
                     .min = 1,
                     .max = INT64_C(1) << 40},
};
static const struct kv_option retry_fields[] = {
    [RETRY_FIRST] = {.name = "first",
                     .type = KV_OPTION_DURATION,
                     .fallback = "100ms",
                     .min = 1,
                     .max = LONGEST_TIMEOUT_MS},
    [RETRY_LONGEST] = {.name = "longest",
                       .type = KV_OPTION_DURATION,
                       .fallback = "30s",
                       .min = 1,
                       .max = LONGEST_TIMEOUT_MS},
    [RETRY_GIVE_UP] =
        {.name = "give_up",
         .type = KV_OPTION_DURATION,
         .fallback = "0",
         .max = LONGEST_TIMEOUT_MS,
         .doc = "events that could not be delivered for this long are dropped; 0: never"},
};
const struct kv_option kv_sink_fields[N_SINK] = {
    [SINK_MODULE] = {.name = "module", .type = KV_OPTION_STRING, .flags = KV_OPTION_REQUIRED},
    [SINK_OPTIONS] = {.name = "options", .type = KV_OPTION_TREE},
    [SINK_PREFIXES] = {.name = "prefixes",
                       .type = KV_OPTION_LIST,
                       .fields = &prefix_element,
                       .n_fields = 1,
                       .doc = "only keys that begin with one of these; none: all keys"},
    [SINK_EVENTS] = {.name = "events",
                     .type = KV_OPTION_LIST,
                     .fields = &event_element,
                     .n_fields = 1,
                     .doc = "set, delete, expire; none: all of them"},
    [SINK_QUEUE] = {.name = "queue",
                    .type = KV_OPTION_BLOCK,
                    .fields = queue_fields,
                    .n_fields = KV_COUNT(queue_fields)},
    [SINK_WHEN_FULL] = {.name = "when_full",
                        .type = KV_OPTION_CHOICE,
                        .choices = when_full_names,
                        .fallback = "drop_oldest"},
    [SINK_RETRY] = {.name = "retry",
                    .type = KV_OPTION_BLOCK,
                    .fields = retry_fields,
                    .n_fields = KV_COUNT(retry_fields)},
};
static const struct kv_option sink_element = {.type = KV_OPTION_BLOCK,
                                              .flags = KV_OPTION_REQUIRED,
                                              .fields = kv_sink_fields,
                                              .n_fields = KV_COUNT(kv_sink_fields)};

static const char *const on_error_names[] = {"refuse", "pass", NULL};
static const struct kv_option script_limit_fields[] = {
    [SCRIPT_INSTRUCTIONS] = {.name = "instructions",
                             .type = KV_OPTION_INT,
                             .fallback = "1000000",
                             .min = 1000,
                             .max = INT64_C(1) << 50,
                             .doc = "of one hook"},
    [SCRIPT_TIME] = {.name = "time",
                     .type = KV_OPTION_DURATION,
                     .fallback = "100ms",
                     .min = 1,
                     .max = LONGEST_TIMEOUT_MS,
                     .doc = "processor time of one hook; waiting does not count"},
    [SCRIPT_MEMORY] = {.name = "memory",
                       .type = KV_OPTION_SIZE,
                       .fallback = "64MiB",
                       .min = 64 << 10,
                       .max = INT64_C(1) << 40,
                       .doc = "of the script on one event loop"},
    [SCRIPT_DEPTH] = {.name = "depth",
                      .type = KV_OPTION_INT,
                      .fallback = "8",
                      .max = 1000,
                      .doc = "of chains of hooks that are called for the writes of hooks"},
    [SCRIPT_PENDING] =
        {.name = "pending",
         .type = KV_OPTION_INT,
         .fallback = "10000",
         .min = 1,
         .max = 1 << 30,
         .doc =
             "hooks after changes, running on one event loop; beyond this, writes are held back"},
};
const struct kv_option kv_script_fields[N_SCRIPT] = {
    [SCRIPT_FILE] = {.name = "file",
                     .type = KV_OPTION_PATH,
                     .flags = KV_OPTION_REQUIRED | KV_OPTION_READS},
    [SCRIPT_PREFIXES] = {.name = "prefixes",
                         .type = KV_OPTION_LIST,
                         .fields = &prefix_element,
                         .n_fields = 1,
                         .doc = "only keys that begin with one of these; none: all keys"},
    [SCRIPT_OPTIONS] = {.name = "options",
                        .type = KV_OPTION_TREE,
                        .doc = "names and texts, for kv.options"},
    [SCRIPT_ON_ERROR] = {.name = "on_error",
                         .type = KV_OPTION_CHOICE,
                         .choices = on_error_names,
                         .fallback = "refuse",
                         .doc = "whether a write is refused or passes if a hook before it fails"},
    [SCRIPT_LIMITS] = {.name = "limits",
                       .type = KV_OPTION_BLOCK,
                       .fields = script_limit_fields,
                       .n_fields = KV_COUNT(script_limit_fields)},
};
static const struct kv_option script_element = {.type = KV_OPTION_BLOCK,
                                                .flags = KV_OPTION_REQUIRED,
                                                .fields = kv_script_fields,
                                                .n_fields = KV_COUNT(kv_script_fields)};

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
    [ANONYMOUS_READ] = {.name = "read",
                        .type = KV_OPTION_LIST,
                        .fields = &granted_element,
                        .n_fields = 1,
                        .doc = "of keys that begin with one of these; \"\" is every key"},
    [ANONYMOUS_WRITE] = {.name = "write",
                         .type = KV_OPTION_LIST,
                         .fields = &granted_element,
                         .n_fields = 1},
};
static const struct kv_option token_fields[] = {
    [TOKEN_NAME] = {.name = "name", .type = KV_OPTION_STRING, .flags = KV_OPTION_REQUIRED},
    [TOKEN_SHA256] = {.name = "sha256",
                      .type = KV_OPTION_STRING,
                      .flags = KV_OPTION_SECRET,
                      .doc = "of the token, as printed by kvserver --hash-token"},
    [TOKEN_CERTIFICATE] = {.name = "certificate",
                           .type = KV_OPTION_STRING,
                           .doc = "instead, or in addition: the name in a client's certificate "
                                  "(listen[].tls.client_ca)"},
    [TOKEN_READ] = {.name = "read",
                    .type = KV_OPTION_LIST,
                    .fields = &granted_element,
                    .n_fields = 1},
    [TOKEN_WRITE] = {.name = "write",
                     .type = KV_OPTION_LIST,
                     .fields = &granted_element,
                     .n_fields = 1},
    [TOKEN_ADMIN] = {.name = "admin",
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
    [JWT_ISSUER] = {.name = "issuer",
                    .type = KV_OPTION_STRING,
                    .flags = KV_OPTION_REQUIRED,
                    .doc = "`iss` of its tokens, exactly"},
    [JWT_AUDIENCE] = {.name = "audience", .type = KV_OPTION_STRING, .doc = "must be one of `aud`"},
    [JWT_KEYS] = {.name = "keys",
                  .type = KV_OPTION_STRING,
                  .flags = KV_OPTION_URL,
                  .doc = "a JWK Set: a file, or its https URL"},
    [JWT_CA_FILE] = {.name = "ca_file",
                     .type = KV_OPTION_PATH,
                     .flags = KV_OPTION_READS,
                     .doc = "certificates to trust for that URL instead of the system's"},
    [JWT_SECRET] = {.name = "secret",
                    .type = KV_OPTION_STRING,
                    .flags = KV_OPTION_SECRET,
                    .doc = "instead of `keys`, for HS256: at least 32 bytes"},
    [JWT_ALGORITHMS] = {.name = "algorithms",
                        .type = KV_OPTION_LIST,
                        .fields = &jwt_algorithm_element,
                        .n_fields = 1,
                        .doc = "unless given, all that fit the keys"},
    [JWT_GRANTS] = {.name = "grants",
                    .type = KV_OPTION_BLOCK,
                    .fields = anonymous_fields,
                    .n_fields = KV_COUNT(anonymous_fields),
                    .doc = "for each of its tokens; {sub} is the token's subject"},
    [JWT_CLAIM] = {.name = "claim",
                   .type = KV_OPTION_STRING,
                   .doc = "of tokens with further grants: {\"read\": [...], \"write\": [...]}"},
    [JWT_AT_MOST] = {.name = "at_most",
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
    [RATES_REQUESTS] = {.name = "requests",
                        .type = KV_OPTION_STRING,
                        .doc = "such as 1000/s; bursts of this number are allowed"},
    [RATES_CONNECTIONS] = {.name = "connections",
                           .type = KV_OPTION_STRING,
                           .doc = "new connections"},
    [RATES_PER] = {.name = "per",
                   .type = KV_OPTION_LIST,
                   .fields = &per_element,
                   .n_fields = 1,
                   .doc = "token, address; default: both"},
};
static const struct kv_option access_fields[] = {
    [ACCESS_ANONYMOUS] = {.name = "anonymous",
                          .type = KV_OPTION_BLOCK,
                          .fields = anonymous_fields,
                          .n_fields = KV_COUNT(anonymous_fields),
                          .doc = "the rights of clients without a token"},
    [ACCESS_TOKENS] = {.name = "tokens",
                       .type = KV_OPTION_LIST,
                       .fields = &token_element,
                       .n_fields = 1},
    [ACCESS_JWT] = {.name = "jwt",
                    .type = KV_OPTION_LIST,
                    .fields = &jwt_element,
                    .n_fields = 1,
                    .doc = "issuers of JSON Web Tokens"},
    [ACCESS_COOKIE] = {.name = "cookie",
                       .type = KV_OPTION_STRING,
                       .doc =
                           "the name of a cookie that may hold a token, from pages of `origins`"},
    [ACCESS_RATES] = {.name = "rates",
                      .type = KV_OPTION_BLOCK,
                      .fields = rate_fields,
                      .n_fields = KV_COUNT(rate_fields),
                      .doc = "limits on the rate of each client"},
    [ACCESS_REVOKED] =
        {.name = "revoked",
         .type = KV_OPTION_STRING,
         .doc = "a prefix: keys jti/ID and sub/ISSUER/SUBJECT below it revoke tokens of issuers"},
};

static const struct kv_option limit_fields[] = {
    [LIMIT_KEY] =
        {.name = "key", .type = KV_OPTION_SIZE, .fallback = "1MiB", .min = 1, .max = 1 << 30},
    [LIMIT_VALUE] = {.name = "value",
                     .type = KV_OPTION_SIZE,
                     .fallback = "256MiB",
                     .min = 1,
                     .max = INT64_C(1) << 40},
    [LIMIT_MESSAGE] = {.name = "message",
                       .type = KV_OPTION_SIZE,
                       .fallback = "257MiB",
                       .min = 1,
                       .max = INT64_C(1) << 40},
    [LIMIT_DEPTH] =
        {.name = "depth", .type = KV_OPTION_INT, .fallback = "1024", .min = 1, .max = 65534},
    [LIMIT_CONNECTIONS] =
        {.name = "connections",
         .type = KV_OPTION_INT,
         .keyword = "auto",
         .fallback = "auto",
         .min = 1,
         .max = 1 << 30,
         .doc = "auto: as many as the system's limit of open files allows, at most 100000"},
    [LIMIT_PER_ADDRESS] = {.name = "connections_per_address",
                           .type = KV_OPTION_INT,
                           .fallback = "0",
                           .max = 1 << 30,
                           .doc = "with IPv6, of a network of 64 bits; 0: no limit"},
    [LIMIT_PER_TOKEN] =
        {.name = "connections_per_token",
         .type = KV_OPTION_INT,
         .fallback = "0",
         .max = 1 << 30,
         .doc = "of each of `access.tokens`, and of each subject of an issuer; 0: no limit"},
    [LIMIT_SUBSCRIPTIONS] = {.name = "subscriptions_per_connection",
                             .type = KV_OPTION_INT,
                             .fallback = "10000",
                             .max = 1 << 30},
    [LIMIT_UNSENT] = {.name = "unsent_per_connection",
                      .type = KV_OPTION_SIZE,
                      .fallback = "16MiB",
                      .min = 1,
                      .max = INT64_C(1) << 40},
    [LIMIT_PENDING] = {.name = "pending_per_connection",
                       .type = KV_OPTION_INT,
                       .fallback = "1024",
                       .min = 1,
                       .max = 1 << 20},
    [LIMIT_BATCH] =
        {.name = "batch", .type = KV_OPTION_INT, .fallback = "10000", .min = 1, .max = 1 << 20},
    [LIMIT_LEASES] = {.name = "leases", .type = KV_OPTION_INT, .fallback = "1000", .max = 1 << 20},
    [LIMIT_LEAST_RATE] =
        {.name = "least_rate",
         .type = KV_OPTION_SIZE,
         .fallback = "1KiB",
         .max = INT64_C(1) << 30,
         .doc = "bytes per second at which requests arrive or answers are read, at least; 0: none"},
    [LIMIT_MEMORY] =
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
    [TIMEOUT_IDLE] = {.name = "idle",
                      .type = KV_OPTION_DURATION,
                      .fallback = "75s",
                      .min = 1,
                      .max = LONGEST_TIMEOUT_MS},
    [TIMEOUT_REQUEST] = {.name = "request",
                         .type = KV_OPTION_DURATION,
                         .fallback = "1h",
                         .min = 1,
                         .max = LONGEST_TIMEOUT_MS,
                         .doc = "for a request, or a message, to arrive completely"},
    [TIMEOUT_PROGRESS] = {.name = "request_progress",
                          .type = KV_OPTION_DURATION,
                          .fallback = "30s",
                          .min = 1,
                          .max = LONGEST_TIMEOUT_MS},
    [TIMEOUT_PING] = {.name = "websocket_ping",
                      .type = KV_OPTION_DURATION,
                      .fallback = "25s",
                      .min = 1,
                      .max = LONGEST_TIMEOUT_MS},
    [TIMEOUT_STALLED] = {.name = "stalled_reader",
                         .type = KV_OPTION_DURATION,
                         .fallback = "30s",
                         .min = 1,
                         .max = LONGEST_TIMEOUT_MS},
    [TIMEOUT_DRAIN] = {.name = "drain",
                       .type = KV_OPTION_DURATION,
                       .fallback = "10s",
                       .max = LONGEST_TIMEOUT_MS},
    [TIMEOUT_AUTH] = {.name = "auth",
                      .type = KV_OPTION_DURATION,
                      .fallback = "10s",
                      .min = 1,
                      .max = LONGEST_TIMEOUT_MS,
                      .doc = "for a WebSocket without rights to send a token"},
};

static const struct kv_option change_log_fields[] = {
    [CHANGE_LOG_SIZE] =
        {.name = "size",
         .type = KV_OPTION_SIZE,
         .keyword = "auto",
         .fallback = "auto",
         .max = INT64_C(1) << 50,
         .doc = "0: no log; auto: 64MiB in memory, 256MiB if the store keeps it on disk"},
    [CHANGE_LOG_AGE] = {.name = "age",
                        .type = KV_OPTION_DURATION,
                        .keyword = "auto",
                        .fallback = "auto",
                        .min = 1,
                        .max = LONGEST_TIMEOUT_MS,
                        .doc = "auto: 1h in memory, 1d if the store keeps it on disk"},
};

static const struct kv_option http_fields[] = {
    [HTTP_FRONT] = {.name = "front",
                    .type = KV_OPTION_BOOL,
                    .fallback = "true",
                    .doc = "whether plain requests take a fast path without libh2o"},
};

static const char *const console_names[] = {"auto", "true", "false", NULL}; /* enum kv_console */

static const struct kv_option pages_fields[] = {
    [PAGES_FOLDER] = {.name = "folder",
                      .type = KV_OPTION_PATH,
                      .fallback = "",
                      .doc =
                          "a folder of files, served at all paths that are not the server's own"},
};

static const struct kv_option websocket_fields[] = {
    [WEBSOCKET_DEFLATE] = {.name = "deflate",
                           .type = KV_OPTION_BOOL,
                           .fallback = "false",
                           .doc = "permessage-deflate, for clients that offer it"},
};

static const char *const log_levels[] = {"debug", "info", "warn", "error", NULL};
static const char *const log_formats[] = {"text", "json", NULL};
static const struct kv_option log_fields[] = {
    [LOG_LEVEL] = {.name = "level",
                   .type = KV_OPTION_CHOICE,
                   .choices = log_levels,
                   .fallback = "info"},
    [LOG_FORMAT] = {.name = "format",
                    .type = KV_OPTION_CHOICE,
                    .choices = log_formats,
                    .fallback = "text"},
    [LOG_SLOW] = {.name = "slow",
                  .type = KV_OPTION_DURATION,
                  .fallback = "100ms",
                  .min = 1,
                  .max = LONGEST_TIMEOUT_MS,
                  .doc = "commands that take this long are logged, and listed by /admin/slowlog"},
    [LOG_ACCESS] = {.name = "access",
                    .type = KV_OPTION_INT,
                    .keyword = "off",
                    .fallback = "off",
                    .min = 1,
                    .max = 1 << 30,
                    .doc = "one in this many requests and messages is logged; 1: all"},
};

const struct kv_option kv_config_options[N_CONFIG] = {
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
