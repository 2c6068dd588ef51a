/*
 * A stream of Server-Sent Events, read as it comes (the HTML standard, section 9.2.6).
 */
#ifndef KV_KVCTL_EVENTS_H
#define KV_KVCTL_EVENTS_H

#include "base/buffer.h"

/* The slices live until the call returns. */
struct kv_ctl_event {
    struct kv_slice type; /* empty: a plain message */
    struct kv_slice data;
};

/* Returns: whether to go on. */
typedef bool (*kv_ctl_event_fn)(void *context, const struct kv_ctl_event *event);

/* All zero but for the first two: at the beginning of a stream.
 * Owns: the buffers, by kv_ctl_events_fini(). */
struct kv_ctl_events {
    kv_ctl_event_fn on_event;
    void *context;
    struct kv_buffer line; /* what has come of a line that is not whole */
    struct kv_buffer type; /* of the event that is being read */
    struct kv_buffer data;
    struct kv_buffer id; /* as the stream gave it last: where to resume from */
    struct kv_buffer
        next_id; /* of the event that is being read: counts when that has been handed over */
    bool has_data;
    bool has_cr; /* the last byte was a CR: an LF behind it is part of it */
};

/* Takes the next bytes. Returns: false where on_event() has had enough. */
bool kv_ctl_events_take(struct kv_ctl_events *events, struct kv_slice bytes);

/* The stream broke off: what is not whole is forgotten, but not the id. */
void kv_ctl_events_restart(struct kv_ctl_events *events);

void kv_ctl_events_fini(struct kv_ctl_events *events);

#endif
