/*
 * The payload of a message or event that shows a key's state (PROTOCOL A2, B2).
 */
#ifndef KV_WIRE_STATE_TEXT_H
#define KV_WIRE_STATE_TEXT_H

#include "base/buffer.h"

/* The members of a state that are shown only if a client asked for `meta`. */
struct kv_state_meta {
    uint64_t revision; /* 0: not known */
    struct kv_slice epoch;
    const char *reason; /* NULL: not a change */
    int64_t ttl_ms;     /* 0: no expiry */
    bool is_collapsed;
};

/* Appends the payload up to the value, or up to the end of the object if there is no value. The
 * caller appends the value and `}`. meta: NULL for none. */
void kv_state_text_begin(struct kv_buffer *out, struct kv_slice key,
                         const struct kv_state_meta *meta, bool has_value);

#endif
