/*
 * Connections that make no progress are found by a sweep: libh2o has one timer for a request's
 * wait, head and body together, and none for an answer that is not read; so its timer is set out of
 * reach. A connection is ended from outside by shutting its socket down: whatever serves it then
 * closes it in its own way.
 */
#include "net/connection.h"

#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/mem.h"
#include "loop/evloop.h"

static const struct kv_protocol nobody;

static void on_close(void *data)
{
    struct kv_connection *connection = data;
    struct kv_connections *among = connection->among;
    if (connection->linger_fd >= 0 && among->is_aborted)
        close(connection->linger_fd);
    else if (connection->linger_fd >= 0)
        kv_linger(&among->lingerers, connection->linger_fd);
    if (connection->protocol->on_closed != NULL)
        connection->protocol->on_closed(connection->channel.user);
    kv_list_remove(&connection->link);
    atomic_fetch_sub(among->n, 1);
    free(connection);
}

struct kv_connection *kv_connection_open(struct kv_connections *among, h2o_socket_t *sock)
{
    struct kv_connection *connection = kv_calloc(1, sizeof(*connection));
    connection->among = among;
    connection->channel.ops = &kv_channel_plain;
    connection->channel.sock = sock;
    connection->protocol = &nobody;
    connection->linger_fd = -1;
    connection->progress_ms = kv_loop_now_ms(among->loop);
    kv_list_append(&among->all, &connection->link);
    sock->on_close.cb = on_close;
    sock->on_close.data = connection;
    return connection;
}

void kv_connection_serve(struct kv_connection *connection, const struct kv_protocol *protocol,
                         void *user)
{
    connection->protocol = protocol;
    kv_channel_attach(&connection->channel, user, protocol->on_read, protocol->on_written);
}

h2o_socket_t *kv_connection_socket(const struct kv_connection *connection)
{
    return connection->channel.sock;
}

struct kv_connection *kv_connection_of_socket(const h2o_socket_t *sock)
{
    return sock->on_close.data;
}

void kv_connection_touch(struct kv_connection *connection)
{
    connection->progress_ms = kv_loop_now_ms(connection->among->loop);
}

/* In time: when `on_close` runs, the descriptor is closed already. */
void kv_connection_linger(struct kv_connection *connection)
{
    if (connection->linger_fd < 0)
        connection->linger_fd = dup(h2o_socket_get_fd(connection->channel.sock));
}

void kv_connection_close(struct kv_connection *connection)
{
    h2o_socket_close(connection->channel.sock);
}

void kv_connections_init(struct kv_connections *connections, struct kv_loop *loop,
                         const struct kv_patience *patience, _Atomic uint32_t *n_connections,
                         _Atomic uint32_t *n_lingering)
{
    connections->loop = loop;
    connections->patience = *patience;
    connections->n = n_connections;
    kv_list_init(&connections->all);
    kv_lingerers_init(&connections->lingerers, loop, n_lingering);
}

void kv_connections_refuse(struct kv_connections *connections, h2o_socket_t *sock,
                           struct kv_slice text)
{
    struct kv_channel channel = {.ops = &kv_channel_plain, .sock = sock};
    struct iovec iovec = {(char *)(uintptr_t)text.bytes, text.len};
    ssize_t written = channel.ops->write(&channel, &iovec, 1);
    (void)written; /* a fresh socket's buffer holds it, or the peer is gone */
    int fd = dup(h2o_socket_get_fd(sock));
    h2o_socket_close(sock);
    if (fd >= 0)
        kv_linger(&connections->lingerers, fd);
}

static void end(struct kv_connection *connection)
{
    shutdown(h2o_socket_get_fd(connection->channel.sock), SHUT_RDWR);
}

static bool is_busy(const struct kv_connection *connection)
{
    return connection->protocol->is_busy != NULL &&
           connection->protocol->is_busy(connection->channel.user);
}

static bool has_input(const struct kv_connection *connection)
{
    size_t len;
    kv_channel_input(&connection->channel, &len);
    return len != 0;
}

static bool is_idle(const struct kv_connection *connection)
{
    return kv_channel_is_reading(&connection->channel) && !has_input(connection) &&
           !is_busy(connection);
}

/* A number that changes while the connection makes progress, and how long it may stay the same;
 * INT64_MAX while it waits for us. */
static uint64_t measure(const struct kv_connection *connection, int64_t *ret_patience_ms)
{
    const struct kv_patience *patience = &connection->among->patience;
    const struct kv_channel *channel = &connection->channel;
    size_t len;
    if (kv_channel_is_writing(channel)) {
        *ret_patience_ms = patience->stalled_reader_ms;
        return kv_channel_progress(channel);
    }
    if (!kv_channel_is_reading(channel) || is_busy(connection)) {
        *ret_patience_ms = INT64_MAX;
        return 0;
    }
    kv_channel_input(channel, &len);
    *ret_patience_ms = len == 0 ? patience->idle_ms : patience->request_progress_ms;
    return UINT64_MAX - len;
}

static void look_at(struct kv_connection *connection, int64_t now_ms)
{
    int64_t patience_ms;
    uint64_t seen = measure(connection, &patience_ms);
    if (seen != connection->seen || patience_ms == INT64_MAX) {
        connection->seen = seen;
        connection->progress_ms = now_ms;
    } else if (now_ms - connection->progress_ms >= patience_ms) {
        end(connection);
    }
}

void kv_connections_sweep(struct kv_connections *connections)
{
    int64_t now_ms = kv_loop_now_ms(connections->loop);
    KV_LIST_EACH(&connections->all, link, after)
    {
        struct kv_connection *connection = KV_CONTAINER(link, struct kv_connection, link);
        if (connection->protocol->keeps_time)
            continue;
        if (connections->is_aborted || (connections->is_draining && is_idle(connection)))
            end(connection);
        else
            look_at(connection, now_ms);
    }
}
