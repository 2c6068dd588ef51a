/*
 * The thread that talks to Redis. Where the connection is lost, it is made anew, with growing
 * pauses; meanwhile jobs wait for as long as the store's time-out says.
 */
#ifndef KV_STORE_REDIS_WORKER_H
#define KV_STORE_REDIS_WORKER_H

#include "shared.h"

/* The session has to be open. Returns: -1 and *reterr. */
int worker_start(struct kv_store *store, struct kv_error *reterr);

/* Waits until it has ended. */
void worker_stop(struct kv_store *store);

/* Puts jobs into the inbox. Returns: false where there is no memory: none is there then.
 * Threads: any. */
bool worker_submit(struct kv_store *store, const struct job *jobs, size_t n);

/* Makes a store's parts of this file, and takes them away. */
int worker_init(struct kv_store *store, struct kv_error *reterr);
void worker_destroy(struct kv_store *store);

#endif
