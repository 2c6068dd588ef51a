/*
 * Builds the tree from YAML.
 */
#ifndef KV_CONF_PARSE_H
#define KV_CONF_PARSE_H

#include "conf/expand.h"

struct kv_conf;

enum {
    KV_CONF_MAX_BYTES = 1 << 20,
    KV_CONF_MAX_DEPTH = 32,
    /* Less than the 1024 characters that YAML allows a key before its colon, even if all are
     * escaped. */
    KV_CONF_MAX_KEY = 200,
};

/* Fills in the tree of a new configuration. Returns: as kv_conf_parse(). */
int kv_conf_read(struct kv_conf *conf, struct kv_slice text, const struct kv_conf_env *env);

/* kv_conf_parse() with variables from another source. */
int kv_conf_parse_env(const char *name, struct kv_slice text, const struct kv_conf_env *env,
                      struct kv_conf **ret_conf);

/* As kv_conf_load(), for text in memory; messages use `name` as its file. Both are copied. Relative
 * paths stay relative. */
int kv_conf_parse(const char *name, struct kv_slice text, struct kv_conf **ret_conf);

#endif
