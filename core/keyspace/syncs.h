/*
 * The syncs of a loop: how they begin, and their share of each turn.
 */
#ifndef KV_KEYSPACE_SYNCS_H
#define KV_KEYSPACE_SYNCS_H

#include "keyspace/sync.h"

/* The subscription begins with the present state; or continues after this revision of the store's
 * present epoch, where the change log reaches back so far, and is reset where not. In place of what
 * it was doing. */
void kv_syncs_begin_initial(struct kv_syncs *syncs, struct kv_subscription *subscription);
void kv_syncs_begin_since(struct kv_syncs *syncs, struct kv_subscription *subscription,
                          uint64_t after);

/* The subscriber may have room for more. */
void kv_syncs_make_room(struct kv_subscriber *subscriber);

/* The members of other parts are the caller's to fill in. */
void kv_syncs_init(struct kv_syncs *syncs);

/* Lets those go on that can; after the feed was delivered. */
void kv_syncs_run(struct kv_syncs *syncs);

/* When kv_syncs_run() would find work; INT64_MIN: now; INT64_MAX: not by time. */
int64_t kv_syncs_next_ms(const struct kv_syncs *syncs);

#endif
