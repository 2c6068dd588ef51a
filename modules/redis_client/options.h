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
    N_REDIS_OPTIONS
};

enum {
    REDIS_TLS_CA,
    REDIS_TLS_CERT,
    REDIS_TLS_KEY,
    REDIS_TLS_NAME,
    N_REDIS_TLS_OPTIONS
};

extern const struct kv_option redis_tls_options[N_REDIS_TLS_OPTIONS];

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
                   .n_fields = N_REDIS_TLS_OPTIONS}

/* Checks them, as part of the module's check. */
void redis_options_check(const struct kv_option_value *options, const struct kv_faults *faults);

/* The texts are borrowed from the options. The caller sets resolver and gives_up. */
void redis_options_read(const struct kv_option_value *options, struct address *ret_address);

/* Updates `text` after a change of host or port. */
void redis_address_write_text(struct address *address);

#endif
