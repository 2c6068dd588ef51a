/*
 * A lock-free inbox: any thread pushes, one thread takes everything at once, in the order pushed.
 * Intrusive: it owns no memory. (Treiber's stack, "Systems Programming: Coping with Parallelism",
 * 1986; taken whole and reversed, so that the ABA problem does not arise.)
 */
#ifndef KV_BASE_INBOX_H
#define KV_BASE_INBOX_H

#include <stdatomic.h>
#include <stdbool.h>

#include "base/list.h"

/* All zero is an empty inbox. */
struct kv_inbox {
    _Atomic(struct kv_link *) newest;
};

/* Threads: any. Two pushes ordered by a lock are taken in that order. */
static inline void kv_inbox_push(struct kv_inbox *inbox, struct kv_link *node)
{
    struct kv_link *newest = atomic_load_explicit(&inbox->newest, memory_order_relaxed);
    do
        node->next = newest;
    while (!atomic_compare_exchange_weak(&inbox->newest, &newest, node));
}

/* Threads: any; sequentially consistent, so that a thread may check it before it sleeps. */
static inline bool kv_inbox_is_empty(struct kv_inbox *inbox)
{
    return atomic_load(&inbox->newest) == NULL;
}

/* Takes everything, the oldest first, linked by `next`. Threads: the owner's. Returns: NULL if
 * empty. */
static inline struct kv_link *kv_inbox_take_all(struct kv_inbox *inbox)
{
    if (atomic_load_explicit(&inbox->newest, memory_order_relaxed) == NULL)
        return NULL;
    struct kv_link *newest = atomic_exchange(&inbox->newest, NULL);
    struct kv_link *oldest = NULL;
    while (newest != NULL) {
        struct kv_link *older = newest->next;
        newest->next = oldest;
        oldest = newest;
        newest = older;
    }
    return oldest;
}

#endif
