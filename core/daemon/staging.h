/*
 * A backup that was uploaded (admin/uploads.h) waits beside the store, and is restored when the
 * server starts next. Beside the store `<path>` there are
 *   <path>.upload     what has come so far,
 *   <path>.restore    a backup that is whole: the store is to be made of it,
 *   <path>.restoring  while it is made (unfinished.h),
 *   <path>.replaced   the store before, from when the restore begins until the next one.
 *
 * Each step is on the disk before the next begins, and while there is a <path>.restore nothing is
 * served. So whenever the server is killed or the power is cut, either the old store is served or
 * the new one.
 */
#ifndef KV_DAEMON_STAGING_H
#define KV_DAEMON_STAGING_H

#include "admin/uploads.h"
#include "daemon/config.h"

/* Restores the backup that waits, if there is one. One that cannot be restored is put away as
 * <path>.refused, with an error in the log, and the old store stays. Before the server has threads.
 * Returns: 0, or -1 and *reterr where it has to be tried again. */
int kv_staging_apply(const struct kv_config *config, struct kv_error *reterr);

struct kv_staging;

/* config: lent. Owns: the caller. */
struct kv_staging *kv_staging_create(const struct kv_config *config);
void kv_staging_destroy(struct kv_staging *staging); /* accepts NULL */

/* Where a backup is uploaded to. */
struct kv_upload_place *kv_staging_place(struct kv_staging *staging);

#endif
