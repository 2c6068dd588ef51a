/*
 * Text messages in their frames (RFC 6455, section 5.2). Those of a server are not masked, so one
 * frame serves all who get the message.
 */
#ifndef KV_WS_FRAME_H
#define KV_WS_FRAME_H

#include "http/outbound.h"

/* The message head + the item's value + tail. Takes a share of the item. Owns: the caller, by
 * kv_piece_unref(). */
struct kv_piece *kv_frame_create(struct kv_keyspace *keyspace, struct kv_slice head,
                                 const struct kv_item *item, struct kv_slice tail);

/* Appends a message, copied. */
void kv_frame_append(struct kv_outbound *out, struct kv_slice text);

#endif
