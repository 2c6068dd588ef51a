/*
 * Opens the connections to Redis, until commands can be sent: logs in, loads the library if needed,
 * creates or finds the store, and continues the chain. It blocks, but no longer than the store's
 * timeout.
 */
#ifndef KV_STORE_REDIS_SESSION_H
#define KV_STORE_REDIS_SESSION_H

#include "shared.h"

/* Returns: -1 and *reterr; then everything is closed, and with `nodes` the next attempt begins at
 * another node: this one may say that it has the partition, and refuse everything else. */
int session_open(struct kv_store *store, struct kv_error *reterr);

/* Connects the bulk alone. Returns: -1 and *reterr. */
int session_open_bulk(struct kv_store *store, struct kv_error *reterr);

void session_close(struct kv_store *store);

#endif
