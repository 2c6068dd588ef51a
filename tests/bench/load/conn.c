/* Sockets: level-triggered epoll; EPOLLOUT only while data could not be sent. */
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "load.h"

enum {
    PIECE = 65536,
    EVENTS = 256
};

void die(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    fputs("kv_load: ", stderr);
    vfprintf(stderr, format, args);
    fputc('\n', stderr);
    va_end(args);
    exit(1);
}

static SSL_CTX *tls; /* NULL: connections without TLS */

void conn_speak_tls(void)
{
    tls = SSL_CTX_new(TLS_client_method());
    if (tls == NULL)
        die("no TLS");
    SSL_CTX_set_min_proto_version(tls, TLS1_3_VERSION);
    SSL_CTX_set_mode(tls, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    SSL_CTX_set_read_ahead(tls, 1);
}

static void shake_hands(struct conn *conn)
{
    if (tls == NULL)
        return;
    conn->ssl = SSL_new(tls);
    if (conn->ssl == NULL || SSL_set_fd(conn->ssl, conn->fd) != 1 || SSL_connect(conn->ssl) != 1)
        die("the handshake failed");
}

/* Returns: like recv(). */
static ssize_t result_of(struct conn *conn, int result)
{
    int error = SSL_get_error(conn->ssl, result);
    bool waits = error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE;
    errno = waits ? EAGAIN : ECONNRESET;
    return error == SSL_ERROR_ZERO_RETURN ? 0 : -1;
}

static ssize_t receive(struct conn *conn, char *room, size_t len)
{
    if (conn->ssl == NULL)
        return recv(conn->fd, room, len, 0);
    ssize_t n = 0;
    for (int got; (size_t)n < len; n += got)
        if ((got = SSL_read(conn->ssl, room + n, (int)(len - (size_t)n))) <= 0)
            return n > 0 ? n : result_of(conn, got);
    return n;
}

static ssize_t transmit(struct conn *conn, const char *bytes, size_t len)
{
    if (conn->ssl == NULL)
        return send(conn->fd, bytes, len, MSG_NOSIGNAL);
    int sent = SSL_write(conn->ssl, bytes, (int)len);
    return sent > 0 ? sent : result_of(conn, sent);
}

static void connect_to(struct conn *conn, uint16_t port)
{
    struct sockaddr_in address = {
        .sin_family = AF_INET,
        .sin_port = htons(port),
        .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
    };
    conn->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (conn->fd < 0 || connect(conn->fd, (struct sockaddr *)&address, sizeof(address)) != 0)
        die("cannot connect to port %u: %s", port, strerror(errno));
    setsockopt(conn->fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
}

static void await_text(struct conn *conn, const char *text)
{
    for (;;) {
        struct kv_slice unread = conn_unread(conn);
        const char *end = memmem(unread.bytes, unread.len, text, strlen(text));
        if (end != NULL) {
            conn_use(conn, (size_t)(end - unread.bytes) + strlen(text));
            return;
        }
        char *room = kv_buffer_reserve(&conn->in, PIECE);
        ssize_t got =
            conn->ssl == NULL ? recv(conn->fd, room, PIECE, 0) : SSL_read(conn->ssl, room, PIECE);
        if (got <= 0)
            die("the server closed the connection at its beginning");
        conn->in.len += (size_t)got;
    }
}

void conn_open(struct conn *conn, uint16_t port, const char *hello, const char *hello_end)
{
    *conn = (struct conn){0};
    connect_to(conn, port);
    shake_hands(conn);
    if (hello != NULL) {
        if (transmit(conn, hello, strlen(hello)) != (ssize_t)strlen(hello))
            die("cannot send: %s", strerror(errno));
        await_text(conn, hello_end);
    }
    fcntl(conn->fd, F_SETFL, O_NONBLOCK);
}

void conn_close(struct conn *conn)
{
    SSL_free(conn->ssl);
    close(conn->fd);
    kv_buffer_fini(&conn->in);
    kv_buffer_fini(&conn->out);
}

void conn_flush(struct conn *conn)
{
    size_t left = conn->out.len - conn->out_at;
    if (left == 0)
        return;
    ssize_t sent = transmit(conn, conn->out.bytes + conn->out_at, left);
    if (sent < 0 && errno != EAGAIN)
        die("cannot send: %s", strerror(errno));
    if (sent > 0)
        conn->out_at += (size_t)sent;
    if (conn->out_at == conn->out.len)
        conn->out_at = conn->out.len = 0;
}

bool conn_fill(struct conn *conn)
{
    if (conn->in_at == conn->in.len) {
        conn->in_at = conn->in.len = 0;
    } else if (conn->in_at >= PIECE) {
        conn->in.len -= conn->in_at;
        memmove(conn->in.bytes, conn->in.bytes + conn->in_at, conn->in.len);
        conn->in_at = 0;
    }
    char *room = kv_buffer_reserve(&conn->in, PIECE);
    ssize_t got = receive(conn, room, PIECE);
    if (got == 0)
        die("the server closed a connection");
    if (got < 0 && errno != EAGAIN)
        die("cannot receive: %s", strerror(errno));
    if (got > 0)
        conn->in.len += (size_t)got;
    return got > 0;
}

struct kv_slice conn_unread(const struct conn *conn)
{
    if (conn->in.len == conn->in_at)
        return KV_SLICE("");
    return (struct kv_slice){conn->in.bytes + conn->in_at, conn->in.len - conn->in_at};
}

void conn_use(struct conn *conn, size_t len)
{
    conn->in_at += len;
}

void poller_open(struct poller *poller)
{
    poller->fd = epoll_create1(EPOLL_CLOEXEC);
    if (poller->fd < 0)
        die("no epoll: %s", strerror(errno));
}

void poller_add(struct poller *poller, struct conn *conn)
{
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = conn};
    if (epoll_ctl(poller->fd, EPOLL_CTL_ADD, conn->fd, &event) != 0)
        die("epoll: %s", strerror(errno));
}

static void watch_room(struct poller *poller, struct conn *conn)
{
    bool waits = conn->out.len != conn->out_at;
    if (waits == conn->waits_for_room)
        return;
    conn->waits_for_room = waits;
    struct epoll_event event = {.events = waits ? EPOLLIN | EPOLLOUT : EPOLLIN, .data.ptr = conn};
    epoll_ctl(poller->fd, EPOLL_CTL_MOD, conn->fd, &event);
}

size_t poller_wait(struct poller *poller, int wait_ms, void (*ready)(struct conn *conn))
{
    struct epoll_event events[EVENTS];
    int n = epoll_wait(poller->fd, events, EVENTS, wait_ms);
    for (int i = 0; i < n; i++) {
        struct conn *conn = events[i].data.ptr;
        if ((events[i].events & ~(uint32_t)EPOLLOUT) == 0 || conn_fill(conn))
            ready(conn);
        conn_flush(conn);
        watch_room(poller, conn);
    }
    return n < 0 ? 0 : (size_t)n;
}

size_t poller_wait_until(struct poller *poller, int64_t until_us, void (*ready)(struct conn *conn))
{
    struct pollfd polled = {.fd = poller->fd, .events = POLLIN};
    int64_t left_us = until_us - time_us();
    struct timespec left = {.tv_sec = left_us / 1000000, .tv_nsec = left_us % 1000000 * 1000};
    if (left_us > 0 && ppoll(&polled, 1, &left, NULL) == 0)
        return 0;
    return poller_wait(poller, 0, ready);
}
