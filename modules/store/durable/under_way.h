/*
 * The commands that a thread has before they reach the writer, by the hashes of their keys. Later
 * writes of such a key have to go through the same thread, so that they stay in order.
 */
#ifndef KV_DURABLE_UNDER_WAY_H
#define KV_DURABLE_UNDER_WAY_H

#include <kvserver/types.h>

#include <pthread.h>
#include <stdatomic.h>

struct under_way {
    atomic_size_t n; /* commands */
    pthread_mutex_t lock;
    uint64_t *hashes; /* of their keys; those for which there was no memory are missing */
    size_t n_hashes, capacity;
};

void under_way_init(struct under_way *commands);
void under_way_fini(struct under_way *commands);

/* To be called before a command is pushed, and after it has been passed on. Threads: any. */
void under_way_begin(struct under_way *commands, uint64_t hash);
void under_way_end(struct under_way *commands, uint64_t hash);

/* Whether a command of a key with this hash may be under way. Threads: any. */
bool under_way_has(struct under_way *commands, uint64_t hash);

#endif
