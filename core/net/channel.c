/*
 * The plain channel, over libh2o's sockets. Nearly every write is taken by the kernel at once. It
 * is made here and not by libh2o, which would call back in another turn of the loop, for each
 * connection that was written to; libh2o gets what is left, to go on with when there is room.
 */
#include "net/channel.h"

#include <linux/sockios.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include "loop/evloop.h"

enum {
    LARGEST_KEPT = 256 << 10 /* of the memory for input, while there is none */
};

/* Most writes have one piece, for which send() takes the kernel less time. */
static ssize_t write_plain(struct kv_channel *channel, const struct iovec *iovecs, size_t n)
{
    int fd = h2o_socket_get_fd(channel->sock);
    return n == 1 ? send(fd, iovecs->iov_base, iovecs->iov_len, 0) : writev(fd, iovecs, (int)n);
}

static void shut_writing_plain(struct kv_channel *channel)
{
    shutdown(h2o_socket_get_fd(channel->sock), SHUT_WR);
}

const struct kv_channel_ops kv_channel_plain = {
    .write = write_plain,
    .shut_writing = shut_writing_plain,
};

static void on_read(h2o_socket_t *sock, const char *err)
{
    struct kv_channel *channel = sock->data;
    enum kv_channel_event event = KV_CHANNEL_READY;
    if (err != NULL)
        event = err == h2o_socket_error_closed ? KV_CHANNEL_ENDED : KV_CHANNEL_BROKEN;
    channel->on_read(channel->user, event);
}

/* libh2o reconsiders what to poll a socket for when its state was announced to have changed. A
 * write that completes at once, outside of the library's own run, announces nothing; a poll for
 * write from before would then go on, and its event find no write. */
static void announce_state(h2o_socket_t *sock)
{
    if (h2o_socket_is_reading(sock))
        h2o_socket_read_start(sock, on_read);
    else
        h2o_socket_read_stop(sock);
}

static void on_written(h2o_socket_t *sock, const char *err)
{
    struct kv_channel *channel = sock->data;
    if (err == NULL)
        announce_state(sock);
    channel->on_written(channel->user, err == NULL ? KV_CHANNEL_READY : KV_CHANNEL_BROKEN);
}

void kv_channel_attach(struct kv_channel *channel, void *user, kv_channel_fn read,
                       kv_channel_fn written)
{
    channel->user = user;
    channel->on_read = read;
    channel->on_written = written;
    channel->sock->data = channel;
    h2o_socket_read_stop(channel->sock);
}

bool kv_channel_is_reading(const struct kv_channel *channel)
{
    return h2o_socket_is_reading(channel->sock);
}

void kv_channel_read(struct kv_channel *channel, bool wants)
{
    if (wants == kv_channel_is_reading(channel))
        return;
    if (wants)
        h2o_socket_read_start(channel->sock, on_read);
    else
        h2o_socket_read_stop(channel->sock);
}

char *kv_channel_input(const struct kv_channel *channel, size_t *ret_len)
{
    *ret_len = channel->sock->input->size;
    return channel->sock->input->bytes;
}

void kv_channel_consume(struct kv_channel *channel, size_t len)
{
    h2o_buffer_t **input = &channel->sock->input;
    h2o_buffer_consume(input, len);
    if ((*input)->size == 0 && (*input)->capacity > LARGEST_KEPT) {
        h2o_buffer_dispose(input);
        h2o_buffer_init(input, &h2o_socket_buffer_prototype);
    }
}

/* Takes what was written off the front of the iovecs. Returns: how many are left. */
static size_t skip_written(struct iovec *iovecs, size_t n, size_t written)
{
    size_t done = 0;
    while (done < n && written >= iovecs[done].iov_len)
        written -= iovecs[done++].iov_len;
    if (done == n)
        return 0;
    iovecs[done].iov_base = (char *)iovecs[done].iov_base + written;
    iovecs[done].iov_len -= written;
    memmove(iovecs, iovecs + done, (n - done) * sizeof(*iovecs));
    return n - done;
}

bool kv_channel_write(struct kv_channel *channel, struct iovec *iovecs, size_t n)
{
    _Static_assert(sizeof(struct iovec) == sizeof(h2o_iovec_t), "h2o's iovec is the system's");
    ssize_t written = channel->ops->write(channel, iovecs, n);
    size_t left = written < 0 ? n : skip_written(iovecs, n, (size_t)written);
    if (left != 0)
        h2o_socket_write(channel->sock, (h2o_iovec_t *)(void *)iovecs, left, on_written);
    return left == 0;
}

bool kv_channel_is_writing(const struct kv_channel *channel)
{
    return h2o_socket_is_writing(channel->sock);
}

void kv_channel_shut_writing(struct kv_channel *channel)
{
    channel->ops->shut_writing(channel);
}

/* The kernel counts what the peer of a TCP socket has acknowledged (RFC 4898); user space sees only
 * what fits into the socket's buffer, which can stay full for long while its contents move. Of
 * other sockets it tells how much waits to be read. */
uint64_t kv_channel_progress(const struct kv_channel *channel, bool *ret_counts_bytes)
{
    int fd = h2o_socket_get_fd(channel->sock);
    struct tcp_info info = {0};
    socklen_t len = sizeof(info);
    int n_waiting = 0;
    *ret_counts_bytes = false;
    if (getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &len) != 0)
        return ioctl(fd, SIOCOUTQ, &n_waiting) == 0 ? (uint64_t)n_waiting : 0;
    if (len < offsetof(struct tcp_info, tcpi_bytes_acked) + sizeof(info.tcpi_bytes_acked))
        return 0;
    *ret_counts_bytes = true;
    return info.tcpi_bytes_acked;
}
