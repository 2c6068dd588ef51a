/*
 * `${VAR}` and `${VAR:-text}` in the values of the file.
 */
#ifndef KV_CONF_EXPAND_H
#define KV_CONF_EXPAND_H

#include "base/buffer.h"

/* Where variables come from, so that a test can own them. */
struct kv_conf_env {
    /* Returns: NULL where it is not set. The text stays until the next call. */
    const char *(*get)(const struct kv_conf_env *env, const char *name);
};

/* The environment of this process. */
extern const struct kv_conf_env kv_conf_env_process;

/* Appends the text with the variables filled in. Errors: -1, with what is wrong, but not where. */
int kv_conf_expand(struct kv_slice text, const struct kv_conf_env *env, struct kv_buffer *out,
                   struct kv_error *reterr);

/* Whether a text that expands takes anything from the environment. */
bool kv_conf_has_variables(struct kv_slice text);

#endif
