/*
 * The heads of libh2o's requests and responses: fills in requests from checked heads, and writes
 * the heads of responses.
 */
#ifndef KV_HTTP_H2O_HEAD_H
#define KV_HTTP_H2O_HEAD_H

#include "loop/evloop.h"

#include "wire/request_head.h"

/* Fills in a new request. bytes: the complete head in plain form, followed by the body; lent to the
 * request; names of headers are converted to lower case. */
void kv_h2o_head_read(h2o_req_t *req, const struct kv_request_head *head, char *bytes, size_t len);

/* The head of the response to the request, in the request's pool. */
h2o_iovec_t kv_h2o_head_write(h2o_req_t *req);

#endif
