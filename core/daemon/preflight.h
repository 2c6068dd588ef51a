/*
 * What can be found wrong with a configuration before anything is served. Faults are noted in it.
 * It may have some already: then what could be made of it is looked at.
 */
#ifndef KV_DAEMON_PREFLIGHT_H
#define KV_DAEMON_PREFLIGHT_H

#include "daemon/config.h"

/* Looks whether files and folders can be used. Cheap: for every start. Returns: 0; -1 where
 * there are faults. */
int kv_preflight_paths(const struct kv_config *config);

/* That, and all else that keeps a server from starting, whatever happens to run beside it: opens
 * each policy, sink and script, and closes it again; looks the addresses up. Returns: 0; -1 where
 * there are faults. */
int kv_preflight(const struct kv_config *config);

#endif
