/*
 * A blocking HTTP/1.1 client for tests of the protocol itself: a test may send malformed requests,
 * and every response, `100 Continue` included, is read separately.
 *
 * Errors: a malformed response fails the test.
 */
#ifndef KV_TEST_HTTP_H
#define KV_TEST_HTTP_H

#include "support/client/stream.h"

/* A response. Initialize it with zeros; it may be reused. Owns: the buffers, by
 * kv_test_response_fini(). */
struct kv_test_response {
    int status;
    struct kv_buffer head; /* the status line and the header lines, each NUL-terminated */
    struct kv_buffer body; /* without its framing */
    bool is_chunked;       /* it was chunked */
};

void kv_test_response_fini(struct kv_test_response *response);

/* The value of the first header of that name, in any letter case. Returns: NULL if there is none;
 * valid until the response is filled again. */
const char *kv_test_response_header(const struct kv_test_response *response, const char *name);

/* Appends a request with `Host`. headers: further lines, each with its CRLF; NULL: none. body: sent
 * with `Content-Length`; NULL bytes: no body and no such header. */
void kv_test_http_write(struct kv_buffer *out, const char *method, struct kv_slice path,
                        const char *headers, struct kv_slice body);

/* Reads the response to a request other than HEAD. Returns: false if the connection ended
 * instead. */
bool kv_test_http_receive(struct kv_test_stream *stream, struct kv_test_response *ret);

/* Reads the response to a HEAD request, which has no body, whatever its headers say. */
bool kv_test_http_receive_head(struct kv_test_stream *stream, struct kv_test_response *ret);

/* Sends a request and reads its response. The end of the connection fails the test. */
void kv_test_http_exchange(struct kv_test_stream *stream, const char *method, struct kv_slice path,
                           const char *headers, struct kv_slice body, struct kv_test_response *ret);

/* The same with strings. body: NULL: none. Returns: the status. */
int kv_test_http_ask(struct kv_test_stream *stream, const char *method, const char *path,
                     const char *headers, const char *body, struct kv_test_response *ret);

/* The same over a new connection. */
int kv_test_http_status(uint16_t port, const char *method, const char *path, const char *headers,
                        const char *body);

#endif
