/*
 * Waiting for Redis while the store opens. Operators should learn why the server is not ready long
 * before the timeout; a wait that is over soon is not worth a line.
 */
#ifndef KV_STORE_REDIS_OPENING_H
#define KV_STORE_REDIS_OPENING_H

#include "shared.h"

/* Of the host's store; partitions point to it. */
void opening_begin(struct kv_store *store);

/* Logs the reason, once in an opening, if it has taken for about a second. */
void opening_note(const struct kv_store *store, const struct kv_error *error);

#endif
