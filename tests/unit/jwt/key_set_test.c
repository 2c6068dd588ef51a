/* JWK Sets: which keys are accepted, ignored and refused, and the messages about them. */
#include "jwt_support.h"

#define P256_X "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU"
#define P256_Y "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"
#define P256   "\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"" P256_X "\",\"y\":\"" P256_Y "\""
#define ED25519                                                                                    \
    "\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"x\":\"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo\""

/* Returns: the number of accepted keys; -1 and the error. */
static int count_keys(const char *text, struct kv_buffer *notes, struct kv_error *error)
{
    struct kv_jwt_key_set *set;
    if (kv_jwt_key_set_parse(kv_slice_of(text), &set, notes, error) != 0)
        return -1;
    int n = (int)set->n;
    kv_jwt_key_set_unref(set);
    return n;
}

static void assert_refused(const char *text, const char *why)
{
    struct kv_buffer notes = {0};
    struct kv_error error;
    assert_int_equal(count_keys(text, &notes, &error), -1);
    if (strstr(error.text, why) == NULL)
        fail_msg("\"%s\" is not in: %s", why, error.text);
    kv_buffer_fini(&notes);
}

static void keys_of_other_kinds_are_ignored(void **state)
{
    static const char *const entries[] = {
        "{\"kty\":\"NEW\"}",
        "{\"kty\":7}",
        "{}",
        "{" P256 ",\"use\":\"enc\"}",
        "{" P256 ",\"use\":7}",
        "{" P256 ",\"key_ops\":[\"sign\"]}",
        "{" P256 ",\"alg\":\"ECDH-ES\"}",
        "{\"kty\":\"EC\",\"crv\":\"P-384\",\"x\":\"AA\",\"y\":\"AA\"}",
        "{\"kty\":\"EC\",\"crv\":\"secp256k1\",\"x\":\"AA\",\"y\":\"AA\"}",
        "{\"kty\":\"OKP\",\"crv\":\"X25519\",\"x\":\"AA\"}",
        "{\"kty\":\"RSA\",\"alg\":\"RS512\",\"n\":\"AA\",\"e\":\"AQAB\"}",
    };
    struct kv_buffer notes = {0};
    struct kv_error error;
    (void)state;
    for (size_t i = 0; i < N(entries); i++) {
        char text[1024];
        snprintf(text, sizeof(text), "{\"keys\":[%s,{" ED25519 "}]}", entries[i]);
        assert_int_equal(count_keys(text, &notes, &error), 1);
        snprintf(text, sizeof(text), "{\"keys\":[%s]}", entries[i]);
        assert_refused(text, "no key for");
    }
    assert_int_equal(notes.len, 0);
    kv_buffer_fini(&notes);
}

static void secrets_and_private_keys_are_ignored_and_reported(void **state)
{
    struct kv_buffer notes = {0};
    struct kv_error error;
    (void)state;
    assert_int_equal(count_keys("{\"keys\":[{\"kty\":\"oct\",\"k\":\"AAAA\",\"kid\":\"s\"},{" P256
                                ",\"d\":\"AAAA\"}]}",
                                &notes, &error),
                     1);
    kv_buffer_append_char(&notes, '\0');
    assert_non_null(strstr(notes.bytes, "keys[0] (kid \"s\") is a secret"));
    assert_non_null(strstr(notes.bytes, "keys[1] contains its private key"));
    assert_null(strstr(notes.bytes, "AAAA"));
    kv_buffer_fini(&notes);
}

static void invalid_keys_are_refused_with_place_and_kid(void **state)
{
    static const struct {
        const char *entry, *why;
    } cases[] = {
        {"7", "keys[1]: it is no JSON object"},
        {"{\"kty\":\"EC\",\"crv\":\"P-256\",\"kid\":\"a\",\"x\":\"" P256_X "\"}",
         "keys[1] (kid \"a\"): `y` must be a string"},
        {"{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"" P256_X "\",\"y\":\"" P256_X "\"}",
         "no point on the curve"},
        {"{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"AAAA\",\"y\":\"AAAA\"}", "32 bytes each"},
        {"{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"" P256_X "=\",\"y\":\"" P256_Y "\"}",
         "`x` is not base64url"},
        {"{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"x\":\"AAAA\"}", "must have 32 bytes"},
        {"{" P256 ",\"alg\":\"RS256\"}", "type EC cannot be for RS256"},
        {"{" P256 ",\"alg\":\"HS256\"}", "type EC cannot be for HS256"},
        {"{" P256 ",\"kid\":7}", "`kid` must be a string"},
        {"{\"kty\":\"RSA\",\"n\":\"" P256_X "\",\"e\":\"AQAB\"}", "an RSA key of 255 bits"},
    };
    (void)state;
    for (size_t i = 0; i < N(cases); i++) {
        char text[1024];
        snprintf(text, sizeof(text), "{\"keys\":[{" ED25519 "},%s]}", cases[i].entry);
        assert_refused(text, cases[i].why);
    }
}

/* An RSA entry whose modulus has `len` bytes, all ones, and that exponent. */
static void assert_rsa_is_refused(size_t len, const char *exponent, const char *why)
{
    char *ones = malloc(len);
    struct kv_buffer text = {0};
    memset(ones, 0xff, len);
    char *modulus = kv_test_base64url((struct kv_slice){ones, len});
    kv_buffer_printf(&text, "{\"keys\":[{\"kty\":\"RSA\",\"n\":\"%s\",\"e\":\"%s\"}]}%c", modulus,
                     exponent, '\0');
    assert_refused(text.bytes, why);
    kv_buffer_fini(&text);
    free(modulus);
    free(ones);
}

static void rsa_keys_of_invalid_size_or_exponent_are_refused(void **state)
{
    (void)state;
    assert_rsa_is_refused(255, "AQAB", "an RSA key of 2040 bits");
    assert_rsa_is_refused(1025, "AQAB", "8200 bits");
    assert_rsa_is_refused(4096, "AQAB", "`n` is longer than");
    assert_rsa_is_refused(256, "AQ", "exponent");            /* 1 */
    assert_rsa_is_refused(256, "Ag", "exponent");            /* 2 */
    assert_rsa_is_refused(256, "AA", "exponent");            /* 0 */
    assert_rsa_is_refused(256, "_________wF", "`e` is not"); /* not canonical */
    assert_rsa_is_refused(256, "AQAAAAAAAAAB", "exponent");  /* 65 bits */
}

static void malformed_texts_are_refused(void **state)
{
    (void)state;
    assert_refused("", "");
    assert_refused("[]", "no JSON object");
    assert_refused("{}", "array `keys`");
    assert_refused("{\"keys\":{}}", "array `keys`");
    assert_refused("{\"keys\":[]}", "no key for");
    assert_refused("{\"keys\":[{" ED25519 "}],\"keys\":[]}", "duplicate");
    assert_refused("{\"keys\":[{" ED25519 ",\"kid\":\"a\",\"kid\":\"b\"}]}", "duplicate");
    assert_refused("{\"keys\":[{" ED25519 "}]", "line 1");
}

static void sets_beyond_the_limits_are_refused(void **state)
{
    struct kv_buffer text = {0}, notes = {0};
    struct kv_error error;
    struct kv_jwt_key_set *set;
    (void)state;
    kv_buffer_printf(&text, "{\"keys\":[{" ED25519 "}");
    for (int i = 0; i < KV_JWT_MOST_KEYS; i++)
        kv_buffer_printf(&text, ",{}");
    kv_buffer_printf(&text, "]}");
    assert_int_equal(kv_jwt_key_set_parse(kv_buffer_slice(&text), &set, &notes, &error), -1);
    assert_non_null(strstr(error.text, "it has 101 keys"));
    memset(kv_buffer_reserve(&text, KV_JWT_LONGEST_SET), ' ', KV_JWT_LONGEST_SET);
    text.len += KV_JWT_LONGEST_SET;
    assert_int_equal(kv_jwt_key_set_parse(kv_buffer_slice(&text), &set, &notes, &error), -1);
    assert_non_null(strstr(error.text, "longer than"));
    kv_buffer_fini(&text);
    kv_buffer_fini(&notes);
}

static void short_secrets_are_refused(void **state)
{
    struct kv_jwt_key_set *set;
    struct kv_error error;
    (void)state;
    assert_int_equal(
        kv_jwt_key_set_from_secret(KV_SLICE("0123456789abcdef0123456789abcde"), &set, &error), -1);
    assert_non_null(strstr(error.text, "has 31 bytes"));
    assert_null(strstr(error.text, "abcde"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keys_of_other_kinds_are_ignored),
        cmocka_unit_test(secrets_and_private_keys_are_ignored_and_reported),
        cmocka_unit_test(invalid_keys_are_refused_with_place_and_kid),
        cmocka_unit_test(rsa_keys_of_invalid_size_or_exponent_are_refused),
        cmocka_unit_test(malformed_texts_are_refused),
        cmocka_unit_test(sets_beyond_the_limits_are_refused),
        cmocka_unit_test(short_secrets_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
