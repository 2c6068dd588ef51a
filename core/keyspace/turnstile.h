/*
 * Turnstiles: each lets one loop at a time through. A loop that leaves passes the turnstile on to
 * the next loop that waits, in rotation, so none starves.
 */
#ifndef KV_KEYSPACE_TURNSTILE_H
#define KV_KEYSPACE_TURNSTILE_H

#include "keyspace/parts.h"

enum {
    KV_TURNSTILES = 1 << 16 /* by hash: keys that share one wait for each other without need */
};

struct kv_turnstile;

/* Of all loops. Threads: any, each loop for itself. */
struct kv_turnstiles {
    const struct kv_keyspace_parts *parts;
    struct kv_turnstile *all;
};

void kv_turnstiles_init(struct kv_turnstiles *turnstiles, const struct kv_keyspace_parts *parts);
void kv_turnstiles_fini(struct kv_turnstiles *turnstiles);

/* Returns: whether the loop is in it now; otherwise it is woken when the turnstile is its. Not for
 * a loop that is in it, or waits for it. */
bool kv_turnstile_enter(struct kv_turnstiles *turnstiles, uint32_t index, uint32_t loop);

/* Sequentially consistent, as a loop looks here before it sleeps. */
bool kv_turnstile_is_passed_to(const struct kv_turnstiles *turnstiles, uint32_t index,
                               uint32_t loop);

void kv_turnstile_leave(struct kv_turnstiles *turnstiles, uint32_t index, uint32_t loop);

#endif
