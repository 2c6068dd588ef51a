/*
 * Decodes first and validates the result: an escape may encode any part of a character. If the
 * result is not UTF-8, the offending place is looked up in the text that was sent.
 */
#include "wire/key_path.h"

#include "base/digits.h"
#include "base/utf8.h"

static const char NOT_UTF8[] = "bytes that are not UTF-8";

/* Writes at most as many bytes as `escaped` has. Returns: NULL, or the place of a broken escape. */
static const char *decode(struct kv_slice escaped, char *to, size_t *ret_len)
{
    const char *at = escaped.bytes;
    const char *end = escaped.bytes + escaped.len;
    char *from = to;
    while (at < end) {
        int byte = (unsigned char)*at;
        if (byte == '%' && (byte = kv_digits_percent(at, end)) < 0)
            return at;
        at += *at == '%' ? 3 : 1;
        *to++ = (char)byte;
    }
    *ret_len = (size_t)(to - from);
    return NULL;
}

/* The place in `escaped`, which has no broken escapes, of the decoded byte `place`. */
static size_t place_before_decoding(struct kv_slice escaped, size_t place)
{
    size_t at = 0;
    for (; place > 0; place--)
        at += escaped.bytes[at] == '%' ? 3 : 1;
    return at;
}

int kv_key_path_read_rare(struct kv_slice escaped, struct kv_buffer *scratch,
                          struct kv_slice *ret_key, const char **ret_what, size_t *ret_offset)
{
    if (memchr(escaped.bytes, '%', escaped.len) == NULL) {
        size_t valid_len = kv_utf8_valid_len(escaped);
        *ret_key = escaped;
        *ret_what = NOT_UTF8;
        *ret_offset = valid_len;
        return valid_len == escaped.len ? 0 : -1;
    }
    scratch->len = 0;
    int failed = kv_key_path_decode(escaped, scratch, ret_what, ret_offset);
    *ret_key = kv_buffer_slice(scratch);
    return failed;
}

int kv_key_path_decode(struct kv_slice escaped, struct kv_buffer *out, const char **ret_what,
                       size_t *ret_offset)
{
    if (escaped.len == 0)
        return 0;
    struct kv_slice key = {.bytes = kv_buffer_reserve(out, escaped.len)};
    const char *broken = decode(escaped, out->bytes + out->len, &key.len);
    if (broken != NULL) {
        *ret_what = "a broken percent escape";
        *ret_offset = (size_t)(broken - escaped.bytes);
        return -1;
    }
    size_t valid_len = kv_utf8_valid_len(key);
    if (valid_len < key.len) {
        *ret_what = NOT_UTF8;
        *ret_offset = place_before_decoding(escaped, valid_len);
        return -1;
    }
    out->len += key.len;
    return 0;
}
