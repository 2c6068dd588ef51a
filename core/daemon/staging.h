/*
 * An uploaded backup (admin/uploads.h) waits next to the store, and is restored at the server's
 * next start. Next to the store `<path>` there are
 *
 *       <path>.upload     the parts uploaded so far,
 *       <path>.restore    a complete backup, from which the store will be created,
 *       <path>.restoring  while it is being created (unfinished.h),
 *       <path>.restored   when it is complete, until <path>.restore is removed,
 *       <path>.replaced   the previous store, from the beginning of a restore until the next one.
 *
 * Each step is on the disk before the next begins, and while <path>.restore exists nothing is
 * served. So whenever the server is killed or the power fails, either the old store is served or
 * the new one. A backup that is put there by hand (a renamed <path>.refused) waits as well, even if
 * an earlier restore has left <path>.replaced.
 */
#ifndef KV_DAEMON_STAGING_H
#define KV_DAEMON_STAGING_H

#include "admin/uploads.h"
#include "daemon/config.h"

/* Restores the waiting backup, if there is one. If it cannot be restored, it is renamed to
 * <path>.refused, with an error in the log, and the old store stays. Call before the server has
 * threads.
 * Returns: 0, or -1 and *reterr if it has to be tried again. */
int kv_staging_apply(const struct kv_config *config, struct kv_error *reterr);

/* That nothing else makes, or fills, the store that such a backup is about to replace. file: where
 * it comes from; that may be the backup itself. Returns: 0 where none waits, or -1 and *reterr. */
int kv_staging_refuse_others(const struct kv_config *config, const char *file,
                             struct kv_error *reterr);

/* Removes the mark of an unfinished restore of this file (unfinished.h). If the file is the waiting
 * backup, <path>.restored takes the mark's place in the same step. Returns: 0, or -1 and *reterr.
 */
int kv_staging_end_restore(const struct kv_config *config, const char *file,
                           struct kv_error *reterr);

struct kv_staging;

/* config: lent. Owns: the caller. */
struct kv_staging *kv_staging_create(const struct kv_config *config);
void kv_staging_destroy(struct kv_staging *staging); /* accepts NULL */

/* The destination of uploads. */
struct kv_upload_place *kv_staging_place(struct kv_staging *staging);

#endif
