/*
 * The scripts that the configuration lists, compiled.
 */
#ifndef KV_DAEMON_SCRIPTING_H
#define KV_DAEMON_SCRIPTING_H

#include "daemon/config.h"

/* The configuration is lent until kv_scripts_destroy(). Returns: NULL where one cannot be loaded;
 * all that is wrong with any of them is noted in the configuration. */
struct kv_scripts *kv_scripting_load(const struct kv_config *config, uint32_t n_loops);

/* For a check: loads them and lets go of them again. told: NULL, or the configuration of the
 * running server, whose scripts have just been reloaded: what is wrong with one of these has been
 * told, and is not repeated. */
void kv_scripting_check(const struct kv_config *config, const struct kv_config *told);

#endif
