/*
 * The heads of libh2o's requests: read from checked ones, and written for its responses.
 */
#ifndef KV_HTTP_H2O_HEAD_H
#define KV_HTTP_H2O_HEAD_H

#include "loop/evloop.h"

#include "wire/request_head.h"

/* Fills a new request in. bytes: the head, whole and in plain form, and the body behind it; they
 * are lent to the request, and the names of headers become lower case. */
void kv_h2o_head_read(h2o_req_t *req, const struct kv_request_head *head, char *bytes, size_t len);

/* The head of the request's response, in its pool. */
h2o_iovec_t kv_h2o_head_write(h2o_req_t *req);

#endif
