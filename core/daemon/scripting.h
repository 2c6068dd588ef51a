/*
 * Compiles the scripts of the configuration.
 */
#ifndef KV_DAEMON_SCRIPTING_H
#define KV_DAEMON_SCRIPTING_H

#include "daemon/config.h"

/* The configuration is lent until kv_scripts_destroy(). Returns: NULL if one cannot be loaded; all
 * faults of all scripts are noted in the configuration. */
struct kv_scripts *kv_scripting_load(const struct kv_config *config, uint32_t n_loops);

/* Loads the scripts and unloads them again, for a check. told: NULL, or the configuration of the
 * running server, whose scripts have just been reloaded: their faults have been logged, and are not
 * repeated. */
void kv_scripting_check(const struct kv_config *config, const struct kv_config *told);

#endif
