/*
 * Unix sockets in the file system.
 */
#ifndef KV_NET_UNIX_SOCKET_H
#define KV_NET_UNIX_SOCKET_H

#include <sys/types.h>

#include <kvserver/types.h>

#include "base/list.h"

/* A socket that this process has created. */
struct kv_unix_socket {
    struct kv_list link; /* the owner's */
    dev_t device;
    ino_t inode;
    char path[];
};

/* Listens at a path. An abandoned socket is replaced; a socket on which another process listens,
 * and any other kind of file, is left alone. If several processes do this at once, one of them
 * listens: a lock on the folder orders them, for which each waits at most a second.
 * mode: who may connect, as for files.
 * Owns: the caller, the descriptor and *ret_socket, by kv_unix_socket_remove().
 * Returns: the descriptor; -1 and *reterr. */
int kv_unix_socket_listen(const char *path, mode_t mode, struct kv_unix_socket **ret_socket,
                          struct kv_error *reterr);

/* Removes the socket from the file system, unless another file has replaced it, and frees it. Waits
 * for the folder's lock as above. */
void kv_unix_socket_remove(struct kv_unix_socket *unix_socket);

#endif
