/*
 * Export: every key of the configured store as a line (wire/line.h) on standard output.
 *
 * It changes nothing in the store, so it may be ended at any time. The keys are walked page by
 * page; as the store is opened by nobody else meanwhile, the lines are one state of it.
 */
#ifndef KV_DAEMON_EXPORT_H
#define KV_DAEMON_EXPORT_H

#include "daemon/config.h"

/* Returns: 0 where every line has been written, or -1 and *reterr. Call once, from the main thread.
 */
int kv_export_run(const struct kv_config *config, struct kv_error *reterr);

/* Looks whether there is a store where the configured one, a durable one, would be. From the main
 * thread. Returns: 0, or -1 and *reterr where that cannot be said, as while a server has it open.
 */
int kv_export_looks_for_store(const struct kv_config *config, bool *ret_is_there,
                              struct kv_error *reterr);

#endif
