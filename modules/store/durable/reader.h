/*
 * Reading for a GET.
 */
#ifndef KV_DURABLE_READER_H
#define KV_DURABLE_READER_H

#include "base.h"

/* Answers a GET from memory, or from the engine where that need not wait (or may). Returns: the
 * glance: UNKNOWN if a thread that may wait has to answer, HELD if the writer has to. */
enum glance reader_get(const struct base *base, struct kv_cmd *cmd, bool may_wait);

#endif
