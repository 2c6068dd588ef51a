/*
 * Fetches records that the chain needs immediately, over a connection of their own.
 */
#ifndef KV_STORE_REDIS_FETCH_H
#define KV_STORE_REDIS_FETCH_H

#include "shared.h"

enum {
    FETCH_ADDRESS = 288 /* bytes of a node's address, as text */
};

/* Reads the record of a key, and waits for it. It is valid until fetch_release(), and empty if
 * there is none. Returns: -1 if Redis does not answer. */
int fetch_record(struct kv_store *store, struct kv_slice key, struct kv_slice *ret_record);

/* Gives back the memory of the record, which may be long. */
void fetch_release(struct kv_store *store);

#endif
