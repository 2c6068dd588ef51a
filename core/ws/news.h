/*
 * Sends states and notices of subscriptions to subscribers, as messages.
 */
#ifndef KV_WS_NEWS_H
#define KV_WS_NEWS_H

#include "ws/session.h"

/* For kv_client_create(): the client's owner is a session. */
extern const struct kv_subscriber_ops kv_ws_subscriber_ops;

#endif
