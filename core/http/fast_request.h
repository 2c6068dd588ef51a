/*
 * The requests that the fast path serves: GET, HEAD, POST, PUT and DELETE in the plainest form of
 * HTTP/1.1, with no header that any resource or check looks at.
 */
#ifndef KV_HTTP_FAST_REQUEST_H
#define KV_HTTP_FAST_REQUEST_H

#include "http/known_head.h"
#include "http/request.h"

enum kv_fast_verdict {
    KV_FAST_PLAIN,
    KV_FAST_PARTIAL, /* so far it is plain, but incomplete */
    KV_FAST_OTHER,   /* anything else, or malformed: left to libh2o */
};

/* Reads the request at the beginning of the input. input: at least one byte. memory: the
 * connection's, which has begun with this input. *ret_request, *ret_len: slices of the input, and
 * the length of the request, if it is plain. */
enum kv_fast_verdict kv_fast_request_read(struct kv_slice input, struct kv_head_memory *memory,
                                          struct kv_request *ret_request, size_t *ret_len);

/* Whether a plain request may have a header with this name, in lower case, and any value; the
 * header is dropped. */
bool kv_fast_request_hides(struct kv_slice header_name);

#endif
