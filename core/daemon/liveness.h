/*
 * Checks that all event loops are alive: each gets a post, and has to run it. Only then does the
 * server feed the watchdog of the service manager, which otherwise restarts it.
 *
 * Threads: the main one.
 */
#ifndef KV_DAEMON_LIVENESS_H
#define KV_DAEMON_LIVENESS_H

#include "loop/loop.h"

struct kv_liveness;

/* loops: lent. Owns: the caller, by kv_liveness_destroy(). */
struct kv_liveness *kv_liveness_create(struct kv_loop *const *loops, uint32_t n_loops);

/* Call after the loops have ended. Accepts NULL. */
void kv_liveness_destroy(struct kv_liveness *liveness);

/* Returns: whether every loop has run its post since the last call; if so, each gets a new post.
 * The first call returns true. */
bool kv_liveness_look(struct kv_liveness *liveness);

#endif
