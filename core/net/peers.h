/*
 * How many connections each address has, over all loops. Of IPv6 it is the network of an address
 * (its first 64 bits) that counts, as one machine may have all of it. Peers without an address, on
 * Unix sockets, are not counted.
 *
 * Threads: any.
 */
#ifndef KV_NET_PEERS_H
#define KV_NET_PEERS_H

#include <pthread.h>

#include "base/table.h"

#include <kvserver/types.h>

struct sockaddr;
struct kv_peer;

struct kv_peers {
    uint32_t most; /* connections of one; 0: they are not counted */
    pthread_mutex_t lock;
    struct kv_table table;
};

void kv_peers_init(struct kv_peers *peers, uint32_t most);
/* When all have left. */
void kv_peers_fini(struct kv_peers *peers);

/* One more connection of that address. Returns: whether it may have one; then *ret_peer, for
 * kv_peers_leave(); NULL where it is not counted. */
bool kv_peers_enter(struct kv_peers *peers, const struct sockaddr *address,
                    struct kv_peer **ret_peer);

/* Accepts NULL. */
void kv_peers_leave(struct kv_peers *peers, struct kv_peer *peer);

#endif
