#include "link.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

enum {
    READ_SIZE = 64 << 10
};

#define LONGEST_MESSAGE ((size_t)1 << 30)

int64_t link_clock_ms(void)
{
    return patience_clock_ms();
}

void link_init(struct link *link)
{
    *link = (struct link){.fd = -1, .limit = UINT64_MAX};
}

void link_close(struct link *link)
{
    bool is_cut_off = link->is_cut_off;
    tls_destroy(link->tls);
    if (link->fd >= 0)
        close(link->fd);
    buffer_clear(&link->out);
    buffer_clear(&link->in);
    link_init(link);
    link->is_cut_off = is_cut_off;
}

/* Waits until the socket is ready for one of the events. Returns: whether it is. */
static bool wait_for(struct link *link, short events, const struct address *address,
                     int64_t until_ms)
{
    struct patience patience = {until_ms, address->gives_up};
    struct pollfd poller = {.fd = link->fd, .events = events};
    int left_ms;
    while ((left_ms = patience_left_ms(&patience)) != 0)
        if (poll(&poller, 1, left_ms) > 0)
            return true;
    return false;
}

/* ---- connecting ---- */

static int finish_connect(struct link *link, const struct address *address, int64_t until_ms)
{
    int fault = 0;
    socklen_t size = sizeof(fault);
    if (!wait_for(link, POLLOUT, address, until_ms))
        return ETIMEDOUT;
    getsockopt(link->fd, SOL_SOCKET, SO_ERROR, &fault, &size);
    return fault;
}

/* Returns: 0 or an errno. */
static int connect_to(struct link *link, const struct address *address, int64_t until_ms,
                      const struct sockaddr *peer, socklen_t size)
{
    int one = 1;
    link->fd = socket(peer->sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (link->fd < 0)
        return errno;
    int fault = connect(link->fd, peer, size) == 0 ? 0 : errno;
    if (fault == EINPROGRESS)
        fault = finish_connect(link, address, until_ms);
    if (fault != 0)
        link_close(link);
    else if (peer->sa_family != AF_UNIX) {
        setsockopt(link->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
        setsockopt(link->fd, SOL_SOCKET, SO_KEEPALIVE, &one, sizeof(one));
    }
    return fault;
}

static int fail_to_connect(const struct address *address, const char *why, struct kv_error *reterr)
{
    return kv_error_set(reterr, "cannot connect to Redis at %s: %s", address->text, why);
}

static int connect_unix(struct link *link, const struct address *address, int64_t until_ms,
                        struct kv_error *reterr)
{
    struct sockaddr_un peer = {.sun_family = AF_UNIX};
    memcpy(peer.sun_path, address->unix_path.bytes, address->unix_path.len);
    int fault = connect_to(link, address, until_ms, (const struct sockaddr *)&peer, sizeof(peer));
    return fault == 0 ? 0 : fail_to_connect(address, strerror(fault), reterr);
}

static int connect_tcp(struct link *link, const struct address *address, int64_t until_ms,
                       struct kv_error *reterr)
{
    struct patience patience = {until_ms, address->gives_up};
    struct addrinfo *peers = NULL;
    int fault =
        resolver_find(address->resolver, address->host.bytes, address->port, &patience, &peers);
    if (fault != 0)
        return fail_to_connect(address, gai_strerror(fault), reterr);
    fault = ENOENT;
    for (struct addrinfo *peer = peers; peer != NULL && fault != 0; peer = peer->ai_next)
        fault = connect_to(link, address, until_ms, peer->ai_addr, peer->ai_addrlen);
    freeaddrinfo(peers);
    return fault == 0 ? 0 : fail_to_connect(address, strerror(fault), reterr);
}

static int shake(struct link *link, const struct address *address, int64_t until_ms,
                 struct kv_error *reterr)
{
    struct kv_error error = {0};
    short events = 0;
    int result;
    link->tls = tls_create(&address->tls, link->fd, &error);
    if (link->tls == NULL)
        return fail_to_connect(address, error.text, reterr);
    while ((result = tls_shake(link->tls, &events, &error)) == 0)
        if (!wait_for(link, events, address, until_ms))
            return fail_to_connect(address, strerror(ETIMEDOUT), reterr);
    return result == 1 ? 0 : fail_to_connect(address, error.text, reterr);
}

int link_connect(struct link *link, const struct address *address, int64_t until_ms,
                 struct kv_error *reterr)
{
    link_close(link);
    link->is_cut_off = false;
    resp_scanner_begin(&link->scanner, LONGEST_MESSAGE);
    int result = address->unix_path.len != 0 ? connect_unix(link, address, until_ms, reterr)
                                             : connect_tcp(link, address, until_ms, reterr);
    if (result == 0 && address->tls.ca.len != 0 && shake(link, address, until_ms, reterr) != 0) {
        link_close(link);
        return -1;
    }
    link->heard_ms = link_clock_ms();
    return result;
}

/* ---- sending and reading ---- */

static ssize_t send_some(const struct link *link, struct kv_slice bytes)
{
    return link->tls != NULL ? tls_send(link->tls, bytes.bytes, bytes.len)
                             : send(link->fd, bytes.bytes, bytes.len, MSG_NOSIGNAL);
}

static ssize_t receive_some(const struct link *link, char *bytes, size_t n)
{
    return link->tls != NULL ? tls_receive(link->tls, bytes, n) : recv(link->fd, bytes, n, 0);
}

/* Returns: 0 if the fault is temporary. */
static int judge_fault(struct link *link, int fault)
{
    if (fault == EAGAIN || fault == EINTR)
        return 0;
    link->is_cut_off = fault == ECONNRESET || fault == EPIPE;
    return -1;
}

/* The system would accept data at once for a Redis that hangs, too. Only if it accepts data that
 * had to wait, Redis has read some. */
int link_flush(struct link *link)
{
    bool was_backed_up = link->is_backed_up;
    for (;;) {
        struct kv_slice rest = buffer_slice(&link->out);
        link->is_backed_up = rest.len != 0;
        if (rest.len == 0)
            return 0;
        ssize_t n = send_some(link, rest);
        if (n <= 0)
            return judge_fault(link, n == 0 ? EPIPE : errno);
        buffer_consume(&link->out, (size_t)n);
        if (was_backed_up)
            link->heard_ms = link_clock_ms();
    }
}

int link_read(struct link *link)
{
    for (;;) {
        if (!buffer_reserve(&link->in, READ_SIZE))
            return -1;
        size_t room = link->in.capacity - link->in.end;
        ssize_t n = receive_some(link, link->in.bytes + link->in.end, room);
        if (n <= 0)
            return judge_fault(link, n == 0 ? ECONNRESET : errno);
        link->in.end += (size_t)n;
        link->n_read += (uint64_t)n;
        link->heard_ms = link_clock_ms();
        if ((size_t)n < room && (link->tls == NULL || !tls_has_more(link->tls)))
            return 0;
    }
}

int link_next(struct link *link, struct kv_slice *ret_message)
{
    buffer_consume(&link->in, link->shown);
    link->n_taken += link->shown;
    link->shown = 0;
    struct kv_slice bytes = buffer_slice(&link->in);
    int found = bytes.len == 0 ? 0 : resp_scan(&link->scanner, bytes);
    if (found != 1)
        return found;
    if (link->n_taken + link->scanner.at > link->limit)
        return 0;
    *ret_message = (struct kv_slice){bytes.bytes, link->scanner.at};
    link->shown = link->scanner.at;
    resp_scanner_begin(&link->scanner, LONGEST_MESSAGE);
    return 1;
}

void link_hold(struct link *link)
{
    link->limit = link->n_taken + link->shown;
}

void link_let_go(struct link *link, uint64_t mark)
{
    if (link->limit < mark)
        link->limit = mark;
}

bool link_is_holding(const struct link *link)
{
    return link->n_read > link->limit;
}

static int next_reply(struct link *link, struct kv_slice *ret_message)
{
    int found;
    do
        found = link_next(link, ret_message);
    while (found == 1 && ret_message->bytes[0] == RESP_PUSH);
    return found;
}

bool link_is_stale(const struct link *link)
{
    struct pollfd poller = {.fd = link->fd, .events = POLLIN};
    return poll(&poller, 1, 0) != 0;
}

static int64_t later(int64_t one, int64_t other)
{
    return one > other ? one : other;
}

int link_wait(struct link *link, const struct address *address, int64_t until_ms,
              struct kv_slice *ret_message, struct kv_error *reterr)
{
    int64_t patience_ms = until_ms - link_clock_ms();
    for (;;) {
        int found = next_reply(link, ret_message);
        if (found == 1)
            return 0;
        if (found < 0)
            return kv_error_set(reterr, "%s does not speak Redis's protocol", address->text);
        if (link_flush(link) != 0)
            return kv_error_set(reterr, "Redis at %s closed the connection", address->text);
        short events = buffer_slice(&link->out).len != 0 ? POLLIN | POLLOUT : POLLIN;
        if (!wait_for(link, events, address, until_ms))
            return kv_error_set(reterr, "Redis at %s does not answer", address->text);
        if (link_read(link) != 0)
            return kv_error_set(reterr, "Redis at %s closed the connection", address->text);
        until_ms = later(until_ms, link->heard_ms + patience_ms);
    }
}
