/*
 * Keys and signatures with OpenSSL 3. Only verification is implemented, except for HS256, where
 * verifying means to sign and to compare, in constant time.
 */
#include "jwt/key.h"

#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/ecdsa.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/param_build.h>
#include <openssl/rsa.h>
#include <stdlib.h>

#include "base/mem.h"

enum {
    COORDINATE = 32, /* bytes of a number below the order of P-256 */
    ED25519_KEY = 32,
    SHA256_SIZE = 32,
    MOST_EXPONENT_BITS = 64,
    LONGEST_DER = 2 * (COORDINATE + 3) + 3 /* of an ECDSA signature */
};

struct kv_jwt_key {
    uint32_t algorithms;
    EVP_PKEY *public_key; /* NULL: the key is a secret */
    size_t secret_len;
    unsigned char secret[];
};

/* ---- creating keys ---- */

static struct kv_jwt_key *make(uint32_t algorithms, EVP_PKEY *public_key)
{
    struct kv_jwt_key *key = kv_calloc(1, sizeof(*key));
    key->algorithms = algorithms;
    key->public_key = public_key;
    return key;
}

int kv_jwt_key_from_secret(struct kv_slice secret, struct kv_jwt_key **ret_key,
                           struct kv_error *reterr)
{
    if (secret.len < KV_JWT_SHORTEST_SECRET)
        return kv_error_set(reterr, "the secret has %zu bytes; HS256 needs at least %d", secret.len,
                            KV_JWT_SHORTEST_SECRET);
    struct kv_jwt_key *key = kv_calloc(1, sizeof(*key) + secret.len);
    key->algorithms = kv_jwt_bit(KV_JWT_HS256);
    key->secret_len = secret.len;
    memcpy(key->secret, secret.bytes, secret.len);
    *ret_key = key;
    return 0;
}

/* Returns: NULL if OpenSSL finds that the numbers are not a public key of that type. */
static EVP_PKEY *load(const char *type, OSSL_PARAM *parameters)
{
    EVP_PKEY *key = NULL;
    EVP_PKEY_CTX *context = EVP_PKEY_CTX_new_from_name(NULL, type, NULL);
    if (context == NULL || EVP_PKEY_fromdata_init(context) != 1 ||
        EVP_PKEY_fromdata(context, &key, EVP_PKEY_PUBLIC_KEY, parameters) != 1)
        key = NULL;
    EVP_PKEY_CTX_free(context);
    ERR_clear_error();
    return key;
}

static bool is_sound(EVP_PKEY *key)
{
    EVP_PKEY_CTX *context = EVP_PKEY_CTX_new_from_pkey(NULL, key, NULL);
    bool is = context != NULL && EVP_PKEY_public_check(context) == 1;
    EVP_PKEY_CTX_free(context);
    ERR_clear_error();
    return is;
}

static EVP_PKEY *load_rsa(const BIGNUM *modulus, const BIGNUM *exponent)
{
    EVP_PKEY *key = NULL;
    OSSL_PARAM_BLD *builder = OSSL_PARAM_BLD_new();
    OSSL_PARAM *parameters = NULL;
    if (builder != NULL && OSSL_PARAM_BLD_push_BN(builder, OSSL_PKEY_PARAM_RSA_N, modulus) == 1 &&
        OSSL_PARAM_BLD_push_BN(builder, OSSL_PKEY_PARAM_RSA_E, exponent) == 1)
        parameters = OSSL_PARAM_BLD_to_param(builder);
    if (parameters != NULL)
        key = load("RSA", parameters);
    OSSL_PARAM_free(parameters);
    OSSL_PARAM_BLD_free(builder);
    return key;
}

/* Both numbers must be odd, the exponent at least 3 and short: longer ones are not in use, and
 * slow. */
static int check_rsa(const BIGNUM *modulus, const BIGNUM *exponent, struct kv_error *reterr)
{
    int bits = BN_num_bits(modulus);
    if (bits < KV_JWT_LEAST_RSA_BITS || bits > KV_JWT_MOST_RSA_BITS)
        return kv_error_set(reterr, "an RSA key of %d bits; %d to %d are accepted", bits,
                            KV_JWT_LEAST_RSA_BITS, KV_JWT_MOST_RSA_BITS);
    if (!BN_is_odd(modulus))
        return kv_error_set(reterr, "the modulus `n` is even, so it is no RSA key");
    if (!BN_is_odd(exponent) || BN_is_one(exponent) || BN_num_bits(exponent) > MOST_EXPONENT_BITS)
        return kv_error_set(reterr, "the exponent `e` must be odd, above 1 and of at most %d bits",
                            MOST_EXPONENT_BITS);
    return 0;
}

static BIGNUM *number(struct kv_slice bytes)
{
    if (bytes.len > KV_JWT_LONGEST_SIGNATURE)
        bytes.len = KV_JWT_LONGEST_SIGNATURE + 1; /* too long in any case */
    return BN_bin2bn((const unsigned char *)bytes.bytes, (int)bytes.len, NULL);
}

int kv_jwt_key_from_rsa(struct kv_slice modulus, struct kv_slice exponent,
                        struct kv_jwt_key **ret_key, struct kv_error *reterr)
{
    BIGNUM *n = number(modulus), *e = number(exponent);
    EVP_PKEY *key = NULL;
    int result =
        n == NULL || e == NULL ? kv_error_set(reterr, "no memory") : check_rsa(n, e, reterr);
    if (result == 0 && (key = load_rsa(n, e)) == NULL)
        result = kv_error_set(reterr, "OpenSSL does not accept this RSA key");
    BN_free(n);
    BN_free(e);
    if (result == 0)
        *ret_key = make(kv_jwt_bit(KV_JWT_RS256) | kv_jwt_bit(KV_JWT_PS256), key);
    return result;
}

int kv_jwt_key_from_p256(struct kv_slice x, struct kv_slice y, struct kv_jwt_key **ret_key,
                         struct kv_error *reterr)
{
    char group[] = "prime256v1";
    unsigned char point[1 + 2 * COORDINATE] = {POINT_CONVERSION_UNCOMPRESSED};
    if (x.len != COORDINATE || y.len != COORDINATE)
        return kv_error_set(reterr, "`x` and `y` of P-256 must have %d bytes each", COORDINATE);
    memcpy(point + 1, x.bytes, COORDINATE);
    memcpy(point + 1 + COORDINATE, y.bytes, COORDINATE);
    OSSL_PARAM parameters[] = {
        OSSL_PARAM_construct_utf8_string(OSSL_PKEY_PARAM_GROUP_NAME, group, 0),
        OSSL_PARAM_construct_octet_string(OSSL_PKEY_PARAM_PUB_KEY, point, sizeof(point)),
        OSSL_PARAM_construct_end()};
    EVP_PKEY *key = load("EC", parameters);
    if (key == NULL || !is_sound(key)) {
        EVP_PKEY_free(key);
        return kv_error_set(reterr, "`x` and `y` are no point on the curve P-256");
    }
    *ret_key = make(kv_jwt_bit(KV_JWT_ES256), key);
    return 0;
}

int kv_jwt_key_from_ed25519(struct kv_slice x, struct kv_jwt_key **ret_key, struct kv_error *reterr)
{
    if (x.len != ED25519_KEY)
        return kv_error_set(reterr, "`x` of Ed25519 must have %d bytes", ED25519_KEY);
    EVP_PKEY *key =
        EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, NULL, (const unsigned char *)x.bytes, x.len);
    if (key == NULL)
        return kv_error_set(reterr, "OpenSSL does not accept this Ed25519 key");
    *ret_key = make(kv_jwt_bit(KV_JWT_EDDSA), key);
    return 0;
}

void kv_jwt_key_destroy(struct kv_jwt_key *key)
{
    if (key == NULL)
        return;
    EVP_PKEY_free(key->public_key);
    OPENSSL_cleanse(key->secret, key->secret_len);
    free(key);
}

uint32_t kv_jwt_key_algorithms(const struct kv_jwt_key *key)
{
    return key->algorithms;
}

/* ---- verifying ---- */

static bool verify_hmac(const struct kv_jwt_key *key, struct kv_slice text,
                        struct kv_slice signature)
{
    unsigned char mac[EVP_MAX_MD_SIZE];
    unsigned int len = 0;
    if (HMAC(EVP_sha256(), key->secret, (int)key->secret_len, (const unsigned char *)text.bytes,
             text.len, mac, &len) == NULL)
        return false;
    return signature.len == len && CRYPTO_memcmp(mac, signature.bytes, len) == 0;
}

/* EdDSA hashes by itself. PSS only accepts the salt length of JWS. */
static bool begin(EVP_MD_CTX *context, EVP_PKEY *key, enum kv_jwt_algorithm algorithm)
{
    EVP_PKEY_CTX *options;
    const EVP_MD *hash = algorithm == KV_JWT_EDDSA ? NULL : EVP_sha256();
    if (EVP_DigestVerifyInit(context, &options, hash, NULL, key) != 1)
        return false;
    return algorithm != KV_JWT_PS256 ||
           (EVP_PKEY_CTX_set_rsa_padding(options, RSA_PKCS1_PSS_PADDING) == 1 &&
            EVP_PKEY_CTX_set_rsa_mgf1_md(options, EVP_sha256()) == 1 &&
            EVP_PKEY_CTX_set_rsa_pss_saltlen(options, RSA_PSS_SALTLEN_DIGEST) == 1);
}

static bool verify_public(EVP_PKEY *key, enum kv_jwt_algorithm algorithm, struct kv_slice text,
                          struct kv_slice signature)
{
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    bool is_good = context != NULL && begin(context, key, algorithm) &&
                   EVP_DigestVerify(context, (const unsigned char *)signature.bytes, signature.len,
                                    (const unsigned char *)text.bytes, text.len) == 1;
    EVP_MD_CTX_free(context);
    ERR_clear_error();
    return is_good;
}

/* Converts r || s to the form that OpenSSL reads. Returns: its length, 0 if memory ran out. */
static size_t write_der(const unsigned char *r_and_s, unsigned char der[LONGEST_DER])
{
    ECDSA_SIG *signature = ECDSA_SIG_new();
    BIGNUM *r = BN_bin2bn(r_and_s, COORDINATE, NULL);
    BIGNUM *s = BN_bin2bn(r_and_s + COORDINATE, COORDINATE, NULL);
    int len = -1;
    if (signature != NULL && r != NULL && s != NULL && ECDSA_SIG_set0(signature, r, s) == 1) {
        r = s = NULL; /* the signature owns them */
        len = i2d_ECDSA_SIG(signature, &der);
    }
    BN_free(r);
    BN_free(s);
    ECDSA_SIG_free(signature);
    return len < 0 ? 0 : (size_t)len;
}

static bool verify_es256(EVP_PKEY *key, struct kv_slice text, struct kv_slice signature)
{
    unsigned char der[LONGEST_DER];
    if (signature.len != 2 * COORDINATE)
        return false;
    size_t len = write_der((const unsigned char *)signature.bytes, der);
    return len != 0 &&
           verify_public(key, KV_JWT_ES256, text, (struct kv_slice){(const char *)der, len});
}

bool kv_jwt_key_verify(const struct kv_jwt_key *key, enum kv_jwt_algorithm algorithm,
                       struct kv_slice text, struct kv_slice signature)
{
    if ((key->algorithms & kv_jwt_bit(algorithm)) == 0 || signature.len == 0)
        return false;
    if (algorithm == KV_JWT_HS256)
        return verify_hmac(key, text, signature);
    if (algorithm == KV_JWT_ES256)
        return verify_es256(key->public_key, text, signature);
    return verify_public(key->public_key, algorithm, text, signature);
}
