/*
 * What the files of this folder share.
 */
#ifndef KV_HTTP_IMPL_H
#define KV_HTTP_IMPL_H

#include <stdatomic.h>

#include "base/buffer.h"
#include "base/list.h"
#include "base/mem.h"
#include "http/front.h"
#include "http/refused_origins.h"
#include "http/request.h"

enum {
    KV_HTTP_MAX_LISTENERS = 64,
    KV_HTTP_MAX_ROUTES = 16
};

struct kv_http_loop {
    struct kv_http *http;
    struct kv_loop *loop;
    struct kv_keyspace_loop *keyspace;
    h2o_context_t context;
    h2o_accept_ctx_t accept;
    h2o_socket_t *listeners[KV_HTTP_MAX_LISTENERS];
    size_t n_listeners;
    struct kv_list connections;
    struct kv_list lingering;
    struct kv_front_loop front;
    struct kv_timer sweep;  /* looks for connections that make no progress */
    struct kv_timer resume; /* accepts again after descriptors ran out */
    bool is_aborted;
};

struct kv_http {
    struct kv_http_config config;
    struct kv_keyspace *keyspace;
    struct kv_worker *worker;
    h2o_globalconf_t conf;
    struct kv_http_route *routes[KV_HTTP_MAX_ROUTES];
    size_t n_routes;
    _Atomic uint32_t n_connections;
    _Atomic uint32_t n_lingering;
    atomic_bool is_draining;
    struct kv_refused_origins refused_origins;
    uint32_t n_loops;
    struct kv_http_loop loops[];
};

/* connection.c: one open connection, whatever it speaks. */
struct kv_http_connection {
    struct kv_list link;
    struct kv_http_loop *here;
    h2o_socket_t *sock;
    struct kv_front *front; /* NULL: it is libh2o's, or another protocol's */
    bool is_upgraded;
    int linger_fd;       /* another descriptor of the socket, for when it is closed with input
                            unread (see linger.c); otherwise -1 */
    int64_t progress_ms; /* when it last made progress */
    uint64_t seen;       /* a measure of progress, as of then */
};

void kv_http_connection_open(struct kv_http_loop *here, h2o_socket_t *sock);
struct kv_http_connection *kv_http_connection_of(h2o_req_t *req);
/* The library serves it from now on, beginning with the input that is there. */
void kv_http_connection_give_to_library(struct kv_http_connection *connection);
/* It will be closed after the answer, with input unread or yet to come. */
void kv_http_connection_linger(struct kv_http_connection *connection);
void kv_http_sweep(struct kv_http_loop *here);

/* linger.c */
void kv_http_linger(struct kv_http_loop *here, int fd);
void kv_http_linger_abort(struct kv_http_loop *here);

/* reply.c */
struct kv_http_answer;
/* Takes the answer's item over. */
void kv_http_reply(h2o_req_t *req, struct kv_keyspace *keyspace, struct kv_http_answer *answer);
/* Answers that the library makes by itself become JSON. */
void kv_http_register_error_filter(h2o_pathconf_t *pathconf);

/* storage.c */
extern struct kv_http_route kv_http_storage_route;

#endif
