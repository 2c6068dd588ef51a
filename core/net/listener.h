/*
 * Listening sockets: one on each loop for every address, so that the kernel distributes connections
 * over the loops; or one for all loops if more are not possible.
 */
#ifndef KV_NET_LISTENER_H
#define KV_NET_LISTENER_H

#include <stdatomic.h>

#include "base/list.h"
#include "loop/loop.h"
#include "net/inherited.h"

#include <kvserver/types.h>

struct st_h2o_socket_t;
struct kv_listener;
struct kv_tls;

/* The way by which a peer has connected. */
struct kv_entrance {
    bool is_unix;
    struct kv_tls *tls; /* lent; NULL: not encrypted */
};

/* The listeners of one loop, and the functions that get accepted sockets. */
struct kv_listeners {
    struct kv_loop *loop;
    struct kv_list all;
    struct kv_timer resume;            /* accepts again after descriptors ran out */
    int spare_fd;                      /* released for a peer that has to be refused; -1: none */
    _Atomic uint32_t *n_without_spare; /* of all loops */
    bool is_exposed;                   /* other machines may reach one of them */
    void (*on_accept)(struct kv_listeners *listeners, struct st_h2o_socket_t *sock,
                      const struct kv_entrance *entrance);
    /* Gets a peer for which this is the only descriptor, and takes it over. */
    void (*on_excess)(struct kv_listeners *listeners, int fd, const struct kv_entrance *entrance);
    struct kv_inherited *inherited; /* lent, before the loops run; NULL: none */
};

/* n_without_spare: shared by all loops, lent. */
void kv_listeners_init(struct kv_listeners *listeners, struct kv_loop *loop,
                       _Atomic uint32_t *n_without_spare);

/* Closes the listeners. */
void kv_listeners_fini(struct kv_listeners *listeners);

/* Uses a listening Unix socket on each of the loops, which share it. Takes the descriptor over.
 * Call before the loops run. Returns: -1 and errno. */
int kv_listen_unix(struct kv_listeners *const *loops, uint32_t n_loops, int fd);

/* Listens at every address of a host, on each of the loops. Call before the loops run.
 * host: a name or an address; port: 0 for any free one; tls: NULL: not encrypted. *ret_port: the
 * port. */
int kv_listen(struct kv_listeners *const *loops, uint32_t n_loops, const char *host, uint16_t port,
              struct kv_tls *tls, uint16_t *ret_port, struct kv_error *reterr);

#endif
