/*
 * Reads a stream of Server-Sent Events as it arrives (the HTML standard, section 9.2.6).
 */
#ifndef KV_KVCTL_EVENTS_H
#define KV_KVCTL_EVENTS_H

#include "base/buffer.h"

/* The slices live until the call returns. */
struct kv_ctl_event {
    struct kv_slice type; /* empty: a plain message */
    struct kv_slice data;
};

/* Returns: whether to continue. */
typedef bool (*kv_ctl_event_fn)(void *context, const struct kv_ctl_event *event);

/* All zero except for the first two members: at the beginning of a stream.
 * Owns: the buffers, by kv_ctl_events_fini(). */
struct kv_ctl_events {
    kv_ctl_event_fn on_event;
    void *context;
    struct kv_buffer line; /* the incomplete line */
    struct kv_buffer type; /* of the current event */
    struct kv_buffer data;
    struct kv_buffer id;      /* the stream's last id: the position to resume from */
    struct kv_buffer next_id; /* of the current event: becomes `id` after its delivery */
    bool has_data;
    bool has_cr; /* the last byte was a CR: a following LF belongs to it */
};

/* Reads the next bytes. Returns: false if on_event() wants to stop. */
bool kv_ctl_events_take(struct kv_ctl_events *events, struct kv_slice bytes);

/* The connection was lost: drops the incomplete event, but not the id. */
void kv_ctl_events_restart(struct kv_ctl_events *events);

void kv_ctl_events_fini(struct kv_ctl_events *events);

#endif
