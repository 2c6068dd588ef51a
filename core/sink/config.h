/*
 * The configuration of a sink, and its counts.
 */
#ifndef KV_SINK_CONFIG_H
#define KV_SINK_CONFIG_H

#include <kvserver/sink.h>

/* The behaviour when the queue is full. */
enum kv_sink_when_full {
    KV_SINK_DROP_OLDEST,
    KV_SINK_BLOCK_WRITES /* writes, and expiry, wait until half of the queue is free */
};

struct kv_sink_config {
    const char *name; /* for the log: `sink/file` */
    const struct kv_sink_ops *ops;
    const struct kv_option_value *options;
    const struct kv_slice *prefixes; /* of keys; n_prefixes is 0: all keys */
    size_t n_prefixes;
    uint32_t events; /* 1 << enum kv_event_type for each selected type */
    uint64_t max_events;
    size_t max_bytes;
    enum kv_sink_when_full when_full;
    int64_t first_retry_ms, longest_retry_ms;
    int64_t give_up_ms; /* events that could not be delivered for this long are dropped; 0: never */
};

/* Since the start of the server. */
struct kv_sink_counts {
    uint64_t queued; /* waiting now */
    uint64_t queued_bytes;
    uint64_t delivered;
    uint64_t retried; /* attempts that had to be repeated */
    uint64_t dropped; /* for lack of room, by the sink's decision, or at the end */
};

#endif
