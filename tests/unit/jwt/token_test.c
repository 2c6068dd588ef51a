/* The syntax of tokens. */
#include "jwt_support.h"

static enum kv_jwt_verdict read_token(struct kv_slice text)
{
    struct kv_jwt_token *token = NULL;
    enum kv_jwt_verdict verdict = kv_jwt_token_read(text, &token);
    assert_true((token != NULL) == (verdict == KV_JWT_GOOD));
    kv_jwt_token_destroy(token);
    return verdict;
}

static enum kv_jwt_verdict read_parts(const char *header, const char *claims, const char *signature)
{
    char *first = kv_test_base64url(kv_slice_of(header));
    char *second = kv_test_base64url(kv_slice_of(claims));
    char *text = kv_test_join(first, second, signature);
    enum kv_jwt_verdict verdict = read_token(kv_slice_of(text));
    free(first);
    free(second);
    free(text);
    return verdict;
}

#define HEADER "{\"alg\":\"HS256\"}"

static void three_parts_are_needed(void **state)
{
    static const char *const texts[] = {
        "",
        ".",
        "..",
        "...",
        "eyJhbGciOiJIUzI1NiJ9",
        "eyJhbGciOiJIUzI1NiJ9.e30",
        "eyJhbGciOiJIUzI1NiJ9.e30.",
        ".e30.AA",
        "eyJhbGciOiJIUzI1NiJ9..AA",
        "eyJhbGciOiJIUzI1NiJ9.e30.AA.",
        "eyJhbGciOiJIUzI1NiJ9.e30.AA.AA",
        "eyJhbGciOiJIUzI1NiJ9.e30.AA.AA.AA",
        " eyJhbGciOiJIUzI1NiJ9.e30.AA",
        "eyJhbGciOiJIUzI1NiJ9.e30.AA\n",
    };
    (void)state;
    assert_int_equal(read_token(KV_SLICE("eyJhbGciOiJIUzI1NiJ9.e30.AA")), KV_JWT_GOOD);
    for (size_t i = 0; i < N(texts); i++)
        assert_int_equal(read_token(kv_slice_of(texts[i])), KV_JWT_MALFORMED);
    assert_int_equal(read_token(KV_SLICE("eyJhbGciOiJIUzI1NiJ9.e30.\0AA")), KV_JWT_MALFORMED);
}

/* Otherwise one token would have several spellings, and a list of revoked tokens would be
 * useless. */
static void base64url_must_be_canonical(void **state)
{
    static const char *const texts[] = {
        "eyJhbGciOiJIUzI1NiJ9.e30.AA==", "eyJhbGciOiJIUzI1NiJ9.e30=.AA",
        "eyJhbGciOiJIUzI1NiJ9.e30.AB",   "eyJhbGciOiJIUzI1NiJ9.e31.AA",
        "eyJhbGciOiJIUzI1NiJ9.e30.A",    "eyJhbGciOiJIUzI1NiJ9.e30.A A",
        "eyJhbGciOiJIUzI1NiJ9.e30.A+",   "eyJhbGciOiJIUzI1NiJ9.e30.A/",
        "eyJhbGciOiJIUzI1NiJ9=.e30.AA",
    };
    (void)state;
    for (size_t i = 0; i < N(texts); i++)
        assert_int_equal(read_token(kv_slice_of(texts[i])), KV_JWT_MALFORMED);
}

static void header_and_claims_must_be_objects_without_duplicate_members(void **state)
{
    static const char *const objects[] = {
        "",
        "[]",
        "null",
        "\"x\"",
        "{",
        "{}{}",
        "{} x",
        "{\"alg\":\"HS256\",\"alg\":\"HS256\"}",
        "{\"alg\":\"HS256\",\"\\u0061lg\":\"HS256\"}",
        "{\"alg\":\"HS256\",\"x\":{\"a\":1,\"a\":1}}",
        "{\"alg\":\"HS256\",\"x\":[{\"a\":1,\"a\":2}]}",
        "{\"alg\":\"HS256\",\"x\":\"\xff\"}",
        "{\"alg\":\"HS256\",\"x\":\"\\ud800\"}",
        "{\"alg\":\"HS256\",\"x\":\"\\u0000\"}",
        "{\"alg\":\"HS256\",\"x\":1e400}",
        "{\"alg\":\"HS256\",'x':1}",
        "\xef\xbb\xbf{\"alg\":\"HS256\"}",
    };
    (void)state;
    for (size_t i = 0; i < N(objects); i++) {
        assert_int_equal(read_parts(objects[i], "{}", "AA"), KV_JWT_MALFORMED);
        assert_int_equal(read_parts(HEADER, objects[i], "AA"), KV_JWT_MALFORMED);
    }
}

static void deep_nesting_is_refused(void **state)
{
    char claims[6000] = "{\"a\":";
    (void)state;
    memset(claims + 5, '[', sizeof(claims) - 6);
    claims[sizeof(claims) - 1] = '\0';
    assert_int_equal(read_parts(HEADER, claims, "AA"), KV_JWT_MALFORMED);
}

static void tokens_of_more_than_8_kib_are_refused(void **state)
{
    static char text[KV_JWT_LONGEST_TOKEN + 2] = "eyJhbGciOiJIUzI1NiJ9.";
    (void)state;
    memset(text + strlen(text), 'A', sizeof(text) - 1 - strlen(text));
    assert_int_equal(read_token(kv_slice_of(text)), KV_JWT_TOO_LONG);
    text[KV_JWT_LONGEST_TOKEN] = '\0';
    assert_int_equal(read_token(kv_slice_of(text)), KV_JWT_MALFORMED);
    text[KV_JWT_LONGEST_TOKEN - 10] = '.';
    assert_int_equal(read_token(kv_slice_of(text)), KV_JWT_MALFORMED);
}

static void a_signature_longer_than_any_algorithm_produces_is_refused(void **state)
{
    static char signature[KV_JWT_LONGEST_SIGNATURE / 3 * 4 + 64];
    (void)state;
    memset(signature, 'A', sizeof(signature) - 1);
    assert_int_equal(read_parts(HEADER, "{}", signature), KV_JWT_MALFORMED);
}

static void truncated_tokens_are_refused(void **state)
{
    struct kv_test_signer *signer = kv_test_signer_with_secret(SECRET);
    struct kv_jwt_key_set *keys = secret_set(KV_SLICE(SECRET));
    struct kv_jwt_policy policy = allow(every_algorithm);
    char *text = kv_test_sign(signer, CLAIMS);
    (void)state;
    assert_int_equal(judge(text, &policy, keys, NOW_S), KV_JWT_GOOD);
    for (size_t len = strlen(text); len-- > 0;) {
        text[len] = '\0';
        assert_int_not_equal(judge(text, &policy, keys, NOW_S), KV_JWT_GOOD);
    }
    free(text);
    kv_test_signer_destroy(signer);
    kv_jwt_key_set_unref(keys);
}

static void claims_of_wrong_types_are_refused(void **state)
{
    static const char *const claims[] = {"{\"sub\":7}", "{\"sub\":null}", "{\"jti\":[]}",
                                         "{\"iss\":{}}"};
    (void)state;
    for (size_t i = 0; i < N(claims); i++)
        assert_int_equal(read_parts(HEADER, claims[i], "AA"), KV_JWT_MALFORMED);
}

static void strings_and_lists_in_claims_are_found(void **state)
{
    struct kv_test_signer *signer = kv_test_signer_with_secret(SECRET);
    char *text =
        kv_test_sign(signer, "{\"sub\":\"ann\",\"jti\":\"\",\"kv\":{\"read\":[\"a\",\"b\",7]}}");
    struct kv_jwt_token *token;
    struct kv_slice item;
    (void)state;
    assert_int_equal(kv_jwt_token_read(kv_slice_of(text), &token), KV_JWT_GOOD);
    assert_string_equal(token->subject.bytes, "ann");
    assert_non_null(token->id.bytes);
    assert_int_equal(token->id.len, 0);
    assert_null(token->issuer.bytes);
    assert_true(kv_jwt_token_list_item(token, "kv", "read", 1, &item));
    assert_string_equal(item.bytes, "b");
    assert_false(kv_jwt_token_list_item(token, "kv", "read", 2, &item));
    assert_false(kv_jwt_token_list_item(token, "kv", "read", 3, &item));
    assert_false(kv_jwt_token_list_item(token, "kv", "write", 0, &item));
    assert_false(kv_jwt_token_list_item(token, "sub", "read", 0, &item));
    assert_false(kv_jwt_token_list_item(token, "none", "read", 0, &item));
    kv_jwt_token_destroy(token);
    free(text);
    kv_test_signer_destroy(signer);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(three_parts_are_needed),
        cmocka_unit_test(base64url_must_be_canonical),
        cmocka_unit_test(header_and_claims_must_be_objects_without_duplicate_members),
        cmocka_unit_test(deep_nesting_is_refused),
        cmocka_unit_test(tokens_of_more_than_8_kib_are_refused),
        cmocka_unit_test(a_signature_longer_than_any_algorithm_produces_is_refused),
        cmocka_unit_test(truncated_tokens_are_refused),
        cmocka_unit_test(claims_of_wrong_types_are_refused),
        cmocka_unit_test(strings_and_lists_in_claims_are_found),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
