/*
 * A backup (wire/backup_line.h) before it is restored: it is read as a whole, so that nothing is
 * changed on account of one that is incomplete or damaged; and the touches in it are gathered,
 * whose deadlines belong to lines that may come before or after them.
 */
#ifndef KV_DAEMON_RESTORE_H
#define KV_DAEMON_RESTORE_H

#include "daemon/config.h"
#include "wire/backup_line.h"

struct kv_restore;

/* Reads the backup from the descriptor, from where that stands, and has it stand there again.
 * name: of the file, for errors; lent. Owns: the caller, by kv_restore_destroy(). Returns: NULL and
 * *reterr, which says what is wrong in which line. */
struct kv_restore *kv_restore_read(int fd, const char *name, const struct kv_line_limits *limits,
                                   struct kv_error *reterr);
/* Accepts NULL. */
void kv_restore_destroy(struct kv_restore *restore);

/* The deadline, milliseconds since 1970, that the state in this line has in the end; 0: none.
 * Threads: any, while nobody destroys it. */
int64_t kv_restore_deadline(const struct kv_restore *restore, const struct kv_backup_line *line);

/* Whether there is no store where the configuration has one: a backup is restored into a new store,
 * which begins a new epoch. A volatile one is always new. Returns: 0, or -1 and *reterr. */
int kv_restore_demand_new_store(const struct kv_config *config, struct kv_error *reterr);

#endif
