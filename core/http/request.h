/*
 * A request as resources see it, independent of the carrier that read it.
 */
#ifndef KV_HTTP_REQUEST_H
#define KV_HTTP_REQUEST_H

#include <kvserver/types.h>

enum kv_method {
    KV_METHOD_OTHER = 0, /* no resource takes it */
    KV_METHOD_GET = 1 << 0,
    KV_METHOD_HEAD = 1 << 1,
    KV_METHOD_POST = 1 << 2,
    KV_METHOD_PUT = 1 << 3,
    KV_METHOD_DELETE = 1 << 4,
    KV_METHOD_OPTIONS = 1 << 5,
    KV_METHOD_PATCH = 1 << 6,
};

enum {
    KV_METHODS_READING = KV_METHOD_GET | KV_METHOD_HEAD,
    KV_METHODS_WRITING = KV_METHOD_POST | KV_METHOD_PUT | KV_METHOD_PATCH | KV_METHOD_DELETE,
};

enum kv_method kv_method_of(struct kv_slice name);

/* A set of methods in words, as in `Allow`. */
struct kv_methods_text {
    char text[64];
};
struct kv_methods_text kv_methods_text(uint32_t methods);

/* The headers that resources or checks read, and no others: so the fast path knows which requests
 * it must leave to the other carrier. Of requests with Sec-Fetch-Site, these are the ones sent by
 * another site's page. Headers from Content-Type on are read only in requests that the fast path
 * never has: a PATCH, one for events or a file, one with a cookie if cookies are accepted. */
enum kv_header_id {
    KV_HEADER_AUTHORIZATION,
    KV_HEADER_ORIGIN,
    KV_HEADER_IF_MATCH,
    KV_HEADER_IF_NONE_MATCH,
    KV_HEADER_UPGRADE,
    KV_HEADER_WEBSOCKET_KEY,
    KV_HEADER_WEBSOCKET_VERSION,
    KV_HEADER_WEBSOCKET_PROTOCOL,
    KV_HEADER_WEBSOCKET_EXTENSIONS,
    KV_HEADER_FETCH_SITE,
    KV_HEADER_CONTENT_TYPE,
    KV_HEADER_LAST_EVENT_ID,
    KV_HEADER_ACCEPT,
    KV_HEADER_COOKIE,
    KV_HEADER_ACCEPT_ENCODING,
    KV_HEADER_IF_MODIFIED_SINCE,
    KV_HEADER_IF_UNMODIFIED_SINCE,
    KV_HEADER_RANGE,
    KV_HEADER_IF_RANGE,
    KV_N_HEADERS
};

/* In lower case. */
struct kv_slice kv_header_name(enum kv_header_id id);

struct kv_header {
    enum kv_header_id id;
    struct kv_slice value;
};

/* Plain data. Its bytes are lent until the exchange is answered, by the fast path until the end of
 * the loop's turn (exchange.h). */
struct kv_peer_certificate;

struct kv_request {
    enum kv_method method;
    bool is_http_1_0;      /* or older */
    bool is_unix;          /* received on a Unix socket */
    struct kv_slice host;  /* the requested host, well formed; empty: none */
    struct kv_slice path;  /* as sent, without the query; or `*` */
    struct kv_slice query; /* as sent, the part after the `?`; bytes NULL: none */
    struct kv_slice rest;  /* the part after the path of the resource that serves it */
    struct kv_slice body;  /* bytes NULL: none */
    struct kv_slice token; /* of `Authorization: Bearer`, if that is not among the headers */
    bool is_usual_token;   /* it equals the token of the client's principal */
    const struct kv_peer_certificate *certificate; /* of the connection; NULL: none */
    const struct kv_header *headers;
    size_t n_headers;
};

/* The next line of a header. at: 0 to begin with. Returns: false if there is none. */
bool kv_request_next_header(const struct kv_request *request, enum kv_header_id id, size_t *at,
                            struct kv_slice *ret_value);

/* The first line of a header; empty if there is none. */
struct kv_slice kv_request_header(const struct kv_request *request, enum kv_header_id id);

/* The number of lines of a header. */
size_t kv_request_count_header(const struct kv_request *request, enum kv_header_id id);

/* Whether its Content-Type is this media type, with any parameters. type: in lower case. */
bool kv_request_has_type(const struct kv_request *request, struct kv_slice type);

/* Whether it is a request to upgrade the connection to a WebSocket. */
bool kv_request_asks_for_websocket(const struct kv_request *request);

#endif
