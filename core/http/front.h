/*
 * The front: it serves simple requests (front_request.h) of a new connection by itself, many in one
 * turn and with one write, and leaves the connection to libh2o, for good, at the first request that
 * is none. A client sees no difference: what the front answers is byte for byte what libh2o's way
 * does. The rest of the server works without it.
 */
#ifndef KV_HTTP_FRONT_H
#define KV_HTTP_FRONT_H

#include "base/buffer.h"
#include "loop/loop.h"

struct kv_front;
struct kv_connection;
struct kv_http_loop;

/* What belongs to one loop. */
struct kv_front_loop {
    struct kv_loop_stage stage;
    struct kv_list all;
    struct kv_list active;    /* connections that the stage has to go on with */
    struct kv_buffer decoded; /* for the key that is being read */
};

/* Adds a stage to the loop, behind the keyspace's. */
void kv_front_init(struct kv_http_loop *here);
void kv_front_fini(struct kv_http_loop *here);

/* Serves a new connection. */
void kv_front_open(struct kv_http_loop *here, struct kv_connection *connection);

/* Service ends: what is under way is answered, what has come meanwhile is left to libh2o. */
void kv_front_drain(struct kv_http_loop *here);

#endif
