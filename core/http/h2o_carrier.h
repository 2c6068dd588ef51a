/*
 * The carrier for all of HTTP/1: libh2o, which gets its requests only through the gate. The
 * library's own parser of HTTP/1 is lenient, and its HTTP/2 can be crashed remotely: neither is
 * used.
 */
#ifndef KV_HTTP_H2O_CARRIER_H
#define KV_HTTP_H2O_CARRIER_H

#include "loop/evloop.h"

#include "http/context.h"
#include "http/h2o_gate.h"

/* Of one loop. */
struct kv_h2o_loop {
    struct kv_http_context *here;
    uint32_t index;
    h2o_globalconf_t conf; /* a copy: other loops change theirs at other times */
    h2o_context_t context;
    h2o_accept_ctx_t accept;
    struct kv_h2o_gates gates;
    struct kv_list handovers; /* handovers whose heads are being sent */
};

/* Initializes the library for the whole process. Call before the other functions. */
void kv_h2o_init(void);

void kv_h2o_loop_init(struct kv_h2o_loop *loop, struct kv_http_context *here, uint32_t index);
void kv_h2o_loop_fini(struct kv_h2o_loop *loop);

/* Serves the connection from now on, beginning with its present input. before: as for
 * kv_h2o_gate_open(). */
void kv_h2o_open(struct kv_h2o_loop *loop, struct kv_connection *connection,
                 struct kv_client *before);

/* The limits of the context have changed. On the loop's thread. */
void kv_h2o_take_limits(struct kv_h2o_loop *loop);

/* Ends service: after the current answers their connections are closed. */
void kv_h2o_drain(struct kv_h2o_loop *loop);

#endif
