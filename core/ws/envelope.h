/*
 * The envelope of the server's messages: `{"type": …, "id"?: …, "payload": …}`.
 */
#ifndef KV_WS_ENVELOPE_H
#define KV_WS_ENVELOPE_H

#include "ws/session.h"

/* Writes a message up to its payload into the loop's answer buffer, emptied before. The payload and
 * `}` are to follow. id: empty where there is none. Returns: the buffer. */
struct kv_buffer *kv_envelope_begin(struct kv_ws_loop *here, struct kv_slice type,
                                    struct kv_slice id);

#endif
