/* The lock is held for a look-up, when a connection opens or closes. */
#include "net/peers.h"

#include <stddef.h>
#include <stdlib.h>

#include "base/hash.h"
#include "base/mem.h"
#include "wire/address.h"

enum {
    NETWORK_BYTES = 8 /* of an IPv6 address */
};

struct kv_peer {
    struct kv_table_node node;
    unsigned char address[NETWORK_BYTES]; /* of IPv4 the first four */
    size_t len;
    uint32_t n;
};

void kv_peers_init(struct kv_peers *peers, uint32_t most)
{
    atomic_init(&peers->most, most);
    pthread_mutex_init(&peers->lock, NULL);
}

void kv_peers_fini(struct kv_peers *peers)
{
    kv_table_fini(&peers->table);
    pthread_mutex_destroy(&peers->lock);
}

/* Returns: an empty slice if there is no address to count. */
static struct kv_slice bytes_of(const struct kv_address *address)
{
    size_t len = address->len < NETWORK_BYTES ? address->len : NETWORK_BYTES;
    return (struct kv_slice){(const char *)address->bytes, len};
}

static struct kv_peer *find(struct kv_peers *peers, struct kv_slice bytes, uint64_t hash)
{
    KV_TABLE_EACH(&peers->table, hash, node)
    {
        struct kv_peer *peer = KV_CONTAINER(node, struct kv_peer, node);
        if (peer->len == bytes.len && memcmp(peer->address, bytes.bytes, bytes.len) == 0)
            return peer;
    }
    return NULL;
}

static struct kv_peer *add(struct kv_peers *peers, struct kv_slice bytes, uint64_t hash)
{
    struct kv_peer *peer = kv_calloc(1, sizeof(*peer));
    memcpy(peer->address, bytes.bytes, bytes.len);
    peer->len = bytes.len;
    kv_table_insert(&peers->table, &peer->node, hash);
    return peer;
}

/* Returns: NULL if there are `most` already. */
static struct kv_peer *count(struct kv_peers *peers, struct kv_slice bytes, uint32_t most)
{
    uint64_t hash = kv_hash(bytes);
    pthread_mutex_lock(&peers->lock);
    struct kv_peer *peer = find(peers, bytes, hash);
    if (peer == NULL)
        peer = add(peers, bytes, hash);
    bool may_enter = peer->n < most;
    peer->n += may_enter;
    pthread_mutex_unlock(&peers->lock);
    return may_enter ? peer : NULL;
}

bool kv_peers_enter(struct kv_peers *peers, const struct kv_address *address,
                    struct kv_peer **ret_peer)
{
    struct kv_slice bytes = bytes_of(address);
    uint32_t most = atomic_load_explicit(&peers->most, memory_order_relaxed);
    *ret_peer = NULL;
    if (most == 0 || bytes.len == 0)
        return true;
    *ret_peer = count(peers, bytes, most);
    return *ret_peer != NULL;
}

struct kv_peer *kv_peers_join(struct kv_peers *peers, const struct kv_address *address)
{
    struct kv_slice bytes = bytes_of(address);
    return bytes.len == 0 ? NULL : count(peers, bytes, UINT32_MAX);
}

void kv_peers_limit(struct kv_peers *peers, uint32_t most)
{
    atomic_store_explicit(&peers->most, most, memory_order_relaxed);
}

void kv_peers_leave(struct kv_peers *peers, struct kv_peer *peer)
{
    if (peer == NULL)
        return;
    pthread_mutex_lock(&peers->lock);
    bool is_gone = --peer->n == 0;
    if (is_gone)
        kv_table_remove(&peers->table, &peer->node);
    pthread_mutex_unlock(&peers->lock);
    if (is_gone)
        free(peer);
}
