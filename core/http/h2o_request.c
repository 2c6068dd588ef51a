/*
 * libh2o's own routing is not used: it decodes and shortens paths, and a key is the path as it was
 * sent. Of the headers it keeps some to itself, which stand elsewhere in its request.
 */
#include "http/h2o_request.h"

/* The target. */

static size_t authority_len(struct kv_slice target)
{
    static const struct kv_slice schemes[] = {{"http://", 7}, {"https://", 8}};
    for (size_t i = 0; i < sizeof(schemes) / sizeof(schemes[0]); i++) {
        if (!kv_slice_has_prefix(target, schemes[i]))
            continue;
        size_t len = schemes[i].len;
        const char *slash = memchr(target.bytes + len, '/', target.len - len);
        return slash == NULL ? target.len : (size_t)(slash - target.bytes);
    }
    return 0;
}

/* The path of the target without its query; of a target in absolute form, what follows the
 * authority (RFC 9112, section 3.2.2). */
static struct kv_slice path_of(const h2o_req_t *req)
{
    size_t len = req->query_at == SIZE_MAX ? req->input.path.len : req->query_at;
    struct kv_slice target = {req->input.path.base, len};
    size_t skipped = authority_len(target);
    return (struct kv_slice){target.bytes + skipped, target.len - skipped};
}

static size_t count_in(struct kv_slice head, struct kv_slice name)
{
    size_t n = 0;
    const char *end = head.bytes + head.len;
    const char *at = head.bytes;
    while ((at = memmem(at, (size_t)(end - at), name.bytes, name.len)) != NULL) {
        at += name.len;
        n++;
    }
    return n;
}

/* A body whose length is told twice: a proxy in front may have taken the other one (RFC 9112,
 * section 6.3). The library keeps these headers to itself, but its input still has the head, with
 * the names in small letters. */
static bool has_ambiguous_length(h2o_req_t *req)
{
    if (req->entity.base == NULL)
        return false;
    const char *begin = req->conn->callbacks->get_socket(req->conn)->input->bytes;
    struct kv_slice head = {begin, (size_t)(req->entity.base - begin)};
    return count_in(head, KV_SLICE("\ncontent-length:")) +
               count_in(head, KV_SLICE("\ntransfer-encoding:")) >
           1;
}

/* What RFC 9112 demands to be refused, and the library lets through. Returns: NULL where the
 * request is well formed. */
static const char *fault_of(h2o_req_t *req, struct kv_slice path)
{
    if (has_ambiguous_length(req))
        return "the length of the body is given more than once";
    /* The library puts its own default in the place of a missing one. */
    if (req->version >= 0x101 &&
        req->input.authority.base == req->hostconf->authority.hostport.base)
        return "HTTP/1.1 demands a Host header";
    if (path.len == 0 || path.bytes[0] != '/')
        return "the request target must be a path that begins with a slash";
    return NULL;
}

/* Headers. */

static struct kv_slice slice_of(h2o_iovec_t bytes)
{
    return (struct kv_slice){bytes.base, bytes.len};
}

/* Returns: KV_N_HEADERS where nobody looks at it. */
static enum kv_header_id id_of(struct kv_slice name)
{
    enum kv_header_id id = 0;
    while (id < KV_N_HEADERS && !kv_slice_equals(name, kv_header_name(id)))
        id++;
    return id;
}

static void add_header(struct kv_request *request, struct kv_header *headers, enum kv_header_id id,
                       struct kv_slice value)
{
    if (id < KV_N_HEADERS)
        headers[request->n_headers++] = (struct kv_header){id, value};
}

static void read_headers(h2o_req_t *req, struct kv_request *request)
{
    const h2o_headers_t *all = &req->headers;
    struct kv_header *headers =
        h2o_mem_alloc_pool(&req->pool, (all->size + 1) * sizeof(struct kv_header));
    for (size_t i = 0; i < all->size; i++)
        add_header(request, headers, id_of(slice_of(*all->entries[i].name)),
                   slice_of(all->entries[i].value));
    if (req->upgrade.base != NULL)
        add_header(request, headers, KV_HEADER_UPGRADE, slice_of(req->upgrade));
    request->headers = headers;
}

const char *kv_h2o_request_read(h2o_req_t *req, struct kv_request *ret_request)
{
    *ret_request = (struct kv_request){
        .method = kv_method_of(slice_of(req->input.method)),
        .is_http_1_0 = req->version < 0x101,
        .path = path_of(req),
        .body = slice_of(req->entity),
    };
    read_headers(req, ret_request);
    return fault_of(req, ret_request->path);
}

/* The library takes any `Connection` without `keep-alive`, one that asks for
 * an upgrade too, for `close`. */
bool kv_h2o_request_is_persistent(const h2o_req_t *req)
{
    if (req->version < 0x101)
        return req->http1_is_persistent;
    for (ssize_t at = -1; (at = h2o_find_header(&req->headers, H2O_TOKEN_CONNECTION, at)) != -1;) {
        const h2o_iovec_t *value = &req->headers.entries[at].value;
        if (h2o_contains_token(value->base, value->len, H2O_STRLIT("close"), ','))
            return false;
    }
    return true;
}
