/*
 * Whether a peer keeps reading, and fast enough. For protocols that apply their timeouts themselves
 * (kv_protocol.keeps_time).
 */
#ifndef KV_NET_TAKING_H
#define KV_NET_TAKING_H

#include "net/connection.h"

/* All zero before the first write. */
struct kv_taking {
    int64_t progress_ms; /* when the peer last took data */
    uint64_t acked;      /* at that time */
    struct kv_pace pace; /* of the data in flight */
};

/* Writes the queue, unless a write is in flight. */
void kv_taking_write(struct kv_taking *taking, struct kv_outbound *out, struct kv_channel *channel,
                     int64_t now_ms);

/* The write in flight has completed. */
void kv_taking_written(struct kv_taking *taking, struct kv_outbound *out, int64_t now_ms);

/* Whether the peer takes nothing, or too little, of the data in flight. */
bool kv_taking_is_stalled(struct kv_taking *taking, const struct kv_outbound *out,
                          const struct kv_channel *channel, const struct kv_patience *patience,
                          int64_t now_ms);

#endif
