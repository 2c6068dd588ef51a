/*
 * What the journal has and the engine lacks, given to the engine again: when the store is opened
 * after a crash, and when the engine has failed.
 *
 * Threads: as committer.h.
 */
#ifndef KV_DURABLE_REDO_H
#define KV_DURABLE_REDO_H

#include "committer.h"

/* Gives the engine the records after `after`. Returns: FULL or FAILED and *reterr. */
enum kv_engine_status redo_journal(struct committer *committer, uint64_t after,
                                   struct kv_error *reterr);

/* The same for all that the engine may lack on its disk: a kv_engine_refill_fn. */
enum kv_engine_status redo_refill(void *committer);

#endif
