/*
 * libh2o's requests as ours.
 */
#ifndef KV_HTTP_H2O_REQUEST_H
#define KV_HTTP_H2O_REQUEST_H

#include "loop/evloop.h"

#include "http/request.h"

/* Reads a request, whose bytes stay libh2o's.
 * Returns: NULL, or what RFC 9112 demands to be refused and the library lets through. */
const char *kv_h2o_request_read(h2o_req_t *req, struct kv_request *ret_request);

/* Whether the connection is to be kept after the request (RFC 9112, section 9.3). */
bool kv_h2o_request_is_persistent(const h2o_req_t *req);

#endif
