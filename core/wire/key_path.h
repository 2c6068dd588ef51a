/*
 * The key in a path: the part after `/storage/`, as it was sent and without the query. Only `%` has
 * a meaning: `a%2Fb` and `a/b` are one key, `..` and `//` are ordinary text, `+` is a plus.
 */
#ifndef KV_WIRE_KEY_PATH_H
#define KV_WIRE_KEY_PATH_H

#include "base/buffer.h"
#include "base/swar.h"

/* Appends the decoded key.
 * Returns: 0, or -1 if an escape is broken or the key is not UTF-8: *ret_what describes the fault,
 * a constant text, *ret_offset is its place in `escaped`, and `out` is unchanged. */
int kv_key_path_decode(struct kv_slice escaped, struct kv_buffer *out, const char **ret_what,
                       size_t *ret_offset);

static inline bool kv_key_path_word_is_plain(const char *at)
{
    uint64_t word = kv_swar_load(at);
    return (kv_swar_equal(word, '%') | kv_swar_not_ascii(word)) == 0;
}

/* Whether it is ASCII without escapes, as most keys are: such a key needs no further checks. */
static inline bool kv_key_path_is_plain(struct kv_slice escaped)
{
    size_t at = 0;
    if (escaped.len >= 8) {
        size_t last = escaped.len - 8; /* the last word, which may overlap the one before */
        for (; at < last; at += 8)
            if (!kv_key_path_word_is_plain(escaped.bytes + at))
                return false;
        return kv_key_path_word_is_plain(escaped.bytes + last);
    }
    while (at < escaped.len && escaped.bytes[at] != '%' && (unsigned char)escaped.bytes[at] < 0x80)
        at++;
    return at == escaped.len;
}

/* kv_key_path_read() for all other keys. */
int kv_key_path_read_rare(struct kv_slice escaped, struct kv_buffer *scratch,
                          struct kv_slice *ret_key, const char **ret_what, size_t *ret_offset);

/* As kv_key_path_decode(), but without a copy if there are no escapes: then *ret_key is `escaped`
 * itself; otherwise it lies in `scratch`, whose contents it replaces. */
static inline int kv_key_path_read(struct kv_slice escaped, struct kv_buffer *scratch,
                                   struct kv_slice *ret_key, const char **ret_what,
                                   size_t *ret_offset)
{
    if (!kv_key_path_is_plain(escaped))
        return kv_key_path_read_rare(escaped, scratch, ret_key, ret_what, ret_offset);
    *ret_key = escaped;
    return 0;
}

#endif
