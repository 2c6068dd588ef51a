/*
 * Lingering close: a connection that is closed while its peer still sends is reset by the kernel,
 * and the peer may lose the answer that said why (413, 503). So the sending side is shut down, and
 * what arrives is thrown away until the peer closes too, for a bounded time, amount and number of
 * connections.
 */
#include "http/impl.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    MOST_LINGERING = 1024,
    LONGEST_MS = 2000,
    MOST_BYTES = 64 << 20
};

struct lingering {
    struct kv_list link;
    struct kv_http_loop *here;
    h2o_socket_t *sock;
    struct kv_timer timer;
    size_t n_read;
};

static void finish(struct lingering *one)
{
    kv_timer_stop(one->here->loop, &one->timer);
    kv_list_remove(&one->link);
    atomic_fetch_sub(&one->here->http->n_lingering, 1);
    h2o_socket_close(one->sock);
    free(one);
}

static void on_timeout(struct kv_timer *timer)
{
    finish(KV_CONTAINER(timer, struct lingering, timer));
}

static void on_readable(h2o_socket_t *sock, const char *err)
{
    struct lingering *one = sock->data;
    char discarded[16384];
    ssize_t got =
        err != NULL ? 0 : recv(h2o_socket_get_fd(sock), discarded, sizeof(discarded), MSG_TRUNC);
    if (got < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (got <= 0 || (one->n_read += (size_t)got) > MOST_BYTES)
        finish(one);
}

void kv_http_linger(struct kv_http_loop *here, int fd)
{
    shutdown(fd, SHUT_WR);
    if (atomic_fetch_add(&here->http->n_lingering, 1) >= MOST_LINGERING) {
        atomic_fetch_sub(&here->http->n_lingering, 1);
        close(fd);
        return;
    }
    struct lingering *one = kv_calloc(1, sizeof(*one));
    one->here = here;
    one->sock = h2o_evloop_socket_create(kv_loop_evloop(here->loop), fd, H2O_SOCKET_FLAG_DONT_READ);
    one->sock->data = one;
    one->timer.fire = on_timeout;
    kv_timer_start(here->loop, &one->timer, kv_loop_now_ms(here->loop) + LONGEST_MS);
    kv_list_append(&here->lingering, &one->link);
    h2o_socket_read_start(one->sock, on_readable);
}

void kv_http_linger_abort(struct kv_http_loop *here)
{
    KV_LIST_EACH(&here->lingering, link, after)
    finish(KV_CONTAINER(link, struct lingering, link));
}
