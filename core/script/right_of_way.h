/*
 * Who of those that write a key on a condition is to succeed next. Writers of other loops may be
 * quicker each time, and a slow one would lose for as long as they go on; so one that has lost
 * several times claims the right of way, and the others give way until it has succeeded.
 *
 * Nobody gives way whom the writer with the right of way may be waiting for, and nobody does so for
 * more than a while.
 *
 * Threads: any.
 */
#ifndef KV_SCRIPT_RIGHT_OF_WAY_H
#define KV_SCRIPT_RIGHT_OF_WAY_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

enum {
    KV_RIGHTS_OF_WAY = 1 << 8 /* by hash: keys that share one give way without need */
};

/* All zero at first. Who has it is told by an address, which is not used otherwise. */
struct kv_right_of_way {
    const void *_Atomic holders[KV_RIGHTS_OF_WAY];
};

/* Returns: whether it is `who` that has it now. */
static inline bool kv_right_of_way_claim(struct kv_right_of_way *right, uint64_t hash,
                                         const void *who)
{
    const void *holder = NULL;
    return atomic_compare_exchange_strong(&right->holders[hash % KV_RIGHTS_OF_WAY], &holder, who) ||
           holder == who;
}

/* Does nothing where it is not `who` that has it. */
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
