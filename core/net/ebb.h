/*
 * Closes many connections of a loop gradually, a few per tick, so that their clients do not all
 * reconnect at the same moment.
 *
 * Threads: the loop's.
 */
#ifndef KV_NET_EBB_H
#define KV_NET_EBB_H

#include "base/list.h"
#include "loop/loop.h"

/* All zero until kv_ebb_begin(). */
struct kv_ebb {
    struct kv_loop *loop;
    struct kv_timer timer;
    struct kv_list *all;
    size_t n_left;   /* connections at the front of the list that have not been told */
    size_t n_a_tick; /* connections told per tick */
    void (*tell)(struct kv_list *link);
    bool has_begun;
};

/* Tells the connections of the list to end, in order and over `over_ms`; the first of them now. A
 * connection that is told moves to the end of the list. all: lent until kv_ebb_end(). */
void kv_ebb_begin(struct kv_ebb *ebb, struct kv_loop *loop, struct kv_list *all, int64_t over_ms,
                  void (*tell)(struct kv_list *link));

/* Call when a connection ends that had not been told. */
static inline void kv_ebb_leave(struct kv_ebb *ebb)
{
    if (ebb->n_left != 0)
        ebb->n_left--;
}

/* Stops: no further connection is told. */
void kv_ebb_end(struct kv_ebb *ebb);

#endif
