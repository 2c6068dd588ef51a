/*
 * The connections to Redis, from nothing to where commands may be sent: logged in, with the library
 * there, the store made or found, and the chain continued. It waits, within the store's time-out.
 */
#ifndef KV_STORE_REDIS_SESSION_H
#define KV_STORE_REDIS_SESSION_H

#include "shared.h"

/* Returns: -1 and *reterr; everything is closed then. */
int session_open(struct kv_store *store, struct kv_error *reterr);

void session_close(struct kv_store *store);

#endif
