/*
 * The limits of event streams.
 */
#ifndef KV_EVENTS_CONFIG_H
#define KV_EVENTS_CONFIG_H

#include "net/connection.h"

struct kv_events_config {
    uint32_t max_subscriptions; /* of one stream */
    size_t max_unsent_bytes;    /* of one stream */
    int64_t heartbeat_ms;       /* of silence, before a comment is sent */
    struct kv_patience patience;
};

#endif
