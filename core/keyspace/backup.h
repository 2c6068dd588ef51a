/*
 * A backup: the whole store as of one revision, read while it serves.
 *
 * The keys are scanned in pages, and each page shows the state at the time when it is read. In
 * parallel, the changes since the scan began are read from the change log and follow the pages; of
 * several states of a key, the last one counts. The revision of the backup is the newest one at the
 * end of the scan: all changes up to it are delivered, and none after it. The backup pins nothing
 * in the store, and keeps no more than a page in memory.
 *
 * A touch has no revision of its own. It is delivered separately, with the revision of the state
 * whose deadline it sets, and affects no other state. All touches that took effect before the
 * backup's revision are delivered.
 *
 * A backup fails if the change log drops changes that it has not read yet, because the taker is too
 * slow.
 */
#ifndef KV_KEYSPACE_BACKUP_H
#define KV_KEYSPACE_BACKUP_H

#include "keyspace/keyspace.h"

struct kv_backup;

/* The receiver of a backup. It is called on the loop, from the keyspace's stage or a timer;
 * arguments are lent for the call. No function may close the backup. Constant. */
struct kv_backup_taker {
    void (*on_state)(void *owner, struct kv_slice key, const struct kv_item *state);
    void (*on_gone)(void *owner, struct kv_slice key, uint64_t revision);
    void (*on_touch)(void *owner, struct kv_slice key, uint64_t revision, int64_t deadline_ms);
    /* The requested part has been delivered: kv_backup_next() requests the next one. */
    void (*on_pause)(void *owner);
    /* KV_OK: the backup is complete, as of `revision`. KV_TRIMMED: the change log did not reach
     * back far enough. KV_FULL: too many touches at a time. Or another failure. */
    void (*on_end)(void *owner, int status, uint64_t revision);
};

/* Whether backups are possible: the order of the store's changes is known, and there is a change
 * log. */
bool kv_backup_is_possible(struct kv_keyspace_loop *here);

/* Begins a backup, which delivers nothing before kv_backup_next(). Owns: the caller, by
 * kv_backup_close(). Returns: NULL if there is no memory. */
struct kv_backup *kv_backup_open(struct kv_keyspace_loop *here, const struct kv_backup_taker *taker,
                                 void *owner);

/* Requests the next part: some hundred KiB at most, or one long value. Call once after
 * kv_backup_open(), and once after each on_pause(). */
void kv_backup_next(struct kv_backup *backup);

/* Closes it, at any time except from within a call to the taker. The taker is not called
 * afterwards. */
void kv_backup_close(struct kv_backup *backup);

#endif
