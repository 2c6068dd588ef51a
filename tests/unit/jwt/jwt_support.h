/* Shared by the tests of tokens. */
#ifndef KV_TESTS_JWT_SUPPORT_H
#define KV_TESTS_JWT_SUPPORT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "jwt/verify.h"
#include "support/jwt/signer.h"

#define N(array) (sizeof(array) / sizeof((array)[0]))

#define ISSUER "https://id.example.org"
#define SECRET "0123456789abcdef0123456789abcdef"
#define CLAIMS "{\"iss\":\"" ISSUER "\",\"exp\":2000}"

enum {
    NOW_S = 1000
};

static inline struct kv_jwt_policy allow(uint32_t algorithms)
{
    return (struct kv_jwt_policy){.issuer = KV_SLICE(ISSUER), .algorithms = algorithms};
}

static const uint32_t every_algorithm = (1u << KV_JWT_N_ALGORITHMS) - 1;

static inline enum kv_jwt_verdict judge(const char *text, const struct kv_jwt_policy *policy,
                                        const struct kv_jwt_key_set *keys, int64_t now_s)
{
    struct kv_jwt_token *token;
    enum kv_jwt_verdict verdict = kv_jwt_token_read(kv_slice_of(text), &token);
    if (verdict != KV_JWT_GOOD)
        return verdict;
    verdict = kv_jwt_verify(token, policy, keys, now_s);
    kv_jwt_token_destroy(token);
    return verdict;
}

/* Owns: the caller, one reference. */
static inline struct kv_jwt_key_set *parse_set(const char *text)
{
    struct kv_jwt_key_set *set;
    struct kv_buffer notes = {0};
    struct kv_error error;
    if (kv_jwt_key_set_parse(kv_slice_of(text), &set, &notes, &error) != 0)
        fail_msg("%s", error.text);
    kv_buffer_fini(&notes);
    return set;
}

static inline struct kv_jwt_key_set *publish(struct kv_test_signer *const *signers, size_t n)
{
    char *text = kv_test_signers_jwks(signers, n);
    struct kv_jwt_key_set *set = parse_set(text);
    free(text);
    return set;
}

static inline struct kv_jwt_key_set *secret_set(struct kv_slice secret)
{
    struct kv_jwt_key_set *set;
    assert_int_equal(kv_jwt_key_set_from_secret(secret, &set, NULL), 0);
    return set;
}

#endif
