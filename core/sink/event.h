/*
 * Events as passed to sinks. The JSON text contains the value as it is stored:
 *
 *   {"id":"<epoch>-<revision>","type":"set","key":…,"value":…,"revision":…,"time":"<RFC 3339>"}
 *
 * and `previous` instead of `value` if the key was deleted or has expired.
 */
#ifndef KV_SINK_EVENT_H
#define KV_SINK_EVENT_H

#include "base/buffer.h"
#include "sink/queue.h"

enum {
    KV_SINK_BATCH = 256,
    KV_SINK_BATCH_BYTES = 4 << 20 /* or one longer event */
};

/* The events of one delivery. All zero is an empty batch. */
struct kv_sink_batch {
    struct kv_sink_entry *entries[KV_SINK_BATCH]; /* borrowed */
    struct kv_event events[KV_SINK_BATCH];
    size_t n;
    struct kv_buffer text; /* of all events */
};

/* Writes the events of the first n entries. Returns: -1 if there is no memory for their text. */
int kv_sink_batch_write(struct kv_sink_batch *batch, const char *epoch);

void kv_sink_batch_fini(struct kv_sink_batch *batch);

#endif
