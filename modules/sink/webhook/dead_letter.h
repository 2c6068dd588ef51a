/*
 * The file of undeliverable events: lines of JSON, which can be sent again later.
 */
#ifndef KV_WEBHOOK_DEAD_LETTER_H
#define KV_WEBHOOK_DEAD_LETTER_H

#include <kvserver/sink.h>

/* Appends the events and syncs. Returns: 0, or -1 and *reterr; on failure none of them is in the
 * file. */
int kv_dead_letter_append(const char *path, const struct kv_event *events, size_t n,
                          struct kv_error *reterr);

#endif
