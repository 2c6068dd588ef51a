/*
 * Resets: a subscription begins anew with the present state (snapshot.h), and its client is told to
 * forget what it was told. Those that relied on what it had told, or was to tell (topics.h), begin
 * anew as well.
 */
#ifndef KV_KEYSPACE_RESETS_H
#define KV_KEYSPACE_RESETS_H

#include "keyspace/sync.h"

/* In place of what the subscription was doing. */
void kv_reset(struct kv_syncs *syncs, struct kv_subscription *subscription);

/* Ends a subscription whose changes could not be read, and says so. */
void kv_reset_failed(struct kv_syncs *syncs, struct kv_subscription *subscription, int status);

#endif
