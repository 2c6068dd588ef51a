/*
 * What the files of this folder share.
 */
#ifndef KV_HTTP_IMPL_H
#define KV_HTTP_IMPL_H

#include "base/buffer.h"
#include "base/list.h"
#include "base/mem.h"
#include "http/front.h"
#include "http/refused_origins.h"
#include "http/request.h"

enum {
    KV_HTTP_MAX_ROUTES = 16
};

struct kv_http_loop {
    struct kv_http *http;
    struct kv_loop *loop;
    struct kv_keyspace_loop *keyspace;
    h2o_context_t context;
    h2o_accept_ctx_t accept;
    struct kv_front_loop front;
};

struct kv_http {
    struct kv_http_config config;
    struct kv_net *net;
    struct kv_net_service service;
    struct kv_keyspace *keyspace;
    struct kv_worker *worker;
    h2o_globalconf_t conf;
    struct kv_http_route *routes[KV_HTTP_MAX_ROUTES];
    size_t n_routes;
    struct kv_refused_origins refused_origins;
    uint32_t n_loops;
    struct kv_http_loop loops[];
};

/* server.c */
/* libh2o serves it from now on, beginning with the input that is there. */
void kv_http_give_to_library(struct kv_http_loop *here, struct kv_connection *connection);
struct kv_connection *kv_http_connection_of(h2o_req_t *req);

/* reply.c */
struct kv_http_answer;
/* Takes the answer's item over. */
void kv_http_reply(h2o_req_t *req, struct kv_keyspace *keyspace, struct kv_http_answer *answer);
/* Answers that the library makes by itself become JSON. */
void kv_http_register_error_filter(h2o_pathconf_t *pathconf);

/* storage.c */
extern struct kv_http_route kv_http_storage_route;

#endif
