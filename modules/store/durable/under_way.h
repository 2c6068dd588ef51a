/*
 * Commands that are with a thread on their way to the writer, by the hashes of their keys: a write
 * of such a key has to go the same way, and stays behind them.
 */
#ifndef KV_DURABLE_UNDER_WAY_H
#define KV_DURABLE_UNDER_WAY_H

#include <kvserver/types.h>

#include <pthread.h>
#include <stdatomic.h>

struct under_way {
    atomic_size_t n; /* commands */
    pthread_mutex_t lock;
    uint64_t *hashes; /* of the keys of n of them, but for those for which there was no memory */
    size_t n_hashes, capacity;
};

void under_way_init(struct under_way *commands);
void under_way_fini(struct under_way *commands);

/* A command sets out, before it is pushed; it is given on. Threads: any. */
void under_way_begin(struct under_way *commands, uint64_t hash);
void under_way_end(struct under_way *commands, uint64_t hash);

/* Whether a command of a key with this hash may be under way. Threads: any. */
bool under_way_has(struct under_way *commands, uint64_t hash);

#endif
