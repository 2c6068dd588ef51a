/*
 * The syncs of a loop: how they begin, and their work in each turn.
 */
#ifndef KV_KEYSPACE_SYNCS_H
#define KV_KEYSPACE_SYNCS_H

#include "keyspace/sync.h"

/* The subscription begins with the present state; or it continues after this revision of the
 * store's present epoch, and is reset if the change log does not reach back so far. Replaces
 * whatever the subscription was doing. */
void kv_syncs_begin_initial(struct kv_syncs *syncs, struct kv_subscription *subscription);
void kv_syncs_begin_since(struct kv_syncs *syncs, struct kv_subscription *subscription,
                          uint64_t after);

/* The subscriber may have room for more. */
void kv_syncs_make_room(struct kv_subscriber *subscriber);

/* The caller fills in the members that belong to other files. */
void kv_syncs_init(struct kv_syncs *syncs);

/* Continues the syncs that can continue; call after the feed was delivered. */
void kv_syncs_run(struct kv_syncs *syncs);

/* The time at which kv_syncs_run() will have work; INT64_MIN: now; INT64_MAX: not known by time. */
int64_t kv_syncs_next_ms(const struct kv_syncs *syncs);

#endif
