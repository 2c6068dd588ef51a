/*
 * Event streams: subscriptions as Server-Sent Events, on connections that HTTP has handed over.
 */
#ifndef KV_EVENTS_EVENTS_H
#define KV_EVENTS_EVENTS_H

#include "access/access.h"
#include "events/config.h"
#include "events/wish.h"
#include "keyspace/keyspace.h"

struct kv_events;

/* Adds a stage to each loop, after the keyspace's. Call before the loops run. Lent until
 * kv_events_destroy(): access, keyspace, loops. */
struct kv_events *kv_events_create(const struct kv_events_config *config, struct kv_access *access,
                                   struct kv_keyspace *keyspace, struct kv_loop *const *loops,
                                   uint32_t n_loops);

/* Whether one stream may have subscriptions of this total cost (kv_subscription_cost). Threads: the
 * loop's own. */
bool kv_events_have_room(const struct kv_events *events, uint32_t loop, uint64_t cost);

/* Opens a stream on a connection to which the head of the response has been sent. wish: kept, and
 * taken over. before: the client of its requests; it may be closed afterwards. On the thread of the
 * loop that owns the connection. */
void kv_events_open(struct kv_events *events, uint32_t loop, struct kv_connection *connection,
                    struct kv_wish *wish, struct kv_client *before);

/* The loop has taken up other rules of access: ends the streams that they do not allow. On a loop's
 * own thread. */
void kv_events_revise(struct kv_events *events, uint32_t loop);

/* Replaces the loop's configuration, for open streams too. config: copied. Threads: the loop's
 * own. */
void kv_events_take_config(struct kv_events *events, uint32_t loop,
                           const struct kv_events_config *config);

/* Ends the streams, on a loop's own thread, after sending their unsent events. If there are many,
 * they end one after the other within over_ms, and are served until then. */
void kv_events_drain(struct kv_events *events, uint32_t loop, int64_t over_ms);

/* Aborts the remaining streams, on a loop's own thread. */
void kv_events_abort(struct kv_events *events, uint32_t loop);

/* Writes its metrics. Threads: any. */
void kv_events_collect(const struct kv_events *events, struct kv_metrics_text *text);

/* Call after the loops have ended, and after kv_events_abort() on each. Accepts NULL. */
void kv_events_destroy(struct kv_events *events);

#endif
