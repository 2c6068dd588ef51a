/*
 * UTF-8 as RFC 3629 has it: no surrogates, nothing overlong, nothing beyond U+10FFFF.
 */
#ifndef KV_BASE_UTF8_H
#define KV_BASE_UTF8_H

#include <kvserver/types.h>

/* How many bytes from the front are whole, valid characters. */
size_t kv_utf8_valid_len(struct kv_slice text);

static inline bool kv_utf8_is_valid(struct kv_slice text)
{
    return kv_utf8_valid_len(text) == text.len;
}

/* The length of the run of valid characters beyond ASCII that begins at `at`, below `end`. It ends
 * at a plain ASCII byte as well as at one that is not valid. */
size_t kv_utf8_run_len(const char *at, const char *end);

/* Text that comes in pieces, which may cut characters. All zero: at its beginning. */
struct kv_utf8_stream {
    char cut[4]; /* what has come of a character that is not whole yet */
    uint8_t n_cut;
};

/* Takes the next piece. Returns: whether all so far can be the beginning of a text. */
bool kv_utf8_stream_take(struct kv_utf8_stream *stream, struct kv_slice piece);

/* Whether the text may end here. */
static inline bool kv_utf8_stream_is_whole(const struct kv_utf8_stream *stream)
{
    return stream->n_cut == 0;
}

/* Writes one character.
 * code: at most U+10FFFF, and no surrogate. Returns: how many bytes it took. */
size_t kv_utf8_encode(uint32_t code, char out[4]);

#endif
