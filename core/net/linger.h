/*
 * Lingering close: if a connection is closed while its peer still sends, the kernel resets it, and
 * the peer may lose the answer with the reason (413, 503). So the sending side is shut down, and
 * input is discarded until the peer closes too, within limits of time, amount and number of
 * connections.
 */
#ifndef KV_NET_LINGER_H
#define KV_NET_LINGER_H

#include <stdatomic.h>

#include "base/list.h"
#include "loop/loop.h"

/* The lingering sockets of a loop. */
struct kv_lingerers {
    struct kv_loop *loop;
    struct kv_list all;
    _Atomic uint32_t *n; /* of all loops */
    uint32_t most;       /* of all loops; others are closed at once */
};

void kv_lingerers_init(struct kv_lingerers *lingerers, struct kv_loop *loop, _Atomic uint32_t *n);

enum {
    KV_MOST_LINGERING = 1024, /* at most, and unless `most` is set */
    KV_LINGER_MS = 2000,
    KV_LINGER_SHORTLY_MS = 90, /* while few descriptors are left */
};

/* Takes the descriptor over. longest_ms: it is closed after this time in any case. */
void kv_linger(struct kv_lingerers *lingerers, int fd, int64_t longest_ms);

/* Closes all lingering sockets. */
void kv_lingerers_abort(struct kv_lingerers *lingerers);

#endif
