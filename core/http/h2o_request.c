/*
 * libh2o's own routing is not used: it decodes and normalizes paths, but a key is the path as it
 * was sent. The library keeps some headers outside of its list.
 */
#include "http/h2o_request.h"

/* ---- headers ---- */

static struct kv_slice slice_of(h2o_iovec_t bytes)
{
    return (struct kv_slice){bytes.base, bytes.len};
}

/* Returns: KV_N_HEADERS for a header that no code reads. */
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

/* Without its query; `/` if a target in absolute form has no path. */
static struct kv_slice path_of(const h2o_req_t *req, const struct kv_request_head *head)
{
    size_t begin = head->path.at - head->target.at;
    size_t end = req->query_at == SIZE_MAX ? req->input.path.len : req->query_at;
    if (begin == end)
        return KV_SLICE("/");
    return (struct kv_slice){req->input.path.base + begin, end - begin};
}

static struct kv_slice query_of(const h2o_req_t *req)
{
    if (req->query_at == SIZE_MAX)
        return (struct kv_slice){0};
    size_t begin = req->query_at + 1;
    return (struct kv_slice){req->input.path.base + begin, req->input.path.len - begin};
}

void kv_h2o_request_read(h2o_req_t *req, const struct kv_request_head *head,
                         struct kv_request *ret_request)
{
    const char *input = req->conn->callbacks->get_socket(req->conn)->input->bytes;
    *ret_request = (struct kv_request){
        .method = kv_method_of(slice_of(req->input.method)),
        .is_http_1_0 = req->version < 0x101,
        .host = kv_head_slice(input, head->host),
        .path = path_of(req, head),
        .query = query_of(req),
        .body = slice_of(req->entity),
    };
    read_headers(req, ret_request);
}
