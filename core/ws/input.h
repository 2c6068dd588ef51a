/*
 * Turns the channel's input into commands.
 */
#ifndef KV_WS_INPUT_H
#define KV_WS_INPUT_H

#include "ws/session.h"

void kv_input_init(struct kv_session *session);
void kv_input_fini(struct kv_session *session);

/* The bytes kept for a long message that a worker is reading. */
size_t kv_input_works_on(const struct kv_session *session);

/* Stops reading, and drops the message that is arriving, or being read. */
void kv_input_drop(struct kv_session *session);

/* Processes messages in the input. May leave some for later. */
void kv_input_process(struct kv_session *session);

/* Whether messages were left, or may have been; an incomplete frame header does not count. */
bool kv_input_is_left(const struct kv_session *session);

/* Whether a message, a frame, or a TLS record has begun to arrive and is incomplete. */
bool kv_input_is_partial(const struct kv_session *session);

/* Bytes that have arrived since the session began; slightly fewer once a partial record is whole.
 */
uint64_t kv_input_arrived(const struct kv_session *session);

#endif
