/*
 * Leases: keys that a connection holds (`while_connected`). A lease remembers the revision and the
 * deadline that it set last. It is renewed when a third of its TTL has passed, and when the
 * connection ends the key is deleted; both only if the key still has that revision and deadline,
 * which the store checks at the commit point. So any other write or touch of the key ends the
 * lease.
 *
 * Threads: the session's loop.
 */
#ifndef KV_WS_LEASES_H
#define KV_WS_LEASES_H

#include "access/access.h"
#include "base/heap.h"
#include "base/table.h"
#include "keyspace/keyspace.h"

/* The leases of one session. All zero: none. */
struct kv_leases {
    struct kv_table by_key;
    struct kv_heap by_time; /* by the time of renewal */
    uint32_t n_held;        /* leases; each counts once more for each KiB of its key */
    uint32_t n_asked;       /* the same, for SETs under way */
    size_t bytes;           /* of the leases held, which the loop's tally counts */
    struct kv_timer timer;
    struct kv_keyspace_loop *keyspace;
    const struct kv_access_loop *access;
};

void kv_leases_init(struct kv_leases *leases, struct kv_keyspace_loop *keyspace,
                    const struct kv_access_loop *access);

/* The connection ends: deletes the keys. May be called again. */
void kv_leases_end(struct kv_leases *leases);

/* The connection now acts as this principal: ends the leases of keys that it may not lease. */
void kv_leases_end_forbidden(struct kv_leases *leases, const struct kv_principal *principal);

/* Whether the connection may request a lease of the key, if `most` are allowed. */
bool kv_leases_have_room(const struct kv_leases *leases, struct kv_slice key, uint32_t most);

/* Whether there is memory for one more: every connection may have some leases, and beyond these a
 * part of the budget is reserved for others. */
bool kv_leases_have_memory(const struct kv_leases *leases, struct kv_slice key);

/* A SET that requests a lease is sent. */
void kv_leases_ask(struct kv_leases *leases, const struct kv_command *set);

/* Such a SET has finished: if it wrote, the lease begins; it ends at once if the connection has
 * lost the right to it. principal: that of the connection. */
void kv_leases_begin(struct kv_leases *leases, const struct kv_command *set,
                     const struct kv_principal *principal);

/* The connection wrote the key by another command. */
void kv_leases_forget(struct kv_leases *leases, const struct kv_command *write);

static inline bool kv_leases_are_held(const struct kv_leases *leases)
{
    return leases->by_key.n != 0;
}

#endif
