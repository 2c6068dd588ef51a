/*
 * The store and its shards: the state that its operations share.
 *
 * Locks: one for each shard, taken only by writers, never two at once, and held for one command. It
 * protects `struct shard`; the rest is atomics. host->changed() and host->wake_at() are called
 * under it; entries are freed outside of it.
 */
#ifndef KV_MEMORY_SHARDS_H
#define KV_MEMORY_SHARDS_H

#include <pthread.h>

#include "epoch.h"
#include "index.h"
#include "table.h"
#include "wheel.h"

/* A shard is a unit of locking and of expiry: the parts that the host drives are the shards. */
struct shard {
    _Alignas(64) struct table table; /* its first line is read by every reader */
    _Alignas(64) pthread_mutex_t lock;
    struct wheel wheel;
    struct index index; /* if the store is ordered */
};

struct kv_store {
    const struct kv_store_host *host;
    uint64_t max_bytes; /* of keys and values; 0: no limit */
    bool is_ordered;
    char epoch_name[KV_EPOCH_MAX];
    struct epochs epochs; /* one participant for each event loop */
    _Alignas(64) _Atomic uint64_t revision;
    _Alignas(64) _Atomic uint64_t bytes; /* counted if there is a limit */
    struct shard shards[N_SHARDS];
};

enum {
    LATER_MS = 1 /* before pending work is retried */
};

/* Ends a stay in the tables: frees as much as possible, and requests another call for the rest. */
void shards_leave(struct kv_store *store, uint32_t loop);

#endif
