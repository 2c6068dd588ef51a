/*
 * Counts the connections of each address, over all loops. IPv6 addresses count by network (their
 * first 64 bits), as one machine may have all addresses of a network. Peers without an address, on
 * Unix sockets, are not counted.
 *
 * Threads: any.
 */
#ifndef KV_NET_PEERS_H
#define KV_NET_PEERS_H

#include <pthread.h>
#include <stdatomic.h>

#include "base/table.h"

#include <kvserver/types.h>

struct kv_address;
struct kv_peer;

struct kv_peers {
    _Atomic uint32_t most; /* connections of one address; 0: they are not counted */
    pthread_mutex_t lock;
    struct kv_table table;
};

void kv_peers_init(struct kv_peers *peers, uint32_t most);
/* Call after all connections have left. */
void kv_peers_fini(struct kv_peers *peers);

/* Counts one more connection of the address. Returns: false at the limit; otherwise *ret_peer is
 * for kv_peers_leave(); NULL if it is not counted. */
bool kv_peers_enter(struct kv_peers *peers, const struct kv_address *address,
                    struct kv_peer **ret_peer);

/* Changes how many connections one address may have. If none were counted before, the caller then
 * has to count the existing ones (kv_peers_join). */
void kv_peers_limit(struct kv_peers *peers, uint32_t most);

static inline bool kv_peers_are_counted(struct kv_peers *peers)
{
    return atomic_load_explicit(&peers->most, memory_order_relaxed) != 0;
}

/* Counts one more connection of the address, even beyond the limit. Returns: the argument for
 * kv_peers_leave(); NULL if it is not counted. */
struct kv_peer *kv_peers_join(struct kv_peers *peers, const struct kv_address *address);

/* Accepts NULL. */
void kv_peers_leave(struct kv_peers *peers, struct kv_peer *peer);

#endif
