/*
 * The gate ahead of libh2o: the library gets one request at a time, when the request is complete,
 * has been checked (wire/framing.h) and lies in its plainest form, so that the library's leniency
 * does not matter. Malformed requests are refused here, and nothing after them is read. The library
 * never has the socket: the gate is its HTTP/1 connection, and writes the responses to the
 * connection's channel.
 */
#ifndef KV_HTTP_H2O_GATE_H
#define KV_HTTP_H2O_GATE_H

#include "loop/evloop.h"

#include "base/list.h"
#include "wire/request_head.h"

struct kv_address;
struct kv_client;
struct kv_connection;
struct kv_http_context;

/* Of one loop. */
struct kv_h2o_gates {
    struct kv_http_context *here;
    h2o_accept_ctx_t *accept;
    struct kv_loop_stage stage;
    struct kv_list all;
    struct kv_list written; /* gates whose writes completed at once */
};

/* Adds a stage to the loop. here, accept: lent. */
void kv_h2o_gates_init(struct kv_h2o_gates *gates, struct kv_http_context *here,
                       h2o_accept_ctx_t *accept);

/* The limits of the context have changed. */
void kv_h2o_gates_take_limits(struct kv_h2o_gates *gates);

/* Has the library serve the connection, beginning with its present input. before: the client of its
 * requests so far, for kv_client_succeed(); NULL: there were none. */
void kv_h2o_gate_open(struct kv_h2o_gates *gates, struct kv_connection *connection,
                      struct kv_client *before);

/* The client of a connection's requests. Lent. */
struct kv_client *kv_h2o_gate_client(struct kv_connection *connection);

/* For a proxy's connection: sets the client of the current request; an empty address: the proxy has
 * not named it. */
void kv_h2o_gate_forward(struct kv_connection *connection, const struct kv_address *client);

/* The answer to the current request has a body of this many bytes. */
void kv_h2o_gate_answers(struct kv_connection *connection, size_t len);

/* The head of the current request, with offsets into the connection's input. */
const struct kv_request_head *kv_h2o_gate_head(const struct kv_connection *connection);

/* Whether the current request is served without its body, in case it has to be refused. Its answer
 * is the last of the connection, unless the body is awaited: then the request is not answered, and
 * is served again when it is complete. */
bool kv_h2o_gate_lacks_body(const struct kv_connection *connection);
void kv_h2o_gate_await_body(struct kv_connection *connection);

/* Whether the current request was served before without its body. */
bool kv_h2o_gate_was_offered(const struct kv_connection *connection);

/* The gate has left the connection: another protocol must serve it at once, with the input after
 * the request. client: of the requests, for kv_client_succeed(); lent during the call. Both are
 * NULL if the connection was lost. */
typedef void (*kv_h2o_gate_left_fn)(void *user, struct kv_connection *connection,
                                    struct kv_client *client);

/* Sends the head of the response, and then leaves the connection. on_left: called once. */
void kv_h2o_gate_leave(struct kv_connection *connection, kv_h2o_gate_left_fn on_left, void *user);

/* After the answers to the current requests, their connections are closed. */
void kv_h2o_gates_drain(struct kv_h2o_gates *gates, void (*end)(h2o_req_t *req));

#endif
