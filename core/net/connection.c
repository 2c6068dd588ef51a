/*
 * A sweep finds connections that make no progress: libh2o has one timer for a whole request, head
 * and body together, and none for an answer that is not read; so its timer is disabled by a huge
 * value. A connection is ended from outside by shutting its socket down, or by telling its protocol
 * that the peer has closed: the protocol then closes the connection in its own way.
 */
#include "net/connection.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/mem.h"
#include "loop/evloop.h"

enum {
    MOST_LOOPS = 64
};

static const struct kv_protocol nobody;

static void on_close(void *data)
{
    struct kv_connection *connection = data;
    struct kv_connections *among = connection->among;
    if (connection->linger_fd >= 0 && among->is_aborted)
        close(connection->linger_fd);
    else if (connection->linger_fd >= 0)
        kv_linger(&among->lingerers, connection->linger_fd, KV_LINGER_MS);
    if (connection->protocol->on_closed != NULL)
        connection->protocol->on_closed(connection->channel.user);
    kv_channel_fini(&connection->channel);
    kv_list_remove(&connection->link);
    kv_peers_leave(among->peers, connection->peer);
    atomic_fetch_sub(connection->counted, 1);
    free(connection);
}

struct kv_connection *kv_connection_open(struct kv_connections *among, h2o_socket_t *sock,
                                         _Atomic uint32_t *counted)
{
    struct kv_connection *connection = kv_calloc(1, sizeof(*connection));
    connection->among = among;
    connection->counted = counted;
    kv_channel_init(&connection->channel, sock, among->loop, among->tally,
                    &among->traffic[KV_TRANSPORT_NONE]);
    connection->protocol = &nobody;
    connection->linger_fd = -1;
    connection->progress_ms = connection->opened_ms = kv_loop_now_ms(among->loop);
    connection->id = ++among->n_opened * MOST_LOOPS + kv_loop_index(among->loop);
    kv_list_append(&among->all, &connection->link);
    sock->on_close.cb = on_close;
    sock->on_close.data = connection;
    return connection;
}

void kv_connection_serve(struct kv_connection *connection, const struct kv_protocol *protocol,
                         void *user)
{
    connection->protocol = protocol;
    connection->channel.traffic = &connection->among->traffic[protocol->transport];
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
    connection->watched = KV_WATCHED_NOTHING;
}

/* In time: when `on_close` runs, the descriptor is closed already. */
void kv_connection_linger(struct kv_connection *connection)
{
    if (connection->linger_fd < 0)
        connection->linger_fd = dup(h2o_socket_get_fd(connection->channel.sock));
}

static struct kv_address address_of(const struct sockaddr_storage *peer)
{
    const void *at = peer;
    const struct sockaddr_in *v4 = at;
    const struct sockaddr_in6 *v6 = at;
    if (peer->ss_family == AF_INET)
        return kv_address_of((const unsigned char *)&v4->sin_addr, sizeof(v4->sin_addr));
    if (peer->ss_family == AF_INET6)
        return kv_address_of((const unsigned char *)&v6->sin6_addr, sizeof(v6->sin6_addr));
    return (struct kv_address){0};
}

struct kv_address kv_connection_address(const struct kv_connection *connection)
{
    struct sockaddr_storage peer = {.ss_family = AF_UNSPEC};
    if (kv_address_is_given(&connection->client))
        return connection->client;
    h2o_socket_getpeername(connection->channel.sock, (struct sockaddr *)&peer);
    return address_of(&peer);
}

bool kv_connection_claim(struct kv_connection *connection, const struct kv_address *client)
{
    struct kv_peer *peer;
    if (!kv_address_is_given(client) || kv_address_is_given(&connection->client))
        return true;
    if (!kv_peers_enter(connection->among->peers, client, &peer))
        return false;
    connection->client = *client;
    connection->peer = peer;
    return true;
}

const char *kv_transport_name(enum kv_transport transport)
{
    static const char *const names[KV_N_TRANSPORTS] = {[KV_TRANSPORT_NONE] = "none",
                                                       [KV_TRANSPORT_HTTP] = "http",
                                                       [KV_TRANSPORT_WEBSOCKET] = "websocket",
                                                       [KV_TRANSPORT_EVENTS] = "events",
                                                       [KV_TRANSPORT_BACKUP] = "backup"};
    return names[transport];
}

void kv_connection_account(const struct kv_connection *connection,
                           struct kv_connection_account *ret_account)
{
    *ret_account = (struct kv_connection_account){.transport = connection->protocol->transport};
    if (connection->protocol->account != NULL)
        connection->protocol->account(connection->channel.user, ret_account);
}

void kv_connection_close(struct kv_connection *connection)
{
    kv_channel_farewell(&connection->channel);
    h2o_socket_close(connection->channel.sock);
}

void kv_connections_init(struct kv_connections *connections, struct kv_loop *loop,
                         const struct kv_patience *patience, _Atomic uint32_t *n_lingering)
{
    connections->loop = loop;
    connections->patience = *patience;
    kv_list_init(&connections->all);
    kv_lingerers_init(&connections->lingerers, loop, n_lingering);
}

void kv_connections_fini(struct kv_connections *connections)
{
    kv_chunks_fini(&connections->chunks);
}

void kv_connections_refuse(struct kv_connections *connections, h2o_socket_t *sock,
                           struct kv_slice text)
{
    ssize_t written = send(h2o_socket_get_fd(sock), text.bytes, text.len, MSG_NOSIGNAL);
    (void)written; /* a new socket's buffer has room for it, or the peer is gone */
    int fd = dup(h2o_socket_get_fd(sock));
    h2o_socket_close(sock);
    if (fd >= 0)
        kv_linger(&connections->lingerers, fd, KV_LINGER_MS);
}

void kv_connections_refuse_fd(struct kv_connections *connections, int fd, struct kv_slice text)
{
    ssize_t written = send(fd, text.bytes, text.len, MSG_NOSIGNAL);
    (void)written; /* as above */
    kv_linger(&connections->lingerers, fd, KV_LINGER_SHORTLY_MS);
}

static void end(struct kv_connection *connection)
{
    kv_channel_farewell(&connection->channel);
    shutdown(h2o_socket_get_fd(connection->channel.sock), SHUT_RDWR);
}

void kv_connection_reset(struct kv_connection *connection)
{
    const struct linger at_once = {.l_onoff = 1};
    setsockopt(h2o_socket_get_fd(connection->channel.sock), SOL_SOCKET, SO_LINGER, &at_once,
               sizeof(at_once));
    end(connection);
}

static bool is_busy(const struct kv_connection *connection)
{
    return connection->protocol->is_busy != NULL &&
           connection->protocol->is_busy(connection->channel.user);
}

/* The bytes that have arrived of a request, or of the TLS record that it begins with. */
static size_t arrived(const struct kv_connection *connection)
{
    size_t len;
    kv_channel_input(&connection->channel, &len);
    return len + kv_channel_partial(&connection->channel);
}

static bool is_idle(const struct kv_connection *connection)
{
    return kv_channel_is_reading(&connection->channel) && arrived(connection) == 0 &&
           !is_busy(connection);
}

/* Ends a request that is not awaited any longer. No answer is being sent, so the peer can read this
 * one. */
static void refuse(struct kv_connection *connection, struct kv_slice text)
{
    struct iovec iovec = {(char *)(uintptr_t)text.bytes, text.len};
    struct kv_channel *channel = &connection->channel;
    kv_connection_linger(connection);
    bool is_written = kv_channel_write(channel, &iovec, 1);
    (void)
        is_written; /* the socket's buffer, which is empty, has room for it, or the peer is gone */
    kv_channel_end(channel);
}

/* Notes whether the measure has changed. Returns: the milliseconds since it last changed. */
static int64_t stood_still_ms(struct kv_connection *connection, uint64_t measure, int64_t now_ms)
{
    if (measure != connection->seen) {
        connection->seen = measure;
        connection->progress_ms = now_ms;
    }
    return now_ms - connection->progress_ms;
}

/* n_bytes: received or sent so far. */
static void watch(struct kv_connection *connection, enum kv_watched what, uint64_t n_bytes,
                  int64_t now_ms)
{
    if (connection->watched != what)
        connection->pace = kv_pace_begin(now_ms, n_bytes);
    connection->watched = what;
}

static void watch_reader(struct kv_connection *connection, int64_t now_ms)
{
    const struct kv_patience *patience = &connection->among->patience;
    bool counts_bytes;
    uint64_t taken = kv_channel_progress(&connection->channel, &counts_bytes);
    watch(connection, KV_WATCHED_ANSWERS, taken, now_ms);
    if (stood_still_ms(connection, taken, now_ms) >= patience->stalled_reader_ms ||
        (counts_bytes && kv_pace_is_too_slow(&connection->pace, now_ms, taken,
                                             patience->stalled_reader_ms, patience->least_rate)))
        kv_connection_reset(connection);
}

static void watch_request(struct kv_connection *connection, size_t len, int64_t now_ms)
{
    const struct kv_patience *patience = &connection->among->patience;
    watch(connection, KV_WATCHED_REQUEST, 0, now_ms);
    if (stood_still_ms(connection, UINT64_MAX - len, now_ms) >= patience->request_progress_ms ||
        now_ms - connection->pace.begun_ms >= patience->request_ms ||
        kv_pace_is_too_slow(&connection->pace, now_ms, len, patience->request_progress_ms,
                            patience->least_rate))
        refuse(connection, connection->among->lateness);
}

static void watch_silence(struct kv_connection *connection, int64_t now_ms)
{
    watch(connection, KV_WATCHED_NOTHING, 0, now_ms);
    if (stood_still_ms(connection, UINT64_MAX, now_ms) >= connection->among->patience.idle_ms)
        end(connection);
}

/* The phase before a service may take as long as a request without progress. */
static void watch_entry(struct kv_connection *connection, int64_t now_ms)
{
    const struct kv_patience *patience = &connection->among->patience;
    int64_t longest = patience->request_progress_ms < patience->request_ms
                          ? patience->request_progress_ms
                          : patience->request_ms;
    if (now_ms - connection->progress_ms >= longest)
        kv_connection_close(connection);
}

static void look_at(struct kv_connection *connection, int64_t now_ms)
{
    const struct kv_channel *channel = &connection->channel;
    size_t len = arrived(connection);
    if (connection->protocol->is_entering)
        watch_entry(connection, now_ms);
    else if (kv_channel_is_writing(channel))
        watch_reader(connection, now_ms);
    else if (!kv_channel_is_reading(channel) || is_busy(connection))
        kv_connection_touch(connection); /* it waits for the server */
    else if (len != 0)
        watch_request(connection, len, now_ms);
    else
        watch_silence(connection, now_ms);
}

/* The end of a connection is noticed when it is read or written. If it is neither, this checks for
 * the end. Returns: whether it has ended; then it may have been freed. */
static bool notice_end(struct kv_connection *connection)
{
    struct kv_channel *channel = &connection->channel;
    if (!connection->protocol->is_always_ready || kv_channel_is_reading(channel) ||
        kv_channel_is_writing(channel) || !kv_channel_is_broken(channel))
        return false;
    channel->on_read(channel->user, KV_CHANNEL_BROKEN);
    return true;
}

void kv_connections_sweep(struct kv_connections *connections)
{
    int64_t now_ms = kv_loop_now_ms(connections->loop);
    KV_LIST_EACH(&connections->all, link, after)
    {
        struct kv_connection *connection = KV_CONTAINER(link, struct kv_connection, link);
        if (notice_end(connection) || connection->protocol->keeps_time)
            continue;
        if (connections->is_aborted || (connections->is_draining && is_idle(connection)))
            end(connection);
        else
            look_at(connection, now_ms);
    }
}

/* ---- memory ---- */

/* The bytes held of a request whose rest has not arrived. */
static size_t incomplete(const struct kv_connection *connection)
{
    const struct kv_channel *channel = &connection->channel;
    if (!kv_channel_is_reading(channel) || is_busy(connection))
        return 0;
    return arrived(connection) + channel->n_kept;
}

/* A connection that waits for memory to read, or for work, counts as stalled. */
static void watch_peer(struct kv_connection *connection, int64_t now_ms)
{
    bool counts_bytes;
    uint64_t moved = connection->stillness.moved;
    size_t n_arrived = incomplete(connection);
    if (kv_channel_is_writing(&connection->channel))
        moved = kv_channel_progress(&connection->channel, &counts_bytes);
    else if (n_arrived != 0)
        moved = n_arrived;
    if (connection->stillness.since_ms == 0 || moved != connection->stillness.moved)
        connection->stillness.since_ms = now_ms;
    connection->stillness.moved = moved;
}

static bool is_working(const struct kv_connection *connection)
{
    return connection->protocol->is_working != NULL &&
           connection->protocol->is_working(connection->channel.user);
}

/* While it waits, the memory that it holds is not released. */
static bool has_to_wait(const struct kv_connection *connection)
{
    return connection->protocol->is_entering || kv_channel_is_writing(&connection->channel) ||
           kv_channel_is_held_up(&connection->channel) || is_working(connection) ||
           incomplete(connection) != 0;
}

void kv_connections_watch_peers(struct kv_connections *connections, bool begins)
{
    int64_t now_ms = kv_loop_now_ms(connections->loop);
    KV_LIST_EACH(&connections->all, link, after)
    {
        struct kv_connection *connection = KV_CONTAINER(link, struct kv_connection, link);
        bool waits = has_to_wait(connection);
        if (begins || !waits)
            connection->stillness.since_ms = 0;
        if (waits)
            watch_peer(connection, now_ms);
    }
}

static bool is_still(const struct kv_connection *connection, int64_t still_ms)
{
    int64_t since_ms = connection->stillness.since_ms;
    return still_ms == 0 ||
           (since_ms != 0 && kv_loop_now_ms(connection->among->loop) - since_ms >= still_ms);
}

static bool holds_memory_up(const struct kv_connection *connection, int64_t still_ms)
{
    return !connection->gives_way && has_to_wait(connection) && is_still(connection, still_ms);
}

static size_t bytes_of(const struct kv_connection *connection)
{
    const struct kv_protocol *protocol = connection->protocol;
    size_t held = protocol->holds == NULL ? 0 : protocol->holds(connection->channel.user);
    return held + connection->channel.charge.bytes;
}

struct kv_connection *kv_connections_largest(struct kv_connections *connections, int64_t still_ms,
                                             size_t *ret_bytes)
{
    struct kv_connection *largest = NULL;
    *ret_bytes = 0;
    KV_LIST_EACH(&connections->all, link, after)
    {
        struct kv_connection *connection = KV_CONTAINER(link, struct kv_connection, link);
        size_t bytes = holds_memory_up(connection, still_ms) ? bytes_of(connection) : 0;
        if (bytes <= *ret_bytes)
            continue;
        largest = connection;
        *ret_bytes = bytes;
    }
    return largest;
}

void kv_connection_give_way(struct kv_connection *connection)
{
    connection->gives_way = true;
    if (connection->protocol->give_way != NULL)
        connection->protocol->give_way(connection->channel.user);
    else if (kv_channel_is_writing(&connection->channel))
        kv_connection_reset(connection);
    else
        refuse(connection, connection->among->overload);
}
