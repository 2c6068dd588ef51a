/*
 * Lingering close: a connection that is closed while its peer still sends is reset by the kernel,
 * and the peer may lose the answer that said why (413, 503). So the sending side is shut down, and
 * what arrives is thrown away until the peer closes too, for a bounded time, amount and number of
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
    KV_LINGER_SHORTLY_MS = 90, /* while descriptors are rare */
};

/* Takes the descriptor over. longest_ms: until it is closed in any case. */
void kv_linger(struct kv_lingerers *lingerers, int fd, int64_t longest_ms);

/* Closes them all. */
void kv_lingerers_abort(struct kv_lingerers *lingerers);

#endif
