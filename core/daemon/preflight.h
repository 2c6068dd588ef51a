/*
 * What can be found wrong with a configuration before anything is served. Faults are noted in it.
 * It may have some already: then what could be made of it is looked at.
 */
#ifndef KV_DAEMON_PREFLIGHT_H
#define KV_DAEMON_PREFLIGHT_H

#include "daemon/config.h"

/* Looks whether files, folders and addresses can be used, and has the modules check their options:
 * for every start. Returns: 0; -1 where there are faults. */
int kv_preflight(struct kv_config *config);

/* That, and opens each policy, sink and script, and closes it again. Returns: 0; -1 where there are
 * faults. */
int kv_preflight_thoroughly(struct kv_config *config);

/* The same, of a configuration that `running` may be replaced by, whose scripts have just been
 * reloaded. */
int kv_preflight_reloaded(struct kv_config *config, const struct kv_config *running);

#endif
