/*
 * The limits of WebSockets.
 */
#ifndef KV_WS_CONFIG_H
#define KV_WS_CONFIG_H

#include "net/connection.h"
#include "protocol/hello.h"

struct kv_ws_config {
    struct kv_hello hello;
    uint32_t max_leases; /* of one connection */
    size_t max_key_bytes;
    size_t max_value_bytes;
    size_t max_message_bytes;
    uint32_t max_depth;
    uint32_t max_subscriptions; /* of one connection */
    size_t max_unsent_bytes;    /* of one connection */
    uint32_t max_pending;       /* commands of one connection */
    int64_t auth_ms;            /* time for a connection without rights to send a token */
    int64_t ping_ms;            /* of silence, before the server pings */
    struct kv_patience patience;
};

#endif
