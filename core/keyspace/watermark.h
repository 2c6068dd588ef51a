/*
 * The watermark: the revision up to which every change has been pushed to the inboxes of the loops
 * that wanted it. Loops use it to deliver the changes of all keys in the order of their revisions.
 *
 *  - A store that reports changes in order (KV_STORE_IN_ORDER): the revision reported last.
 *  - A store whose changes happen only within submit() and expire() (KV_STORE_SYNC) and that has
 *    revision(): each loop notes that revision in its slot before such a call, and clears the slot
 *    after it. The changes of calls under way lie above their slots, and those of calls that have
 *    returned were pushed. So everything up to the smallest slot, or up to the newest revision if
 *    no slot is smaller, was pushed. Costs two memory stores for each vector of writes.
 *  - Any other store: the order is not known, and changes are delivered as they come.
 *
 * A reader takes the watermark first and its inbox second. A loop that has to hold changes back
 * announces it, and is woken by the next loop that clears its slot: it looks again after the
 * announcement, and slots are cleared before the announcements are read, all of it sequentially
 * consistent; so no wake-up is lost.
 */
#ifndef KV_KEYSPACE_WATERMARK_H
#define KV_KEYSPACE_WATERMARK_H

#include "keyspace/item.h"
#include "keyspace/parts.h"

enum kv_watermark_kind {
    KV_WATERMARK_UNKNOWN,
    KV_WATERMARK_TOLD,
    KV_WATERMARK_SLOTS
};

/* Each in a cache line of its own. */
struct kv_watermark_slot {
    _Atomic uint64_t bound; /* UINT64_MAX: no call is under way */
    char apart[64 - sizeof(uint64_t)];
};

/* Of all loops. */
struct kv_watermark {
    const struct kv_store_link *store;
    const struct kv_keyspace_parts *parts;
    enum kv_watermark_kind kind;
    _Atomic uint64_t told;    /* TOLD: the last change */
    _Atomic uint64_t waiting; /* SLOTS: one bit for each loop that holds changes back */
    char apart[64];
    struct kv_watermark_slot slots[KV_KEYSPACE_MAX_LOOPS];
};

void kv_watermark_init(struct kv_watermark *watermark, const struct kv_store_link *store,
                       const struct kv_keyspace_parts *parts);

/* Call when the store is open, before the first command. */
void kv_watermark_begin(struct kv_watermark *watermark);

/* A later answer may be smaller; an earlier one stays true. Returns: 0 if the order is not known.
 * Threads: any; once the store is open. */
uint64_t kv_watermark_now(const struct kv_watermark *watermark);

/* The largest revision given out: at least that of every change that a reader can see. Returns: 0
 * if the order is not known. Threads: any; once the store is open. */
uint64_t kv_watermark_newest(const struct kv_watermark *watermark);

/* A change was pushed. Called for changes in the order in which the store reports them. */
static inline void kv_watermark_tell(struct kv_watermark *watermark, uint64_t revision)
{
    if (watermark->kind == KV_WATERMARK_TOLD)
        atomic_store_explicit(&watermark->told, revision, memory_order_release);
}

/* Call around each call of the store in which changes may happen, on the calling loop. */
void kv_watermark_enter(struct kv_watermark *watermark, uint32_t loop);
void kv_watermark_leave(struct kv_watermark *watermark, uint32_t loop);

/* Has the loop woken when the watermark may have risen. The loop has to look once more after
 * this. */
void kv_watermark_wait(struct kv_watermark *watermark, uint32_t loop);

#endif
