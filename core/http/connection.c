/*
 * Connections: their number, and those that make no progress. libh2o has one timer for a request's
 * wait, head and body together, and none for an answer that is not read; so its timer is set out
 * of reach, and a sweep looks at every connection now and then. A connection is ended from outside
 * by shutting its socket down: the library then closes it in its own way.
 */
#include "http/impl.h"

#include <assert.h>
#include <h2o/http1.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "loop/progress.h"

static void on_close(void *data)
{
    struct kv_http_connection *connection = data;
    struct kv_http_loop *here = connection->here;
    assert(connection->front == NULL);
    if (connection->linger_fd >= 0 && here->is_aborted)
        close(connection->linger_fd);
    else if (connection->linger_fd >= 0)
        kv_http_linger(here, connection->linger_fd);
    kv_list_remove(&connection->link);
    atomic_fetch_sub(&here->http->n_connections, 1);
    free(connection);
}

void kv_http_connection_open(struct kv_http_loop *here, h2o_socket_t *sock)
{
    struct kv_http_connection *connection = kv_calloc(1, sizeof(*connection));
    connection->here = here;
    connection->sock = sock;
    connection->linger_fd = -1;
    connection->progress_ms = kv_loop_now_ms(here->loop);
    kv_list_append(&here->connections, &connection->link);
    sock->on_close.cb = on_close;
    sock->on_close.data = connection;
    if (here->http->config.has_front)
        kv_front_open(connection);
    else
        kv_http_connection_give_to_library(connection);
}

void kv_http_connection_give_to_library(struct kv_http_connection *connection)
{
    struct kv_http_loop *here = connection->here;
    h2o_http1_accept(&here->accept, connection->sock,
                     *h2o_get_timestamp(&here->context, NULL, NULL));
}

/* In time: when `on_close` runs, the library has closed the descriptor already. */
void kv_http_connection_linger(struct kv_http_connection *connection)
{
    if (connection->linger_fd < 0)
        connection->linger_fd = dup(h2o_socket_get_fd(connection->sock));
}

struct kv_http_connection *kv_http_connection_of(h2o_req_t *req)
{
    return req->conn->callbacks->get_socket(req->conn)->on_close.data;
}

void kv_http_connection_upgraded(h2o_socket_t *sock)
{
    struct kv_http_connection *connection = sock->on_close.data;
    connection->is_upgraded = true;
}

uint32_t kv_http_n_connections(const struct kv_http *http)
{
    return atomic_load(&http->n_connections);
}

bool kv_http_is_quiet(const struct kv_http *http)
{
    return atomic_load(&http->n_connections) == 0 && atomic_load(&http->n_lingering) == 0;
}

static void end(struct kv_http_connection *connection)
{
    shutdown(h2o_socket_get_fd(connection->sock), SHUT_RDWR);
}

static bool is_busy_in_front(const struct kv_http_connection *connection)
{
    return connection->front != NULL && kv_front_is_busy(connection->front);
}

static bool is_idle(const struct kv_http_connection *connection)
{
    return h2o_socket_is_reading(connection->sock) && connection->sock->input->size == 0 &&
           !is_busy_in_front(connection);
}

/* A number that changes while the connection makes progress, and how long it may stay the same;
 * INT64_MAX while it waits for us. */
static uint64_t measure(struct kv_http_connection *connection, int64_t *ret_patience_ms)
{
    const struct kv_http_config *config = &connection->here->http->config;
    h2o_socket_t *sock = connection->sock;
    if (h2o_socket_is_writing(sock)) {
        *ret_patience_ms = config->stalled_reader_ms;
        return kv_socket_bytes_acked(h2o_socket_get_fd(sock));
    }
    if (!h2o_socket_is_reading(sock) || is_busy_in_front(connection)) {
        *ret_patience_ms = INT64_MAX;
        return 0;
    }
    *ret_patience_ms = sock->input->size == 0 ? config->idle_ms : config->request_progress_ms;
    return UINT64_MAX - sock->input->size;
}

static void look_at(struct kv_http_connection *connection, int64_t now_ms)
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

void kv_http_sweep(struct kv_http_loop *here)
{
    int64_t now_ms = kv_loop_now_ms(here->loop);
    bool is_draining = kv_http_is_draining(here);
    KV_LIST_EACH(&here->connections, link, after)
    {
        struct kv_http_connection *connection = KV_CONTAINER(link, struct kv_http_connection, link);
        if (connection->is_upgraded)
            continue;
        if (here->is_aborted || (is_draining && is_idle(connection)))
            end(connection);
        else
            look_at(connection, now_ms);
    }
}
