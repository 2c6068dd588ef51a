/*
 * Text messages to the peer: compressed if that has been negotiated, and is worthwhile.
 */
#ifndef KV_WS_SENDING_H
#define KV_WS_SENDING_H

#include "ws/session.h"

/* Queues a text message, copied. */
void kv_send_text(struct kv_session *session, struct kv_slice text);

/* Queues a text message of three parts, copied. */
void kv_send_parts(struct kv_session *session, struct kv_slice head, struct kv_slice value,
                   struct kv_slice tail);

/* Queues a text message of head, the item's value and tail. Copies it, or, if the value is long,
 * takes a reference to the item. */
void kv_send_item(struct kv_session *session, struct kv_slice head, const struct kv_item *item,
                  struct kv_slice tail);

/* Queues a text message that other sessions of the loop also send: kv_frames_shared(). */
void kv_send_shared(struct kv_session *session, struct kv_piece *piece);

#endif
