/*
 * Fetches records that the chain needs immediately, over a connection of their own.
 */
#ifndef KV_STORE_REDIS_FETCH_H
#define KV_STORE_REDIS_FETCH_H

#include "shared.h"

/* Reads the record of a key, and waits for it. It is valid until the next call, and empty if there
 * is none. Returns: -1 if Redis does not answer. */
int fetch_record(struct kv_store *store, struct kv_slice key, struct kv_slice *ret_record);

#endif
