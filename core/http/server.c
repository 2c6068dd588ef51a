/*
 * The server: libh2o's configuration, new connections, and routes. libh2o's
 * own routing is not used: it decodes and shortens paths, and a key is the path as it was sent.
 * HTTP/2 stays off: in this libh2o it can be crashed from outside.
 */
#include "http/impl.h"

#include <assert.h>
#include <h2o/http1.h>
#include <stdlib.h>

enum {
    BODY_OVERHEAD = 1 << 20, /* what a body may hold besides its value */
    NEVER_MS = INT32_MAX,
};

/* Routes. */

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
    const char *begin = kv_connection_socket(kv_http_connection_of(req))->input->bytes;
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

static void serve_options(h2o_req_t *req, const char *methods)
{
    h2o_mem_pool_t *pool = &req->pool;
    h2o_headers_t *headers = &req->res.headers;
    size_t len = strlen(methods);
    h2o_add_header(pool, headers, H2O_TOKEN_ALLOW, NULL, methods, len);
    if (h2o_find_header(headers, H2O_TOKEN_ACCESS_CONTROL_ALLOW_ORIGIN, -1) != -1) {
        h2o_add_header_by_str(pool, headers, H2O_STRLIT("access-control-allow-methods"), 0, NULL,
                              methods, len);
        h2o_add_header_by_str(pool, headers, H2O_STRLIT("access-control-allow-headers"), 0, NULL,
                              H2O_STRLIT("Content-Type, If-Match, If-None-Match"));
        h2o_add_header_by_str(pool, headers, H2O_STRLIT("access-control-max-age"), 0, NULL,
                              H2O_STRLIT("86400"));
    }
    kv_http_reply_empty(req, 204);
}

static bool leads_to(const struct kv_http_route *route, struct kv_slice path,
                     struct kv_slice *ret_rest)
{
    struct kv_slice own = kv_slice_of(route->path);
    bool is_prefix = own.bytes[own.len - 1] == '/';
    if (!kv_slice_has_prefix(path, own) || (!is_prefix && path.len != own.len))
        return false;
    *ret_rest = (struct kv_slice){path.bytes + own.len, path.len - own.len};
    return true;
}

static struct kv_http_route *route_to(const struct kv_http *http, struct kv_slice path,
                                      struct kv_slice *ret_rest)
{
    for (size_t i = 0; i < http->n_routes; i++)
        if (leads_to(http->routes[i], path, ret_rest))
            return http->routes[i];
    return NULL;
}

static void dispatch(struct kv_http_loop *here, h2o_req_t *req)
{
    struct kv_slice path = path_of(req);
    struct kv_slice rest;
    const char *fault = fault_of(req, path);
    if (fault != NULL) {
        req->http1_is_persistent = 0;
        kv_http_reply_error(req, 400, "%s", fault);
        return;
    }
    kv_http_add_cors(here, req);
    struct kv_http_route *route = route_to(here->http, path, &rest);
    if (route == NULL)
        kv_http_reply_error(req, 404, "there is nothing at this path: keys are under /storage/");
    else if (kv_http_method_is(req, KV_SLICE("OPTIONS")))
        serve_options(req, route->methods);
    else
        route->serve(route, here, req, rest);
}

/* RFC 9112, section 9.3. The library takes any `Connection` without `keep-alive`, one that asks for
 * an upgrade too, for `close`. */
static bool is_persistent(const h2o_req_t *req)
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

/* The answer under way is the connection's last. What the peer has sent behind the request stays
 * unread. */
static void end_with_answer(h2o_req_t *req)
{
    req->http1_is_persistent = 0;
    kv_connection_linger(kv_http_connection_of(req));
}

static int on_request(h2o_handler_t *super, h2o_req_t *req)
{
    struct kv_http_loop *here = KV_CONTAINER(req->conn->ctx, struct kv_http_loop, context);
    (void)super;
    req->http1_is_persistent = is_persistent(req);
    if (kv_http_is_draining(here))
        end_with_answer(req);
    kv_connection_touch(kv_http_connection_of(req));
    dispatch(here, req);
    return 0;
}

void kv_http_add_route(struct kv_http *http, struct kv_http_route *route)
{
    assert(http->n_routes < KV_HTTP_MAX_ROUTES);
    http->routes[http->n_routes++] = route;
}

static bool refuse_method(h2o_req_t *req, const struct kv_http_route *route)
{
    if (kv_http_method_is(req, KV_SLICE("GET")) || kv_http_method_is(req, KV_SLICE("HEAD")))
        return false;
    kv_http_reply_not_allowed(req, route->methods);
    return true;
}

static void serve_health(struct kv_http_route *self, struct kv_http_loop *here, h2o_req_t *req,
                         struct kv_slice rest)
{
    (void)here;
    (void)rest;
    if (!refuse_method(req, self))
        kv_http_reply_json(req, 200, KV_SLICE("{\"status\":\"ok\"}"));
}

static void serve_readiness(struct kv_http_route *self, struct kv_http_loop *here, h2o_req_t *req,
                            struct kv_slice rest)
{
    (void)rest;
    if (refuse_method(req, self))
        return;
    if (kv_http_is_draining(here) || !kv_keyspace_is_ready(here->http->keyspace)) {
        h2o_add_header(&req->pool, &req->res.headers, H2O_TOKEN_RETRY_AFTER, NULL, H2O_STRLIT("1"));
        kv_http_reply_error(req, 503, "the server is %s",
                            kv_http_is_draining(here) ? "shutting down" : "starting");
        return;
    }
    kv_http_reply_json(req, 200, KV_SLICE("{\"status\":\"ready\"}"));
}

static struct kv_http_route health_route = {
    .path = "/healthz", .methods = "GET, HEAD, OPTIONS", .serve = serve_health};
static struct kv_http_route readiness_route = {
    .path = "/readyz", .methods = "GET, HEAD, OPTIONS", .serve = serve_readiness};

/* Connections. */

static const char refusal[] = "HTTP/1.1 503 Service Unavailable\r\n"
                              "Content-Type: application/json\r\n"
                              "Connection: close\r\n"
                              "Retry-After: 1\r\n"
                              "Content-Length: 32\r\n\r\n"
                              "{\"error\":\"too many connections\"}";

void kv_http_give_to_library(struct kv_http_loop *here, struct kv_connection *connection)
{
    static const struct kv_protocol library; /* the socket shows what there is to see */
    kv_connection_serve(connection, &library, NULL);
    h2o_http1_accept(&here->accept, kv_connection_socket(connection),
                     *h2o_get_timestamp(&here->context, NULL, NULL));
}

struct kv_connection *kv_http_connection_of(h2o_req_t *req)
{
    return kv_connection_of_socket(req->conn->callbacks->get_socket(req->conn));
}

static void open_connection(struct kv_net_service *service, uint32_t loop,
                            struct kv_connection *connection)
{
    struct kv_http *http = KV_CONTAINER(service, struct kv_http, service);
    if (http->config.has_front)
        kv_front_open(&http->loops[loop], connection);
    else
        kv_http_give_to_library(&http->loops[loop], connection);
}

/* Draining. */

static int end_after_answer(h2o_req_t *req, void *data)
{
    (void)data;
    if (req->version != 0) /* or none has come */
        end_with_answer(req);
    return 0;
}

void kv_http_drain(struct kv_http *http, uint32_t loop)
{
    struct kv_http_loop *here = &http->loops[loop];
    /* Not h2o_context_request_shutdown(): that starts a timer of HTTP/2's, which is off. */
    here->context.shutdown_requested = 1;
    http->conf.http1.callbacks.foreach_request(&here->context, end_after_answer, NULL);
    kv_front_drain(here);
}

/* Making and ending it. */

struct kv_http_loop *kv_http_on(struct kv_http *http, uint32_t loop)
{
    return &http->loops[loop];
}

const struct kv_http_config *kv_http_config(const struct kv_http_loop *here)
{
    return &here->http->config;
}

struct kv_keyspace_loop *kv_http_keyspace(const struct kv_http_loop *here)
{
    return here->keyspace;
}

void kv_http_compute(const struct kv_http_loop *here, struct kv_job *job)
{
    kv_worker_run(here->http->worker, here->loop, job);
}

bool kv_http_is_draining(const struct kv_http_loop *here)
{
    return kv_net_is_draining(here->http->net);
}

static void configure(struct kv_http *http)
{
    h2o_config_init(&http->conf);
    h2o_hostconf_t *host =
        h2o_config_register_host(&http->conf, h2o_iovec_init(H2O_STRLIT("default")), 65535);
    h2o_pathconf_t *path = h2o_config_register_path(host, "/", 0);
    h2o_create_handler(path, sizeof(h2o_handler_t))->on_req = on_request;
    kv_http_register_error_filter(&host->fallback_path);
    http->conf.server_name = (h2o_iovec_t){NULL, 0};
    http->conf.max_request_entity_size = http->config.max_value_bytes + BODY_OVERHEAD;
    http->conf.http1.req_timeout = NEVER_MS;
    http->conf.http1.upgrade_to_http2 = 0;
    h2o_socket_buffer_mmap_settings.threshold = SIZE_MAX; /* no files: they would block the loop */
}

static void init_loop(struct kv_http *http, uint32_t index, struct kv_loop *loop)
{
    struct kv_http_loop *here = &http->loops[index];
    here->http = http;
    here->loop = loop;
    here->keyspace = kv_keyspace_on(http->keyspace, index);
    kv_front_init(here);
    h2o_context_init(&here->context, kv_loop_evloop(loop), &http->conf);
    here->accept = (h2o_accept_ctx_t){.ctx = &here->context, .hosts = http->conf.hosts};
}

struct kv_http *kv_http_create(const struct kv_http_config *config, struct kv_net *net,
                               struct kv_keyspace *keyspace, struct kv_worker *worker,
                               struct kv_loop *const *loops, uint32_t n_loops)
{
    struct kv_http *http = kv_calloc(1, sizeof(*http) + n_loops * sizeof(struct kv_http_loop));
    http->config = *config;
    http->net = net;
    http->service =
        (struct kv_net_service){.open = open_connection, .refusal = {refusal, sizeof(refusal) - 1}};
    kv_net_set_service(net, &http->service);
    http->keyspace = keyspace;
    http->worker = worker;
    http->n_loops = n_loops;
    configure(http);
    for (uint32_t i = 0; i < n_loops; i++)
        init_loop(http, i, loops[i]);
    kv_http_add_route(http, &kv_http_storage_route);
    kv_http_add_route(http, &health_route);
    kv_http_add_route(http, &readiness_route);
    return http;
}

void kv_http_destroy(struct kv_http *http)
{
    if (http == NULL)
        return;
    for (uint32_t i = 0; i < http->n_loops; i++) {
        struct kv_http_loop *here = &http->loops[i];
        kv_front_fini(here);
        h2o_context_dispose(&here->context);
    }
    h2o_config_dispose(&http->conf);
    free(http);
}
