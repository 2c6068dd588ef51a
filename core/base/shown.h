/*
 * Texts from clients in a line of the log, with or without quotes.
 */
#ifndef KV_BASE_SHOWN_H
#define KV_BASE_SHOWN_H

#include "base/buffer.h"

/* Appends a text, or its beginning and an ellipsis if it is longer than `most` bytes. Control
 * characters, quotes and backslashes are escaped as in JSON. text: UTF-8. */
void kv_shown_append(struct kv_buffer *out, struct kv_slice text, size_t most);

#endif
