/*
 * Snapshots: a subscription that begins with the present state, of its key or of each key under its
 * prefix, without a gap or a repetition between that and later changes.
 *
 * The keys are walked in pages, each of which shows the state of its own moment. If the store
 * seeks, the walk is in byte order: changes of keys ahead of it are dropped, as it will find them;
 * changes of keys in the page being read are held until the page is sent; changes of keys behind it
 * are sent. So memory is bounded by a page, however fast writers are. With any other store the
 * newest change of each key is held until the walk is complete; if they become too many, the walk
 * begins anew.
 */
#ifndef KV_KEYSPACE_SNAPSHOT_H
#define KV_KEYSPACE_SNAPSHOT_H

#include "keyspace/sync.h"

/* resets: the client has to forget the states that it has received. */
void kv_snapshot_begin(struct kv_syncs *syncs, struct kv_subscription *subscription, bool resets);

#endif
