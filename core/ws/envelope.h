/*
 * The envelope of the server's messages: `{"type": …, "id"?: …, "payload": …}`.
 */
#ifndef KV_WS_ENVELOPE_H
#define KV_WS_ENVELOPE_H

#include "ws/session.h"

/* Writes a message up to its payload into the loop's answer buffer, which is emptied first. The
 * caller appends the payload and `}`. id: empty if there is none. Returns: the buffer. */
struct kv_buffer *kv_envelope_begin(struct kv_ws_loop *here, struct kv_slice type,
                                    struct kv_slice id);

#endif
