/*
 * Recalling: after the store has been opened, the changes that were made before are read back from
 * the logs in Redis, so that clients that were connected to another server can resume here.
 *
 * Each partition's log is read from its end, a page at a time, by the thread that talks to Redis
 * (JOB_RECALL). One more thread, recall_run()'s, merges the partitions, from the newest change
 * back. Of each partition it knows the revision of the change that is next: the chain was there
 * when the first page was asked for, and each change names the one before it. So it notices where a
 * log begins, or has a gap, and stops when the change that is next in the one order is not there.
 */
#ifndef KV_STORE_REDIS_RECALL_H
#define KV_STORE_REDIS_RECALL_H

#include "shared.h"

/* Puts a job into the inbox of the thread that talks to Redis. Returns: false if there is no
 * memory. */
typedef bool (*recall_submit_fn)(struct kv_store *store, const struct job *jobs, size_t n);

void recall_init(struct kv_store *store);
/* The thread has ended. */
void recall_fini(struct kv_store *store);

/* Passes the changes up to this revision to host->remember(), the newest first, until the host does
 * not take one, a log has none left, or some seconds are over. All up to the revision have been
 * taken by the chains. */
void recall_run(const struct kv_store_host *host, struct kv_store *const *parts, uint32_t n_parts,
                uint64_t upto, recall_submit_fn submit);

/* ---- on the thread ---- */

void recall_write_request(struct kv_store *store, struct buffer *out);
/* answer, reply: an array of entries of the log. */
void recall_take_page(struct kv_store *store, const struct resp_value *answer,
                      struct kv_slice reply);
/* A job has ended without an answer, because of the status. Ignores others than JOB_RECALL. */
void recall_fail(struct kv_store *store, const struct job *job, enum kv_status status);

#endif
