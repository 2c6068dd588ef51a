/*
 * The server's configuration: the YAML file checked against the server's own schema and against
 * those of the modules that it names.
 */
#ifndef KV_DAEMON_CONFIG_H
#define KV_DAEMON_CONFIG_H

#include "base/buffer.h"
#include "daemon/settings.h"

/* path: NULL for all defaults; lent. Loads the modules too. Owns: the caller, by kv_config_fini(),
 * in any case. Returns: 0; -1 where there are faults: they are in the configuration, which is good
 * for nothing but a preflight. */
int kv_config_load(const char *path, struct kv_config *ret_config);

/* Appends the faults, each as a line: kv_conf_append_faults(). */
void kv_config_append_faults(const struct kv_config *config, const char *prefix,
                             struct kv_buffer *out);

/* Accepts a config that is all zero. */
void kv_config_fini(struct kv_config *config);

#endif
