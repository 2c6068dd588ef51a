/*
 * Server-Sent Events (the HTML standard, section 9.2): the text of a stream.
 */
#ifndef KV_WIRE_EVENT_TEXT_H
#define KV_WIRE_EVENT_TEXT_H

#include "base/buffer.h"

/* What ends the data, and the event. */
#define KV_EVENT_END KV_SLICE("\n\n")

/* A comment, which clients pass over. */
#define KV_EVENT_HEARTBEAT KV_SLICE(":\n\n")

/* Appends the beginning of an event, up to its data. */
void kv_event_begin(struct kv_buffer *out, struct kv_slice type);

/* Whether a text can be data as it is. */
bool kv_event_is_one_line(struct kv_slice text);

/* Appends a text to the data: behind an LF it goes on in a further line, which clients join by an
 * LF again; a CR, which would end the line as well, becomes a space. */
void kv_event_append(struct kv_buffer *out, struct kv_slice text);

/* The line that names a place to resume from: `id: <epoch>-<revision>`. It may stand before the
 * event's beginning. */
void kv_event_append_id(struct kv_buffer *out, struct kv_slice epoch, uint64_t revision);

/* Reads such an id. Returns: false where it is none. */
bool kv_event_read_id(struct kv_slice id, struct kv_slice *ret_epoch, uint64_t *ret_revision);

#endif
