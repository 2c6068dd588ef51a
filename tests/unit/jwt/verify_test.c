/*
 * Verification of tokens: the vectors of the RFCs, known attacks, and the claims.
 */
#include "jwt_support.h"
#include "wire/base64url.h"

/* ---- vectors ---- */

#define RFC7515_CLAIMS                                                                             \
    "eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVl" \
    "fQ"
#define RFC7515_EXP 1300819380

static const struct kv_jwt_policy rfc7515_policy = {
    .issuer = {"joe", 3},
    .algorithms = (1u << KV_JWT_N_ALGORITHMS) - 1,
};

static const char rfc7515_a1[] = "eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9." RFC7515_CLAIMS
                                 ".dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
static const char rfc7515_a1_secret[] =
    "AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow";

static const char rfc7515_a2[] =
    "eyJhbGciOiJSUzI1NiJ9." RFC7515_CLAIMS
    ".cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Qc_lF5YKt_O8W2Fp5"
    "jujGbds9uJdbF9CUAr7t1dnZcAcQjbKBYNX4BAynRFdiuB--f_nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkSjtQBMHlb"
    "1L07Qe7K0GarZRmB_eSN9383LcOLn6_dO--xi12jzDwusC-eOkHWEsqtFZESc6BfI7noOPqvhJ1phCnvWh6IeYI2w9QO"
    "YEUipUTI8np6LbgGY9Fs98rqVt5AXLIhWkWywlVmtVrBp0igcN_IoypGlUPQGe77Rw";
static const char rfc7515_a2_keys[] =
    "{\"keys\":[{\"kty\":\"RSA\",\"n\":\"ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPdd"
    "xHmfHQp-Vaw-4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL-yRT-SFd2lZS-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9w"
    "Gzjb_7OMg0LOL-bSf63kpaSHSXndS5z5rexMdbBYUsLA9e-KXBdQOS-UTo7WTBEMa2R2CapHg665xsmtdVMTBQY4uDZlx"
    "vb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRW"
    "yuXpoQ\",\"e\":\"AQAB\"}]}";

static const char rfc7515_a3[] =
    "eyJhbGciOiJFUzI1NiJ9." RFC7515_CLAIMS
    ".DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q";
static const char rfc7515_a3_keys[] = "{\"keys\":[{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":"
                                      "\"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU"
                                      "\",\"y\":\"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0\"}]}";

/* Valid before its `exp`, and invalid if any byte is changed. */
static void assert_is_vector(const char *text, struct kv_jwt_key_set *keys)
{
    size_t len = strlen(text);
    char *changed = malloc(len + 1);
    assert_int_equal(judge(text, &rfc7515_policy, keys, RFC7515_EXP - 1), KV_JWT_GOOD);
    for (size_t i = 0; i < len; i++) {
        memcpy(changed, text, len + 1);
        changed[i] = changed[i] == 'A' ? 'B' : 'A';
        assert_int_not_equal(judge(changed, &rfc7515_policy, keys, RFC7515_EXP - 1), KV_JWT_GOOD);
    }
    free(changed);
    kv_jwt_key_set_unref(keys);
}

static void rfc7515_a1_is_valid(void **state)
{
    char secret[64];
    (void)state;
    assert_true(kv_base64url_decode(kv_slice_of(rfc7515_a1_secret), secret));
    assert_is_vector(rfc7515_a1, secret_set((struct kv_slice){secret, sizeof(secret)}));
}

static void rfc7515_a2_is_valid(void **state)
{
    (void)state;
    assert_is_vector(rfc7515_a2, parse_set(rfc7515_a2_keys));
}

static void rfc7515_a3_is_valid(void **state)
{
    (void)state;
    assert_is_vector(rfc7515_a3, parse_set(rfc7515_a3_keys));
}

/* Appendix A.5, and RFC 7519, section 6.1. */
static void unsecured_tokens_are_refused(void **state)
{
    struct kv_jwt_key_set *keys = parse_set(rfc7515_a3_keys);
    (void)state;
    assert_int_equal(judge("eyJhbGciOiJub25lIn0." RFC7515_CLAIMS ".", &rfc7515_policy, keys, 0),
                     KV_JWT_MALFORMED);
    assert_int_equal(judge("eyJhbGciOiJub25lIn0." RFC7515_CLAIMS ".AA", &rfc7515_policy, keys, 0),
                     KV_JWT_BAD_ALGORITHM);
    kv_jwt_key_set_unref(keys);
}

/* Appendix A.4; its payload is not JSON, nor is that of RFC 7515, A.4 (ES512). */
static void rfc8037_a4_is_valid(void **state)
{
    char x[32], signature[64];
    struct kv_jwt_key *key;
    struct kv_slice text = KV_SLICE("eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc");
    (void)state;
    assert_true(kv_base64url_decode(KV_SLICE("11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"), x));
    assert_true(kv_base64url_decode(KV_SLICE("hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4"
                                             "ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg"),
                                    signature));
    assert_int_equal(kv_jwt_key_from_ed25519((struct kv_slice){x, sizeof(x)}, &key, NULL), 0);
    struct kv_slice given = {signature, sizeof(signature)};
    assert_true(kv_jwt_key_verify(key, KV_JWT_EDDSA, text, given));
    signature[0] ^= 1;
    assert_false(kv_jwt_key_verify(key, KV_JWT_EDDSA, text, given));
    kv_jwt_key_destroy(key);
}

/* ---- signatures ---- */

static const char *const public_algorithms[] = {"RS256", "PS256", "ES256", "EdDSA"};

/* One signer of each public algorithm, made once: RSA keys take their time. */
static struct kv_test_signer *signers[N(public_algorithms)];

static int make_signers(void **state)
{
    (void)state;
    for (size_t i = 0; i < N(signers); i++)
        signers[i] = kv_test_signer_create(public_algorithms[i], public_algorithms[i]);
    return 0;
}

static int destroy_signers(void **state)
{
    (void)state;
    for (size_t i = 0; i < N(signers); i++)
        kv_test_signer_destroy(signers[i]);
    return 0;
}

static void assert_judged(const struct kv_test_signer *signer, const char *header,
                          const struct kv_jwt_policy *policy, const struct kv_jwt_key_set *keys,
                          enum kv_jwt_verdict verdict)
{
    char *token = kv_test_sign_with_header(signer, header, CLAIMS);
    assert_int_equal(judge(token, policy, keys, NOW_S), verdict);
    free(token);
}

static void each_algorithm_is_verified_with_its_own_key(void **state)
{
    struct kv_jwt_key_set *keys = publish(signers, N(signers));
    (void)state;
    for (size_t i = 0; i < N(signers); i++) {
        enum kv_jwt_algorithm algorithm;
        char *token = kv_test_sign(signers[i], CLAIMS);
        assert_true(kv_jwt_algorithm_find(kv_slice_of(public_algorithms[i]), &algorithm));
        struct kv_jwt_policy only = allow(kv_jwt_bit(algorithm));
        struct kv_jwt_policy others = allow(every_algorithm & ~kv_jwt_bit(algorithm));
        assert_int_equal(judge(token, &only, keys, NOW_S), KV_JWT_GOOD);
        assert_int_equal(judge(token, &others, keys, NOW_S), KV_JWT_BAD_ALGORITHM);
        free(token);
    }
    kv_jwt_key_set_unref(keys);
}

static void without_kid_every_key_of_the_algorithm_is_tried(void **state)
{
    struct kv_test_signer *several[] = {kv_test_signer_create("ES256", "a"),
                                        kv_test_signer_create("ES256", NULL),
                                        kv_test_signer_create("EdDSA", "c")};
    struct kv_test_signer *stranger = kv_test_signer_create("ES256", "a");
    struct kv_jwt_key_set *keys = publish(several, N(several));
    struct kv_jwt_policy policy = allow(every_algorithm);
    (void)state;
    assert_judged(several[0], "{\"alg\":\"ES256\"}", &policy, keys, KV_JWT_GOOD);
    assert_judged(several[1], "{\"alg\":\"ES256\"}", &policy, keys, KV_JWT_GOOD);
    assert_judged(several[2], "{\"alg\":\"EdDSA\"}", &policy, keys, KV_JWT_GOOD);
    assert_judged(stranger, "{\"alg\":\"ES256\"}", &policy, keys, KV_JWT_BAD_SIGNATURE);
    for (size_t i = 0; i < N(several); i++)
        kv_test_signer_destroy(several[i]);
    kv_test_signer_destroy(stranger);
    kv_jwt_key_set_unref(keys);
}

static void a_kid_selects_only_its_key(void **state)
{
    struct kv_jwt_key_set *keys = publish(signers, N(signers));
    struct kv_jwt_policy policy = allow(every_algorithm);
    char long_kid[400];
    (void)state;
    assert_judged(signers[2], "{\"alg\":\"ES256\",\"kid\":\"new\"}", &policy, keys,
                  KV_JWT_UNKNOWN_KEY);
    assert_judged(signers[2], "{\"alg\":\"ES256\",\"kid\":\"\"}", &policy, keys,
                  KV_JWT_UNKNOWN_KEY);
    assert_judged(signers[2], "{\"alg\":\"ES256\",\"kid\":\"es256\"}", &policy, keys,
                  KV_JWT_UNKNOWN_KEY);
    assert_judged(signers[2], "{\"alg\":\"ES256\",\"kid\":\"../../dev/null\"}", &policy, keys,
                  KV_JWT_UNKNOWN_KEY);
    assert_judged(signers[2], "{\"alg\":\"ES256\",\"kid\":\"EdDSA\"}", &policy, keys,
                  KV_JWT_BAD_ALGORITHM);
    assert_judged(signers[2], "{\"alg\":\"ES256\",\"kid\":7}", &policy, keys, KV_JWT_MALFORMED);
    assert_judged(signers[2], "{\"alg\":\"ES256\",\"kid\":null}", &policy, keys, KV_JWT_MALFORMED);
    assert_judged(signers[2], "{\"alg\":\"ES256\",\"kid\":\"ES256\\u0000\"}", &policy, keys,
                  KV_JWT_MALFORMED);
    snprintf(long_kid, sizeof(long_kid), "{\"alg\":\"ES256\",\"kid\":\"%0*d\"}",
             KV_JWT_LONGEST_KID + 1, 0);
    assert_judged(signers[2], long_kid, &policy, keys, KV_JWT_MALFORMED);
    kv_jwt_key_set_unref(keys);
}

/* A classic attack: a public key is known to everybody, so it must never be used as the secret of
 * an HMAC, in any notation. */
static void a_public_key_is_not_used_as_a_secret(void **state)
{
    struct kv_jwt_key_set *keys = publish(signers, N(signers));
    struct kv_jwt_policy policy = allow(every_algorithm);
    (void)state;
    for (size_t i = 0; i < N(signers); i++) {
        char header[64];
        char *jwk = kv_test_signer_jwk(signers[i]);
        struct kv_test_signer *attacker = kv_test_signer_with_secret(jwk);
        snprintf(header, sizeof(header), "{\"alg\":\"HS256\",\"kid\":\"%s\"}",
                 public_algorithms[i]);
        assert_judged(attacker, header, &policy, keys, KV_JWT_BAD_ALGORITHM);
        assert_judged(attacker, "{\"alg\":\"HS256\"}", &policy, keys, KV_JWT_BAD_ALGORITHM);
        kv_test_signer_destroy(attacker);
        free(jwk);
    }
    kv_jwt_key_set_unref(keys);
}

static void unknown_algorithm_names_are_refused(void **state)
{
    static const char *const headers[] = {
        "{\"alg\":\"none\"}",  "{\"alg\":\"None\"}",  "{\"alg\":\"NONE\"}",  "{\"alg\":\"\"}",
        "{\"alg\":\"hs256\"}", "{\"alg\":\"HS384\"}", "{\"alg\":\"HS512\"}", "{\"alg\":\"HS256 \"}",
        "{\"alg\":\"ES512\"}", "{\"alg\":\"RS1\"}",   "{\"alg\":\"A128KW\"}"};
    struct kv_test_signer *signer = kv_test_signer_with_secret(SECRET);
    struct kv_jwt_key_set *keys = secret_set(KV_SLICE(SECRET));
    struct kv_jwt_policy policy = allow(every_algorithm);
    (void)state;
    assert_judged(signer, "{\"alg\":\"HS256\"}", &policy, keys, KV_JWT_GOOD);
    for (size_t i = 0; i < N(headers); i++)
        assert_judged(signer, headers[i], &policy, keys, KV_JWT_BAD_ALGORITHM);
    assert_judged(signer, "{\"alg\":[\"HS256\"]}", &policy, keys, KV_JWT_MALFORMED);
    assert_judged(signer, "{}", &policy, keys, KV_JWT_MALFORMED);
    kv_test_signer_destroy(signer);
    kv_jwt_key_set_unref(keys);
}

static void keys_in_the_token_are_ignored_and_extensions_refused(void **state)
{
    struct kv_test_signer *attacker = kv_test_signer_create("ES256", NULL);
    struct kv_jwt_key_set *keys = publish(signers, N(signers));
    struct kv_jwt_policy policy = allow(every_algorithm);
    struct kv_buffer header = {0};
    char *jwk = kv_test_signer_jwk(attacker);
    (void)state;
    kv_buffer_printf(&header, "{\"alg\":\"ES256\",\"jwk\":%s,\"jku\":\"https://evil.example\"}%c",
                     jwk, '\0');
    assert_judged(attacker, header.bytes, &policy, keys, KV_JWT_BAD_SIGNATURE);
    assert_judged(signers[2], "{\"alg\":\"ES256\",\"crit\":[\"b64\"],\"b64\":false}", &policy, keys,
                  KV_JWT_CRITICAL);
    assert_judged(signers[2], "{\"alg\":\"ES256\",\"crit\":[]}", &policy, keys, KV_JWT_CRITICAL);
    assert_judged(signers[2], "{\"alg\":\"ES256\",\"b64\":false}", &policy, keys, KV_JWT_CRITICAL);
    assert_judged(signers[2], "{\"alg\":\"ES256\",\"b64\":0}", &policy, keys, KV_JWT_CRITICAL);
    kv_buffer_fini(&header);
    free(jwk);
    kv_test_signer_destroy(attacker);
    kv_jwt_key_set_unref(keys);
}

/* A token of signers[2], with another signature. */
static void assert_signature_is_bad(const struct kv_jwt_key_set *keys, struct kv_slice signature)
{
    struct kv_jwt_policy policy = allow(every_algorithm);
    char *header = kv_test_base64url(KV_SLICE("{\"alg\":\"ES256\"}"));
    char *claims = kv_test_base64url(KV_SLICE(CLAIMS));
    char *third = kv_test_base64url(signature);
    char *token = kv_test_join(header, claims, third);
    assert_int_equal(judge(token, &policy, keys, NOW_S), KV_JWT_BAD_SIGNATURE);
    free(header);
    free(claims);
    free(third);
    free(token);
}

/* The order of P-256: r and s must be below it, and not zero. */
static const unsigned char order[32] = {
    0xff, 0xff, 0xff, 0xff, 0,    0,    0,    0,    0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
    0xbc, 0xe6, 0xfa, 0xad, 0xa7, 0x17, 0x9e, 0x84, 0xf3, 0xb9, 0xca, 0xc2, 0xfc, 0x63, 0x25, 0x51};

static void degenerate_es256_signatures_are_invalid(void **state)
{
    struct kv_jwt_key_set *keys = publish(signers, N(signers));
    char bytes[72] = {0};
    struct kv_slice raw = {bytes, 64};
    (void)state;
    assert_signature_is_bad(keys, raw); /* r = s = 0 */
    memcpy(bytes, order, 32);
    memcpy(bytes + 32, order, 32);
    assert_signature_is_bad(keys, raw);
    memset(bytes, 0xff, 64);
    assert_signature_is_bad(keys, raw);
    memset(bytes, 0, 64);
    bytes[31] = bytes[63] = 1;
    assert_signature_is_bad(keys, raw);
    for (size_t len = 1; len < sizeof(bytes); len++)
        if (len != 64)
            assert_signature_is_bad(keys, (struct kv_slice){bytes, len});
    kv_jwt_key_set_unref(keys);
}

/* Wrapped as a DER signature, with extra zeros, the same numbers are not a JWS signature. */
static void es256_signature_in_der_is_invalid(void **state)
{
    struct kv_jwt_key_set *keys = publish(signers, N(signers));
    char *token = kv_test_sign_with_header(signers[2], "{\"alg\":\"ES256\"}", CLAIMS);
    char der[70] = {0x30, 68, 2, 32};
    char raw[64];
    (void)state;
    char *signature = strrchr(token, '.') + 1;
    assert_true(kv_base64url_decode(kv_slice_of(signature), raw));
    memcpy(der + 4, raw, 32);
    der[36] = 2;
    der[37] = 32;
    memcpy(der + 38, raw + 32, 32);
    assert_signature_is_bad(keys, (struct kv_slice){der, sizeof(der)});
    free(token);
    kv_jwt_key_set_unref(keys);
}

/* RS256 and PS256 with the same key: `alg` of the key determines the padding. */
static void rsa_paddings_are_not_interchangeable(void **state)
{
    struct kv_jwt_key_set *keys = publish(signers, N(signers));
    struct kv_jwt_policy policy = allow(every_algorithm);
    (void)state;
    assert_judged(signers[0], "{\"alg\":\"PS256\"}", &policy, keys, KV_JWT_BAD_SIGNATURE);
    assert_judged(signers[1], "{\"alg\":\"RS256\"}", &policy, keys, KV_JWT_BAD_SIGNATURE);
    assert_judged(signers[0], "{\"alg\":\"PS256\",\"kid\":\"RS256\"}", &policy, keys,
                  KV_JWT_BAD_ALGORITHM);
    kv_jwt_key_set_unref(keys);
}

/* ---- claims ---- */

static enum kv_jwt_verdict judge_claims(const char *claims, struct kv_slice audience, int64_t now_s)
{
    struct kv_test_signer *signer = kv_test_signer_with_secret(SECRET);
    struct kv_jwt_key_set *keys = secret_set(KV_SLICE(SECRET));
    struct kv_jwt_policy policy = allow(kv_jwt_bit(KV_JWT_HS256));
    policy.audience = audience;
    char *token = kv_test_sign(signer, claims);
    enum kv_jwt_verdict verdict = judge(token, &policy, keys, now_s);
    free(token);
    kv_test_signer_destroy(signer);
    kv_jwt_key_set_unref(keys);
    return verdict;
}

struct claims_case {
    const char *rest; /* behind the issuer */
    int64_t now_s;
    enum kv_jwt_verdict verdict;
};

static void assert_claims(const struct claims_case *cases, size_t n, struct kv_slice audience)
{
    for (size_t i = 0; i < n; i++) {
        char claims[512];
        snprintf(claims, sizeof(claims), "{\"iss\":\"%s\"%s}", ISSUER, cases[i].rest);
        enum kv_jwt_verdict verdict = judge_claims(claims, audience, cases[i].now_s);
        if (verdict != cases[i].verdict)
            fail_msg("%s at %lld: the token %s", claims, (long long)cases[i].now_s,
                     kv_jwt_verdict_text(verdict));
    }
}

static void times_have_a_leeway_of_30_seconds(void **state)
{
    static const struct claims_case cases[] = {
        {"", 0, KV_JWT_NO_EXPIRY},
        {",\"exp\":null", 0, KV_JWT_MALFORMED},
        {",\"exp\":\"2000\"", 0, KV_JWT_MALFORMED},
        {",\"exp\":true", 0, KV_JWT_MALFORMED},
        {",\"exp\":2000", 2029, KV_JWT_GOOD},
        {",\"exp\":2000", 2030, KV_JWT_EXPIRED},
        {",\"exp\":2000.9", 2029, KV_JWT_GOOD},
        {",\"exp\":2000.9", 2030, KV_JWT_EXPIRED},
        {",\"exp\":2e3", 2029, KV_JWT_GOOD},
        {",\"exp\":0", 0, KV_JWT_GOOD},
        {",\"exp\":0", 30, KV_JWT_EXPIRED},
        {",\"exp\":-1", 1000, KV_JWT_EXPIRED},
        {",\"exp\":-1e300", 1000, KV_JWT_EXPIRED},
        {",\"exp\":1e300", 1000, KV_JWT_GOOD},
        {",\"exp\":1e999", 1000, KV_JWT_MALFORMED},
        {",\"exp\":9223372036854775807", 1000, KV_JWT_GOOD},
        {",\"exp\":9223372036854775808", 1000, KV_JWT_MALFORMED},
        {",\"exp\":-9223372036854775808", 1000, KV_JWT_EXPIRED},
        {",\"exp\":2000,\"nbf\":1000", 969, KV_JWT_NOT_YET},
        {",\"exp\":2000,\"nbf\":1000", 970, KV_JWT_GOOD},
        {",\"exp\":2000,\"nbf\":1e300", 1000, KV_JWT_NOT_YET},
        {",\"exp\":2000,\"nbf\":-1e300", 1000, KV_JWT_GOOD},
        {",\"exp\":2000,\"nbf\":\"1000\"", 1000, KV_JWT_MALFORMED},
        {",\"exp\":1000,\"exp\":2000", 1500, KV_JWT_MALFORMED},
    };
    (void)state;
    assert_claims(cases, N(cases), (struct kv_slice){0});
}

static void the_audience_is_one_of_the_configured_ones(void **state)
{
    static const struct claims_case cases[] = {
        {",\"exp\":9", 0, KV_JWT_WRONG_AUDIENCE},
        {",\"exp\":9,\"aud\":\"us\"", 0, KV_JWT_GOOD},
        {",\"exp\":9,\"aud\":\"US\"", 0, KV_JWT_WRONG_AUDIENCE},
        {",\"exp\":9,\"aud\":\"\"", 0, KV_JWT_WRONG_AUDIENCE},
        {",\"exp\":9,\"aud\":[\"them\",\"us\"]", 0, KV_JWT_GOOD},
        {",\"exp\":9,\"aud\":[\"them\"]", 0, KV_JWT_WRONG_AUDIENCE},
        {",\"exp\":9,\"aud\":[]", 0, KV_JWT_WRONG_AUDIENCE},
        {",\"exp\":9,\"aud\":[\"us\",7]", 0, KV_JWT_MALFORMED},
        {",\"exp\":9,\"aud\":null", 0, KV_JWT_MALFORMED},
        {",\"exp\":9,\"aud\":{\"us\":1}", 0, KV_JWT_MALFORMED},
    };
    (void)state;
    assert_claims(cases, N(cases), KV_SLICE("us"));
}

/* RFC 7519, section 4.1.3: a recipient that does not identify itself with a value of `aud` must
 * reject the token. */
static void a_token_for_an_audience_is_refused_if_none_is_configured(void **state)
{
    static const struct claims_case cases[] = {
        {",\"exp\":9", 0, KV_JWT_GOOD},
        {",\"exp\":9,\"aud\":\"them\"", 0, KV_JWT_WRONG_AUDIENCE},
        {",\"exp\":9,\"aud\":[\"\"]", 0, KV_JWT_WRONG_AUDIENCE},
        {",\"exp\":9,\"aud\":[]", 0, KV_JWT_WRONG_AUDIENCE},
    };
    (void)state;
    assert_claims(cases, N(cases), (struct kv_slice){0});
}

static void the_issuer_is_compared_byte_by_byte(void **state)
{
    static const char *const claims[] = {"{\"exp\":9}", "{\"iss\":\"\",\"exp\":9}",
                                         "{\"iss\":\"" ISSUER "/\",\"exp\":9}",
                                         "{\"iss\":\"HTTPS://id.example.org\",\"exp\":9}"};
    (void)state;
    for (size_t i = 0; i < N(claims); i++)
        assert_int_equal(judge_claims(claims[i], (struct kv_slice){0}, 0), KV_JWT_WRONG_ISSUER);
    assert_int_equal(judge_claims("{\"iss\":[\"" ISSUER "\"],\"exp\":9}", (struct kv_slice){0}, 0),
                     KV_JWT_MALFORMED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rfc7515_a1_is_valid),
        cmocka_unit_test(rfc7515_a2_is_valid),
        cmocka_unit_test(rfc7515_a3_is_valid),
        cmocka_unit_test(unsecured_tokens_are_refused),
        cmocka_unit_test(rfc8037_a4_is_valid),
        cmocka_unit_test(each_algorithm_is_verified_with_its_own_key),
        cmocka_unit_test(without_kid_every_key_of_the_algorithm_is_tried),
        cmocka_unit_test(a_kid_selects_only_its_key),
        cmocka_unit_test(a_public_key_is_not_used_as_a_secret),
        cmocka_unit_test(unknown_algorithm_names_are_refused),
        cmocka_unit_test(keys_in_the_token_are_ignored_and_extensions_refused),
        cmocka_unit_test(degenerate_es256_signatures_are_invalid),
        cmocka_unit_test(es256_signature_in_der_is_invalid),
        cmocka_unit_test(rsa_paddings_are_not_interchangeable),
        cmocka_unit_test(times_have_a_leeway_of_30_seconds),
        cmocka_unit_test(the_audience_is_one_of_the_configured_ones),
        cmocka_unit_test(a_token_for_an_audience_is_refused_if_none_is_configured),
        cmocka_unit_test(the_issuer_is_compared_byte_by_byte),
    };
    return cmocka_run_group_tests(tests, make_signers, destroy_signers);
}
