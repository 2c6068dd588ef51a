/*
 * Whether all event loops live: each gets a post, and has to run it. The watchdog of the service
 * manager is fed only then, so that a server in which a loop hangs is started anew.
 *
 * Threads: the main one.
 */
#ifndef KV_DAEMON_LIVENESS_H
#define KV_DAEMON_LIVENESS_H

#include "loop/loop.h"

struct kv_liveness;

/* loops: lent. Owns: the caller, by kv_liveness_destroy(). */
struct kv_liveness *kv_liveness_create(struct kv_loop *const *loops, uint32_t n_loops);

/* After the loops have ended. Accepts NULL. */
void kv_liveness_destroy(struct kv_liveness *liveness);

/* Whether every loop has run its post since the last call; then each gets another one. The first
 * call says yes. */
bool kv_liveness_look(struct kv_liveness *liveness);

#endif
