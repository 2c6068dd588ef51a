/*
 * Finds the end of each request of a connection: its head (request_head.h), then its body by length
 * or in chunks (chunked.h).
 *
 * The request is read in place as it arrives, in pieces of any size, and is left there in its
 * plainest form, on which no two readers can disagree: a head without folded lines or blanks after
 * values, and a body of exactly the length that the head specifies.
 */
#ifndef KV_WIRE_FRAMING_H
#define KV_WIRE_FRAMING_H

#include "wire/chunked.h"
#include "wire/request_head.h"

/* The state of one request. Owns nothing. */
struct kv_framing {
    struct kv_request_head head;
    struct kv_chunked chunked;
    uint64_t max_body; /* bytes */
    bool has_head;     /* the head is complete */
    bool is_whole;     /* the request is complete */
    size_t len;        /* of the part of the request that is in plain form */
    size_t n_dropped;  /* bytes dropped by the last call, from the front of its input */
    struct kv_http_fault fault;
};

void kv_framing_init(struct kv_framing *framing, uint64_t max_body);

/* Continues reading. bytes: the request from its first byte, including everything that the last
 * call left. *len: their number; on return, the number that is left, as chunk framing is removed.
 * Returns: 1 if the request is complete: the caller drops the first `framing->n_dropped` bytes; the
 * request is the next `framing->len` bytes, followed by what the peer sent after it. 0 if more is
 * needed. -1 and `framing->fault`. */
int kv_framing_read(struct kv_framing *framing, char *bytes, size_t *len);

#endif
