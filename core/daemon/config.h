/*
 * The server's configuration: the YAML file, checked against the server's own schema and the
 * schemas of the modules that it names.
 */
#ifndef KV_DAEMON_CONFIG_H
#define KV_DAEMON_CONFIG_H

#include "base/buffer.h"
#include "daemon/settings.h"

/* path: NULL for defaults only; lent. Also loads the modules. Owns: the caller, by
 * kv_config_fini(), in any case. Returns: 0; -1 if there are faults: they are noted in the
 * configuration, which may then only be used for a preflight. */
int kv_config_load(const char *path, struct kv_config *ret_config);

/* Appends the faults, one per line: kv_conf_append_faults(). */
void kv_config_append_faults(const struct kv_config *config, const char *prefix,
                             struct kv_buffer *out);

/* Accepts a config that is all zero. */
void kv_config_fini(struct kv_config *config);

#endif
