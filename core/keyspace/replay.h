/*
 * Replays: a subscription that continues after a revision, from the change log. Its client is sent
 * every change after that, in order, and gets new ones when the replay has reached them. If the log
 * does not reach back far enough, the subscription is reset: it begins with the present state
 * (snapshot.h).
 */
#ifndef KV_KEYSPACE_REPLAY_H
#define KV_KEYSPACE_REPLAY_H

#include "keyspace/sync.h"

void kv_replay_begin(struct kv_syncs *syncs, struct kv_subscription *subscription, uint64_t after);

#endif
