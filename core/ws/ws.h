/*
 * WebSocket service: the protocol of messages, on connections that HTTP has upgraded.
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

/* Adds a stage to each loop, after the keyspace's. Before the loops run. Lent until
 * kv_ws_destroy(): net, access, keyspace, workers, request_log (NULL: none), loops. */
struct kv_ws *kv_ws_create(const struct kv_ws_config *config, struct kv_net *net,
                           struct kv_access *access, struct kv_keyspace *keyspace,
                           struct kv_workers *workers, const struct kv_request_log *request_log,
                           struct kv_loop *const *loops, uint32_t n_loops);

/* Serves a connection that has been upgraded, beginning with the input that is there. principal: as
 * whom the client comes; borrowed. window_bits: of permessage-deflate (wire/deflate.h); 0: it has
 * not been agreed on. On the thread of that loop, whose connection it is. */
void kv_ws_open(struct kv_ws *ws, uint32_t loop, struct kv_connection *connection,
                struct kv_principal *principal, uint8_t window_bits);

/* Other rules are in force, which the loop has taken up: connections that they do not allow are
 * closed with 3000. On a loop's own thread. */
void kv_ws_revise(struct kv_ws *ws, uint32_t loop);

/* Replaces the loop's configuration, for open connections too. config: copied. Threads: the loop's
 * own. */
void kv_ws_take_config(struct kv_ws *ws, uint32_t loop, const struct kv_ws_config *config);

/* Ends service, on a loop's own thread. In its turn each connection is read no more; it is closed
 * with 1001 when what it has sent is answered. Where there are many, their turns are spread over
 * that time, in which they are served. */
void kv_ws_drain(struct kv_ws *ws, uint32_t loop, int64_t over_ms);

/* Cuts off what is left, on a loop's own thread. */
void kv_ws_abort(struct kv_ws *ws, uint32_t loop);

/* Writes its metrics. Threads: any. */
void kv_ws_collect(const struct kv_ws *ws, struct kv_metrics_text *text);

/* After the loops have ended, and after kv_ws_abort() on each. */
void kv_ws_destroy(struct kv_ws *ws);

#endif
