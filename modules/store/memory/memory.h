/*
 * What the files of this module share: the store and its shards.
 *
 * Locks: one for each shard, taken by writers only, never two at once, and held for one command.
 * What it orders is in `struct shard`; the rest is atomics. host->changed() and host->wake_at() are
 * called under it; entries are freed outside of it.
 */
#ifndef KV_MEMORY_MEMORY_H
#define KV_MEMORY_MEMORY_H

#include <pthread.h>

#include "epoch.h"
#include "table.h"
#include "wheel.h"

/* A shard is a unit of locking and of expiry: the parts that the host drives are the shards. */
struct shard {
    _Alignas(64) struct table table; /* its first line is read by every reader */
    _Alignas(64) pthread_mutex_t lock;
    struct wheel wheel;
};

struct kv_store {
    const struct kv_store_host *host;
    uint64_t max_bytes; /* of keys and values; 0: no limit */
    char epoch_name[33];
    struct epochs epochs; /* one participant for each event loop */
    _Alignas(64) _Atomic uint64_t revision;
    _Alignas(64) _Atomic uint64_t bytes; /* counted where there is a limit */
    struct shard shards[N_SHARDS];
};

/* ---- what a writer does, under the shard's lock ---- */

/* A write at work on its shard. */
struct writer {
    struct kv_store *store;
    struct shard *shard;
    uint32_t part; /* the shard's index */
    uint32_t loop; /* whose epoch it is in */
    struct probe probe;
    uint64_t hash; /* the host's */
};

struct writer writer_of(struct kv_store *store, uint32_t loop, uint64_t hash, struct kv_slice key);

/* Commits that the key at `place` is gone, and retires its entry. Returns: the revision. */
uint64_t writer_take_away(const struct writer *writer, enum kv_reason reason, struct place *place);

/* ---- the module's operations ---- */

void memory_submit(struct kv_store *store, uint32_t loop, struct kv_cmd *const *cmds, size_t n);
void memory_scan(struct kv_store *store, uint32_t loop, struct kv_scan *scan);
int64_t memory_expire(struct kv_store *store, uint32_t part, int64_t now_ms, uint32_t max);

/* Ends a stay in the tables: frees what can be freed, and asks to be called again for the rest. */
void memory_leave(struct kv_store *store, uint32_t loop);

#endif
