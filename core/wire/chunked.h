/*
 * Bodies in chunks (RFC 9112, section 7.1), read strictly: a size consists only of hexadecimal
 * digits, every line ends in CR LF, and trailers are header lines. Extensions and trailers are
 * checked and dropped.
 *
 * If two readers of one stream disagree on where a body ends, requests can be smuggled past the
 * first of them; so nothing is guessed.
 */
#ifndef KV_WIRE_CHUNKED_H
#define KV_WIRE_CHUNKED_H

#include "wire/http_text.h"

enum {
    KV_CHUNKED_MOST_OVERHEAD = 16 << 10, /* bytes of extensions beyond those of data, and of
                                            trailers */
};

/* The state of one body. Owns nothing. */
struct kv_chunked {
    int state;
    uint64_t max_bytes; /* of data */
    uint64_t n_data;
    uint64_t size;     /* of the current chunk; then the remaining bytes of it */
    size_t n_overhead; /* bytes of extensions and of leading zeros, less those of data since */
    size_t n_trailers; /* bytes */
    size_t n_read;     /* total bytes read */
    struct kv_http_fault fault; /* `at` counts from the body's first byte */
};

void kv_chunked_init(struct kv_chunked *chunked, uint64_t max_bytes);

/* Reads the next bytes, and writes the data among them to `to`, which may be the same place or
 * before it. Reads everything except what follows the body's end.
 * *ret_read: the number of bytes read. *ret_written: the number of data bytes.
 * Returns: 1 at the end of the body, 0 if it continues, -1 and `chunked->fault`. */
int kv_chunked_read(struct kv_chunked *chunked, char *to, const char *from, size_t len,
                    size_t *ret_read, size_t *ret_written);

#endif
