/*
 * The upgrade (RFC 6455, section 4.2), with the checks that libh2o leaves out. A refusal is an
 * ordinary answer, and the connection stays usable.
 */
#include "ws/impl.h"

#include <h2o/http1.h>
#include <openssl/sha.h>

static const char GUID[] = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

enum {
    KEY_LEN = 24,
    ACCEPT_LEN = 28
};

static struct kv_slice header_of(const h2o_req_t *req, struct kv_slice name)
{
    ssize_t at = h2o_find_header_by_str(&req->headers, name.bytes, name.len, -1);
    if (at == -1)
        return (struct kv_slice){0};
    const h2o_iovec_t *value = &req->headers.entries[at].value;
    return (struct kv_slice){value->base, value->len};
}

/* 16 bytes in base64: 22 digits and `==`. */
static bool is_key(struct kv_slice key)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    if (key.len != KEY_LEN || memcmp(key.bytes + KEY_LEN - 2, "==", 2) != 0)
        return false;
    for (size_t i = 0; i < KEY_LEN - 2; i++)
        if (key.bytes[i] == '\0' || strchr(digits, key.bytes[i]) == NULL)
            return false;
    return true;
}

static h2o_iovec_t accept_of(h2o_req_t *req, struct kv_slice key)
{
    unsigned char digest[SHA_DIGEST_LENGTH];
    char text[KEY_LEN + sizeof(GUID) - 1];
    memcpy(text, key.bytes, KEY_LEN);
    memcpy(text + KEY_LEN, GUID, sizeof(GUID) - 1);
    SHA1((const unsigned char *)text, sizeof(text), digest);
    char *accept = h2o_mem_alloc_pool(&req->pool, ACCEPT_LEN + 1);
    h2o_base64_encode(accept, digest, sizeof(digest), 0);
    return (h2o_iovec_t){accept, ACCEPT_LEN};
}

static void demand_upgrade(h2o_req_t *req, const char *why)
{
    h2o_add_header(&req->pool, &req->res.headers, H2O_TOKEN_UPGRADE, NULL, H2O_STRLIT("websocket"));
    h2o_add_header_by_str(&req->pool, &req->res.headers, H2O_STRLIT("sec-websocket-version"), 0,
                          "Sec-WebSocket-Version", H2O_STRLIT("13"));
    kv_http_reply_error(req, 426, "%s", why);
}

static void on_upgraded(void *data, h2o_socket_t *sock, size_t reqsize)
{
    struct kv_ws_loop *here = data;
    if (sock == NULL)
        return; /* the connection was lost */
    h2o_buffer_consume(&sock->input, reqsize);
    kv_session_open(here, kv_connection_of_socket(sock));
}

static void upgrade(struct kv_ws_loop *here, h2o_req_t *req, struct kv_slice key)
{
    h2o_iovec_t accept = accept_of(req, key);
    req->res.status = 101;
    req->res.reason = "Switching Protocols";
    req->res.headers = (h2o_headers_t){NULL};
    h2o_add_header(&req->pool, &req->res.headers, H2O_TOKEN_UPGRADE, NULL, H2O_STRLIT("websocket"));
    h2o_add_header_by_str(&req->pool, &req->res.headers, H2O_STRLIT("sec-websocket-accept"), 0,
                          "Sec-WebSocket-Accept", accept.base, accept.len);
    h2o_http1_upgrade(req, NULL, 0, on_upgraded, here);
}

static void refuse_unavailable(struct kv_http_loop *http, h2o_req_t *req)
{
    h2o_add_header(&req->pool, &req->res.headers, H2O_TOKEN_RETRY_AFTER, NULL, H2O_STRLIT("1"));
    kv_http_reply_error(req, 503, "the server is %s",
                        kv_http_is_draining(http) ? "shutting down" : "starting");
}

static void check_and_upgrade(struct kv_ws_loop *here, h2o_req_t *req)
{
    struct kv_slice key = header_of(req, KV_SLICE("sec-websocket-key"));
    if (!kv_slice_equals(header_of(req, KV_SLICE("sec-websocket-version")), KV_SLICE("13")))
        demand_upgrade(req, "this server speaks version 13 of the WebSocket protocol");
    else if (!is_key(key))
        kv_http_reply_error(req, 400, "Sec-WebSocket-Key must be 16 bytes in base64");
    else if (req->entity.base != NULL && req->entity.len != 0)
        kv_http_reply_error(req, 400, "an upgrade has no body");
    else
        upgrade(here, req, key);
}

static bool asks_for_upgrade(const h2o_req_t *req)
{
    return kv_http_method_is(req, KV_SLICE("GET")) && req->version == 0x101 &&
           req->upgrade.base != NULL &&
           h2o_lcstris(req->upgrade.base, req->upgrade.len, H2O_STRLIT("websocket"));
}

void kv_ws_serve(struct kv_http_route *route, struct kv_http_loop *http, h2o_req_t *req,
                 struct kv_slice rest)
{
    struct kv_ws *ws = KV_CONTAINER(route, struct kv_ws, route);
    struct kv_keyspace_loop *keyspace = kv_http_keyspace(http);
    struct kv_ws_loop *here = ws->loops;
    (void)rest;
    while (here->keyspace != keyspace)
        here++;
    if (!kv_http_method_is(req, KV_SLICE("GET")) && !kv_http_method_is(req, KV_SLICE("HEAD"))) {
        kv_http_reply_not_allowed(req, route->methods);
    } else if (!asks_for_upgrade(req)) {
        demand_upgrade(req, "this path takes WebSocket connections");
    } else if (kv_http_refuse_origin(http, req, "open a WebSocket")) {
        return;
    } else if (kv_http_is_draining(http) || !kv_keyspace_is_ready(kv_keyspace_of(keyspace))) {
        refuse_unavailable(http, req);
    } else {
        check_and_upgrade(here, req);
    }
}
