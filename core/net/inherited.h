/*
 * Sockets that the service manager has opened and handed down (sd_listen_fds(3)): an address that
 * is to be listened at is taken from them where it is among them. So the server can listen at what
 * only others may, and no connection is refused while it is started anew.
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

/* Takes over what the environment says, and takes that out of the environment. Returns: -1 and
 * *reterr where one of them is no socket that listens for streams. */
int kv_inherited_find(struct kv_inherited *inherited, struct kv_error *reterr);

/* Takes the one that listens at this address. inherited: NULL is none. Returns: its descriptor, the
 * caller's; -1 where there is none. */
int kv_inherited_take(struct kv_inherited *inherited, const struct sockaddr *address);

/* The same at a path. */
int kv_inherited_take_unix(struct kv_inherited *inherited, const char *path);

/* Closes those that nobody has taken. Returns: 0 where there were none; otherwise -1 and *reterr.
 */
int kv_inherited_close(struct kv_inherited *inherited, struct kv_error *reterr);

#endif
