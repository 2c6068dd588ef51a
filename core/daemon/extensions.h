/*
 * The extensions in the configuration: TTL policies, sinks and scripts. Reading them loads the
 * modules, and notes faults.
 */
#ifndef KV_DAEMON_EXTENSIONS_H
#define KV_DAEMON_EXTENSIONS_H

#include "daemon/settings.h"

void kv_extensions_read_ttl(struct kv_config *config);
void kv_extensions_read_sinks(struct kv_config *config);

/* Call after reading the limits of keys and values. */
void kv_extensions_read_scripts(struct kv_config *config);

/* Accepts a configuration that is all zero. */
void kv_extensions_fini(struct kv_config *config);

#endif
