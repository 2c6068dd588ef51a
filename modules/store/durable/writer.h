/*
 * The writer's thread, and its opening.
 */
#ifndef KV_DURABLE_WRITER_H
#define KV_DURABLE_WRITER_H

#include "shared.h"

void *writer_run(void *store);
/* Where no thread runs yet. */
int writer_open(struct kv_store *store, struct kv_error *reterr);
/* The same for a store that is only read, by scans. Returns: 1 where it has to be recovered first.
 */
int writer_open_to_read(struct kv_store *store, struct kv_error *reterr);

#endif
