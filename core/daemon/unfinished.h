/*
 * The mark of an unfinished restore: a file beside the store, `<path>.restoring`. While it exists,
 * the store is neither served nor exported.
 */
#ifndef KV_DAEMON_UNFINISHED_H
#define KV_DAEMON_UNFINISHED_H

#include "daemon/config.h"

/* The folder in this option of the configured store, without trailing slashes. Returns: an empty
 * slice if the option is not a folder, or is not given. */
struct kv_slice kv_store_folder(const struct kv_config *config, size_t option);

/* Makes the presence or absence of a path's directory entry survive a power cut. Returns: 0, or -1,
 * *reterr and errno. */
int kv_sync_entry(const char *path, struct kv_error *reterr);

/* Returns: 0 if the configured store has no such mark, or -1 and *reterr, with instructions. */
int kv_unfinished_refuse(const struct kv_config *config, struct kv_error *reterr);

/* Mark the configured store, and remove the mark. When they return, a power cut cannot undo the
 * change. Stores that are volatile, or have no folder, have no mark. Return: 0, or -1 and
 * *reterr. */
int kv_unfinished_mark(const struct kv_config *config, struct kv_error *reterr);
int kv_unfinished_clear(const struct kv_config *config, struct kv_error *reterr);

#endif
