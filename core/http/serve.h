/*
 * The only way from a carrier to a resource. Checks that apply to every request are made here, so
 * that no carrier and no resource can omit them.
 */
#ifndef KV_HTTP_SERVE_H
#define KV_HTTP_SERVE_H

#include "http/exchange.h"

/* Has the request answered: by the resource at its path, or with a refusal. request: lent for the
 * call. */
void kv_http_serve(struct kv_exchange *exchange, struct kv_request *request);

/* Checks a request before its body has arrived. Returns: true if it is refused whatever its body
 * contains, or needs no body; then it has been answered. Otherwise nothing has been done. */
bool kv_http_refuse(struct kv_exchange *exchange, struct kv_request *request);

/* Asserts that each path for operators needs a right: a resource that named none would be open to
 * every client. Call at the start. */
void kv_http_assert_guards(void);

#endif
