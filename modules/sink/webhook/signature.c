#include "signature.h"

#include <openssl/evp.h>
#include <openssl/params.h>

enum {
    HASH_SIZE = 32
};

int kv_webhook_secret_read(struct kv_slice text, struct kv_webhook_secret *ret,
                           struct kv_error *reterr)
{
    unsigned char decoded[KV_WEBHOOK_LONGEST_SECRET + 3];
    struct kv_slice mark = KV_SLICE("whsec_");
    if (text.len > KV_WEBHOOK_LONGEST_SECRET)
        return kv_error_set(reterr, "it is longer than %d bytes", KV_WEBHOOK_LONGEST_SECRET);
    *ret = (struct kv_webhook_secret){.len = text.len};
    if (!kv_slice_has_prefix(text, mark)) {
        memcpy(ret->bytes, text.bytes, text.len);
        return 0;
    }
    size_t len = text.len - mark.len;
    int n = EVP_DecodeBlock(decoded, (const unsigned char *)text.bytes + mark.len, (int)len);
    if (n <= 0)
        return kv_error_set(reterr, "base64 is expected after whsec_");
    ret->len = (size_t)n - (text.bytes[text.len - 1] == '=') - (text.bytes[text.len - 2] == '=');
    memcpy(ret->bytes, decoded, ret->len);
    return 0;
}

/* The signed data consists of several pieces. */
static int hash(EVP_MAC_CTX *context, const struct kv_webhook_secret *secret,
                const struct kv_slice *pieces, size_t n, unsigned char ret[HASH_SIZE])
{
    char digest[] = "SHA256";
    const OSSL_PARAM parameters[] = {OSSL_PARAM_construct_utf8_string("digest", digest, 0),
                                     OSSL_PARAM_construct_end()};
    size_t len;
    if (EVP_MAC_init(context, secret->bytes, secret->len, parameters) != 1)
        return -1;
    for (size_t i = 0; i < n; i++)
        if (EVP_MAC_update(context, (const unsigned char *)pieces[i].bytes, pieces[i].len) != 1)
            return -1;
    return EVP_MAC_final(context, ret, &len, HASH_SIZE) == 1 ? 0 : -1;
}

int kv_webhook_sign(const struct kv_webhook_secret *secret, struct kv_slice id, int64_t timestamp,
                    struct kv_slice body, char ret_signature[KV_WEBHOOK_SIGNATURE_SIZE])
{
    unsigned char hashed[HASH_SIZE];
    char time[32];
    snprintf(time, sizeof(time), ".%lld.", (long long)timestamp);
    const struct kv_slice pieces[] = {id, kv_slice_of(time), body};
    EVP_MAC *mac = EVP_MAC_fetch(NULL, "HMAC", NULL);
    EVP_MAC_CTX *context = mac == NULL ? NULL : EVP_MAC_CTX_new(mac);
    int result = context == NULL ? -1 : hash(context, secret, pieces, 3, hashed);
    EVP_MAC_CTX_free(context);
    EVP_MAC_free(mac);
    if (result != 0)
        return -1;
    unsigned char text[4 * ((HASH_SIZE + 2) / 3) + 1];
    EVP_EncodeBlock(text, hashed, HASH_SIZE);
    snprintf(ret_signature, KV_WEBHOOK_SIGNATURE_SIZE, "v1,%s", (const char *)text);
    return 0;
}
