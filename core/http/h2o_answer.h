/*
 * Our answers as libh2o's.
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

/* Sends an answer; takes its item over. The request must not be touched afterwards. */
void kv_h2o_answer_send(h2o_req_t *req, struct kv_keyspace *keyspace, struct kv_answer *answer,
                        struct kv_slice allowed_origin, bool is_head);

/* Answers that the library makes by itself become JSON. */
void kv_h2o_register_error_filter(h2o_pathconf_t *pathconf);

#endif
