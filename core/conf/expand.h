/*
 * `${VAR}` and `${VAR:-text}` in the values of the file.
 */
#ifndef KV_CONF_EXPAND_H
#define KV_CONF_EXPAND_H

#include "base/buffer.h"

/* The source of variables, replaceable in tests. */
struct kv_conf_env {
    /* Returns: NULL if it is not set. The text stays until the next call. */
    const char *(*get)(const struct kv_conf_env *env, const char *name);
};

/* The environment of this process. */
extern const struct kv_conf_env kv_conf_env_process;

/* Appends the text with its variables replaced. Errors: -1, and the fault without its place. */
int kv_conf_expand(struct kv_slice text, const struct kv_conf_env *env, struct kv_buffer *out,
                   struct kv_error *reterr);

/* Whether the text refers to environment variables. */
bool kv_conf_has_variables(struct kv_slice text);

#endif
