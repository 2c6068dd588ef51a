/*
 * The readers' threads, and reading for a GET.
 */
#ifndef KV_DURABLE_READER_H
#define KV_DURABLE_READER_H

#include "shared.h"

void *reader_run(void *store);
/* Answers a GET from memory, or from the engine where that need not wait (or may). Returns: the
 * glance: UNKNOWN where a thread that may wait, HELD where the writer has to answer. */
enum glance reader_get(struct kv_store *store, struct kv_cmd *cmd, bool may_wait);

#endif
