/*
 * Interests: the loops that want the changes of a key. Every commit looks them up.
 */
#ifndef KV_KEYSPACE_INTERESTS_H
#define KV_KEYSPACE_INTERESTS_H

#include "base/table.h"
#include "keyspace/prefix_interests.h"

enum {
    KV_INTEREST_BUCKETS = 1 << 16
};

/* Of all loops. */
struct kv_interests {
    _Atomic uint64_t *in_keys; /* for each bucket of key hashes, one bit for each loop */
    struct kv_prefix_interests in_prefixes;
};

void kv_interests_init(struct kv_interests *interests);
void kv_interests_fini(struct kv_interests *interests);

/* The loops that want this key's changes, possibly with some more. Threads: any. */
static inline uint64_t kv_interests_of(const struct kv_interests *interests, struct kv_slice key,
                                       uint64_t hash)
{
    return atomic_load(&interests->in_keys[hash % KV_INTEREST_BUCKETS]) |
           kv_prefix_interests_of(&interests->in_prefixes, key);
}

/* Prefetches the words that kv_interests_of() reads, into the cache of the thread that will
 * commit. */
static inline void kv_interests_prefetch(const struct kv_interests *interests, uint64_t hash)
{
    __builtin_prefetch(&interests->in_keys[hash % KV_INTEREST_BUCKETS]);
}

/* The interests of one loop. When the function that adds one returns, all commits know it,
 * sequentially consistent: a change is either reported, or was published before and every later
 * read sees it. */
struct kv_loop_interests {
    struct kv_interests *all;
    uint32_t loop;
    uint32_t *n_in_keys;         /* of each bucket */
    struct kv_table in_prefixes; /* counts, by kv_prefix_hash() */
};

void kv_loop_interests_init(struct kv_loop_interests *here, struct kv_interests *all,
                            uint32_t loop);
/* Call when no interests are left. */
void kv_loop_interests_fini(struct kv_loop_interests *here);

void kv_interest_in_key_begin(struct kv_loop_interests *here, uint64_t hash);
void kv_interest_in_key_end(struct kv_loop_interests *here, uint64_t hash);
void kv_interest_in_prefix_begin(struct kv_loop_interests *here, struct kv_slice prefix);
void kv_interest_in_prefix_end(struct kv_loop_interests *here, struct kv_slice prefix);

#endif
