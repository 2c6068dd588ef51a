/*
 * The mark of an unfinished restore: a file beside the store, `<path>.restoring`. While it exists,
 * the store is neither served nor exported.
 */
#ifndef KV_DAEMON_UNFINISHED_H
#define KV_DAEMON_UNFINISHED_H

#include "daemon/config.h"

/* The folder that this option of the configured store names, without slashes at its end. Returns:
 * an empty slice where the option is for something else, or is not given. */
struct kv_slice kv_store_folder(const struct kv_config *config, size_t option);

/* Makes the entry of a path in its folder, or that there is none, outlive a power cut. Returns: 0,
 * or -1 and *reterr. */
int kv_sync_entry(const char *path, struct kv_error *reterr);

/* Returns: 0 where the configured store has no such mark, or -1 and *reterr, which says what to do.
 */
int kv_unfinished_refuse(const struct kv_config *config, struct kv_error *reterr);

/* Mark the configured store, and remove the mark. When they return, a power cut cannot undo the
 * change. A store that is volatile, or in no folder, has no mark. Return: 0, or -1 and *reterr. */
int kv_unfinished_mark(const struct kv_config *config, struct kv_error *reterr);
int kv_unfinished_clear(const struct kv_config *config, struct kv_error *reterr);

#endif
