/*
 * Sockets inherited from the service manager (sd_listen_fds(3)). A listener uses the inherited
 * socket with its address, if there is one. So the server can listen at privileged ports without
 * privileges, and no connection is refused during a restart.
 *
 * Threads: the main one, before loops run.
 */
#ifndef KV_NET_INHERITED_H
#define KV_NET_INHERITED_H

#include <sys/socket.h>

#include <kvserver/types.h>

enum {
    KV_INHERITED_MOST = 64
};

/* All zero: none. */
struct kv_inherited {
    uint32_t n;
    int fds[KV_INHERITED_MOST]; /* -1: taken */
};

/* Takes over the sockets that the environment names, and removes the variables from it. Returns: 0,
 * or -1 and *reterr if one of them is not a listening stream socket. */
int kv_inherited_find(struct kv_inherited *inherited, struct kv_error *reterr);

/* Takes the socket that listens at this address. inherited: may be NULL. Returns: its descriptor,
 * owned by the caller; -1 if there is none. */
int kv_inherited_take(struct kv_inherited *inherited, const struct sockaddr *address);

/* The same at a path. */
int kv_inherited_take_unix(struct kv_inherited *inherited, const char *path);

/* Closes the sockets that no listener has taken. Returns: 0 if there were none; otherwise -1 and
 * *reterr. */
int kv_inherited_close(struct kv_inherited *inherited, struct kv_error *reterr);

#endif
