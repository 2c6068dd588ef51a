/*
 * The fence: with `ack: replicas` or `ack: disk`, the store passes on nothing that Redis says
 * before it is safe. Messages that arrive on the lane and the bulk are held there. On a separate
 * connection, the fence makes Redis execute a small write, and waits until the replicas (or the
 * disk) have this write, and so everything before it. Then it releases the messages that had
 * arrived when it was sent. Only one fence is in progress at a time; the next one covers everything
 * that arrived meanwhile.
 *
 * A fence that fails ends the session: the outcome of writes in progress is unknown, and no new
 * ones are sent until enough replicas are back.
 */
#ifndef KV_STORE_REDIS_FENCE_H
#define KV_STORE_REDIS_FENCE_H

#include "login.h"

bool fence_is_used(const struct kv_store *store);

/* Connects the fence to the Redis that the lane is connected to. Returns: -1 and *reterr. */
int fence_open(const struct attempt *lane);

/* Waits until everything that Redis has executed is safe. Does nothing without a fence.
 * Returns: -1 and *reterr. */
int fence_wait(const struct attempt *attempt);

/* From now on, holds what arrives on the link. Does nothing without a fence. */
void fence_hold(struct kv_store *store, struct link *link);

/* Sends a fence, if something is held and none is in progress. Returns: -1 and *reterr. */
int fence_send(struct kv_store *store, struct kv_error *reterr);

/* Reads the fence's own connection; if the fence has held, releases what it covers. Returns: -1 and
 * *reterr. */
int fence_receive(struct kv_store *store, struct kv_error *reterr);

#endif
