/* Authenticates tokens as principals while the rules change. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "access/access.h"
#include "base/mem.h"

enum {
    NOW_S = 1000
};

static struct kv_access *access;
static struct kv_access_loop *here;
static struct kv_error error;

/* Accepts one token, `verified`, until a time. */
struct verifier {
    struct kv_authenticator base;
    int64_t expires_s;
    uint32_t n_asked;
};

static enum kv_verdict_on_token verify(struct kv_authenticator *self, struct kv_slice token,
                                       int64_t now_s, struct kv_identity *ret,
                                       struct kv_error *reterr)
{
    struct verifier *verifier = KV_CONTAINER(self, struct verifier, base);
    (void)now_s;
    verifier->n_asked++;
    if (!kv_slice_has_prefix(token, KV_SLICE("verified")))
        return KV_TOKEN_UNRELATED;
    if (!kv_slice_equals(token, KV_SLICE("verified"))) {
        kv_error_set(reterr, "the token is forged");
        return KV_TOKEN_INVALID;
    }
    kv_buffer_append(&ret->name, KV_SLICE("ann"));
    kv_buffer_append(&ret->issuer, KV_SLICE("https://id.example.org"));
    kv_prefixes_init(&ret->grants.read, &KV_SLICE("user/ann/"), 1);
    ret->expires_s = verifier->expires_s;
    return KV_TOKEN_VALID;
}

static void destroy(struct kv_authenticator *self)
{
    free(KV_CONTAINER(self, struct verifier, base));
}

static struct verifier *add_verifier(struct kv_rules *rules)
{
    struct verifier *verifier = kv_calloc(1, sizeof(*verifier));
    verifier->base = (struct kv_authenticator){.verify = verify, .destroy = destroy};
    rules->authenticators[0] = &verifier->base;
    return verifier;
}

/* Rules with one token, `secret`, of that name, which may read the keys below `prefix`. */
static struct kv_rules *rules_for(const char *name, const char *prefix)
{
    struct kv_rules *rules = kv_rules_create(1, 1);
    rules->tokens[0].name = kv_slice_of(kv_strdup(name));
    rules->tokens[0].has_digest = true;
    kv_token_digest(KV_SLICE("secret"), rules->tokens[0].digest);
    kv_prefixes_init(&rules->tokens[0].grants.read, &(struct kv_slice){prefix, strlen(prefix)}, 1);
    kv_prefixes_init(&rules->anonymous.read, &KV_SLICE("public/"), 1);
    add_verifier(rules);
    return rules;
}

static int set_up(void **state)
{
    (void)state;
    access = kv_access_create(rules_for("backend", "a/"), 2);
    here = kv_access_on(access, 0);
    error.text[0] = '\0';
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    kv_access_destroy(access);
    return 0;
}

static struct kv_principal *ask(const char *token)
{
    return kv_access_authenticate(here, kv_slice_of(token), NOW_S, &error);
}

static void revise(struct kv_rules *rules)
{
    kv_access_revise(access, rules);
    kv_access_take_up(here);
}

static struct verifier *verifier_of(const struct kv_access_loop *loop)
{
    return KV_CONTAINER(loop->rules->authenticators[0], struct verifier, base);
}

static bool may_read(const struct kv_principal *principal, const char *key)
{
    return kv_grants_cover(principal->grants, KV_RIGHT_READ, kv_slice_of(key));
}

static void without_rules_access_is_unlimited(void **state)
{
    (void)state;
    struct kv_rules *rules = kv_rules_create(0, 0);
    rules->are_configured = false;
    revise(rules);
    struct kv_principal *principal = kv_access_anonymous(here);
    assert_true(principal->is_unlimited);
    kv_principal_unref(principal);
}

static void principal_nobody_has_no_grants(void **state)
{
    (void)state;
    assert_false(kv_principal_nobody.is_unlimited);
    assert_true(kv_grants_are_none(kv_principal_nobody.grants));
}

static void client_without_a_token_is_anonymous(void **state)
{
    (void)state;
    struct kv_principal *principal = kv_access_anonymous(here);
    assert_int_equal(principal->kind, KV_PRINCIPAL_ANONYMOUS);
    assert_true(may_read(principal, "public/a"));
    assert_false(may_read(principal, "a/a"));
    kv_principal_unref(principal);
}

static void a_static_token_has_a_name_and_grants(void **state)
{
    (void)state;
    struct kv_principal *principal = ask("secret");
    assert_non_null(principal);
    assert_true(kv_slice_equals(principal->name, KV_SLICE("backend")));
    assert_true(may_read(principal, "a/a"));
    assert_false(may_read(principal, "b"));
    assert_false(kv_grants_cover(principal->grants, KV_RIGHT_WRITE, KV_SLICE("a/a")));
    kv_principal_unref(principal);
}

static void principal_of_a_token_is_shared(void **state)
{
    (void)state;
    struct kv_principal *first = ask("secret"), *second = ask("secret");
    assert_ptr_equal(first, second);
    kv_principal_unref(first);
    kv_principal_unref(second);
}

static void unknown_tokens_are_refused(void **state)
{
    (void)state;
    assert_null(ask("secre"));
    assert_string_equal(error.text, "the token is not known here");
    assert_null(ask("secret "));
    assert_null(ask(""));
    assert_null(ask("verified-not"));
    assert_string_equal(error.text, "the token is forged");
}

static void a_verified_token_is_verified_once(void **state)
{
    (void)state;
    for (int i = 0; i < 3; i++) {
        struct kv_principal *principal = ask("verified");
        assert_non_null(principal);
        assert_true(kv_slice_equals(principal->name, KV_SLICE("ann")));
        assert_true(may_read(principal, "user/ann/a"));
        kv_principal_unref(principal);
    }
    assert_int_equal(verifier_of(here)->n_asked, 1);
}

static void expired_token_is_refused_even_if_cached(void **state)
{
    (void)state;
    verifier_of(here)->expires_s = NOW_S + 1;
    kv_principal_unref(ask("verified"));
    assert_null(kv_access_authenticate(here, KV_SLICE("verified"), NOW_S + 1, &error));
    assert_string_equal(error.text, "the token has expired");
}

static void wall_clock_is_read_once_a_turn(void **state)
{
    int64_t turn_ns = 1;
    (void)state;
    kv_access_tell_turns(access, 0, &turn_ns);
    int64_t now_s = kv_access_now_s(here);
    here->clock_s = 7; /* as if that were long ago */
    assert_int_equal(kv_access_now_s(here), 7);
    turn_ns = 2;
    assert_true(kv_access_now_s(here) >= now_s);
    here->clock_s = 7;
    turn_ns = 0; /* between turns */
    assert_true(kv_access_now_s(here) >= now_s);
    kv_access_tell_turns(access, 0, NULL);
}

static void new_rules_change_the_grants(void **state)
{
    (void)state;
    struct kv_principal *before = ask("secret");
    revise(rules_for("backend", "b/"));
    assert_false(kv_access_is_current(here, before));
    struct kv_principal *after = kv_access_renew(here, before, NOW_S, &error);
    assert_non_null(after);
    assert_true(kv_access_is_current(here, after));
    assert_true(may_read(after, "b/"));
    assert_false(may_read(after, "a/"));
    assert_true(may_read(before, "a/")); /* a principal is immutable */
    kv_principal_unref(before);
    kv_principal_unref(after);
}

/* For example, the keys of an issuer have changed. */
static void reload_with_the_same_rules_verifies_tokens_again(void **state)
{
    (void)state;
    struct kv_principal *before = ask("verified");
    uint32_t n_asked = verifier_of(here)->n_asked;
    revise(NULL);
    assert_false(kv_access_is_current(here, before));
    struct kv_principal *after = kv_access_renew(here, before, NOW_S, &error);
    assert_int_equal(verifier_of(here)->n_asked, n_asked + 1);
    assert_true(kv_access_is_current(here, after));
    kv_principal_unref(before);
    kv_principal_unref(after);
}

static void a_removed_token_is_not_renewed(void **state)
{
    (void)state;
    struct kv_principal *before = ask("secret");
    revise(kv_rules_create(0, 0));
    assert_null(kv_access_renew(here, before, NOW_S, &error));
    kv_principal_unref(before);
}

static void a_renamed_token_is_not_renewed(void **state)
{
    (void)state;
    struct kv_principal *before = ask("secret");
    revise(rules_for("other", "a/"));
    assert_null(kv_access_renew(here, before, NOW_S, &error));
    kv_principal_unref(before);
}

static void a_loop_applies_the_old_rules_until_it_takes_up_new_ones(void **state)
{
    (void)state;
    kv_access_revise(access, kv_rules_create(0, 0));
    struct kv_principal *principal = ask("secret");
    assert_non_null(principal);
    kv_principal_unref(principal);
    kv_access_take_up(here);
    assert_null(ask("secret"));
    here = kv_access_on(access, 1);
    principal = ask("secret");
    assert_non_null(principal);
    kv_principal_unref(principal);
}

static void revocation_does_not_verify_tokens_again(void **state)
{
    struct kv_revocations *revocations = kv_revocations_create(KV_SLICE("auth/revoked/"));
    struct kv_slice key = KV_SLICE("auth/revoked/sub/https://id.example.org/ann");
    (void)state;
    kv_access_use_revocations(access, revocations);
    kv_revocations_end(revocations);
    struct kv_principal *principal = ask("verified");
    assert_int_equal(verifier_of(here)->n_asked, 1);
    kv_revocations_note(revocations, KV_SLICE("auth/revoked/jti/other"), true);
    kv_access_recheck(access);
    kv_access_take_up(here);
    assert_false(kv_access_is_current(here, principal));
    struct kv_principal *same = kv_access_renew(here, principal, NOW_S, &error);
    assert_ptr_equal(same, principal);
    assert_true(kv_access_is_current(here, principal));
    kv_principal_unref(same);
    kv_revocations_note(revocations, key, true);
    kv_access_recheck(access);
    kv_access_take_up(here);
    assert_null(kv_access_renew(here, principal, NOW_S, &error));
    assert_string_equal(error.text, "the token has been revoked");
    assert_null(ask("verified"));
    kv_revocations_note(revocations, key, false);
    same = ask("verified");
    assert_non_null(same);
    assert_int_equal(verifier_of(here)->n_asked, 1);
    kv_principal_unref(same);
    kv_principal_unref(principal);
    kv_access_use_revocations(access, NULL);
    kv_revocations_destroy(revocations);
}

static void no_verified_principal_is_let_in_while_revocations_are_lost(void **state)
{
    struct kv_revocations *revocations = kv_revocations_create(KV_SLICE("auth/revoked/"));
    (void)state;
    kv_access_use_revocations(access, revocations);
    kv_revocations_end(revocations);
    struct kv_principal *principal = ask("verified");
    kv_revocations_lose(revocations);
    assert_null(ask("verified"));
    assert_string_equal(error.text, KV_UNSURE_TEXT);
    kv_access_recheck(access);
    kv_access_take_up(here);
    assert_null(kv_access_renew(here, principal, NOW_S, &error));
    struct kv_principal *fixed = ask("secret");
    assert_non_null(fixed);
    kv_principal_unref(fixed);
    kv_revocations_begin(revocations);
    assert_null(ask("verified"));
    kv_revocations_end(revocations);
    struct kv_principal *same = ask("verified");
    assert_ptr_equal(same, principal);
    kv_principal_unref(same);
    kv_principal_unref(principal);
    kv_access_use_revocations(access, NULL);
    kv_revocations_destroy(revocations);
}

static bool is_revoked(struct kv_revocations *revocations, const char *id)
{
    return kv_revocations_have(revocations, kv_slice_of(id), (struct kv_slice){0},
                               (struct kv_slice){0});
}

static void keys_that_are_not_read_again_are_forgotten(void **state)
{
    struct kv_revocations *revocations = kv_revocations_create(KV_SLICE("r/"));
    (void)state;
    kv_revocations_begin(revocations);
    kv_revocations_read(revocations, KV_SLICE("r/jti/gone"));
    kv_revocations_read(revocations, KV_SLICE("r/jti/kept"));
    assert_false(kv_revocations_end(revocations));
    kv_revocations_begin(revocations);
    kv_revocations_read(revocations, KV_SLICE("r/jti/kept"));
    kv_revocations_note(revocations, KV_SLICE("r/jti/new"), true);
    assert_true(is_revoked(revocations, "gone")); /* until the end, as it is not known */
    assert_false(kv_revocations_end(revocations));
    assert_false(is_revoked(revocations, "gone"));
    assert_true(is_revoked(revocations, "kept"));
    assert_true(is_revoked(revocations, "new"));
    kv_revocations_destroy(revocations);
}

/* A page may have been read before the change. So it is not read again for each removal, of which
 * there may be some all the time. */
static void changes_during_a_reading_are_newer_than_its_pages(void **state)
{
    struct kv_revocations *revocations = kv_revocations_create(KV_SLICE("r/"));
    (void)state;
    kv_revocations_begin(revocations);
    kv_revocations_note(revocations, KV_SLICE("r/jti/gone"), false);
    kv_revocations_note(revocations, KV_SLICE("r/jti/back"), false);
    kv_revocations_read(revocations, KV_SLICE("r/jti/gone"));
    assert_false(is_revoked(revocations, "gone"));
    kv_revocations_note(revocations, KV_SLICE("r/jti/back"), true);
    kv_revocations_read(revocations, KV_SLICE("r/jti/back"));
    assert_false(kv_revocations_end(revocations));
    assert_false(is_revoked(revocations, "gone"));
    assert_true(is_revoked(revocations, "back"));
    kv_revocations_begin(revocations);
    kv_revocations_read(revocations, KV_SLICE("r/jti/gone")); /* it was set, which was missed */
    assert_false(kv_revocations_end(revocations));
    assert_true(is_revoked(revocations, "gone"));
    assert_false(is_revoked(revocations, "back"));
    kv_revocations_destroy(revocations);
}

/* The memory for them is bounded. */
static void very_many_removals_during_a_reading_demand_another_one(void **state)
{
    enum {
        MANY = 100000
    };
    struct kv_revocations *revocations = kv_revocations_create(KV_SLICE("r/"));
    char key[32];
    (void)state;
    for (int reading = 0; reading < 2; reading++) {
        kv_revocations_begin(revocations);
        kv_revocations_note(revocations, KV_SLICE("r/jti/kept"), true);
        for (int i = 0; i < MANY; i++) {
            snprintf(key, sizeof(key), "r/jti/%d", i);
            kv_revocations_note(revocations, kv_slice_of(key), false);
        }
        assert_true(kv_revocations_end(revocations));
        assert_false(is_revoked(revocations, "1"));
        assert_true(is_revoked(revocations, "kept"));
    }
    kv_revocations_begin(revocations);
    assert_false(kv_revocations_end(revocations));
    assert_false(is_revoked(revocations, "kept"));
    kv_revocations_destroy(revocations);
}

/* A subject may have been revoked before the store was read. */
static void no_verified_principal_is_let_in_until_revocations_are_known(void **state)
{
    struct kv_revocations *revocations = kv_revocations_create(KV_SLICE("auth/revoked/"));
    (void)state;
    kv_access_use_revocations(access, revocations);
    assert_null(ask("verified"));
    assert_string_equal(error.text, KV_UNSURE_TEXT);
    struct kv_principal *fixed = ask("secret");
    assert_true(kv_access_is_current(here, fixed));
    kv_revocations_end(revocations);
    struct kv_principal *principal = ask("verified");
    assert_true(kv_access_is_current(here, principal));
    kv_principal_unref(principal);
    kv_principal_unref(fixed);
    kv_access_use_revocations(access, NULL);
    kv_revocations_destroy(revocations);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(without_rules_access_is_unlimited),
        TEST(principal_nobody_has_no_grants),
        TEST(client_without_a_token_is_anonymous),
        TEST(a_static_token_has_a_name_and_grants),
        TEST(principal_of_a_token_is_shared),
        TEST(unknown_tokens_are_refused),
        TEST(a_verified_token_is_verified_once),
        TEST(expired_token_is_refused_even_if_cached),
        TEST(wall_clock_is_read_once_a_turn),
        TEST(new_rules_change_the_grants),
        TEST(reload_with_the_same_rules_verifies_tokens_again),
        TEST(a_removed_token_is_not_renewed),
        TEST(a_renamed_token_is_not_renewed),
        TEST(a_loop_applies_the_old_rules_until_it_takes_up_new_ones),
        TEST(revocation_does_not_verify_tokens_again),
        TEST(no_verified_principal_is_let_in_while_revocations_are_lost),
        TEST(keys_that_are_not_read_again_are_forgotten),
        TEST(changes_during_a_reading_are_newer_than_its_pages),
        TEST(very_many_removals_during_a_reading_demand_another_one),
        TEST(no_verified_principal_is_let_in_until_revocations_are_known),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
