/*
 * The Origin rule (PROTOCOL B4): browsers name the origin of the page that sends a request, and
 * only pages of this machine, or listed ones, may write or open WebSockets. Programs send no Origin
 * and pass.
 */
#ifndef KV_HTTP_ORIGIN_H
#define KV_HTTP_ORIGIN_H

#include "http/answer.h"
#include "http/config.h"
#include "http/request.h"

/* Whether an `Origin` of the request is refused: then sets *ret_refused. */
bool kv_origin_is_refused(const struct kv_http_config *config, const struct kv_request *request,
                          struct kv_slice *ret_refused);

/* Whether the configuration lists the origin by name, not only by a pattern for all, or as this
 * machine's. */
bool kv_origin_is_named(const struct kv_http_config *config, struct kv_slice origin);

#endif
