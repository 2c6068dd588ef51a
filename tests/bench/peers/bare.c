/*
 * The limit: a bare libh2o handler on one thread, with a fixed answer of the size and the headers
 * of KvServer's answers, and no further work.  bare PORT
 */
#include <h2o.h>

#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>

enum {
    BACKLOG = 4096,
    ACCEPTS_A_TURN = 64
};

static h2o_globalconf_t conf;
static h2o_context_t context;
static h2o_accept_ctx_t accept_context;

static int on_request(h2o_handler_t *self, h2o_req_t *req)
{
    static h2o_generator_t generator;
    static h2o_iovec_t body = {
        (char *)H2O_STRLIT("{\"value\":\"abcdefghijklmnopqrstuvwxyz0123\"}")};
    (void)self;
    int is_get = h2o_memis(req->method.base, req->method.len, H2O_STRLIT("GET"));
    req->res.status = is_get ? 200 : 202;
    req->res.reason = is_get ? "OK" : "Accepted";
    req->res.content_length = is_get ? body.len : 0;
    h2o_add_header(&req->pool, &req->res.headers, H2O_TOKEN_VARY, NULL, H2O_STRLIT("Origin"));
    h2o_add_header(&req->pool, &req->res.headers, H2O_TOKEN_ETAG, NULL,
                   H2O_STRLIT("\"1795648023405351\""));
    if (is_get)
        h2o_add_header(&req->pool, &req->res.headers, H2O_TOKEN_CONTENT_TYPE, NULL,
                       H2O_STRLIT("application/json"));
    h2o_start_response(req, &generator);
    h2o_send(req, &body, is_get ? 1 : 0, H2O_SEND_STATE_FINAL);
    return 0;
}

static void on_accept(h2o_socket_t *listener, const char *err)
{
    for (int i = 0; err == NULL && i < ACCEPTS_A_TURN; i++) {
        h2o_socket_t *sock = h2o_evloop_socket_accept(listener);
        if (sock == NULL)
            return;
        h2o_accept(&accept_context, sock);
    }
}

static int listen_on(uint16_t port)
{
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &(int){1}, sizeof(int));
    if (bind(fd, (struct sockaddr *)&address, sizeof(address)) != 0 || listen(fd, BACKLOG) != 0) {
        perror("bare");
        exit(1);
    }
    return fd;
}

int main(int argc, char **argv)
{
    if (argc != 2)
        return 2;
    signal(SIGPIPE, SIG_IGN); /* a load that ends leaves unread answers */
    h2o_config_init(&conf);
    h2o_hostconf_t *host =
        h2o_config_register_host(&conf, h2o_iovec_init(H2O_STRLIT("default")), 65535);
    h2o_pathconf_t *path = h2o_config_register_path(host, "/", 0);
    h2o_create_handler(path, sizeof(h2o_handler_t))->on_req = on_request;
    conf.server_name = (h2o_iovec_t){NULL, 0};
    conf.http1.upgrade_to_http2 = 0;
    h2o_context_init(&context, h2o_evloop_create(), &conf);
    accept_context = (h2o_accept_ctx_t){.ctx = &context, .hosts = conf.hosts};
    h2o_socket_t *listener = h2o_evloop_socket_create(
        context.loop, listen_on((uint16_t)atoi(argv[1])), H2O_SOCKET_FLAG_DONT_READ);
    h2o_socket_read_start(listener, on_accept);
    for (;;)
        h2o_evloop_run(context.loop, INT32_MAX);
}
