/*
 * A backup: the whole store as of one revision, read while it serves.
 *
 * The keys are walked in pages, each of which shows the state of its own moment. The changes since
 * the walk began are read from the change log alongside and follow; of a key that comes several
 * times the last state counts. The revision of the backup is the newest one that was given out when
 * the walk had ended: nothing newer is brought once that is known, and everything up to it is.
 * Nothing is pinned in the store meanwhile, and nothing is held but a page.
 *
 * A touch has no revision. It is brought apart, with that of the state that it belongs to, and
 * counts for no other; those that took effect before the revision of the backup are all there.
 *
 * It fails where the change log no longer reaches back to what has been read of it, as when the
 * taker is too slow.
 */
#ifndef KV_KEYSPACE_BACKUP_H
#define KV_KEYSPACE_BACKUP_H

#include "keyspace/keyspace.h"

struct kv_backup;

/* Who takes it. The calls come on the loop, from the keyspace's stage or a timer, with what is lent
 * for the call; none of them may close the backup. Constant. */
struct kv_backup_taker {
    void (*on_state)(void *owner, struct kv_slice key, const struct kv_item *state);
    void (*on_gone)(void *owner, struct kv_slice key, uint64_t revision);
    void (*on_touch)(void *owner, struct kv_slice key, uint64_t revision, int64_t deadline_ms);
    /* What was asked for has been brought: kv_backup_next() asks for more. */
    void (*on_pause)(void *owner);
    /* KV_OK: it is whole, and of this revision. KV_TRIMMED: the change log did not reach back far
     * enough. KV_FULL: too many touches at a time. Or another failure. */
    void (*on_end)(void *owner, int status, uint64_t revision);
};

/* Whether there can be one: the order of the store's changes is known, and there is a change log.
 */
bool kv_backup_is_possible(struct kv_keyspace_loop *here);

/* Begins one, which brings nothing before it is asked to. Owns: the caller, by kv_backup_close().
 * Returns: NULL where there is no memory. */
struct kv_backup *kv_backup_open(struct kv_keyspace_loop *here, const struct kv_backup_taker *taker,
                                 void *owner);

/* Asks for the next part, some hundred KiB at most, or one long value. Once after the beginning,
 * and after each on_pause(). */
void kv_backup_next(struct kv_backup *backup);

/* At any time, but from within a call of the taker's; nothing is called from then on. */
void kv_backup_close(struct kv_backup *backup);

#endif
