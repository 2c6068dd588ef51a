/*
 * The common code of channels, and the plain channel, on libh2o's sockets. The kernel takes nearly
 * every write at once. Writes are made here instead of by libh2o, which would call back in another
 * turn of the loop, for each connection that was written to; libh2o gets only the remaining data,
 * to continue when there is room.
 */
#include "net/channel.h"

#include <errno.h>
#include <linux/sockios.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include "base/mem.h"
#include "loop/evloop.h"
#include "net/intake.h"
#include "net/iovecs.h"

enum {
    MOST_A_TURN = 256 << 10 /* bytes read from a channel */
};

/* ---- input, and the memory for it ---- */

void kv_channel_count_input(struct kv_channel *channel)
{
    kv_charge_set(&channel->charge, kv_intake_bytes(channel->sock->input) + channel->n_kept +
                                        channel->partial.memory);
}

static bool may_read(const struct kv_channel *channel)
{
    return channel->charge.bytes < KV_TALLY_FLOOR || kv_tally_left(channel->charge.tally) != 0;
}

static void on_readable(h2o_socket_t *sock, const char *err);

static void set_reading(h2o_socket_t *sock, bool reads)
{
    if (reads == h2o_socket_is_reading(sock))
        return;
    if (reads)
        h2o_socket_read_start(sock, on_readable);
    else
        h2o_socket_read_stop(sock);
}

/* Reads, waits for memory to read, or neither. */
static void watch_input(struct kv_channel *channel)
{
    bool reads = channel->wants_read && may_read(channel);
    set_reading(channel->sock, reads);
    if (channel->wants_read && !reads)
        kv_tally_wait(channel->charge.tally, &channel->waiter);
    else if (kv_channel_is_held_up(channel))
        kv_tally_stop_waiting(channel->charge.tally, &channel->waiter);
}

static void on_memory(struct kv_waiter *waiter)
{
    watch_input(KV_CONTAINER(waiter, struct kv_channel, waiter));
}

void kv_channel_init(struct kv_channel *channel, h2o_socket_t *sock, struct kv_loop *loop,
                     struct kv_tally *tally, struct kv_traffic *traffic)
{
    channel->ops = &kv_channel_plain;
    channel->sock = sock;
    channel->loop = loop;
    channel->traffic = traffic;
    channel->charge.tally = tally;
    kv_waiter_init(&channel->waiter, on_memory);
    h2o_socket_dont_read(sock, 1); /* the library only reports that there is input */
}

void kv_channel_fini(struct kv_channel *channel)
{
    kv_tally_stop_waiting(channel->charge.tally, &channel->waiter);
    kv_charge_set(&channel->charge, 0);
    if (channel->ops->fini != NULL)
        channel->ops->fini(channel);
}

/* The number of bytes that may be read in this turn. */
static size_t most_now(const struct kv_channel *channel)
{
    size_t kept = channel->charge.bytes;
    size_t floor = kept < KV_TALLY_FLOOR ? KV_TALLY_FLOOR - kept : 1;
    size_t left = kv_tally_left(channel->charge.tally);
    if (left > MOST_A_TURN)
        return MOST_A_TURN;
    return left < floor ? floor : left;
}

/* Explains a read that returned no data. Returns: false if there is no event. */
static bool explain_failure(ssize_t got, enum kv_channel_event *ret_event)
{
    *ret_event = got == 0 ? KV_CHANNEL_ENDED : KV_CHANNEL_BROKEN;
    return got == 0 || (errno != EAGAIN && errno != EINTR);
}

/* Reads until there is no more, or enough for a turn. An end that comes with input is noticed again
 * in the next turn. Returns: whether there is an event. */
static bool fill_plain(struct kv_channel *channel, size_t most, enum kv_channel_event *ret_event)
{
    h2o_buffer_t **input = &channel->sock->input;
    int fd = h2o_socket_get_fd(channel->sock);
    size_t n_read = 0;
    for (size_t asked, room; n_read < most; n_read += asked) {
        char *to = kv_intake_reserve(input, &room);
        *ret_event = to == NULL ? KV_CHANNEL_BROKEN : KV_CHANNEL_READY;
        if (to == NULL)
            return true;
        asked = room < most - n_read ? room : most - n_read;
        ssize_t got = recv(fd, to, asked, 0);
        if (got <= 0)
            return n_read != 0 || explain_failure(got, ret_event);
        (*input)->size += (size_t)got;
        kv_counter_add(&channel->traffic->received, (size_t)got);
        if ((size_t)got < asked)
            break;
    }
    return true;
}

static void on_readable(h2o_socket_t *sock, const char *err)
{
    struct kv_channel *channel = sock->data;
    struct kv_loop *loop = channel->loop;
    enum kv_channel_event event = KV_CHANNEL_ENDED;
    kv_loop_begin_work(loop);
    bool has_event = err != NULL || channel->ops->fill(channel, most_now(channel), &event);
    kv_channel_count_input(channel);
    if (!may_read(channel))
        watch_input(channel);
    if (!has_event)
        return;
    channel->on_read(channel->user, event); /* may free the channel */
    kv_loop_end_work(loop);
}

/* libh2o only reconsiders what to poll a socket for when a change of its state has been announced.
 * A write that completes at once, outside of the library's own run, announces nothing; an earlier
 * poll for writing would then continue, and its event find no write. */
void kv_channel_announce(struct kv_channel *channel)
{
    h2o_socket_t *sock = channel->sock;
    if (h2o_socket_is_reading(sock))
        h2o_socket_read_start(sock, on_readable);
    else
        h2o_socket_read_stop(sock);
}

static void on_written(h2o_socket_t *sock, const char *err)
{
    struct kv_channel *channel = sock->data;
    if (err == NULL)
        kv_channel_announce(channel);
    channel->on_written(channel->user, err == NULL ? KV_CHANNEL_READY : KV_CHANNEL_BROKEN);
}

void kv_channel_attach(struct kv_channel *channel, void *user, kv_channel_fn read,
                       kv_channel_fn written)
{
    channel->user = user;
    channel->on_read = read;
    channel->on_written = written;
    channel->sock->data = channel;
    channel->n_kept = 0;
    kv_channel_count_input(channel);
    kv_channel_read(channel, false);
}

bool kv_channel_is_reading(const struct kv_channel *channel)
{
    return h2o_socket_is_reading(channel->sock);
}

void kv_channel_read(struct kv_channel *channel, bool wants)
{
    channel->wants_read = wants;
    watch_input(channel);
}

bool kv_channel_is_held_up(const struct kv_channel *channel)
{
    return kv_waiter_is_waiting(&channel->waiter);
}

char *kv_channel_input(const struct kv_channel *channel, size_t *ret_len)
{
    *ret_len = channel->sock->input->size;
    return channel->sock->input->bytes;
}

void kv_channel_consume(struct kv_channel *channel, size_t len)
{
    kv_intake_consume(&channel->sock->input, len);
    kv_channel_count_input(channel);
}

void kv_channel_cut(struct kv_channel *channel, size_t n_dropped, size_t len)
{
    h2o_buffer_t **input = &channel->sock->input;
    h2o_buffer_consume(input, n_dropped);
    if ((*input)->size != len) /* empty buffers may share one constant */
        (*input)->size = len;
    kv_channel_count_input(channel);
}

void kv_channel_keep(struct kv_channel *channel, size_t len)
{
    channel->n_kept = len;
    kv_channel_count_input(channel);
}

/* ---- output ---- */

/* Most writes have one piece, for which send() takes the kernel less time. */
static ssize_t send_iovecs(h2o_socket_t *sock, const struct iovec *iovecs, size_t n)
{
    int fd = h2o_socket_get_fd(sock);
    return n == 1 ? send(fd, iovecs->iov_base, iovecs->iov_len, 0) : writev(fd, iovecs, (int)n);
}

static bool write_plain(struct kv_channel *channel, struct iovec *iovecs, size_t n)
{
    _Static_assert(sizeof(struct iovec) == sizeof(h2o_iovec_t), "h2o's iovec is the system's");
    ssize_t written = send_iovecs(channel->sock, iovecs, n);
    if (written > 0) {
        kv_counter_add(&channel->traffic->sent, (size_t)written);
        kv_iovecs_skip(&iovecs, &n, (size_t)written);
    }
    if (n == 0)
        return true;
    kv_counter_add(&channel->traffic->sent, kv_iovecs_len(iovecs, n));
    h2o_socket_write(channel->sock, (h2o_iovec_t *)(void *)iovecs, n, on_written);
    return false;
}

static bool is_writing_plain(const struct kv_channel *channel)
{
    return h2o_socket_is_writing(channel->sock);
}

static void shut_writing_plain(struct kv_channel *channel)
{
    shutdown(h2o_socket_get_fd(channel->sock), SHUT_WR);
}

const struct kv_channel_ops kv_channel_plain = {
    .fill = fill_plain,
    .write = write_plain,
    .is_writing = is_writing_plain,
    .shut_writing = shut_writing_plain,
};

bool kv_channel_write(struct kv_channel *channel, struct iovec *iovecs, size_t n)
{
    return channel->ops->write(channel, iovecs, n);
}

bool kv_channel_is_writing(const struct kv_channel *channel)
{
    return channel->ops->is_writing(channel);
}

void kv_channel_farewell(struct kv_channel *channel)
{
    if (channel->ops->farewell != NULL)
        channel->ops->farewell(channel);
}

void kv_channel_shut_writing(struct kv_channel *channel)
{
    channel->ops->shut_writing(channel);
}

bool kv_channel_is_broken(const struct kv_channel *channel)
{
    struct pollfd state = {.fd = h2o_socket_get_fd(channel->sock)};
    return poll(&state, 1, 0) > 0 && (state.revents & (POLLHUP | POLLERR)) != 0;
}

void kv_channel_end(struct kv_channel *channel)
{
    channel->on_read(channel->user, KV_CHANNEL_ENDED);
}

/* For a TCP socket the kernel counts the bytes that the peer has acknowledged (RFC 4898); user
 * space only sees what fits into the socket's buffer, which can stay full while its contents move.
 * For other sockets it reports how much the peer has not read. */
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
