/*
 * Bodies in chunks (RFC 9112, section 7.1), read strictly: a size is hexadecimal digits and nothing
 * else, every line ends in CR LF, and trailers are header lines. Extensions and trailers are
 * checked and dropped.
 *
 * Two readers of one stream that disagree on where a body ends are how a request is smuggled past
 * the first of them; so nothing is guessed.
 */
#ifndef KV_WIRE_CHUNKED_H
#define KV_WIRE_CHUNKED_H

#include "wire/http_text.h"

enum {
    KV_CHUNKED_MOST_OVERHEAD = 16 << 10, /* bytes of extensions beyond those of data, and of
                                            trailers */
};

/* One body's. Owns nothing. */
struct kv_chunked {
    int state;
    uint64_t max_bytes; /* of data */
    uint64_t n_data;
    uint64_t size;     /* of the chunk under way; then what is left of it */
    size_t n_overhead; /* bytes of extensions and of leading zeros, less those of data since */
    size_t n_trailers; /* bytes */
    size_t n_read;     /* bytes of all */
    struct kv_http_fault fault; /* `at` counts from the body's first byte */
};

void kv_chunked_init(struct kv_chunked *chunked, uint64_t max_bytes);

/* Reads the next bytes, and writes the data that is among them to `to`, which may be the same place
 * or before it. All is read, but for what follows the body's end.
 * *ret_read: how many bytes. *ret_written: of data.
 * Returns: 1 at the end of the body, 0 where it goes on, -1 and `chunked->fault`. */
int kv_chunked_read(struct kv_chunked *chunked, char *to, const char *from, size_t len,
                    size_t *ret_read, size_t *ret_written);

#endif
