/*
 * Reading the configuration file again at SIGHUP. `access`, `origins`, `hosts`, `limits` (but not
 * `limits.memory`), `timeouts` and `log` are applied, and scripts and the files of sinks are loaded
 * anew; everything else stays as it is until a restart.
 */
#ifndef KV_DAEMON_RELOAD_H
#define KV_DAEMON_RELOAD_H

#include "daemon/config.h"

/* Applies what can be applied of a configuration without faults, which is lent. */
typedef void (*kv_apply_fn)(void *context, const struct kv_config *found);

/* Reads the file again, applies it, and logs what else has changed in it; or logs what is wrong
 * with it, and changes nothing. */
void kv_reload(const struct kv_config *running, kv_apply_fn apply, void *context);

#endif
