/*
 * UTF-8 as in RFC 3629: no surrogates, no overlong forms, nothing above U+10FFFF.
 */
#ifndef KV_BASE_UTF8_H
#define KV_BASE_UTF8_H

#include <kvserver/types.h>

/* The length of the longest prefix that consists of whole, valid characters. */
size_t kv_utf8_valid_len(struct kv_slice text);

static inline bool kv_utf8_is_valid(struct kv_slice text)
{
    return kv_utf8_valid_len(text) == text.len;
}

/* The length of the run of valid characters beyond ASCII that begins at `at`, below `end`. It ends
 * at an ASCII byte or at an invalid one. */
size_t kv_utf8_run_len(const char *at, const char *end);

/* A text that arrives in pieces, which may split characters. All zero: at its beginning. */
struct kv_utf8_stream {
    char cut[4]; /* the bytes of an incomplete character */
    uint8_t n_cut;
};

/* Reads the next piece. Returns: whether all pieces so far can be the beginning of a text. */
bool kv_utf8_stream_take(struct kv_utf8_stream *stream, struct kv_slice piece);

/* Whether the text may end here. */
static inline bool kv_utf8_stream_is_whole(const struct kv_utf8_stream *stream)
{
    return stream->n_cut == 0;
}

/* Writes one character.
 * code: at most U+10FFFF, not a surrogate. Returns: the number of bytes. */
size_t kv_utf8_encode(uint32_t code, char out[4]);

#endif
