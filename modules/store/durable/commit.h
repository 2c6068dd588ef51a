/*
 * The way of a batch's rows, for the writer: first a record of the journal, and later the engine's.
 */
#ifndef KV_DURABLE_COMMIT_H
#define KV_DURABLE_COMMIT_H

#include "shared.h"

/* Appends store->rows and the head. After a failure no more is appended before commit_recover(). */
enum kv_engine_status commit_append(struct kv_store *store);
/* Has the changes that have gathered applied, if they are enough, without waiting if it can. */
enum kv_engine_status commit_apply(struct kv_store *store);
/* Waits until the engine has everything that has taken effect. */
enum kv_engine_status commit_drain(struct kv_store *store);
/* After a failure: brings everything that has taken effect to the disk, and begins the journal
 * anew. Where the disk is full it gives up the reserve for that, and notes it in store->room. */
enum kv_engine_status commit_recover(struct kv_store *store);
/* Bytes of the journal that the engine may lack, before writes wait for it. */
size_t commit_most_journal(const struct kv_store *store);
/* Bytes of the reserve: as many as the recovery may need. */
size_t commit_reserve_size(const struct kv_store *store);
/* Opening and closing, where the writer does not run. */
int commit_open(struct kv_store *store, struct kv_error *reterr);
void commit_close(struct kv_store *store);
/* Without the journal, which a store that was closed in order does not need. Returns: 1 where it
 * was not. */
int commit_open_to_read(struct kv_store *store, struct kv_error *reterr);

#endif
