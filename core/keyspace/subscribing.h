/*
 * SUBSCRIBE and UNSUBSCRIBE: when they take effect, and what they begin and end. A client runs them
 * when all its earlier commands have been answered (client.h).
 */
#ifndef KV_KEYSPACE_SUBSCRIBING_H
#define KV_KEYSPACE_SUBSCRIBING_H

#include "access/principal.h"
#include "keyspace/loop.h"

/* Whether a replay under way relies on the subscription that the command would end, or begin anew.
 * If so, the command's order is looked at again when that may have changed. */
bool kv_subscribing_waits(struct kv_command *command, struct kv_subscriber *subscriber);

/* principal: of the client, at present. Returns: the command's outcome. */
int kv_subscribing_run(const struct kv_command *command, struct kv_subscriber *subscriber,
                       const struct kv_principal *principal);

/* The subscriber is told revisions to resume from, so the loop keeps the change log for it until
 * its subscriptions end. */
void kv_subscribing_let_resume(struct kv_keyspace_loop *here, struct kv_subscriber *subscriber);

/* Ends the subscriptions that the principal may not have (on_failed, KV_FORBIDDEN), and drops
 * states of keys from the backlog that it may not see. */
void kv_subscribing_restrict(struct kv_keyspace_loop *here, struct kv_subscriber *subscriber,
                             const struct kv_principal *principal);

/* Ends all subscriptions, and closes the subscriber. */
void kv_subscribing_end(struct kv_keyspace_loop *here, struct kv_subscriber *subscriber);

#endif
