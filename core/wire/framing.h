/*
 * Where each request of a connection ends: its head (request_head.h), then its body by length or in
 * chunks (chunked.h).
 *
 * The request is read where it lies as it arrives, in whatever pieces, and is left there in its
 * plainest form, in which no two readers can disagree: a head without folded lines or blanks behind
 * values, and a body of exactly the length that the head says.
 */
#ifndef KV_WIRE_FRAMING_H
#define KV_WIRE_FRAMING_H

#include "wire/chunked.h"
#include "wire/request_head.h"

/* One request's. Owns nothing. */
struct kv_framing {
    struct kv_request_head head;
    struct kv_chunked chunked;
    uint64_t max_body; /* bytes */
    bool has_head;     /* it is whole */
    bool is_whole;     /* the request is */
    size_t len;        /* of the request as far as it is in plain form */
    size_t n_dropped;  /* by the last call, of the bytes it was given, from the first */
    struct kv_http_fault fault;
};

void kv_framing_init(struct kv_framing *framing, uint64_t max_body);

/* Reads on. bytes: of the request from its first, with all that the last call left. *len: how many
 * there are; in the end, how many are left, as chunks are taken apart.
 * Returns: 1 where the request is whole: the caller drops the first `framing->n_dropped` bytes; the
 * request is the next `framing->len`, and behind these is what the peer sent after it. 0 where more
 * is needed. -1 and `framing->fault`. */
int kv_framing_read(struct kv_framing *framing, char *bytes, size_t *len);

#endif
