/*
 * The thread that talks to Redis. If the connection is lost, the thread reconnects, with growing
 * pauses between attempts; meanwhile jobs wait for at most the store's timeout.
 */
#ifndef KV_STORE_REDIS_WORKER_H
#define KV_STORE_REDIS_WORKER_H

#include "shared.h"

/* The session has to be open. Returns: -1 and *reterr. */
int worker_start(struct kv_store *store, struct kv_error *reterr);

/* worker_end() lets it end: it leaves its lease to the next server, if that takes no long time.
 * worker_join() waits until it has ended. */
void worker_end(struct kv_store *store);
void worker_join(struct kv_store *store);

/* Puts jobs into the inbox. Returns: false if there is no memory: then none was put there.
 * Threads: any. */
bool worker_submit(struct kv_store *store, const struct job *jobs, size_t n);

/* Wakes the thread. Threads: any. */
void worker_wake(struct kv_store *store);

/* Set up and release the worker's parts of a store. */
int worker_init(struct kv_store *store, struct kv_error *reterr);
void worker_destroy(struct kv_store *store);

#endif
