/*
 * From the wire to the keyspace.
 */
#ifndef KV_WS_INPUT_H
#define KV_WS_INPUT_H

#include "ws/session.h"

void kv_input_init(struct kv_session *session);
void kv_input_fini(struct kv_session *session);

/* The bytes that are kept for a long message, which is being read apart from the loop. */
size_t kv_input_works_on(const struct kv_session *session);

/* Takes no more, and forgets the message that is arriving, or being read. */
void kv_input_drop(struct kv_session *session);

/* Takes messages from what has been read. May leave some for later. */
void kv_input_process(struct kv_session *session);

/* Whether some were left, or may have been: the beginning of a frame does not count. */
bool kv_input_is_left(const struct kv_session *session);

/* Whether a message, or a frame, has begun to arrive and is not whole. */
bool kv_input_is_partial(const struct kv_session *session);

/* Bytes that have arrived since the session began. */
uint64_t kv_input_arrived(const struct kv_session *session);

#endif
