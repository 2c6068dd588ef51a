/*
 * Excerpts of what a client sent, for error texts.
 */
#ifndef KV_WIRE_QUOTE_H
#define KV_WIRE_QUOTE_H

#include <kvserver/types.h>

/* A text of bounded length, for `%s`. */
struct kv_quote {
    char text[48];
};

/* The text itself, or its beginning and an ellipsis, cut between characters.
 * text: UTF-8 without U+0000, as every scanned JSON value is. */
struct kv_quote kv_quote(struct kv_slice text);

#endif
