/*
 * The WebSocket service: the message protocol, on connections that HTTP has upgraded.
 */
#ifndef KV_WS_WS_H
#define KV_WS_WS_H

#include "access/access.h"
#include "keyspace/keyspace.h"
#include "loop/workers.h"
#include "net/net.h"
#include "protocol/request_log.h"
#include "ws/config.h"

struct kv_ws;

/* Adds a stage to each loop, after the keyspace's. Call before the loops run. Lent until
 * kv_ws_destroy(): net, access, keyspace, workers, request_log (NULL: none), loops. */
struct kv_ws *kv_ws_create(const struct kv_ws_config *config, struct kv_net *net,
                           struct kv_access *access, struct kv_keyspace *keyspace,
                           struct kv_workers *workers, const struct kv_request_log *request_log,
                           struct kv_loop *const *loops, uint32_t n_loops);

/* Serves a connection that has been upgraded, beginning with its present input. before: the client
 * of its requests; it may be closed afterwards. window_bits: of permessage-deflate
 * (wire/deflate.h); 0: not negotiated. On the thread of the loop that owns the connection. */
void kv_ws_open(struct kv_ws *ws, uint32_t loop, struct kv_connection *connection,
                struct kv_client *before, uint8_t window_bits);

/* The loop has taken up other rules of access: closes connections that they do not allow with 3000.
 * On a loop's own thread. */
void kv_ws_revise(struct kv_ws *ws, uint32_t loop);

/* Replaces the loop's configuration, for open connections too. config: copied. Threads: the loop's
 * own. */
void kv_ws_take_config(struct kv_ws *ws, uint32_t loop, const struct kv_ws_config *config);

/* Ends service, on a loop's own thread. Each connection stops reading in its turn; it is closed
 * with 1001 when its messages have been answered. If there are many, they end one after the other
 * within over_ms, and are served until then. */
void kv_ws_drain(struct kv_ws *ws, uint32_t loop, int64_t over_ms);

/* Aborts the remaining connections, on a loop's own thread. */
void kv_ws_abort(struct kv_ws *ws, uint32_t loop);

/* Writes its metrics. Threads: any. */
void kv_ws_collect(const struct kv_ws *ws, struct kv_metrics_text *text);

/* Call after the loops have ended, and after kv_ws_abort() on each. */
void kv_ws_destroy(struct kv_ws *ws);

#endif
