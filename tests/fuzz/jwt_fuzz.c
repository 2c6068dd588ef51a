/*
 * Tokens and key sets. The first byte is the kind of the rest:
 *
 * - `t`: a token from any sender. Only the one signed with the key below is valid.
 * - `s`: a header and claims, separated by LF, which are signed with the secret, so that the claims
 *   of the input are checked. A valid token has all required claims.
 * - `k`: a key set. None of its keys can be used for HMAC.
 */
#include <openssl/evp.h>
#include <openssl/hmac.h>

#include "fuzz.h"
#include "jwt/json.h"
#include "jwt/verify.h"
#include "wire/base64url.h"

#define SECRET "0123456789abcdef0123456789abcdef"

/* RFC 7515, appendix A.3. */
static const char good_token[] =
    "eyJhbGciOiJFUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNv"
    "bS9pc19yb290Ijp0cnVlfQ.DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxf"
    "KTUJqPP3-Kg6NU1Q";
static const char good_keys[] =
    "{\"keys\":[{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":"
    "\"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU"
    "\",\"y\":\"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0\",\"kid\":\"a\"}]}";

enum {
    NOW_S = 1300819379
};

static const struct kv_jwt_policy policy = {
    .issuer = {"joe", 3},
    .algorithms = (1u << KV_JWT_N_ALGORITHMS) - 1,
};

static struct kv_jwt_key_set *public_keys(void)
{
    static struct kv_jwt_key_set *keys;
    struct kv_buffer notes = {0};
    if (keys == NULL)
        assert(kv_jwt_key_set_parse(kv_slice_of(good_keys), &keys, &notes, NULL) == 0);
    return keys;
}

static struct kv_jwt_key_set *secret_keys(void)
{
    static struct kv_jwt_key_set *keys;
    if (keys == NULL)
        assert(kv_jwt_key_set_from_secret(KV_SLICE(SECRET), &keys, NULL) == 0);
    return keys;
}

static void check_texts(const struct kv_jwt_token *token)
{
    struct kv_slice item;
    const struct kv_slice texts[] = {token->kid, token->issuer, token->subject, token->id};
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
        assert(texts[i].bytes == NULL || strlen(texts[i].bytes) == texts[i].len);
    for (size_t i = 0; kv_jwt_token_list_item(token, "kv", "read", i, &item); i++)
        assert(strlen(item.bytes) == item.len);
}

static void check_token(struct kv_slice text)
{
    struct kv_jwt_token *token;
    if (kv_jwt_token_read(text, &token) != KV_JWT_GOOD)
        return;
    assert(text.len <= KV_JWT_LONGEST_TOKEN);
    check_texts(token);
    bool is_good = kv_jwt_verify(token, &policy, public_keys(), NOW_S) == KV_JWT_GOOD;
    assert(is_good == kv_slice_equals(text, kv_slice_of(good_token)));
    assert(kv_jwt_verify(token, &policy, secret_keys(), NOW_S) != KV_JWT_GOOD);
    kv_jwt_token_destroy(token);
}

/* Owns: the caller, the buffer. */
static struct kv_buffer sign(struct kv_slice header, struct kv_slice claims)
{
    struct kv_buffer text = {0};
    unsigned char mac[EVP_MAX_MD_SIZE];
    unsigned int len;
    kv_base64url_append(&text, header);
    kv_buffer_append_char(&text, '.');
    kv_base64url_append(&text, claims);
    assert(HMAC(EVP_sha256(), SECRET, sizeof(SECRET) - 1, (unsigned char *)text.bytes, text.len,
                mac, &len) != NULL);
    kv_buffer_append_char(&text, '.');
    kv_base64url_append(&text, (struct kv_slice){(char *)mac, len});
    return text;
}

static void check_good(const struct kv_jwt_token *token)
{
    assert(token->algorithm == KV_JWT_HS256 && token->kid.bytes == NULL);
    assert(kv_slice_equals(token->issuer, policy.issuer));
    assert(token->has_expiry && token->expires_s > NOW_S - KV_JWT_LEEWAY_S);
    assert(token->not_before_s <= NOW_S + KV_JWT_LEEWAY_S);
    assert(json_object_get(token->claims, "aud") == NULL);
    assert(json_object_get(token->header, "crit") == NULL);
}

static void check_signed(struct kv_slice parts)
{
    struct kv_jwt_token *token;
    const char *lf = parts.len == 0 ? NULL : memchr(parts.bytes, '\n', parts.len);
    if (lf == NULL)
        return;
    size_t len = (size_t)(lf - parts.bytes);
    struct kv_buffer text =
        sign((struct kv_slice){parts.bytes, len}, (struct kv_slice){lf + 1, parts.len - len - 1});
    if (kv_jwt_token_read(kv_buffer_slice(&text), &token) == KV_JWT_GOOD) {
        check_texts(token);
        if (kv_jwt_verify(token, &policy, secret_keys(), NOW_S) == KV_JWT_GOOD)
            check_good(token);
        assert(kv_jwt_verify(token, &policy, public_keys(), NOW_S) != KV_JWT_GOOD);
        kv_jwt_token_destroy(token);
    }
    kv_buffer_fini(&text);
}

static void check_keys(struct kv_slice text)
{
    struct kv_jwt_key_set *keys;
    struct kv_buffer notes = {0};
    struct kv_error error;
    if (kv_jwt_key_set_parse(text, &keys, &notes, &error) == 0) {
        assert(keys->n > 0 && keys->n <= KV_JWT_MOST_KEYS);
        for (size_t i = 0; i < keys->n; i++) {
            uint32_t algorithms = keys->keys[i].algorithms;
            assert(algorithms != 0 && (algorithms & kv_jwt_bit(KV_JWT_HS256)) == 0);
            assert((algorithms & ~kv_jwt_key_algorithms(keys->keys[i].key)) == 0);
        }
        kv_jwt_key_set_unref(keys);
    }
    kv_buffer_fini(&notes);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    if (len == 0)
        return 0;
    struct kv_slice rest = fuzz_slice(bytes + 1, len - 1);
    if (bytes[0] == 't')
        check_token(rest);
    else if (bytes[0] == 's')
        check_signed(rest);
    else if (bytes[0] == 'k')
        check_keys(rest);
    return 0;
}
