/*
 * The server: libh2o's configuration, the listeners of each loop, accepting, and routes. libh2o's
 * own routing is not used: it decodes and shortens paths, and a key is the path as it was sent.
 * HTTP/2 stays off: in this libh2o it can be crashed from outside.
 */
#include "http/impl.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <unistd.h>

enum {
    MOST_ACCEPTS_A_TURN = 64,
    BACKLOG = 4096,
    SWEEP_MS = 1000,
    DRAIN_SWEEP_MS = 20,
    RESUME_MS = 100,
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
    const char *begin = kv_http_connection_of(req)->sock->input->bytes;
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
    kv_http_connection_linger(kv_http_connection_of(req));
}

static int on_request(h2o_handler_t *super, h2o_req_t *req)
{
    struct kv_http_loop *here = KV_CONTAINER(req->conn->ctx, struct kv_http_loop, context);
    (void)super;
    req->http1_is_persistent = is_persistent(req);
    if (kv_http_is_draining(here))
        end_with_answer(req);
    kv_http_connection_of(req)->progress_ms = kv_loop_now_ms(here->loop);
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

/* Accepting. */

static void refuse_connection(struct kv_http_loop *here, h2o_socket_t *sock)
{
    static const char answer[] = "HTTP/1.1 503 Service Unavailable\r\n"
                                 "Content-Type: application/json\r\n"
                                 "Connection: close\r\n"
                                 "Retry-After: 1\r\n"
                                 "Content-Length: 32\r\n\r\n"
                                 "{\"error\":\"too many connections\"}";
    int fd = dup(h2o_socket_get_fd(sock));
    h2o_socket_close(sock);
    if (fd < 0)
        return;
    ssize_t sent = send(fd, answer, sizeof(answer) - 1, MSG_NOSIGNAL);
    (void)sent; /* a fresh socket's buffer holds it, or the peer is gone */
    kv_http_linger(here, fd);
}

static void admit(struct kv_http_loop *here, h2o_socket_t *sock)
{
    uint32_t before = atomic_fetch_add(&here->http->n_connections, 1);
    if (before < here->http->config.max_connections) {
        kv_http_connection_open(here, sock);
        return;
    }
    atomic_fetch_sub(&here->http->n_connections, 1);
    refuse_connection(here, sock);
}

static void on_accept(h2o_socket_t *listener, const char *err);

static void resume_accepting(struct kv_timer *timer)
{
    struct kv_http_loop *here = KV_CONTAINER(timer, struct kv_http_loop, resume);
    for (size_t i = 0; i < here->n_listeners; i++)
        if (!h2o_socket_is_reading(here->listeners[i]))
            h2o_socket_read_start(here->listeners[i], on_accept);
}

/* Descriptors or memory ran out: a listener that stays readable would keep the loop spinning. */
static void pause_accepting(struct kv_http_loop *here, h2o_socket_t *listener)
{
    h2o_socket_read_stop(listener);
    here->resume.fire = resume_accepting;
    kv_timer_start(here->loop, &here->resume, kv_loop_now_ms(here->loop) + RESUME_MS);
}

static void on_accept(h2o_socket_t *listener, const char *err)
{
    struct kv_http_loop *here = listener->data;
    if (err != NULL)
        return;
    for (int i = 0; i < MOST_ACCEPTS_A_TURN; i++) {
        errno = 0;
        h2o_socket_t *sock = h2o_evloop_socket_accept(listener);
        if (sock != NULL)
            admit(here, sock);
        else if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
            pause_accepting(here, listener);
            return;
        } else if (errno == EAGAIN) {
            return;
        }
    }
}

/* Listening. */

static int open_listener(const struct addrinfo *at, bool is_shared)
{
    int on = 1;
    int fd = socket(at->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return -1;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    if (is_shared)
        setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof(on));
    if (at->ai_family == AF_INET6)
        setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on));
    if (bind(fd, at->ai_addr, at->ai_addrlen) == 0 && listen(fd, BACKLOG) == 0)
        return fd;
    int error = errno;
    close(fd);
    errno = error;
    return -1;
}

static void learn_port(int fd, struct addrinfo *at)
{
    socklen_t len = at->ai_addrlen;
    getsockname(fd, at->ai_addr, &len);
}

static uint16_t port_of(const struct addrinfo *at)
{
    if (at->ai_family == AF_INET6)
        return ntohs(((const struct sockaddr_in6 *)(const void *)at->ai_addr)->sin6_port);
    return ntohs(((const struct sockaddr_in *)(const void *)at->ai_addr)->sin_port);
}

/* Several sockets may share a port only if all say so; another server of the same user would get
 * in between unnoticed. So a first one, unshared, makes sure that the port is free. */
static int claim_port(struct addrinfo *at)
{
    int fd = open_listener(at, false);
    if (fd < 0)
        return -1;
    learn_port(fd, at);
    close(fd);
    return 0;
}

static int listen_on_loop(struct kv_http_loop *here, const struct addrinfo *at)
{
    int fd = open_listener(at, true);
    if (fd < 0)
        return -1;
    h2o_socket_t *listener =
        h2o_evloop_socket_create(kv_loop_evloop(here->loop), fd, H2O_SOCKET_FLAG_DONT_READ);
    listener->data = here;
    here->listeners[here->n_listeners++] = listener;
    h2o_socket_read_start(listener, on_accept);
    return 0;
}

static int listen_at(struct kv_http *http, struct addrinfo *at)
{
    if (http->loops[0].n_listeners == KV_HTTP_MAX_LISTENERS) {
        errno = ENOSPC;
        return -1;
    }
    if (claim_port(at) != 0)
        return -1;
    for (uint32_t i = 0; i < http->n_loops; i++)
        if (listen_on_loop(&http->loops[i], at) != 0)
            return -1;
    return 0;
}

static void set_port(struct addrinfo *at, uint16_t port)
{
    if (at->ai_family == AF_INET6)
        ((struct sockaddr_in6 *)(void *)at->ai_addr)->sin6_port = htons(port);
    else
        ((struct sockaddr_in *)(void *)at->ai_addr)->sin_port = htons(port);
}

/* On every address of a name; one of a family that this machine does not have is left out.
 * port: in and out; 0 is any that is free, the same for all. Returns: -1 and errno where there is
 * none. */
static int listen_at_all(struct kv_http *http, struct addrinfo *all, uint16_t *port)
{
    int result = -1;
    for (struct addrinfo *at = all; at != NULL; at = at->ai_next) {
        set_port(at, *port);
        if (listen_at(http, at) == 0) {
            *port = port_of(at);
            result = 0;
        } else if (errno != EAFNOSUPPORT && errno != EADDRNOTAVAIL) {
            return -1;
        }
    }
    return result;
}

int kv_http_listen(struct kv_http *http, const char *host, uint16_t port, uint16_t *ret_port,
                   struct kv_error *reterr)
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE};
    struct addrinfo *all;
    int failed = getaddrinfo(host, "0", &hints, &all);
    if (failed != 0)
        return kv_error_set(reterr, "cannot listen on \"%s\": %s", host, gai_strerror(failed));
    *ret_port = port;
    int result = listen_at_all(http, all, ret_port);
    if (result != 0)
        kv_error_set(reterr, "cannot listen on %s port %u: %s", host, port, strerror(errno));
    freeaddrinfo(all);
    return result;
}

/* Sweeping and draining. */

static void on_sweep(struct kv_timer *timer)
{
    struct kv_http_loop *here = KV_CONTAINER(timer, struct kv_http_loop, sweep);
    int64_t interval = kv_http_is_draining(here) ? DRAIN_SWEEP_MS : SWEEP_MS;
    kv_http_sweep(here);
    kv_timer_start(here->loop, &here->sweep, kv_loop_now_ms(here->loop) + interval);
}

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
    atomic_store(&http->is_draining, true);
    kv_timer_stop(here->loop, &here->resume);
    for (; here->n_listeners > 0; here->n_listeners--)
        h2o_socket_close(here->listeners[here->n_listeners - 1]);
    /* Not h2o_context_request_shutdown(): that starts a timer of HTTP/2's, which is off. */
    here->context.shutdown_requested = 1;
    http->conf.http1.callbacks.foreach_request(&here->context, end_after_answer, NULL);
    kv_front_drain(here);
    on_sweep(&here->sweep);
}

void kv_http_abort(struct kv_http *http, uint32_t loop)
{
    struct kv_http_loop *here = &http->loops[loop];
    here->is_aborted = true;
    kv_http_linger_abort(here);
    kv_http_sweep(here);
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
    return atomic_load_explicit(&here->http->is_draining, memory_order_relaxed);
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
    kv_list_init(&here->connections);
    kv_list_init(&here->lingering);
    kv_front_init(here);
    h2o_context_init(&here->context, kv_loop_evloop(loop), &http->conf);
    here->accept = (h2o_accept_ctx_t){.ctx = &here->context, .hosts = http->conf.hosts};
    here->sweep.fire = on_sweep;
    kv_timer_start(loop, &here->sweep, kv_loop_now_ms(loop) + SWEEP_MS);
}

struct kv_http *kv_http_create(const struct kv_http_config *config, struct kv_keyspace *keyspace,
                               struct kv_worker *worker, struct kv_loop *const *loops,
                               uint32_t n_loops)
{
    struct kv_http *http = kv_calloc(1, sizeof(*http) + n_loops * sizeof(struct kv_http_loop));
    http->config = *config;
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
        for (; here->n_listeners > 0; here->n_listeners--)
            h2o_socket_close(here->listeners[here->n_listeners - 1]);
        kv_timer_stop(here->loop, &here->sweep);
        kv_timer_stop(here->loop, &here->resume);
        kv_front_fini(here);
        h2o_context_dispose(&here->context);
    }
    h2o_config_dispose(&http->conf);
    free(http);
}
