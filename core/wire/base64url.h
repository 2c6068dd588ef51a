/*
 * Base64 with the alphabet for URLs and file names, without padding (RFC 4648, section 5).
 */
#ifndef KV_WIRE_BASE64URL_H
#define KV_WIRE_BASE64URL_H

#include "base/buffer.h"

void kv_base64url_append(struct kv_buffer *out, struct kv_slice bytes);

/* The number of bytes that a text of this length decodes to. */
static inline size_t kv_base64url_decoded_len(size_t len)
{
    return len / 4 * 3 + (len % 4 == 0 ? 0 : len % 4 - 1);
}

/* to: room for kv_base64url_decoded_len(text.len). Returns: false if the text is not canonical:
 * another byte, an impossible length, or bits after the last byte that are not zero. */
bool kv_base64url_decode(struct kv_slice text, char *to);

#endif
