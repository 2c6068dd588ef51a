/*
 * For TCP every loop has its own socket (SO_REUSEPORT). Accepting pauses if descriptors or memory
 * run out: a listener that stays readable would keep its loop spinning. With a spare descriptor, at
 * least one peer at a time can be refused properly.
 */
#include "net/listener.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/mem.h"
#include "loop/evloop.h"

enum {
    MOST_ACCEPTS_A_TURN = 64,
    BACKLOG = 4096,
    RESUME_MS = 100,
};

struct kv_listener {
    struct kv_list link;
    struct kv_listeners *among;
    h2o_socket_t *sock;
    struct kv_entrance entrance;
};

/* ---- accepting ---- */

static void on_acceptable(h2o_socket_t *sock, const char *err);

static void open_spare(struct kv_listeners *listeners)
{
    if (listeners->spare_fd >= 0)
        return;
    listeners->spare_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    if (listeners->spare_fd >= 0)
        atomic_fetch_sub(listeners->n_without_spare, 1);
}

static void close_spare(struct kv_listeners *listeners)
{
    if (listeners->spare_fd < 0)
        return;
    atomic_fetch_add(listeners->n_without_spare, 1); /* before others can take the descriptor */
    close(listeners->spare_fd);
    listeners->spare_fd = -1;
}

/* A descriptor that is free for a moment belongs to a loop that has released its spare one. */
static bool are_descriptors_rare(const struct kv_listeners *listeners)
{
    return atomic_load(listeners->n_without_spare) != 0;
}

static void resume_accepting(struct kv_timer *timer)
{
    struct kv_listeners *listeners = KV_CONTAINER(timer, struct kv_listeners, resume);
    open_spare(listeners);
    KV_LIST_EACH(&listeners->all, link, after)
    {
        h2o_socket_t *sock = KV_CONTAINER(link, struct kv_listener, link)->sock;
        if (!h2o_socket_is_reading(sock))
            h2o_socket_read_start(sock, on_acceptable);
    }
}

static void pause_accepting(struct kv_listener *listener)
{
    struct kv_listeners *among = listener->among;
    h2o_socket_read_stop(listener->sock);
    kv_timer_start(among->loop, &among->resume, kv_loop_now_ms(among->loop) + RESUME_MS);
}

/* Accepts the next peer with the spare descriptor, which is restored when the peer has gone. */
static void accept_by_spare(struct kv_listener *listener)
{
    struct kv_listeners *among = listener->among;
    if (among->spare_fd < 0)
        return;
    close_spare(among);
    int fd = accept4(h2o_socket_get_fd(listener->sock), NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd >= 0)
        among->on_excess(among, fd, &listener->entrance);
    else
        open_spare(among);
}

/* Returns a descriptor that another loop has released meanwhile: without its spare descriptor that
 * loop could not even refuse its peers, while all others are in use. */
static void give_back(struct kv_listener *listener, h2o_socket_t *accepted)
{
    h2o_socket_export_t peer;
    if (h2o_socket_export(accepted, &peer) != 0) {
        h2o_socket_close(accepted);
        return;
    }
    h2o_buffer_dispose(&peer.input);
    listener->among->on_excess(listener->among, peer.fd, &listener->entrance);
}

static void take(struct kv_listener *listener, h2o_socket_t *accepted)
{
    if (are_descriptors_rare(listener->among))
        give_back(listener, accepted);
    else
        listener->among->on_accept(listener->among, accepted, &listener->entrance);
}

static void on_acceptable(h2o_socket_t *sock, const char *err)
{
    struct kv_listener *listener = sock->data;
    if (err != NULL)
        return;
    for (int i = 0; i < MOST_ACCEPTS_A_TURN; i++) {
        errno = EMFILE;
        h2o_socket_t *accepted =
            are_descriptors_rare(listener->among) ? NULL : h2o_evloop_socket_accept(sock);
        if (accepted != NULL)
            take(listener, accepted);
        else if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
            accept_by_spare(listener);
            pause_accepting(listener);
            return;
        } else if (errno == EAGAIN) {
            return;
        }
    }
}

/* Takes the descriptor over. */
static void add_listener(struct kv_listeners *among, int fd, struct kv_entrance entrance)
{
    struct kv_listener *listener = kv_calloc(1, sizeof(*listener));
    listener->among = among;
    listener->entrance = entrance;
    listener->sock =
        h2o_evloop_socket_create(kv_loop_evloop(among->loop), fd, H2O_SOCKET_FLAG_DONT_READ);
    listener->sock->data = listener;
    kv_list_append(&among->all, &listener->link);
    h2o_socket_read_start(listener->sock, on_acceptable);
}

void kv_listeners_init(struct kv_listeners *listeners, struct kv_loop *loop,
                       _Atomic uint32_t *n_without_spare)
{
    listeners->loop = loop;
    listeners->n_without_spare = n_without_spare;
    atomic_fetch_add(n_without_spare, 1);
    listeners->resume.fire = resume_accepting;
    listeners->spare_fd = -1;
    open_spare(listeners);
    kv_list_init(&listeners->all);
}

void kv_listeners_fini(struct kv_listeners *listeners)
{
    kv_timer_stop(listeners->loop, &listeners->resume);
    if (listeners->spare_fd >= 0)
        close(listeners->spare_fd);
    listeners->spare_fd = -1;
    KV_LIST_EACH(&listeners->all, link, after)
    {
        struct kv_listener *listener = KV_CONTAINER(link, struct kv_listener, link);
        h2o_socket_close(listener->sock);
        kv_list_remove(link);
        free(listener);
    }
}

/* Has every loop listen on the same socket. Takes the descriptor over. */
static int share(struct kv_listeners *const *loops, uint32_t n_loops, int fd,
                 struct kv_entrance entrance)
{
    for (uint32_t i = 1; i < n_loops; i++) {
        int other = fcntl(fd, F_DUPFD_CLOEXEC, 0);
        if (other < 0) {
            int error = errno;
            close(fd);
            errno = error;
            return -1;
        }
        add_listener(loops[i], other, entrance);
    }
    add_listener(loops[0], fd, entrance);
    return 0;
}

int kv_listen_unix(struct kv_listeners *const *loops, uint32_t n_loops, int fd)
{
    return share(loops, n_loops, fd, (struct kv_entrance){.is_unix = true});
}

/* ---- TCP ---- */

static int open_listener(const struct addrinfo *at, bool is_shared)
{
    int on = 1;
    int fd = socket(at->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return -1;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    if (is_shared)
        setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof(on));
    if (at->ai_family == AF_INET6)
        setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on));
    if (bind(fd, at->ai_addr, at->ai_addrlen) == 0 && listen(fd, BACKLOG) == 0)
        return fd;
    int error = errno;
    close(fd);
    errno = error;
    return -1;
}

static void learn_port(int fd, struct addrinfo *at)
{
    socklen_t len = at->ai_addrlen;
    getsockname(fd, at->ai_addr, &len);
}

static uint16_t port_of(const struct addrinfo *at)
{
    if (at->ai_family == AF_INET6)
        return ntohs(((const struct sockaddr_in6 *)(const void *)at->ai_addr)->sin6_port);
    return ntohs(((const struct sockaddr_in *)(const void *)at->ai_addr)->sin_port);
}

/* Sockets may share a port only if all of them permit it; but another server of the same user could
 * do so unnoticed. So a first socket, which does not share, makes sure that the port is free. */
static int claim_port(struct addrinfo *at)
{
    int fd = open_listener(at, false);
    if (fd < 0)
        return -1;
    learn_port(fd, at);
    close(fd);
    return 0;
}

static bool is_loopback(const struct addrinfo *at)
{
    if (at->ai_family == AF_INET6)
        return IN6_IS_ADDR_LOOPBACK(
            &((const struct sockaddr_in6 *)(const void *)at->ai_addr)->sin6_addr);
    const struct sockaddr_in *address = (const void *)at->ai_addr;
    return ntohl(address->sin_addr.s_addr) >> 24 == IN_LOOPBACKNET;
}

static int open_listeners(struct kv_listeners *const *loops, uint32_t n_loops, struct addrinfo *at,
                          struct kv_tls *tls)
{
    if (claim_port(at) != 0)
        return -1;
    for (uint32_t i = 0; i < n_loops; i++) {
        int fd = open_listener(at, true);
        if (fd < 0)
            return -1;
        add_listener(loops[i], fd, (struct kv_entrance){.tls = tls});
    }
    return 0;
}

static int listen_at(struct kv_listeners *const *loops, uint32_t n_loops, struct addrinfo *at,
                     struct kv_tls *tls)
{
    int fd = kv_inherited_take(loops[0]->inherited, at->ai_addr);
    int result = fd >= 0 ? share(loops, n_loops, fd, (struct kv_entrance){.tls = tls})
                         : open_listeners(loops, n_loops, at, tls);
    for (uint32_t i = 0; i < n_loops; i++)
        loops[i]->is_exposed |= result == 0 && !is_loopback(at);
    return result;
}

static void set_port(struct addrinfo *at, uint16_t port)
{
    if (at->ai_family == AF_INET6)
        ((struct sockaddr_in6 *)(void *)at->ai_addr)->sin6_port = htons(port);
    else
        ((struct sockaddr_in *)(void *)at->ai_addr)->sin_port = htons(port);
}

/* Listens at every address of a name; addresses of families that this machine does not have are
 * left out.
 * port: in and out; 0 is any free one, the same for all. Returns: -1 and errno if there is none. */
static int listen_at_all(struct kv_listeners *const *loops, uint32_t n_loops, struct addrinfo *all,
                         struct kv_tls *tls, uint16_t *port)
{
    int result = -1;
    for (struct addrinfo *at = all; at != NULL; at = at->ai_next) {
        set_port(at, *port);
        if (listen_at(loops, n_loops, at, tls) == 0) {
            *port = port_of(at);
            result = 0;
        } else if (errno != EAFNOSUPPORT && errno != EADDRNOTAVAIL) {
            return -1;
        }
    }
    return result;
}

int kv_listen(struct kv_listeners *const *loops, uint32_t n_loops, const char *host, uint16_t port,
              struct kv_tls *tls, uint16_t *ret_port, struct kv_error *reterr)
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE};
    struct addrinfo *all;
    int failed = getaddrinfo(host, "0", &hints, &all);
    if (failed != 0)
        return kv_error_set(reterr, "cannot listen on \"%s\": %s", host, gai_strerror(failed));
    *ret_port = port;
    int result = listen_at_all(loops, n_loops, all, tls, ret_port);
    if (result != 0)
        kv_error_set(reterr, "cannot listen on %s port %u: %s", host, port, strerror(errno));
    freeaddrinfo(all);
    return result;
}
