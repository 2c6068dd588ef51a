#include "support/jwt/signer.h"

#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/ecdsa.h>
#include <openssl/evp.h>
#include <openssl/rsa.h>
#include <setjmp.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/mem.h"

enum {
    COORDINATE = 32,
    RSA_BITS = 2048
};

struct kv_test_signer {
    const char *algorithm;
    char *kid;
    EVP_PKEY *key;
};

static bool is(const struct kv_test_signer *signer, const char *algorithm)
{
    return strcmp(signer->algorithm, algorithm) == 0;
}

/* ---- texts ---- */

char *kv_test_base64url(struct kv_slice bytes)
{
    unsigned char *text = kv_alloc(bytes.len / 3 * 4 + 5);
    EVP_EncodeBlock(text, (const unsigned char *)bytes.bytes, (int)bytes.len);
    text[strcspn((char *)text, "=")] = '\0';
    for (unsigned char *at = text; *at != '\0'; at++)
        *at = *at == '+' ? '-' : *at == '/' ? '_' : *at;
    return (char *)text;
}

static char *finish(struct kv_buffer *text)
{
    kv_buffer_append_char(text, '\0');
    return text->bytes;
}

char *kv_test_join(const char *a, const char *b, const char *c)
{
    struct kv_buffer text = {0};
    kv_buffer_printf(&text, "%s.%s.%s", a, b, c);
    return finish(&text);
}

/* ---- keys ---- */

static EVP_PKEY *make_key(const char *algorithm)
{
    if (strcmp(algorithm, "ES256") == 0)
        return EVP_EC_gen("P-256");
    if (strcmp(algorithm, "EdDSA") == 0)
        return EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
    assert_true(strcmp(algorithm, "RS256") == 0 || strcmp(algorithm, "PS256") == 0);
    return EVP_RSA_gen(RSA_BITS);
}

struct kv_test_signer *kv_test_signer_create(const char *algorithm, const char *kid)
{
    struct kv_test_signer *signer = kv_calloc(1, sizeof(*signer));
    signer->algorithm = algorithm;
    signer->kid = kid == NULL ? NULL : kv_strdup(kid);
    signer->key = make_key(algorithm);
    assert_non_null(signer->key);
    return signer;
}

struct kv_test_signer *kv_test_signer_with_secret(const char *secret)
{
    struct kv_test_signer *signer = kv_calloc(1, sizeof(*signer));
    signer->algorithm = "HS256";
    signer->key = EVP_PKEY_new_raw_private_key(EVP_PKEY_HMAC, NULL, (const unsigned char *)secret,
                                               strlen(secret));
    assert_non_null(signer->key);
    return signer;
}

void kv_test_signer_destroy(struct kv_test_signer *signer)
{
    if (signer == NULL)
        return;
    EVP_PKEY_free(signer->key);
    free(signer->kid);
    free(signer);
}

/* ---- signing ---- */

/* Converts OpenSSL's form to r || s. */
static struct kv_slice take_der_apart(const unsigned char *der, size_t len)
{
    unsigned char *raw = kv_alloc(2 * COORDINATE);
    ECDSA_SIG *signature = d2i_ECDSA_SIG(NULL, &der, (long)len);
    assert_non_null(signature);
    BN_bn2binpad(ECDSA_SIG_get0_r(signature), raw, COORDINATE);
    BN_bn2binpad(ECDSA_SIG_get0_s(signature), raw + COORDINATE, COORDINATE);
    ECDSA_SIG_free(signature);
    return (struct kv_slice){(char *)raw, 2 * COORDINATE};
}

struct kv_slice kv_test_signature(const struct kv_test_signer *signer, struct kv_slice text)
{
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    EVP_PKEY_CTX *options;
    size_t len = 1024;
    unsigned char *bytes = kv_alloc(len);
    const EVP_MD *hash = is(signer, "EdDSA") ? NULL : EVP_sha256();
    assert_int_equal(EVP_DigestSignInit(context, &options, hash, NULL, signer->key), 1);
    if (is(signer, "PS256")) {
        EVP_PKEY_CTX_set_rsa_padding(options, RSA_PKCS1_PSS_PADDING);
        EVP_PKEY_CTX_set_rsa_pss_saltlen(options, RSA_PSS_SALTLEN_DIGEST);
    }
    assert_int_equal(
        EVP_DigestSign(context, bytes, &len, (const unsigned char *)text.bytes, text.len), 1);
    EVP_MD_CTX_free(context);
    if (!is(signer, "ES256"))
        return (struct kv_slice){(char *)bytes, len};
    struct kv_slice raw = take_der_apart(bytes, len);
    free(bytes);
    return raw;
}

char *kv_test_sign_with_header(const struct kv_test_signer *signer, const char *header,
                               const char *claims)
{
    char *first = kv_test_base64url(kv_slice_of(header));
    char *second = kv_test_base64url(kv_slice_of(claims));
    struct kv_buffer text = {0};
    kv_buffer_printf(&text, "%s.%s", first, second);
    struct kv_slice signature = kv_test_signature(signer, kv_buffer_slice(&text));
    char *third = kv_test_base64url(signature);
    kv_buffer_printf(&text, ".%s", third);
    free((char *)signature.bytes);
    free(first);
    free(second);
    free(third);
    return finish(&text);
}

char *kv_test_sign(const struct kv_test_signer *signer, const char *claims)
{
    char header[512];
    if (signer->kid == NULL)
        snprintf(header, sizeof(header), "{\"alg\":\"%s\"}", signer->algorithm);
    else
        snprintf(header, sizeof(header), "{\"alg\":\"%s\",\"kid\":\"%s\"}", signer->algorithm,
                 signer->kid);
    return kv_test_sign_with_header(signer, header, claims);
}

/* ---- publishing ---- */

static void append_number(const struct kv_test_signer *signer, const char *parameter,
                          const char *member, struct kv_buffer *out)
{
    BIGNUM *number = NULL;
    unsigned char bytes[RSA_BITS / 8];
    assert_int_equal(EVP_PKEY_get_bn_param(signer->key, parameter, &number), 1);
    int len = is(signer, "ES256") ? COORDINATE : BN_num_bytes(number);
    BN_bn2binpad(number, bytes, len);
    char *text = kv_test_base64url((struct kv_slice){(char *)bytes, (size_t)len});
    kv_buffer_printf(out, ",\"%s\":\"%s\"", member, text);
    free(text);
    BN_free(number);
}

static void append_raw(const struct kv_test_signer *signer, struct kv_buffer *out)
{
    unsigned char bytes[COORDINATE];
    size_t len = sizeof(bytes);
    assert_int_equal(EVP_PKEY_get_raw_public_key(signer->key, bytes, &len), 1);
    char *text = kv_test_base64url((struct kv_slice){(char *)bytes, len});
    kv_buffer_printf(out, "\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"x\":\"%s\"", text);
    free(text);
}

char *kv_test_signer_jwk(const struct kv_test_signer *signer)
{
    struct kv_buffer out = {0};
    kv_buffer_append_char(&out, '{');
    if (is(signer, "EdDSA")) {
        append_raw(signer, &out);
    } else if (is(signer, "ES256")) {
        kv_buffer_append(&out, KV_SLICE("\"kty\":\"EC\",\"crv\":\"P-256\""));
        append_number(signer, OSSL_PKEY_PARAM_EC_PUB_X, "x", &out);
        append_number(signer, OSSL_PKEY_PARAM_EC_PUB_Y, "y", &out);
    } else {
        kv_buffer_append(&out, KV_SLICE("\"kty\":\"RSA\""));
        append_number(signer, OSSL_PKEY_PARAM_RSA_N, "n", &out);
        append_number(signer, OSSL_PKEY_PARAM_RSA_E, "e", &out);
    }
    if (signer->kid != NULL)
        kv_buffer_printf(&out, ",\"kid\":\"%s\"", signer->kid);
    kv_buffer_printf(&out, ",\"use\":\"sig\",\"alg\":\"%s\"}", signer->algorithm);
    return finish(&out);
}

char *kv_test_signers_jwks(struct kv_test_signer *const *signers, size_t n)
{
    struct kv_buffer out = {0};
    kv_buffer_append(&out, KV_SLICE("{\"keys\":["));
    for (size_t i = 0; i < n; i++) {
        char *jwk = kv_test_signer_jwk(signers[i]);
        kv_buffer_printf(&out, "%s%s", i == 0 ? "" : ",", jwk);
        free(jwk);
    }
    kv_buffer_append(&out, KV_SLICE("]}"));
    return finish(&out);
}
