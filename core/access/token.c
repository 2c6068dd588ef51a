#include "access/token.h"

#include <openssl/crypto.h>
#include <openssl/sha.h>

_Static_assert(KV_TOKEN_DIGEST == SHA256_DIGEST_LENGTH, "a digest is SHA-256");

void kv_token_digest(struct kv_slice token, unsigned char ret[KV_TOKEN_DIGEST])
{
    SHA256((const unsigned char *)token.bytes, token.len, ret);
}

/* Returns: -1 if it is no digit. */
static int digit_of(char letter)
{
    if (letter >= '0' && letter <= '9')
        return letter - '0';
    letter = (char)(letter | 0x20);
    return letter >= 'a' && letter <= 'f' ? letter - 'a' + 10 : -1;
}

bool kv_token_read_digest(struct kv_slice text, unsigned char ret[KV_TOKEN_DIGEST])
{
    if (text.len != 2 * KV_TOKEN_DIGEST)
        return false;
    for (size_t i = 0; i < KV_TOKEN_DIGEST; i++) {
        int high = digit_of(text.bytes[2 * i]), low = digit_of(text.bytes[2 * i + 1]);
        if (high < 0 || low < 0)
            return false;
        ret[i] = (unsigned char)(high << 4 | low);
    }
    return true;
}

void kv_token_print_digest(const unsigned char digest[KV_TOKEN_DIGEST],
                           char ret[2 * KV_TOKEN_DIGEST + 1])
{
    for (size_t i = 0; i < KV_TOKEN_DIGEST; i++)
        sprintf(ret + 2 * i, "%02x", digest[i]);
}

bool kv_token_digest_equals(const unsigned char a[KV_TOKEN_DIGEST],
                            const unsigned char b[KV_TOKEN_DIGEST])
{
    return CRYPTO_memcmp(a, b, KV_TOKEN_DIGEST) == 0;
}

static bool is_token_char(char letter)
{
    char small = (char)(letter | 0x20);
    return (small >= 'a' && small <= 'z') || (letter >= '0' && letter <= '9') ||
           (letter != '\0' && strchr("-._~+/", letter) != NULL);
}

bool kv_token_is_well_formed(struct kv_slice token)
{
    size_t len = token.len;
    while (len != 0 && token.bytes[len - 1] == '=')
        len--;
    if (len == 0 || token.len > KV_LONGEST_TOKEN)
        return false;
    for (size_t i = 0; i < len; i++)
        if (!is_token_char(token.bytes[i]))
            return false;
    return true;
}
