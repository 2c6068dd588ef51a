/*
 * Writes commands in Redis's protocol, as arrays of strings. They are written directly into the
 * output, so a value is copied only once.
 */
#ifndef KV_REDIS_CLIENT_REQUEST_H
#define KV_REDIS_CLIENT_REQUEST_H

#include "buffer.h"

enum {
    REQUEST_WORD = 32 /* the most bytes of a word, or of the beginning, without its text */
};

/* n_words words must follow, and there must be room. */
void request_begin(struct buffer *out, size_t n_words);
void request_word(struct buffer *out, struct kv_slice word);
/* One word of two parts. */
void request_joined(struct buffer *out, struct kv_slice first, struct kv_slice second);
/* One word of `len` bytes, which the caller appends in between. */
void request_open(struct buffer *out, size_t len);
void request_close(struct buffer *out);
void request_number(struct buffer *out, int64_t number);

/* A whole command of words. Returns: false if memory runs out. */
bool request_words(struct buffer *out, const struct kv_slice *words, size_t n_words);

#endif
