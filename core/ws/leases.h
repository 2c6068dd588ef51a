/*
 * Leases: keys that a connection holds (`while_connected`). A lease knows the revision and the
 * deadline that it set last. It is renewed when a third of its TTL has passed, and when the
 * connection ends the key is deleted; both happen only if that revision and that deadline
 * still stand, which the store finds out at the commit point. So any other write or touch of the
 * key ends the lease.
 *
 * Threads: the session's loop.
 */
#ifndef KV_WS_LEASES_H
#define KV_WS_LEASES_H

#include "access/access.h"
#include "base/heap.h"
#include "base/table.h"
#include "keyspace/keyspace.h"

/* Of one session. All zero has none. */
struct kv_leases {
    struct kv_table by_key;
    struct kv_heap by_time; /* the next to be renewed */
    uint32_t n_held;        /* each counts once more for each KiB of its key */
    uint32_t n_asked;       /* the same, of SETs under way */
    struct kv_timer timer;
    struct kv_keyspace_loop *keyspace;
    const struct kv_access_loop *access;
};

void kv_leases_init(struct kv_leases *leases, struct kv_keyspace_loop *keyspace,
                    const struct kv_access_loop *access);

/* The connection ends: the keys are deleted. May be called again. */
void kv_leases_end(struct kv_leases *leases);

/* The connection acts as this principal now: the keys expire that it may not lease. */
void kv_leases_end_forbidden(struct kv_leases *leases, const struct kv_principal *principal);

/* Whether the connection may ask for a lease of the key, of which it may have `most`. */
bool kv_leases_have_room(const struct kv_leases *leases, struct kv_slice key, uint32_t most);

/* A SET that asks for a lease is sent. */
void kv_leases_ask(struct kv_leases *leases, const struct kv_command *set);

/* It has finished: where it wrote, the lease begins; and ends at once, where the connection may not
 * have it any more. principal: as whom that acts. */
void kv_leases_begin(struct kv_leases *leases, const struct kv_command *set,
                     const struct kv_principal *principal);

/* The connection wrote the key in another way. */
void kv_leases_forget(struct kv_leases *leases, const struct kv_command *write);

static inline bool kv_leases_are_held(const struct kv_leases *leases)
{
    return leases->by_key.n != 0;
}

#endif
