/*
 * The end of many connections of a loop, spread over a time: so their clients, who come back at
 * once, do not do so all at the same moment. Few are told at once.
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
    size_t n_left;   /* at the front of the list: those that have not been told */
    size_t n_a_tick; /* are told */
    void (*tell)(struct kv_list *link);
    bool has_begun;
};

/* Tells each of the list that it is to end, in its order, the first of them now. One that is told
 * goes to the end of the list. all: lent until kv_ebb_end(). */
void kv_ebb_begin(struct kv_ebb *ebb, struct kv_loop *loop, struct kv_list *all, int64_t over_ms,
                  void (*tell)(struct kv_list *link));

/* One has ended that had not been told. */
static inline void kv_ebb_leave(struct kv_ebb *ebb)
{
    if (ebb->n_left != 0)
        ebb->n_left--;
}

/* Tells no more. */
void kv_ebb_end(struct kv_ebb *ebb);

#endif
