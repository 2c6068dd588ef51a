/*
 * Opens the connections to Redis, until commands can be sent: logs in, loads the library if needed,
 * finds or creates the store, and continues the chain. It blocks, but no longer than the store's
 * timeout.
 */
#ifndef KV_STORE_REDIS_SESSION_H
#define KV_STORE_REDIS_SESSION_H

#include "login.h"

/* Returns: -1 and *reterr; then everything is closed, and with `nodes` the next attempt begins at
 * another node: this one may say that it has the partition, and refuse everything else. */
int session_open(struct kv_store *store, struct kv_error *reterr);

/* Connects the bulk alone. Returns: -1 and *reterr. */
int session_open_bulk(struct kv_store *store, struct kv_error *reterr);

/* With `nodes`, before the partition is opened: connects to the node that has it, and calls the
 * function, over a connection of its own. Returns: its result; -1 and *reterr, and the next attempt
 * begins at another node. */
int session_visit(struct kv_store *store, int (*act)(const struct attempt *attempt, void *context),
                  void *context, struct kv_error *reterr);

void session_close(struct kv_store *store);

#endif
