/*
 * The fast path: the carrier that serves plain requests (fast_request.h) of a new connection, many
 * in one turn and with one write, and hands the connection to libh2o, permanently, at the first
 * request that is not plain. A client sees no difference: the answers are byte for byte those of
 * libh2o's carrier. The rest of the server works without it.
 */
#ifndef KV_HTTP_FAST_H
#define KV_HTTP_FAST_H

#include "http/h2o_carrier.h"
#include "http/known_head.h"
#include "net/quantum.h"

/* Of one loop. */
struct kv_fast_loop {
    struct kv_http_context *here;
    struct kv_h2o_loop *h2o;
    struct kv_loop_stage stage;
    struct kv_list all;
    struct kv_list active; /* connections with work for the stage */
    struct kv_quanta quanta;
    struct kv_known_heads known_heads;
};

/* Adds a stage to the loop, after the keyspace's. */
void kv_fast_loop_init(struct kv_fast_loop *loop, struct kv_http_context *here,
                       struct kv_h2o_loop *h2o);

/* The rules of access have changed. */
void kv_fast_revise(struct kv_fast_loop *loop);

/* The limits of the context have changed. */
void kv_fast_take_limits(struct kv_fast_loop *loop);

/* Serves a new connection, whose requests all come from one client: it does not read
 * `X-Forwarded-For`. */
void kv_fast_open(struct kv_fast_loop *loop, struct kv_connection *connection);

/* Ends service: requests under way are answered, later ones are left to libh2o. */
void kv_fast_drain(struct kv_fast_loop *loop);

#endif
