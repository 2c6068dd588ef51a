/*
 * A write in progress on its shard: the steps common to writes of clients and expiry. All of them
 * run under the shard's lock.
 */
#ifndef KV_MEMORY_WRITER_H
#define KV_MEMORY_WRITER_H

#include "shards.h"

struct writer {
    struct kv_store *store;
    struct shard *shard;
    uint32_t part; /* the shard's index */
    uint32_t loop; /* the one inside the epoch */
    struct probe probe;
    uint64_t hash; /* the host's */
};

static inline struct writer writer_of(struct kv_store *store, uint32_t loop, uint64_t hash,
                                      struct kv_slice key)
{
    uint64_t spread = table_hash(hash);
    uint32_t part = table_shard(spread);
    return (struct writer){
        .store = store,
        .shard = &store->shards[part],
        .part = part,
        .loop = loop,
        .probe = table_probe(spread, key),
        .hash = hash,
    };
}

static inline struct gardener writer_gardener(const struct writer *writer)
{
    struct kv_store *store = writer->store;
    return (struct gardener){
        .host = store->host, .epochs = &store->epochs, .participant = writer->loop};
}

static inline uint64_t writer_next_revision(struct kv_store *store)
{
    return atomic_fetch_add(&store->revision, 1) + 1;
}

static inline void writer_retire(const struct writer *writer, struct entry *entry)
{
    epoch_retire_entry(&writer->store->epochs, writer->loop, entry);
}

/* Updates the number of bytes stored. Returns: false if they would be too many. */
static inline bool writer_count_bytes(struct kv_store *store, uint64_t more, uint64_t less)
{
    if (store->max_bytes == 0)
        return true;
    uint64_t bytes = atomic_load(&store->bytes);
    do {
        if (more > less && bytes - less + more > store->max_bytes)
            return false;
    } while (!atomic_compare_exchange_weak(&store->bytes, &bytes, bytes - less + more));
    return true;
}

static inline void writer_stop_deadline(struct entry *entry)
{
    if (entry_is_timed(entry))
        wheel_remove(entry_timed(entry));
}

/* Commits the removal of the key at `place`, and retires its entry. Returns: the revision. */
uint64_t writer_take_away(const struct writer *writer, enum kv_reason reason, struct place *place);

#endif
