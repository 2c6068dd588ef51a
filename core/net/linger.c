/* Input is discarded in the kernel (MSG_TRUNC), and counted. */
#include "net/linger.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/mem.h"
#include "loop/evloop.h"

enum {
    MOST_BYTES = 64 << 20
};

struct lingering {
    struct kv_list link;
    struct kv_lingerers *among;
    h2o_socket_t *sock;
    struct kv_timer timer;
    size_t n_read;
};

static void finish(struct lingering *one)
{
    kv_timer_stop(one->among->loop, &one->timer);
    kv_list_remove(&one->link);
    atomic_fetch_sub(one->among->n, 1);
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

void kv_lingerers_init(struct kv_lingerers *lingerers, struct kv_loop *loop, _Atomic uint32_t *n)
{
    lingerers->loop = loop;
    lingerers->n = n;
    lingerers->most = KV_MOST_LINGERING;
    kv_list_init(&lingerers->all);
}

void kv_linger(struct kv_lingerers *lingerers, int fd, int64_t longest_ms)
{
    struct kv_loop *loop = lingerers->loop;
    shutdown(fd, SHUT_WR);
    if (atomic_fetch_add(lingerers->n, 1) >= lingerers->most) {
        atomic_fetch_sub(lingerers->n, 1);
        close(fd);
        return;
    }
    struct lingering *one = kv_calloc(1, sizeof(*one));
    one->among = lingerers;
    one->sock = h2o_evloop_socket_create(kv_loop_evloop(loop), fd, H2O_SOCKET_FLAG_DONT_READ);
    one->sock->data = one;
    one->timer.fire = on_timeout;
    kv_timer_start(loop, &one->timer, kv_loop_now_ms(loop) + longest_ms);
    kv_list_append(&lingerers->all, &one->link);
    h2o_socket_read_start(one->sock, on_readable);
}

void kv_lingerers_abort(struct kv_lingerers *lingerers)
{
    KV_LIST_EACH(&lingerers->all, link, after)
    finish(KV_CONTAINER(link, struct lingering, link));
}
