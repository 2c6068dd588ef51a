/*
 * Checks eight ASCII bytes at a time, or else one character at a time. The lead byte determines the
 * permitted second bytes (which excludes overlong forms, surrogates and numbers that are too
 * large); the permitted third and fourth bytes are always the same. (The Unicode Standard, table
 * 3-7.)
 */
#include "base/utf8.h"

#include "base/swar.h"

static inline bool is_in(char byte, unsigned min, unsigned max)
{
    return (unsigned char)byte - min <= max - min;
}

static inline bool is_continuation(char byte)
{
    return is_in(byte, 0x80, 0xbf);
}

static inline bool is_pair(const char *at)
{
    return is_in(at[0], 0xc2, 0xdf) && is_continuation(at[1]);
}

static inline bool is_triple(const char *at)
{
    unsigned char lead = (unsigned char)at[0];
    unsigned min = lead == 0xe0 ? 0xa0 : 0x80;
    unsigned max = lead == 0xed ? 0x9f : 0xbf;
    return is_in(at[0], 0xe0, 0xef) && is_in(at[1], min, max) && is_continuation(at[2]);
}

static inline bool is_quadruple(const char *at)
{
    unsigned char lead = (unsigned char)at[0];
    unsigned min = lead == 0xf0 ? 0x90 : 0x80;
    unsigned max = lead == 0xf4 ? 0x8f : 0xbf;
    return is_in(at[0], 0xf0, 0xf4) && is_in(at[1], min, max) && is_continuation(at[2]) &&
           is_continuation(at[3]);
}

/* One loop for each length: most texts stay within one script, and then the place of the next
 * character needs no look-up. */
size_t kv_utf8_run_len(const char *at, const char *end)
{
    const char *from = at;
    for (;;) {
        const char *before = at;
        while (end - at >= 2 && is_pair(at))
            at += 2;
        while (end - at >= 3 && is_triple(at))
            at += 3;
        while (end - at >= 4 && is_quadruple(at))
            at += 4;
        if (at == before)
            return (size_t)(at - from);
    }
}

static const char *skip_ascii(const char *at, const char *end)
{
    for (; end - at >= 8; at += 8) {
        uint64_t marks = kv_swar_not_ascii(kv_swar_load(at));
        if (marks != 0)
            return at + kv_swar_first(marks);
    }
    while (at < end && (unsigned char)*at < 0x80)
        at++;
    return at;
}

size_t kv_utf8_valid_len(struct kv_slice text)
{
    if (text.len == 0)
        return 0;
    const char *end = text.bytes + text.len;
    const char *at = skip_ascii(text.bytes, end);
    size_t len;
    while (at < end && (len = kv_utf8_run_len(at, end)) != 0)
        at = skip_ascii(at + len, end);
    return (size_t)(at - text.bytes);
}

/* Whether more bytes can complete these to a character. The permitted bytes are a range that
 * includes the least or the greatest continuation byte. */
static bool is_beginning(const char *at, size_t len)
{
    static const unsigned char fillers[] = {0x80, 0xbf};
    for (size_t i = 0; i < sizeof(fillers); i++) {
        char whole[4];
        memset(whole, fillers[i], sizeof(whole));
        memcpy(whole, at, len);
        if ((len < 2 && is_pair(whole)) || (len < 3 && is_triple(whole)) ||
            (len < 4 && is_quadruple(whole)))
            return true;
    }
    return false;
}

/* Adds bytes of the piece, one by one, until the split character is complete. */
static bool complete_cut(struct kv_utf8_stream *stream, struct kv_slice *piece)
{
    while (stream->n_cut != 0 && piece->len != 0) {
        stream->cut[stream->n_cut++] = *piece->bytes++;
        piece->len--;
        if (kv_utf8_run_len(stream->cut, stream->cut + stream->n_cut) == stream->n_cut)
            stream->n_cut = 0;
        else if (!is_beginning(stream->cut, stream->n_cut))
            return false;
    }
    return true;
}

bool kv_utf8_stream_take(struct kv_utf8_stream *stream, struct kv_slice piece)
{
    if (!complete_cut(stream, &piece))
        return false;
    size_t valid = kv_utf8_valid_len(piece);
    size_t rest = piece.len - valid;
    if (rest == 0)
        return true;
    if (rest >= sizeof(stream->cut) || !is_beginning(piece.bytes + valid, rest))
        return false;
    memcpy(stream->cut, piece.bytes + valid, rest);
    stream->n_cut = (uint8_t)rest;
    return true;
}

size_t kv_utf8_encode(uint32_t code, char out[4])
{
    if (code < 0x80) {
        out[0] = (char)code;
        return 1;
    }
    size_t len = code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
    for (size_t i = len - 1; i > 0; i--, code >>= 6)
        out[i] = (char)(0x80 | (code & 0x3f));
    out[0] = (char)((0xf00 >> len & 0xff) | code);
    return len;
}
