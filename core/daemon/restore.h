/*
 * Checks a backup (wire/backup_line.h) before it is restored. The whole backup is read first, so an
 * incomplete or damaged one changes nothing. This pass also gathers the touches, whose deadlines
 * belong to lines that may come before or after them.
 */
#ifndef KV_DAEMON_RESTORE_H
#define KV_DAEMON_RESTORE_H

#include <stdatomic.h>

#include "daemon/config.h"
#include "wire/backup_touches.h"

/* Why a backup is not accepted. */
enum {
    KV_RESTORE_BAD = -1,    /* it is damaged, incomplete, or exceeds the limits */
    KV_RESTORE_FAILED = -2, /* it cannot be read */
    KV_RESTORE_STOPPED = -3
};

/* Reads the backup from the descriptor's current position, and then restores that position. name:
 * of the file, for errors. touches: gets those of the backup. is_stopped: ends it when it becomes
 * true; may be NULL. Returns: 0, or one of the above and *reterr, which names the line and the
 * fault. */
int kv_restore_check(int fd, const char *name, const struct kv_line_limits *limits,
                     struct kv_backup_touches *touches, const atomic_bool *is_stopped,
                     struct kv_error *reterr);

/* Refuses if the configured store exists already: a backup is restored into a new store, which
 * begins a new epoch. A volatile store is always new. Returns: 0, or -1 and *reterr. */
int kv_restore_demand_new_store(const struct kv_config *config, struct kv_error *reterr);

#endif
