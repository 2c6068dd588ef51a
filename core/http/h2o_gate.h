/*
 * The gate ahead of libh2o: the library gets one request at a time, when all of it has come, has
 * been checked (wire/framing.h) and lies in its plainest form, so that none of the library's
 * leniencies matters. What is no well-formed request is refused here, and nothing behind it is
 * read.
 */
#ifndef KV_HTTP_H2O_GATE_H
#define KV_HTTP_H2O_GATE_H

#include "loop/evloop.h"

#include "base/list.h"
#include "wire/request_head.h"

struct kv_client;
struct kv_connection;
struct kv_http_context;

/* Of one loop. */
struct kv_h2o_gates {
    struct kv_http_context *here;
    h2o_accept_ctx_t *accept;
    struct kv_loop_stage stage;
    struct kv_list answered; /* those whose library has gone on to its next request */
};

/* Adds a stage to the loop. here, accept: lent. */
void kv_h2o_gates_init(struct kv_h2o_gates *gates, struct kv_http_context *here,
                       h2o_accept_ctx_t *accept);

/* Has the library serve the connection, beginning with the input that is there. */
void kv_h2o_gate_open(struct kv_h2o_gates *gates, struct kv_connection *connection);

/* The client of a connection's requests. Lent. */
struct kv_client *kv_h2o_gate_client(struct kv_connection *connection);

/* The answer to the request that is being served has a body of so many bytes. */
void kv_h2o_gate_answers(struct kv_connection *connection, size_t len);

/* The library serves a request now. Returns: its head, with offsets into the socket's input; valid
 * until it is answered. */
const struct kv_request_head *kv_h2o_gate_serve(struct kv_connection *connection, h2o_req_t *req);

/* The library has let go of the socket, whose last request had so many bytes. Returns: its
 * connection, with the input that followed the request; another protocol must serve it at once. */
struct kv_connection *kv_h2o_gate_leave(h2o_socket_t *sock, size_t request_len);

#endif
