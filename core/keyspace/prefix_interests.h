/*
 * The loops that want the changes of keys with a prefix. Every commit looks them up: by the hash of
 * the first n bytes of its key, for each length n that some prefix has. Prefixes of
 * KV_PREFIX_LONGEST bytes and more are distinguished by their first bytes only; the loop compares
 * the rest.
 *
 * Commits look them up without a lock, on any thread and under the store's locks; loops that add
 * and remove prefixes share a lock.
 */
#ifndef KV_KEYSPACE_PREFIX_INTERESTS_H
#define KV_KEYSPACE_PREFIX_INTERESTS_H

#include <pthread.h>
#include <stdatomic.h>

#include <kvserver/types.h>

enum {
    KV_PREFIX_LONGEST = 63
};

struct kv_prefix_table;

struct kv_prefix_interests {
    _Atomic uint64_t lengths; /* one bit for each length that some prefix has */
    _Atomic(struct kv_prefix_table *) table;
    _Atomic uint64_t n_published; /* tables so far */
    pthread_mutex_t lock;         /* for the members below, and for all writing */
    uint32_t n_of_length[KV_PREFIX_LONGEST + 1];
    struct kv_prefix_table *replaced; /* tables, two of each size at most */
};

/* Prefixes with the same hash count as one here. */
uint64_t kv_prefix_hash(struct kv_slice prefix);

void kv_prefix_interests_init(struct kv_prefix_interests *interests);
void kv_prefix_interests_fini(struct kv_prefix_interests *interests);

/* Adds, or removes, a loop's interest in keys with this prefix; not twice. */
void kv_prefix_interests_add(struct kv_prefix_interests *interests, struct kv_slice prefix,
                             uint32_t loop);
void kv_prefix_interests_remove(struct kv_prefix_interests *interests, struct kv_slice prefix,
                                uint32_t loop);

/* For kv_prefix_interests_of(). */
uint64_t kv_prefix_interests_look_up(const struct kv_prefix_interests *interests, uint64_t lengths,
                                     struct kv_slice key);

/* The loops that want a change of this key, possibly with some more. Sequentially consistent. */
static inline uint64_t kv_prefix_interests_of(const struct kv_prefix_interests *interests,
                                              struct kv_slice key)
{
    uint64_t lengths = atomic_load(&interests->lengths);
    return lengths == 0 ? 0 : kv_prefix_interests_look_up(interests, lengths, key);
}

#endif
