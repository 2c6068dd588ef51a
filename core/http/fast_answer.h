/*
 * Answers as bytes, as the fast path writes them.
 */
#ifndef KV_HTTP_FAST_ANSWER_H
#define KV_HTTP_FAST_ANSWER_H

#include "http/answer.h"
#include "net/outbound.h"

enum {
    KV_DATE_LEN = 29
};

/* How a response is sent. */
struct kv_fast_sending {
    const char *date; /* the value of the header `Date`, KV_DATE_LEN bytes */
    bool is_head;     /* for a HEAD: without its body */
    bool is_last;     /* the connection is closed after it */
};

/* Appends the response. Takes the answer's item over. */
void kv_fast_answer_write(struct kv_outbound *out, struct kv_keyspace *keyspace,
                          struct kv_answer *answer, const struct kv_fast_sending *sending);

#endif
