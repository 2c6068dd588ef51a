/*
 * UTF-8, and the inclusion of foreign text in messages.
 */
#ifndef KV_CONF_TEXT_H
#define KV_CONF_TEXT_H

#include <kvserver/types.h>

/* Takes the first code point off the text, which is not empty.
 * Errors: -1 if it is not UTF-8; the text stays unchanged. */
int kv_text_take(struct kv_slice *text, uint32_t *ret_code);

/* Control characters, including C1. */
static inline bool kv_text_is_control(uint32_t code)
{
    return code < 0x20 || (code >= 0x7f && code < 0xa0);
}

struct kv_shown {
    char text[80];
};

/* The text in quotes, safe for a message: truncated if it is long, without control characters. */
struct kv_shown kv_text_show(struct kv_slice text);

#endif
