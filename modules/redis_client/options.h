/*
 * The options for the address of Redis and the login: the first options of each module for Redis.
 */
#ifndef KV_REDIS_CLIENT_OPTIONS_H
#define KV_REDIS_CLIENT_OPTIONS_H

#include "link.h"

#include <kvserver/check.h>

enum {
    REDIS_HOST,
    REDIS_PORT,
    REDIS_UNIX,
    REDIS_USER,
    REDIS_PASSWORD,
    REDIS_DATABASE,
    REDIS_TLS,
    REDIS_SENTINELS,
    REDIS_MASTER,
    REDIS_SENTINEL_USER,
    REDIS_SENTINEL_PASSWORD,
    N_REDIS_OPTIONS
};

enum {
    REDIS_TLS_CA,
    REDIS_TLS_CERT,
    REDIS_TLS_KEY,
    REDIS_TLS_NAME,
    N_REDIS_TLS_OPTIONS
};

enum {
    REDIS_LONGEST_HOST = 256 /* with the zero at its end */
};

extern const struct kv_option redis_tls_options[N_REDIS_TLS_OPTIONS];
extern const struct kv_option redis_node_option; /* the element of a list of host:port */

/* Their entries in the table of a module. */
#define REDIS_OPTIONS                                                                              \
    [REDIS_HOST] = {.name = "host", .type = KV_OPTION_STRING, .fallback = "127.0.0.1"},            \
    [REDIS_PORT] = {.name = "port",                                                                \
                    .type = KV_OPTION_INT,                                                         \
                    .fallback = "6379",                                                            \
                    .min = 1,                                                                      \
                    .max = 65535},                                                                 \
    [REDIS_UNIX] = {.name = "unix",                                                                \
                    .type = KV_OPTION_PATH,                                                        \
                    .doc = "the path of a socket, in place of host and port"},                     \
    [REDIS_USER] = {.name = "user", .type = KV_OPTION_STRING},                                     \
    [REDIS_PASSWORD] = {.name = "password", .type = KV_OPTION_STRING, .flags = KV_OPTION_SECRET},  \
    [REDIS_DATABASE] = {.name = "database", .type = KV_OPTION_INT, .fallback = "0", .max = 65535}, \
    [REDIS_TLS] = {.name = "tls",                                                                  \
                   .type = KV_OPTION_BLOCK,                                                        \
                   .fields = redis_tls_options,                                                    \
                   .n_fields = N_REDIS_TLS_OPTIONS},                                               \
    [REDIS_SENTINELS] = {.name = "sentinels",                                                      \
                         .type = KV_OPTION_LIST,                                                   \
                         .fields = &redis_node_option,                                             \
                         .n_fields = 1,                                                            \
                         .doc = "of Redis Sentinel, as host:port, instead of host and port"},      \
    [REDIS_MASTER] = {.name = "master",                                                            \
                      .type = KV_OPTION_STRING,                                                    \
                      .doc = "its name at the sentinels"},                                         \
    [REDIS_SENTINEL_USER] = {.name = "sentinel_user", .type = KV_OPTION_STRING},                   \
    [REDIS_SENTINEL_PASSWORD] = {                                                                  \
        .name = "sentinel_password", .type = KV_OPTION_STRING, .flags = KV_OPTION_SECRET}

/* Parses "host:port"; an IPv6 address is in brackets. *ret_host: a part of the text. Returns: false
 * if it is malformed. */
bool redis_address_parse(struct kv_slice text, struct kv_slice *ret_host, int *ret_port);

/* Adds a fault for each entry of a list of host:port that is malformed. */
void redis_options_check_list(const struct kv_option_value *list, const char *name,
                              const struct kv_faults *faults);

/* Checks these options, as part of the module's check. */
void redis_options_check(const struct kv_option_value *options, const struct kv_faults *faults);

/* The texts are borrowed from the options. The caller sets resolver and gives_up. */
void redis_options_read(const struct kv_option_value *options, struct address *ret_address);

/* Updates `text` after a change of host or port. */
void redis_address_write_text(struct address *address);

#endif
