/*
 * A round through all loops: each gets a post. Posts from one thread run in order, so when a round
 * is over, each loop has also run what the same thread had posted to it before.
 *
 * Never blocks: a busy loop only delays the end of the round.
 *
 * Threads: one thread, which is not a loop's.
 */
#ifndef KV_LOOP_ROUND_H
#define KV_LOOP_ROUND_H

#include "loop/loop.h"

struct kv_round;

/* loops: lent. over: is called when a round is over, on the thread of the loop that was last; it
 * may be NULL. Owns: the caller, by kv_round_destroy(). */
struct kv_round *kv_round_create(struct kv_loop *const *loops, uint32_t n_loops,
                                 void (*over)(void));

/* Call when the round is over, or after the loops have ended. Accepts NULL. */
void kv_round_destroy(struct kv_round *round);

/* The previous round must be over. */
void kv_round_begin(struct kv_round *round);

/* Whether every loop has run its post. Before the first round, true. */
bool kv_round_is_over(const struct kv_round *round);

#endif
