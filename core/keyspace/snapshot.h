/*
 * Snapshots: a subscription that begins with the present state, of its key or of each key under its
 * prefix, with no gap and no repetition between that and the changes after it.
 *
 * The keys are walked in pages, each of which shows the state of its own moment. Over a store that
 * seeks the walk is in byte order: changes of keys ahead of it are dropped, as it will meet them;
 * those of keys in the page that is being read are held until that is sent; those behind it are
 * told. So memory is bounded by a page, however fast writers are. Over any other store changes are
 * held until the walk is complete, the newest of each key; if they become too many it begins anew.
 */
#ifndef KV_KEYSPACE_SNAPSHOT_H
#define KV_KEYSPACE_SNAPSHOT_H

#include "keyspace/sync.h"

/* resets: what the client has been told is to be forgotten. */
void kv_snapshot_begin(struct kv_syncs *syncs, struct kv_subscription *subscription, bool resets);

#endif
