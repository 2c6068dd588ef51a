/*
 * Redoes the journal's records that the engine lacks: when the store is opened after a crash, and
 * when the engine has failed.
 *
 * Threads: as committer.h.
 */
#ifndef KV_DURABLE_REDO_H
#define KV_DURABLE_REDO_H

#include "committer.h"

/* Gives the engine the records after `after`. Returns: FULL or FAILED and *reterr. */
enum kv_engine_status redo_journal(struct committer *committer, uint64_t after,
                                   struct kv_error *reterr);

/* The same for all records that the engine may not have persisted: a kv_engine_refill_fn. */
enum kv_engine_status redo_refill(void *committer);

#endif
