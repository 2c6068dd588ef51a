/*
 * Reads the configuration file again on SIGHUP. `access`, `origins`, `hosts`, `limits` (except
 * `limits.memory`), `timeouts` and `log` are applied, and scripts and the files of sinks are loaded
 * again; everything else requires a restart.
 */
#ifndef KV_DAEMON_RELOAD_H
#define KV_DAEMON_RELOAD_H

#include "base/log_lines.h"
#include "daemon/config.h"

/* Applies a configuration without faults, as far as possible. found: lent. lines: gets a report of
 * changes that loops have yet to take. */
typedef void (*kv_apply_fn)(void *context, const struct kv_config *found,
                            struct kv_log_lines *lines);

/* Reads the file again, and applies it; or logs its faults, and changes nothing. applied: the
 * configuration that was applied last, printed, updated here; empty: it is `running`. lines: gets
 * the report of the changes, which is true once the loops have taken what `apply` posted to them.
 */
void kv_reload(const struct kv_config *running, struct kv_buffer *applied, kv_apply_fn apply,
               void *context, struct kv_log_lines *lines);

#endif
