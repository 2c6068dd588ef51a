/*
 * ttl_contract <module.so> [options as YAML]: what kvserver/ttl.h requires of every policy.
 */
#include <kvserver/store.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "support/module/opened.h"

enum {
    N_THREADS = 4,
    ROUNDS = 20000
};

static struct kv_test_module module;
static const struct kv_ttl_ops *ops;
static bool renews;

static struct kv_ttl *open_policy(void)
{
    struct kv_ttl *policy = NULL;
    struct kv_error error;
    if (ops->open(&module.host, module.options, &policy, &error) != 0)
        fail_msg("%s", error.text);
    assert_non_null(policy);
    return policy;
}

static const struct kv_slice keys[] = {
    {"", 0}, {"a", 1}, {"a\0b", 3}, {"\xc3\xa4", 2}, {"session:1", 9},
};
static const int64_t ttls_ms[] = {0, 1, 999, 1000, 3600000, KV_TTL_MAX_MS - 1, KV_TTL_MAX_MS};

#define N(array) (sizeof(array) / sizeof((array)[0]))

static void check_write(struct kv_ttl *policy, struct kv_slice key, bool is_given, int64_t ttl_ms)
{
    struct kv_ttl_write write = {.key = key, .is_given = is_given, .ttl_ms = ttl_ms};
    ops->on_write(policy, &write);
    assert_true(write.ttl_ms >= 0);
    assert_true(write.ttl_ms <= KV_TTL_MAX_MS);
    assert_true(kv_slice_equals(write.key, key));
    assert_int_equal(write.is_given, is_given);
}

static void check_read(struct kv_ttl *policy, struct kv_slice key, int64_t now_ms, int64_t left_ms)
{
    int64_t deadline_ms = left_ms == 0 ? KV_NEVER : now_ms + left_ms;
    struct kv_ttl_read read = {.key = key, .now_ms = now_ms, .deadline_ms = deadline_ms};
    if (!renews)
        return;
    ops->on_read(policy, &read);
    assert_int_equal(read.now_ms, now_ms);
    assert_true(read.deadline_ms == KV_NEVER || read.deadline_ms > now_ms);
    assert_true(read.deadline_ms == KV_NEVER || read.deadline_ms <= now_ms + KV_TTL_MAX_MS);
}

static void check_all(struct kv_ttl *policy)
{
    for (size_t key = 0; key < N(keys); key++)
        for (size_t ttl = 0; ttl < N(ttls_ms); ttl++) {
            check_write(policy, keys[key], true, ttls_ms[ttl]);
            check_read(policy, keys[key], 1000, ttls_ms[ttl]);
        }
    for (size_t key = 0; key < N(keys); key++)
        check_write(policy, keys[key], false, 0);
}

static void decisions_are_ttls(void **state)
{
    (void)state;
    struct kv_ttl *policy = open_policy();
    check_all(policy);
    ops->close(policy);
}

static void policy_that_renews_has_on_read(void **state)
{
    (void)state;
    if (!renews)
        skip(); /* the policy does not renew */
    assert_non_null(ops->on_read);
}

static void one_module_is_opened_several_times(void **state)
{
    (void)state;
    struct kv_ttl *one = open_policy(), *other = open_policy();
    assert_ptr_not_equal(one, other);
    ops->close(one);
    check_all(other);
    ops->close(other);
}

/* check() finds no faults in accepted options, even while a policy is open with them. */
static void add_fault(const struct kv_faults *faults, const char *option, const char *format, ...)
{
    (void)faults;
    fail_msg("%s: %s", option, format);
}

static void check_finds_no_faults_in_accepted_options(void **state)
{
    const struct kv_faults faults = {.size = sizeof(faults), .add = add_fault};
    (void)state;
    if (ops->check == NULL)
        skip(); /* the schema covers everything */
    struct kv_ttl *policy = open_policy();
    ops->check(module.options, &faults);
    ops->close(policy);
}

static void *run_rounds(void *policy)
{
    for (int i = 0; i < ROUNDS / (int)N(keys); i++)
        check_all(policy);
    return NULL;
}

static void many_loops_ask_at_once(void **state)
{
    (void)state;
    struct kv_ttl *policy = open_policy();
    pthread_t threads[N_THREADS];
    for (int i = 0; i < N_THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, run_rounds, policy), 0);
    for (int i = 0; i < N_THREADS; i++)
        pthread_join(threads[i], NULL);
    ops->close(policy);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(decisions_are_ttls),
        cmocka_unit_test(policy_that_renews_has_on_read),
        cmocka_unit_test(one_module_is_opened_several_times),
        cmocka_unit_test(check_finds_no_faults_in_accepted_options),
        cmocka_unit_test(many_loops_ask_at_once),
    };
    struct kv_error error;
    if (argc < 2) {
        fprintf(stderr, "usage: %s <module.so> [options as YAML]\n", argv[0]);
        return 2;
    }
    if (kv_test_module_load(&module, argv[1], KV_MODULE_TTL, argc > 2 ? argv[2] : "", &error) !=
        0) {
        fprintf(stderr, "%s\n", error.text);
        return 1;
    }
    ops = kv_module_ttl_ops(module.module);
    renews = (module.module->identity->capabilities & KV_TTL_RENEWS) != 0;
    int n_failed = cmocka_run_group_tests(tests, NULL, NULL);
    kv_test_module_unload(&module);
    return n_failed == 0 ? 0 : 1;
}
