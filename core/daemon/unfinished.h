/*
 * The mark of an unfinished restore: a file beside the store, `<path>.restoring`. While it exists,
 * the store is neither served nor exported.
 */
#ifndef KV_DAEMON_UNFINISHED_H
#define KV_DAEMON_UNFINISHED_H

#include "daemon/config.h"

/* Returns: 0 where the configured store has no such mark, or -1 and *reterr, which says what to do.
 */
int kv_unfinished_refuse(const struct kv_config *config, struct kv_error *reterr);

/* Mark the configured store, and remove the mark. When they return, a power cut cannot undo the
 * change. A store that is volatile, or in no folder, has no mark. Return: 0, or -1 and *reterr. */
int kv_unfinished_mark(const struct kv_config *config, struct kv_error *reterr);
int kv_unfinished_clear(const struct kv_config *config, struct kv_error *reterr);

#endif
