/*
 * Base64 with the alphabet for URLs and file names, without padding (RFC 4648, section 5).
 */
#ifndef KV_WIRE_BASE64URL_H
#define KV_WIRE_BASE64URL_H

#include "base/buffer.h"

void kv_base64url_append(struct kv_buffer *out, struct kv_slice bytes);

/* How many bytes a text of that length stands for. */
static inline size_t kv_base64url_decoded_len(size_t len)
{
    return len / 4 * 3 + (len % 4 == 0 ? 0 : len % 4 - 1);
}

/* to: room for kv_base64url_decoded_len(text.len). Returns: false where the text is not canonical:
 * another byte, a length that none has, or bits behind the last byte that are not zero. */
bool kv_base64url_decode(struct kv_slice text, char *to);

#endif
