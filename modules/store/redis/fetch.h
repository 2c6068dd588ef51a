/*
 * Records that the chain needs at once, over a connection of their own.
 */
#ifndef KV_STORE_REDIS_FETCH_H
#define KV_STORE_REDIS_FETCH_H

#include "shared.h"

/* Reads the record of a key at once. It is shown until the next call, and empty where there is
 * none. Returns: -1 where Redis does not say. */
int fetch_record(struct kv_store *store, struct kv_slice key, struct kv_slice *ret_record);

#endif
