/*
 * The place of a Unix socket in the file system.
 */
#ifndef KV_NET_UNIX_SOCKET_H
#define KV_NET_UNIX_SOCKET_H

#include <sys/types.h>

#include <kvserver/types.h>

#include "base/list.h"

/* A socket that this process has made. */
struct kv_unix_socket {
    struct kv_list link; /* the owner's */
    dev_t device;
    ino_t inode;
    char path[];
};

/* Listens at a path. A socket that nobody listens on any more is replaced; one that somebody does,
 * and a file of any other kind, is left alone. Of processes that do so at once, one listens: they
 * take turns by a lock on the folder, for which each waits a second at most.
 * mode: who may connect, as of files.
 * Owns: the caller, the descriptor and *ret_socket, by kv_unix_socket_remove().
 * Returns: the descriptor; -1 and *reterr. */
int kv_unix_socket_listen(const char *path, mode_t mode, struct kv_unix_socket **ret_socket,
                          struct kv_error *reterr);

/* Removes the socket from the file system, unless something else has taken its place, and frees it.
 * Waits for the folder's lock as above. */
void kv_unix_socket_remove(struct kv_unix_socket *unix_socket);

#endif
