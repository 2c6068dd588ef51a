/*
 * Opens the sinks of the configuration.
 */
#ifndef KV_DAEMON_OUTLETS_H
#define KV_DAEMON_OUTLETS_H

#include "daemon/config.h"

struct kv_outlets;

/* Opens every sink. Owns: the caller. Returns: NULL if one cannot be opened; that is noted in the
 * configuration. */
struct kv_outlets *kv_outlets_open(const struct kv_config *config);

/* Accepts NULL. */
void kv_outlets_close(struct kv_outlets *outlets);

/* Returns: NULL if the configuration has none. */
struct kv_sinks *kv_outlets_sinks(const struct kv_outlets *outlets);

#endif
