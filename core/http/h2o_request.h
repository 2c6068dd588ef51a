/*
 * Converts libh2o's requests to the server's.
 */
#ifndef KV_HTTP_H2O_REQUEST_H
#define KV_HTTP_H2O_REQUEST_H

#include "loop/evloop.h"

#include "http/request.h"
#include "wire/request_head.h"

/* Reads a request; its bytes remain libh2o's. head: of the request, in the connection's input. */
void kv_h2o_request_read(h2o_req_t *req, const struct kv_request_head *head,
                         struct kv_request *ret_request);

#endif
