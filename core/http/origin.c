/*
 * The Origin rule (PROTOCOL B3): browsers name the page that a request comes from, and only pages
 * of this machine, or listed ones, may write or open WebSockets. Programs send no Origin and pass.
 */
#include "http/impl.h"

#include <strings.h>

static bool equals_ignoring_case(struct kv_slice a, struct kv_slice b)
{
    return a.len == b.len && strncasecmp(a.bytes, b.bytes, a.len) == 0;
}

static bool is_port(struct kv_slice text)
{
    if (text.len == 0)
        return true;
    if (text.bytes[0] != ':' || text.len < 2 || text.len > 6)
        return false;
    for (size_t i = 1; i < text.len; i++)
        if (text.bytes[i] < '0' || text.bytes[i] > '9')
            return false;
    return true;
}

/* `<scheme><host>[:port]` for this host. */
static bool is_at(struct kv_slice origin, struct kv_slice scheme, struct kv_slice host)
{
    size_t len = scheme.len + host.len;
    if (origin.len < len || strncasecmp(origin.bytes, scheme.bytes, scheme.len) != 0 ||
        strncasecmp(origin.bytes + scheme.len, host.bytes, host.len) != 0)
        return false;
    return is_port((struct kv_slice){origin.bytes + len, origin.len - len});
}

static bool is_of_this_machine(struct kv_slice origin)
{
    static const struct kv_slice schemes[] = {{"http://", 7}, {"https://", 8}};
    static const struct kv_slice hosts[] = {{"localhost", 9}, {"127.0.0.1", 9}, {"[::1]", 5}};
    for (size_t s = 0; s < sizeof(schemes) / sizeof(schemes[0]); s++)
        for (size_t h = 0; h < sizeof(hosts) / sizeof(hosts[0]); h++)
            if (is_at(origin, schemes[s], hosts[h]))
                return true;
    return false;
}

static bool is_listed(const struct kv_http_config *config, struct kv_slice origin)
{
    for (size_t i = 0; i < config->n_origins; i++)
        if (equals_ignoring_case(config->origins[i], origin))
            return true;
    return false;
}

/* The next `Origin` after `cursor`. Returns: false where there is none. */
static bool next_origin(const h2o_req_t *req, ssize_t *cursor, struct kv_slice *ret_origin)
{
    *cursor = h2o_find_header_by_str(&req->headers, H2O_STRLIT("origin"), *cursor);
    if (*cursor == -1)
        return false;
    const h2o_iovec_t *value = &req->headers.entries[*cursor].value;
    *ret_origin = (struct kv_slice){value->base, value->len};
    return true;
}

/* Returns: false where every origin of the request is allowed. */
static bool find_refused(const struct kv_http_loop *here, const h2o_req_t *req,
                         struct kv_slice *ret_origin)
{
    for (ssize_t cursor = -1; next_origin(req, &cursor, ret_origin);)
        if (!is_of_this_machine(*ret_origin) && !is_listed(&here->http->config, *ret_origin))
            return true;
    return false;
}

bool kv_http_refuse_origin(struct kv_http_loop *here, h2o_req_t *req, const char *action)
{
    struct kv_slice origin;
    if (!find_refused(here, req, &origin))
        return false;
    kv_refused_origins_log(&here->http->refused_origins, kv_loop_now_ms(here->loop), origin,
                           action);
    kv_http_reply_error(req, 403, "pages of %s may not %s: the server's `origins` does not list it",
                        kv_origin_text(origin).text, action);
    return true;
}

void kv_http_add_cors(const struct kv_http_loop *here, h2o_req_t *req)
{
    struct kv_slice origin, refused;
    ssize_t cursor = -1;
    h2o_mem_pool_t *pool = &req->pool;
    h2o_headers_t *headers = &req->res.headers;
    /* On every answer: a cache must not give one page's to another. */
    h2o_add_header(pool, headers, H2O_TOKEN_VARY, NULL, H2O_STRLIT("Origin"));
    if (!next_origin(req, &cursor, &origin) || find_refused(here, req, &refused))
        return;
    h2o_iovec_t copy = h2o_strdup(pool, origin.bytes, origin.len);
    h2o_add_header(pool, headers, H2O_TOKEN_ACCESS_CONTROL_ALLOW_ORIGIN, NULL, copy.base, copy.len);
    h2o_add_header_by_str(pool, headers, H2O_STRLIT("access-control-expose-headers"), 0, NULL,
                          H2O_STRLIT("ETag, KV-TTL"));
}
