/*
 * Sends states and notices of subscriptions to subscribers, as events.
 */
#ifndef KV_EVENTS_NEWS_H
#define KV_EVENTS_NEWS_H

#include "events/stream.h"

/* For kv_client_create(): the client's owner is a stream. */
extern const struct kv_subscriber_ops kv_events_subscriber_ops;

#endif
