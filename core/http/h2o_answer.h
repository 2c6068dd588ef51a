/*
 * Sends the server's answers through libh2o.
 */
#ifndef KV_HTTP_H2O_ANSWER_H
#define KV_HTTP_H2O_ANSWER_H

#include "loop/evloop.h"

#include "http/answer.h"
#include "net/connection.h"

static inline struct kv_connection *kv_h2o_connection_of(h2o_req_t *req)
{
    return kv_connection_of_socket(req->conn->callbacks->get_socket(req->conn));
}

/* The value of the header `Date`, 29 bytes; valid for the turn. */
static inline const char *kv_h2o_date(h2o_context_t *context)
{
    h2o_get_timestamp(context, NULL, NULL); /* brings the cache up to date */
    return context->_timestamp_cache.value->rfc1123;
}

/* Sets the answer's status and headers. has_length: the length of its body is known. */
void kv_h2o_answer_begin(h2o_req_t *req, const struct kv_answer *answer,
                         struct kv_slice allowed_origin, bool has_length);

/* Sends an answer; takes its item over. The request must not be accessed afterwards, unless the
 * body has a source with more parts: then kv_h2o_answer_go_on() sends the next part (is_there), or
 * aborts. The `carrier` of a source is a generator of libh2o's. */
void kv_h2o_answer_send(h2o_req_t *req, struct kv_keyspace *keyspace, struct kv_answer *answer,
                        struct kv_slice allowed_origin, bool is_head);
void kv_h2o_answer_go_on(h2o_req_t *req, struct kv_source *source, bool is_there);

#endif
