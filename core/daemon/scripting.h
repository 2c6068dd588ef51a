/*
 * The scripts that the configuration lists, compiled.
 */
#ifndef KV_DAEMON_SCRIPTING_H
#define KV_DAEMON_SCRIPTING_H

#include "daemon/config.h"

/* The configuration is lent until kv_scripts_destroy(). Returns: NULL where one cannot be loaded;
 * all that is wrong with any of them is noted in the configuration. */
struct kv_scripts *kv_scripting_load(const struct kv_config *config, uint32_t n_loops);

#endif
