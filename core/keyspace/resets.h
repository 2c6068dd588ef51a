/*
 * Resets: a subscription begins anew with the present state (snapshot.h), and its client is told to
 * forget what it has received. Subscriptions that relied on it (topics.h) begin anew as well.
 */
#ifndef KV_KEYSPACE_RESETS_H
#define KV_KEYSPACE_RESETS_H

#include "keyspace/sync.h"

/* Replaces whatever the subscription was doing. */
void kv_reset(struct kv_syncs *syncs, struct kv_subscription *subscription);

/* Ends a subscription whose changes could not be read, and tells its client. */
void kv_reset_failed(struct kv_syncs *syncs, struct kv_subscription *subscription, int status);

#endif
