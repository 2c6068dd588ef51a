/*
 * From the files of a store to its state, and back to files that need no journal.
 *
 * Threads: one, while the writer does not run.
 */
#ifndef KV_DURABLE_OPENING_H
#define KV_DURABLE_OPENING_H

#include "recovery.h"

/* Brings the engine up to the journal, and begins the next record. */
int opening_run(struct recovery *recovery, struct kv_error *reterr);

/* Without the journal, which a store that was closed in order does not need. Returns: 1 if it was
 * not. */
int opening_run_to_read(struct committer *committer, struct kv_error *reterr);

/* Has everything in the engine, and says so there. */
void opening_undo(struct recovery *recovery);

#endif
