/*
 * Opening a store from its files, and closing it so that the files need no journal.
 *
 * Threads: one, while the writer does not run.
 */
#ifndef KV_DURABLE_OPENING_H
#define KV_DURABLE_OPENING_H

#include "recovery.h"

/* Brings the engine up to the journal, and starts the next record. */
int opening_run(struct recovery *recovery, struct kv_error *reterr);

/* Opens a store that was closed in order, without its journal. Returns: 1 if it was not closed in
 * order. */
int opening_run_to_read(struct committer *committer, struct kv_error *reterr);

/* Persists everything in the engine, and records there that it has everything. */
void opening_undo(struct recovery *recovery);

#endif
