/*
 * The gate ahead of libh2o: the library gets one request at a time, when all of it has come, has
 * been checked (wire/framing.h) and lies in its plainest form, so that none of the library's
 * leniencies matters. What is no well-formed request is refused here, and nothing behind it is
 * read. The library never has the socket: the gate is its HTTP/1 connection, and writes the
 * responses to the connection's channel.
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
    struct kv_list written; /* those that have written what they were given at once */
};

/* Adds a stage to the loop. here, accept: lent. */
void kv_h2o_gates_init(struct kv_h2o_gates *gates, struct kv_http_context *here,
                       h2o_accept_ctx_t *accept);

/* The limits of the context have changed. */
void kv_h2o_gates_take_limits(struct kv_h2o_gates *gates);

/* Has the library serve the connection, beginning with the input that is there. */
void kv_h2o_gate_open(struct kv_h2o_gates *gates, struct kv_connection *connection);

/* The client of a connection's requests. Lent. */
struct kv_client *kv_h2o_gate_client(struct kv_connection *connection);

/* For a proxy's connection: sets the client of the request that is being served; an empty address:
 * the proxy has not named it. */
void kv_h2o_gate_forward(struct kv_connection *connection, const struct kv_address *client);

/* The answer to the request that is being served has a body of so many bytes. */
void kv_h2o_gate_answers(struct kv_connection *connection, size_t len);

/* The head of the request that is being served, with offsets into the connection's input. */
const struct kv_request_head *kv_h2o_gate_head(const struct kv_connection *connection);

/* Whether the request that is being served is there without its body, to be refused. Its answer is
 * the connection's last, unless the body is awaited: then the request is not answered, and served
 * again when it is whole. */
bool kv_h2o_gate_lacks_body(const struct kv_connection *connection);
void kv_h2o_gate_await_body(struct kv_connection *connection);

/* Whether that is over, and the request is being served again. */
bool kv_h2o_gate_was_offered(const struct kv_connection *connection);

/* Sends the head of the response that has been set, and then leaves the connection: another
 * protocol must serve it at once, with the input that followed the request.
 * on_left: called once; connection: NULL where it was lost. */
void kv_h2o_gate_leave(struct kv_connection *connection,
                       void (*on_left)(void *user, struct kv_connection *connection), void *user);

/* The answers to requests that are being served are their connections' last. */
void kv_h2o_gates_drain(struct kv_h2o_gates *gates, void (*end)(h2o_req_t *req));

#endif
