/*
 * The life of a session: handles its channel's events, its part of the stage, and its timers.
 */
#ifndef KV_WS_SERVE_H
#define KV_WS_SERVE_H

#include "ws/session.h"

/* Serves a connection, beginning with its present input. before, window_bits: as for kv_ws_open().
 */
void kv_session_open(struct kv_ws_loop *here, struct kv_connection *connection,
                     struct kv_client *before, uint8_t window_bits);

/* Closes its connection as well. Call only from its channel, its timer or the stage, never from
 * within the keyspace's calls. */
void kv_session_destroy(struct kv_session *session);

/* The stage's work on one session; may destroy it. */
void kv_session_go_on(struct kv_session *session);

/* The stage's work on a session that has waited for its next quantum. */
void kv_session_take_waiting(struct kv_quantum *quantum);

/* The loop's configuration has changed. */
void kv_session_take_config(struct kv_session *session);

#endif
