/*
 * What serves a request: routes, replies and the rules that every route shares. For the files of
 * this folder and for what is built on HTTP (WebSocket).
 *
 * Replies: each takes the request to its end; it must not be touched afterwards. They run on the
 * request's loop, from a route or at any later time while the request lives.
 */
#ifndef KV_HTTP_REQUEST_H
#define KV_HTTP_REQUEST_H

#include "loop/evloop.h"

#include "http/http.h"

/* A resource. The caller's memory, alive as long as the server. */
struct kv_http_route {
    const char *path;    /* the whole path, or what it begins with where it ends in a slash */
    const char *methods; /* for `Allow`; OPTIONS is answered without the route */
    /* rest: what follows `path`, as it was sent, without the query; alive with the request. */
    void (*serve)(struct kv_http_route *self, struct kv_http_loop *here, h2o_req_t *req,
                  struct kv_slice rest);
};

/* Before the loops run. */
void kv_http_add_route(struct kv_http *http, struct kv_http_route *route);

struct kv_http_loop *kv_http_on(struct kv_http *http, uint32_t loop);
const struct kv_http_config *kv_http_config(const struct kv_http_loop *here);
struct kv_keyspace_loop *kv_http_keyspace(const struct kv_http_loop *here);
bool kv_http_is_draining(const struct kv_http_loop *here);

enum {
    KV_HTTP_LONG_TEXT = 256 << 10 /* from here on, a text is not scanned on the loop */
};

/* Runs a job that would hold the loop up on the worker. */
void kv_http_compute(const struct kv_http_loop *here, struct kv_job *job);

static inline bool kv_http_method_is(const h2o_req_t *req, struct kv_slice method)
{
    return h2o_memis(req->input.method.base, req->input.method.len, method.bytes, method.len);
}

/* Answers 403 where an `Origin` of the request may not do what it asks for (PROTOCOL B3); a request
 * without one may. action: in words, "write". Returns: whether it has answered. */
bool kv_http_refuse_origin(struct kv_http_loop *here, h2o_req_t *req, const char *action);

/* Lets the page of an allowed origin read the answer (CORS). */
void kv_http_add_cors(const struct kv_http_loop *here, h2o_req_t *req);

void kv_http_reply_empty(h2o_req_t *req, int status);
/* `{"error": "…"}`. The text is UTF-8. */
void kv_http_reply_error(h2o_req_t *req, int status, const char *format, ...) KV_PRINTF(3, 4);
/* 405, with what the path does take. methods: constant, as `Allow` has them. */
void kv_http_reply_not_allowed(h2o_req_t *req, const char *methods);
/* A JSON text; copied. */
void kv_http_reply_json(h2o_req_t *req, int status, struct kv_slice json);

#endif
