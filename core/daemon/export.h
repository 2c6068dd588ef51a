/*
 * Export: writes every key of the configured store as a line (wire/line.h) to standard output.
 *
 * It changes nothing in the store, so it may be interrupted at any time. The keys are walked page
 * by page; as no other process has the store open meanwhile, the lines are one state of it.
 */
#ifndef KV_DAEMON_EXPORT_H
#define KV_DAEMON_EXPORT_H

#include "daemon/config.h"

/* Returns: 0 if every line has been written, or -1 and *reterr. Call once, from the main thread. */
int kv_export_run(const struct kv_config *config, struct kv_error *reterr);

/* Checks whether the configured store, a durable one, exists. From the main thread. Returns: 0, or
 * -1 and *reterr if that cannot be determined, for example while a server has it open. */
int kv_export_looks_for_store(const struct kv_config *config, bool *ret_is_there,
                              struct kv_error *reterr);

#endif
