/*
 * Prevents starvation among writers of a key that use optimistic concurrency. Faster writers on
 * other loops could make a slow one fail again and again. So a writer that has failed several times
 * claims the right of way, and the others pause until it has succeeded.
 *
 * It is advisory: callers limit their pauses, and do not pause if the holder may be waiting for
 * them (updater.c).
 *
 * Threads: any.
 */
#ifndef KV_SCRIPT_RIGHT_OF_WAY_H
#define KV_SCRIPT_RIGHT_OF_WAY_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

enum {
    KV_RIGHTS_OF_WAY = 1 << 8 /* by hash: writers of keys that share one may pause needlessly */
};

/* All zero at first. A holder is identified by its address, which is never dereferenced. */
struct kv_right_of_way {
    const void *_Atomic holders[KV_RIGHTS_OF_WAY];
};

/* Returns: whether `who` is the holder now. */
static inline bool kv_right_of_way_claim(struct kv_right_of_way *right, uint64_t hash,
                                         const void *who)
{
    const void *holder = NULL;
    return atomic_compare_exchange_strong(&right->holders[hash % KV_RIGHTS_OF_WAY], &holder, who) ||
           holder == who;
}

/* Does nothing if `who` is not the holder. */
static inline void kv_right_of_way_give_back(struct kv_right_of_way *right, uint64_t hash,
                                             const void *who)
{
    const void *holder = who;
    atomic_compare_exchange_strong(&right->holders[hash % KV_RIGHTS_OF_WAY], &holder, NULL);
}

static inline bool kv_right_of_way_is_anothers(struct kv_right_of_way *right, uint64_t hash,
                                               const void *who)
{
    const void *holder =
        atomic_load_explicit(&right->holders[hash % KV_RIGHTS_OF_WAY], memory_order_relaxed);
    return holder != NULL && holder != who;
}

#endif
