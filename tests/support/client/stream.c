/*
 * Non-blocking sockets with poll(): a turn first waits, then reads and writes one piece of each
 * stream that is ready. Only a turn reads, so slices of received data stay valid between turns.
 */
#include "support/client/stream.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <linux/sockios.h>
#include <poll.h>
#include <setjmp.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "support/client/tls.h"

enum {
    PIECE = 256 * 1024, /* bytes per read */
    MOST_GROUPS = 16,
    MOST_OF_GROUP = 4,
};

int64_t kv_test_now_us(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

int64_t kv_test_now_ms(void)
{
    return kv_test_now_us() / 1000;
}

void kv_test_sleep_ms(int64_t duration_ms)
{
    if (duration_ms <= 0)
        return;
    struct timespec left = {.tv_sec = duration_ms / 1000, .tv_nsec = duration_ms % 1000 * 1000000};
    while (nanosleep(&left, &left) != 0 && errno == EINTR)
        continue;
}

/* Ports whose servers are interchangeable; the first one stands for all. */
static struct group {
    uint16_t ports[MOST_OF_GROUP];
    size_t n; /* 0: unused */
    size_t next;
} groups[MOST_GROUPS];

static struct group *find_group(uint16_t port)
{
    for (size_t i = 0; i < MOST_GROUPS; i++)
        if (groups[i].n != 0 && groups[i].ports[0] == port)
            return &groups[i];
    return NULL;
}

static struct group *add_group(uint16_t port)
{
    size_t i = 0;
    while (i < MOST_GROUPS && groups[i].n != 0)
        i++;
    assert_true(i < MOST_GROUPS);
    groups[i] = (struct group){.ports = {port}, .n = 1};
    return &groups[i];
}

void kv_test_stream_share(uint16_t port, uint16_t other)
{
    struct group *group = find_group(port);
    if (group == NULL)
        group = add_group(port);
    assert_true(group->n < MOST_OF_GROUP);
    group->ports[group->n++] = other;
}

void kv_test_stream_unshare(uint16_t port)
{
    struct group *group = find_group(port);
    if (group != NULL)
        group->n = 0;
}

static uint16_t choose_of_group(uint16_t port)
{
    struct group *group = find_group(port);
    return group == NULL ? port : group->ports[group->next++ % group->n];
}

/* receive_bytes must be set before connecting to bound the window; 0 leaves it to the system. */
static bool stream_connect(struct kv_test_stream *stream, uint16_t port, int receive_bytes)
{
    *stream = (struct kv_test_stream){.fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)};
    assert_true(stream->fd >= 0);
    if (receive_bytes > 0)
        setsockopt(stream->fd, SOL_SOCKET, SO_RCVBUF, &receive_bytes, sizeof(receive_bytes));
    setsockopt(stream->fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
    struct sockaddr_in address = {
        .sin_family = AF_INET,
        .sin_port = htons(choose_of_group(port)),
        .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
    };
    if (connect(stream->fd, (struct sockaddr *)&address, sizeof(address)) == 0)
        return true;
    kv_test_stream_close(stream);
    return false;
}

/* Returns: false if the connection failed; the stream is closed then. */
static bool secure_if_wanted(struct kv_test_stream *stream)
{
    if (!kv_test_tls_is_wanted() || kv_test_tls_connect(stream, &(struct kv_test_tls_options){0}))
        return true;
    kv_test_stream_close(stream);
    return false;
}

bool kv_test_stream_try_open(struct kv_test_stream *stream, uint16_t port)
{
    return stream_connect(stream, port, 0) && secure_if_wanted(stream);
}

void kv_test_stream_open_clear(struct kv_test_stream *stream, uint16_t port)
{
    if (!stream_connect(stream, port, 0))
        fail_msg("cannot connect to port %u", port);
}

void kv_test_stream_open(struct kv_test_stream *stream, uint16_t port)
{
    kv_test_stream_open_narrow(stream, port, 0);
}

void kv_test_stream_open_narrow(struct kv_test_stream *stream, uint16_t port, int receive_bytes)
{
    if (!stream_connect(stream, port, receive_bytes) || !secure_if_wanted(stream))
        fail_msg("cannot connect to port %u", port);
}

void kv_test_stream_open_unix(struct kv_test_stream *stream, const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    *stream = (struct kv_test_stream){.fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)};
    assert_true(stream->fd >= 0 && strlen(path) < sizeof(address.sun_path));
    memcpy(address.sun_path, path, strlen(path) + 1);
    if (connect(stream->fd, (struct sockaddr *)&address, sizeof(address)) != 0)
        fail_msg("cannot connect to %s: %s", path, strerror(errno));
}

void kv_test_stream_close(struct kv_test_stream *stream)
{
    kv_test_tls_free(stream->tls);
    stream->tls = NULL;
    if (stream->fd >= 0)
        close(stream->fd);
    stream->fd = -1;
    stream->is_ended = true;
    kv_buffer_fini(&stream->in);
    kv_buffer_fini(&stream->out);
    stream->in_at = 0;
    stream->out_at = 0;
}

void kv_test_stream_put(struct kv_test_stream *stream, struct kv_slice bytes)
{
    if (!stream->is_ended)
        kv_buffer_append(&stream->out, bytes);
}

static void drop_output(struct kv_test_stream *stream)
{
    stream->out.len = 0;
    stream->out_at = 0;
}

static bool has_output(const struct kv_test_stream *stream)
{
    return stream->out_at < stream->out.len;
}

static void drop_used_input(struct kv_test_stream *stream)
{
    size_t left = stream->in.len - stream->in_at;
    if (left > stream->in_at)
        return;
    if (left > 0)
        memcpy(stream->in.bytes, stream->in.bytes + stream->in_at, left);
    stream->in.len = left;
    stream->in_at = 0;
}

/* Returns: like recv(). */
static ssize_t stream_receive(struct kv_test_stream *stream)
{
    if (stream->tls != NULL)
        return kv_test_tls_receive(stream->tls, &stream->in);
    ssize_t n = recv(stream->fd, kv_buffer_reserve(&stream->in, PIECE), PIECE, MSG_DONTWAIT);
    stream->in.len += n > 0 ? (size_t)n : 0;
    return n;
}

static void stream_read(struct kv_test_stream *stream)
{
    drop_used_input(stream);
    ssize_t n = stream_receive(stream);
    if (n == 0 || (n < 0 && errno != EAGAIN)) {
        stream->is_ended = true;
        drop_output(stream);
    }
}

/* A broken pipe ends only the writing: the server's last bytes may still be readable. */
static void stream_write(struct kv_test_stream *stream)
{
    const char *bytes = stream->out.bytes + stream->out_at;
    size_t len = stream->out.len - stream->out_at;
    ssize_t n = stream->tls != NULL ? kv_test_tls_send(stream->tls, bytes, len)
                                    : send(stream->fd, bytes, len, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (n > 0)
        stream->out_at += (size_t)n;
    if ((n < 0 && errno != EAGAIN) || !has_output(stream))
        drop_output(stream);
}

static struct pollfd stream_interest(const struct kv_test_stream *stream)
{
    short events = 0;
    if (!stream->is_paused)
        events |= POLLIN;
    if (has_output(stream))
        events |= POLLOUT;
    bool is_of_interest = !stream->is_ended && events != 0;
    return (struct pollfd){.fd = is_of_interest ? stream->fd : -1, .events = events};
}

bool kv_test_stream_turn(struct kv_test_stream *const streams[], size_t n, int64_t limit_ms)
{
    struct pollfd polled[KV_TEST_MAX_STREAMS];
    assert_true(n <= KV_TEST_MAX_STREAMS);
    for (size_t i = 0; i < n; i++)
        polled[i] = stream_interest(streams[i]);
    int ready = poll(polled, n, (int)limit_ms);
    for (size_t i = 0; i < n && ready > 0; i++) {
        if (polled[i].revents & POLLOUT)
            stream_write(streams[i]);
        if (polled[i].revents & (POLLIN | POLLHUP | POLLERR))
            stream_read(streams[i]);
    }
    return ready > 0;
}

void kv_test_stream_wait(struct kv_test_stream *stream)
{
    if (!kv_test_stream_turn(&stream, 1, KV_TEST_LIMIT_MS))
        fail_msg("nothing moved on a connection for %d ms", KV_TEST_LIMIT_MS);
}

void kv_test_stream_flush(struct kv_test_stream *stream)
{
    while (has_output(stream))
        kv_test_stream_wait(stream);
}

struct kv_slice kv_test_stream_unread(const struct kv_test_stream *stream)
{
    if (stream->in.len == stream->in_at)
        return KV_SLICE("");
    return (struct kv_slice){stream->in.bytes + stream->in_at, stream->in.len - stream->in_at};
}

void kv_test_stream_use(struct kv_test_stream *stream, size_t len)
{
    stream->in_at += len;
}

static uint16_t port_of(const struct kv_test_stream *stream,
                        int (*name)(int, struct sockaddr *, socklen_t *))
{
    struct sockaddr_in address;
    socklen_t len = sizeof(address);
    assert_int_equal(name(stream->fd, (struct sockaddr *)&address, &len), 0);
    return ntohs(address.sin_port);
}

/* Bytes that the server has received and not read: see proc(5). */
static unsigned unread_by_server(const struct kv_test_stream *stream)
{
    unsigned own = port_of(stream, getsockname), server = port_of(stream, getpeername);
    unsigned from, to, unread = 0;
    char line[512];
    bool is_found = false;
    FILE *file = fopen("/proc/net/tcp", "re");
    assert_non_null(file);
    while (!is_found && fgets(line, sizeof(line), file) != NULL)
        is_found = sscanf(line, "%*d: %*x:%x %*x:%x %*x %*x:%x", &from, &to, &unread) == 3 &&
                   from == server && to == own;
    fclose(file);
    return is_found ? unread : 0;
}

void kv_test_stream_await_read(struct kv_test_stream *stream)
{
    int64_t until_ms = kv_test_now_ms() + KV_TEST_LIMIT_MS;
    int under_way;
    kv_test_stream_flush(stream);
    while (ioctl(stream->fd, SIOCOUTQ, &under_way) != 0 || under_way != 0 ||
           unread_by_server(stream) != 0) {
        assert_true(kv_test_now_ms() < until_ms);
        kv_test_sleep_ms(1);
    }
}

bool kv_test_stream_await(struct kv_test_stream *stream, size_t len)
{
    while (stream->in.len - stream->in_at < len && !stream->is_ended)
        kv_test_stream_wait(stream);
    return stream->in.len - stream->in_at >= len;
}

void kv_test_stream_await_end(struct kv_test_stream *stream)
{
    while (!stream->is_ended)
        kv_test_stream_wait(stream);
}
