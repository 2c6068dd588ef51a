/*
 * Reading for a GET.
 */
#ifndef KV_DURABLE_READER_H
#define KV_DURABLE_READER_H

#include "base.h"

/* Answers a GET from memory, or from the engine if that need not wait (or may wait). Returns: the
 * glance: UNKNOWN if a thread that may wait must answer, HELD if the writer must. */
enum glance reader_get(const struct base *base, struct kv_cmd *cmd, bool may_wait);

#endif
