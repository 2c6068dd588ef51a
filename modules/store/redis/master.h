/*
 * With Redis Sentinel: a thread keeps asking the sentinels which server is the master, so that the
 * worker leaves a master that has been replaced, and finds the new one without waiting for a
 * sentinel.
 */
#ifndef KV_STORE_REDIS_MASTER_H
#define KV_STORE_REDIS_MASTER_H

#include "shared.h"

/* Finds the master, and begins to follow it. wake: wakes the worker of the store. Returns: -1 and
 * *reterr; then there is nothing to stop. */
int master_follow(struct kv_store *store, const struct kv_option_value *options,
                  void (*wake)(struct kv_store *store), struct kv_error *reterr);
/* Accepts a store that follows none. Its worker has ended. */
void master_stop(struct kv_store *store);

/* Points the store to the master, if it follows one. */
void master_point(struct kv_store *store);

/* Whether the store points to another server than the master that it follows. Any thread. */
bool master_is_another(const struct kv_store *store);

#endif
