/*
 * Checks a configuration as far as possible before anything is served. Faults are noted in it. It
 * may have some already: then its valid parts are checked.
 */
#ifndef KV_DAEMON_PREFLIGHT_H
#define KV_DAEMON_PREFLIGHT_H

#include "daemon/config.h"

/* Checks whether files, folders and addresses can be used, and has the modules check their options.
 * For every start. Returns: 0; -1 if there are faults. */
int kv_preflight(struct kv_config *config);

/* As above, and also opens each policy, sink and script, and closes it again. Returns: 0; -1 if
 * there are faults. */
int kv_preflight_thoroughly(struct kv_config *config);

/* The same for a configuration that may replace `running`, whose scripts have just been
 * reloaded. */
int kv_preflight_reloaded(struct kv_config *config, const struct kv_config *running);

#endif
