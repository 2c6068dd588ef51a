/*
 * WebSocket service at /ws: the protocol of messages, on top of HTTP's upgrade.
 */
#ifndef KV_WS_WS_H
#define KV_WS_WS_H

#include "http/http.h"

struct kv_ws;

struct kv_ws_config {
    size_t max_key_bytes;
    size_t max_value_bytes;
    size_t max_message_bytes;
    uint32_t max_depth;
    uint32_t max_subscriptions; /* of one connection */
    size_t max_unsent_bytes;    /* of one connection */
    uint32_t max_pending;       /* commands of one connection */
    int64_t ping_ms;            /* of silence, until the server pings */
    int64_t idle_ms;            /* of silence, until the connection is given up */
    int64_t stalled_reader_ms;
};

/* Adds the route /ws, and a stage to each loop behind the keyspace's. Before the loops run. */
struct kv_ws *kv_ws_create(const struct kv_ws_config *config, struct kv_http *http,
                           struct kv_loop *const *loops, uint32_t n_loops);

/* Ends service, on a loop's own thread: no more messages are read; each connection is closed with
 * 1001 when what it has sent is answered. */
void kv_ws_drain(struct kv_ws *ws, uint32_t loop);

/* Cuts off what is left, on a loop's own thread. */
void kv_ws_abort(struct kv_ws *ws, uint32_t loop);

/* After the loops have ended, and after kv_ws_abort() on each. */
void kv_ws_destroy(struct kv_ws *ws);

#endif
