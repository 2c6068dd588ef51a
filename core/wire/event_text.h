/*
 * Server-Sent Events (the HTML standard, section 9.2): the text of a stream.
 */
#ifndef KV_WIRE_EVENT_TEXT_H
#define KV_WIRE_EVENT_TEXT_H

#include "base/buffer.h"

/* The end of the data, and of the event. */
#define KV_EVENT_END KV_SLICE("\n\n")

/* A comment, which clients ignore. */
#define KV_EVENT_HEARTBEAT KV_SLICE(":\n\n")

/* Appends the beginning of an event, up to its data. */
void kv_event_begin(struct kv_buffer *out, struct kv_slice type);

/* Whether a text can be sent as data without changes. */
bool kv_event_is_one_line(struct kv_slice text);

/* Appends a text to the data: after an LF it continues on another line, which clients join with an
 * LF again; a CR, which would end the line as well, becomes a space. */
void kv_event_append(struct kv_buffer *out, struct kv_slice text);

/* Appends the line with the position to resume from: `id: <epoch>-<revision>`. It may come before
 * the beginning of the event. */
void kv_event_append_id(struct kv_buffer *out, struct kv_slice epoch, uint64_t revision);

/* Reads such an id. Returns: false if it is no such id. */
bool kv_event_read_id(struct kv_slice id, struct kv_slice *ret_epoch, uint64_t *ret_revision);

#endif
