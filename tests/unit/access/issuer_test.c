/* The grants of tokens from an issuer. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "access/issuer.h"
#include "access/template.h"
#include "support/jwt/signer.h"

#define N(array) (sizeof(array) / sizeof((array)[0]))

#define ISSUER "https://id.example.org"
#define SECRET "0123456789abcdef0123456789abcdef"

static struct kv_jwt_sources *sources;
static struct kv_test_signer *signer;
static struct kv_identity identity;
static struct kv_error error;

static void ignore_change(struct kv_jwt_watch *self)
{
    (void)self;
}

static struct kv_jwt_watch watch = {.changed = ignore_change};

static int set_up(void **state)
{
    (void)state;
    sources = kv_jwt_sources_create(&watch);
    signer = kv_test_signer_with_secret(SECRET);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    kv_identity_fini(&identity);
    kv_jwt_sources_destroy(sources);
    kv_test_signer_destroy(signer);
    return 0;
}

static struct kv_authenticator *create(struct kv_issuer_config config)
{
    const struct kv_jwt_place place = {.secret = KV_SLICE(SECRET)};
    config.policy =
        (struct kv_jwt_policy){.issuer = KV_SLICE(ISSUER), .algorithms = kv_jwt_bit(KV_JWT_HS256)};
    return kv_issuer_create(&config, kv_jwt_sources_get(sources, &place));
}

/* Stores the identity of a valid token. */
static enum kv_verdict_on_token verify(struct kv_authenticator *issuer, const char *claims)
{
    char *token = kv_test_sign(signer, claims);
    kv_identity_fini(&identity);
    identity = (struct kv_identity){0};
    enum kv_verdict_on_token verdict =
        issuer->verify(issuer, kv_slice_of(token), 1000, &identity, &error);
    free(token);
    return verdict;
}

static void assert_prefixes(const struct kv_prefixes *prefixes, const char *expected)
{
    struct kv_buffer text = {0};
    kv_prefixes_print(prefixes, 1000, &text);
    kv_buffer_append_char(&text, '\0');
    assert_string_equal(text.bytes, expected);
    kv_buffer_fini(&text);
}

#define CLAIMS(rest) "{\"iss\":\"" ISSUER "\",\"exp\":2000" rest "}"

static const struct kv_slice user_templates[] = {{"public/", 7}, {"user/{sub}/", 11}};

static void the_subject_is_inserted_into_templates(void **state)
{
    struct kv_authenticator *issuer = create(
        (struct kv_issuer_config){.read = {user_templates, 2}, .write = {user_templates + 1, 1}});
    (void)state;
    assert_int_equal(verify(issuer, CLAIMS(",\"sub\":\"ann\"")), KV_TOKEN_VALID);
    assert_prefixes(&identity.grants.read, "\"public/\", \"user/ann/\"");
    assert_prefixes(&identity.grants.write, "\"user/ann/\"");
    assert_int_equal(identity.grants.admin, 0);
    assert_int_equal(identity.expires_s, 2030);
    assert_true(kv_slice_equals(kv_buffer_slice(&identity.name), KV_SLICE("ann")));
    assert_true(kv_slice_equals(kv_buffer_slice(&identity.issuer), KV_SLICE(ISSUER)));
    assert_true(
        kv_slice_equals(kv_buffer_slice(&identity.claims), KV_SLICE(CLAIMS(",\"sub\":\"ann\""))));
    issuer->destroy(issuer);
}

static void subjects_that_are_paths_or_empty_are_refused(void **state)
{
    static const char *const claims[] = {CLAIMS(""), CLAIMS(",\"sub\":\"\""),
                                         CLAIMS(",\"sub\":\"ann/bo\""), CLAIMS(",\"sub\":\"/\""),
                                         CLAIMS(",\"sub\":\"ann\\u002f\"")};
    struct kv_authenticator *issuer =
        create((struct kv_issuer_config){.read = {user_templates, 2}});
    (void)state;
    for (size_t i = 0; i < N(claims); i++) {
        assert_int_equal(verify(issuer, claims[i]), KV_TOKEN_INVALID);
        assert_non_null(strstr(error.text, "`sub`"));
    }
    issuer->destroy(issuer);
}

static void no_subject_is_needed_without_templates(void **state)
{
    struct kv_authenticator *issuer =
        create((struct kv_issuer_config){.read = {user_templates, 1}});
    (void)state;
    assert_int_equal(verify(issuer, CLAIMS("")), KV_TOKEN_VALID);
    assert_prefixes(&identity.grants.read, "\"public/\"");
    assert_int_equal(verify(issuer, CLAIMS(",\"sub\":\"a/b\"")), KV_TOKEN_INVALID);
    issuer->destroy(issuer);
}

static void grants_in_a_token_count_only_if_the_claim_is_configured(void **state)
{
    struct kv_authenticator *issuer = create((struct kv_issuer_config){0});
    (void)state;
    assert_int_equal(verify(issuer, CLAIMS(",\"kv\":{\"read\":[\"\"],\"write\":[\"\"]}")),
                     KV_TOKEN_VALID);
    assert_true(kv_grants_are_none(&identity.grants));
    issuer->destroy(issuer);
}

static void grants_in_a_token_are_limited_to_at_most(void **state)
{
    static const struct kv_slice rooms[] = {{"room/a/", 7}, {"room/b/", 7}};
    struct kv_authenticator *issuer =
        create((struct kv_issuer_config){.read = {user_templates, 1},
                                         .claim = KV_SLICE("kv"),
                                         .at_most_read = {rooms, 2},
                                         .at_most_write = {rooms, 1}});
    (void)state;
    assert_int_equal(verify(issuer, CLAIMS(",\"kv\":{\"read\":[\"room/a/x/\",\"secret/\"]}")),
                     KV_TOKEN_VALID);
    assert_prefixes(&identity.grants.read, "\"public/\", \"room/a/x/\"");
    assert_int_equal(verify(issuer, CLAIMS(",\"kv\":{\"read\":[\"room/\"],\"write\":[\"\"]}")),
                     KV_TOKEN_VALID);
    assert_prefixes(&identity.grants.read, "\"public/\", \"room/a/\", \"room/b/\"");
    assert_prefixes(&identity.grants.write, "\"room/a/\"");
    issuer->destroy(issuer);
}

static void a_token_never_grants_admin(void **state)
{
    static const struct kv_slice every[] = {{"", 0}};
    struct kv_authenticator *issuer = create((struct kv_issuer_config){
        .claim = KV_SLICE("kv"), .at_most_read = {every, 1}, .at_most_write = {every, 1}});
    (void)state;
    assert_int_equal(verify(issuer, CLAIMS(",\"admin\":[\"metrics\"],"
                                           "\"kv\":{\"read\":[\"\"],\"admin\":[\"metrics\"]}")),
                     KV_TOKEN_VALID);
    assert_prefixes(&identity.grants.read, "\"\"");
    assert_int_equal(identity.grants.admin, 0);
    issuer->destroy(issuer);
}

static void malformed_claims_grant_nothing(void **state)
{
    static const char *const claims[] = {
        CLAIMS(",\"kv\":7"), CLAIMS(",\"kv\":[\"room/\"]"), CLAIMS(",\"kv\":{\"read\":\"room/\"}"),
        CLAIMS(",\"kv\":{\"read\":[7]}"), CLAIMS(",\"kv\":{\"read\":{\"room/\":1}}")};
    static const struct kv_slice rooms[] = {{"room/", 5}};
    struct kv_authenticator *issuer =
        create((struct kv_issuer_config){.claim = KV_SLICE("kv"), .at_most_read = {rooms, 1}});
    (void)state;
    for (size_t i = 0; i < N(claims); i++) {
        assert_int_equal(verify(issuer, claims[i]), KV_TOKEN_VALID);
        assert_true(kv_grants_are_none(&identity.grants));
    }
    issuer->destroy(issuer);
}

static void invalid_tokens_are_distinguished_from_unrelated_ones(void **state)
{
    struct kv_authenticator *issuer = create((struct kv_issuer_config){0});
    (void)state;
    assert_int_equal(verify(issuer, "{\"iss\":\"other\",\"exp\":2000}"), KV_TOKEN_UNRELATED);
    assert_int_equal(verify(issuer, "{\"exp\":2000}"), KV_TOKEN_UNRELATED);
    assert_int_equal(verify(issuer, "{\"iss\":\"" ISSUER "\",\"exp\":900}"), KV_TOKEN_INVALID);
    assert_string_equal(error.text, "the token has expired");
    assert_int_equal(issuer->verify(issuer, KV_SLICE("no-jwt"), 1000, &identity, &error),
                     KV_TOKEN_UNRELATED);
    issuer->destroy(issuer);
}

static void templates_are_checked(void **state)
{
    static const char *const good[] = {"", "a", "user/{sub}/", "{sub}/", "a/{sub}/b/{sub}/c"};
    static const char *const bad[] = {"{sub}",   "user/{sub}", "user/{sub}-x/",
                                      "{name}/", "a{",         "{sub}/{"};
    (void)state;
    for (size_t i = 0; i < N(good); i++)
        assert_int_equal(kv_template_check(kv_slice_of(good[i]), &error), 0);
    for (size_t i = 0; i < N(bad); i++)
        assert_int_equal(kv_template_check(kv_slice_of(bad[i]), &error), -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_subject_is_inserted_into_templates),
        cmocka_unit_test(subjects_that_are_paths_or_empty_are_refused),
        cmocka_unit_test(no_subject_is_needed_without_templates),
        cmocka_unit_test(grants_in_a_token_count_only_if_the_claim_is_configured),
        cmocka_unit_test(grants_in_a_token_are_limited_to_at_most),
        cmocka_unit_test(a_token_never_grants_admin),
        cmocka_unit_test(malformed_claims_grant_nothing),
        cmocka_unit_test(invalid_tokens_are_distinguished_from_unrelated_ones),
        cmocka_unit_test(templates_are_checked),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
