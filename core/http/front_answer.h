/*
 * Answers as bytes: the front's way of writing them.
 */
#ifndef KV_HTTP_FRONT_ANSWER_H
#define KV_HTTP_FRONT_ANSWER_H

#include "http/answer.h"
#include "net/outbound.h"

/* How a response is sent. */
struct kv_front_sending {
    struct kv_slice date; /* as the header has it */
    bool is_head;         /* to a HEAD: without its body */
    bool is_last;         /* the connection is closed behind it */
};

/* Appends the response. Takes the answer's item over. */
void kv_front_answer_write(struct kv_outbound *out, struct kv_keyspace *keyspace,
                           struct kv_http_answer *answer, const struct kv_front_sending *sending);

#endif
