/*
 * The fence: with `ack: replicas` or `ack: disk`, nothing that Redis says leaves this store before
 * it is safe. What has arrived on the lane and the bulk is held there; over a connection of the
 * fence's own Redis makes one small write, and waits until the replicas (or its disk) have it, and
 * so everything before it. Then what had arrived when the fence was sent is let go. One fence is
 * under way at a time, so that it serves all that has come meanwhile.
 *
 * A fence that fails ends the session: writes under way may have taken effect or not, and none is
 * begun until the replicas are back.
 */
#ifndef KV_STORE_REDIS_FENCE_H
#define KV_STORE_REDIS_FENCE_H

#include "login.h"

bool fence_is_used(const struct kv_store *store);

/* Connects the fence to the Redis that the lane is connected to. Returns: -1 and *reterr. */
int fence_open(const struct attempt *lane);

/* Waits until all that Redis has executed is safe. Nothing where there is no fence.
 * Returns: -1 and *reterr. */
int fence_wait(const struct attempt *attempt);

/* From now on, what arrives there is held. Nothing where there is no fence. */
void fence_hold(struct kv_store *store, struct link *link);

/* Sends a fence, if something is held and none is under way. Returns: -1 and *reterr. */
int fence_send(struct kv_store *store, struct kv_error *reterr);

/* Takes what has arrived at the fence's own connection, and lets go. Returns: -1 and *reterr. */
int fence_receive(struct kv_store *store, struct kv_error *reterr);

#endif
