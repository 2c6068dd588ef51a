#include "wire/base64url.h"

static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

void kv_base64url_append(struct kv_buffer *out, struct kv_slice bytes)
{
    char *at = kv_buffer_reserve(out, bytes.len / 3 * 4 + 4);
    uint32_t bits = 0;
    int n_bits = 0;
    for (size_t i = 0; i < bytes.len; i++) {
        bits = bits << 8 | (unsigned char)bytes.bytes[i];
        for (n_bits += 8; n_bits >= 6; n_bits -= 6)
            *at++ = digits[bits >> (n_bits - 6) & 63];
    }
    if (n_bits != 0)
        *at++ = digits[bits << (6 - n_bits) & 63];
    out->len = (size_t)(at - out->bytes);
}

/* Returns: the value of a digit; -1 for any other byte. */
static int value_of(char digit)
{
    if (digit >= 'A' && digit <= 'Z')
        return digit - 'A';
    if (digit >= 'a' && digit <= 'z')
        return digit - 'a' + 26;
    if (digit >= '0' && digit <= '9')
        return digit - '0' + 52;
    return digit == '-' ? 62 : digit == '_' ? 63 : -1;
}

bool kv_base64url_decode(struct kv_slice text, char *to)
{
    uint32_t bits = 0;
    int n_bits = 0;
    for (size_t i = 0; i < text.len; i++) {
        int value = value_of(text.bytes[i]);
        if (value < 0)
            return false;
        bits = bits << 6 | (uint32_t)value;
        n_bits += 6;
        if (n_bits < 8)
            continue;
        n_bits -= 8;
        *to++ = (char)(bits >> n_bits);
    }
    return text.len % 4 != 1 && (bits & ((1u << n_bits) - 1)) == 0;
}
