/* The decisions of each TTL policy. policies_test: tests the modules in the build's folder. */
#include <kvserver/store.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "support/module/opened.h"

#define NONE  (-1) /* no TTL given */
#define HOUR  INT64_C(3600000)
#define START INT64_C(1000000)

struct policy {
    struct kv_test_module module;
    const struct kv_ttl_ops *ops;
    struct kv_ttl *policy;
};

static int try_open(struct policy *policy, const char *name, const char *options,
                    struct kv_error *reterr)
{
    char path[512];
    snprintf(path, sizeof(path), MODULES "/ttl/%s.so", name);
    if (kv_test_module_load(&policy->module, path, KV_MODULE_TTL, options, reterr) != 0)
        return -1;
    policy->ops = kv_module_ttl_ops(policy->module.module);
    if (policy->ops->open(&policy->module.host, policy->module.options, &policy->policy, reterr) ==
        0)
        return 0;
    kv_test_module_unload(&policy->module);
    return -1;
}

static void open_policy(struct policy *policy, const char *name, const char *options)
{
    struct kv_error error;
    if (try_open(policy, name, options, &error) != 0)
        fail_msg("%s", error.text);
}

static void close_policy(struct policy *policy)
{
    policy->ops->close(policy->policy);
    kv_test_module_unload(&policy->module);
}

static int64_t write_ttl(const struct policy *policy, const char *key, int64_t ttl_ms)
{
    struct kv_ttl_write write = {
        .key = kv_slice_of(key), .is_given = ttl_ms != NONE, .ttl_ms = ttl_ms == NONE ? 0 : ttl_ms};
    policy->ops->on_write(policy->policy, &write);
    return write.ttl_ms;
}

static int64_t read_deadline(const struct policy *policy, const char *key, int64_t deadline_ms)
{
    struct kv_ttl_read read = {
        .key = kv_slice_of(key), .now_ms = START, .deadline_ms = deadline_ms};
    policy->ops->on_read(policy->policy, &read);
    return read.deadline_ms;
}

static void expect_refused(const char *name, const char *options, const char *part)
{
    struct policy policy;
    struct kv_error error;
    assert_int_equal(try_open(&policy, name, options, &error), -1);
    if (strstr(error.text, part) == NULL)
        fail_msg("\"%s\" is not in: %s", part, error.text);
}

/* ---- bounded ---- */

static void default_applies_to_writes_without_a_ttl(void **state)
{
    (void)state;
    struct policy policy;
    open_policy(&policy, "bounded", "default: 1h");
    assert_int_equal(write_ttl(&policy, "k", NONE), HOUR);
    assert_int_equal(write_ttl(&policy, "k", 0), 0);
    assert_int_equal(write_ttl(&policy, "k", 5), 5);
    assert_int_equal(write_ttl(&policy, "k", KV_TTL_MAX_MS), KV_TTL_MAX_MS);
    close_policy(&policy);
}

static void bounds_apply_to_all_writes(void **state)
{
    (void)state;
    struct policy policy;
    open_policy(&policy, "bounded", "minimum: 1s, maximum: 1h");
    assert_int_equal(write_ttl(&policy, "k", 1), 1000);
    assert_int_equal(write_ttl(&policy, "k", 1000), 1000);
    assert_int_equal(write_ttl(&policy, "k", HOUR), HOUR);
    assert_int_equal(write_ttl(&policy, "k", HOUR + 1), HOUR);
    assert_int_equal(write_ttl(&policy, "k", 0), HOUR);
    assert_int_equal(write_ttl(&policy, "k", NONE), HOUR);
    close_policy(&policy);
}

static void minimum_does_not_affect_writes_without_expiry(void **state)
{
    (void)state;
    struct policy policy;
    open_policy(&policy, "bounded", "minimum: 1s");
    assert_int_equal(write_ttl(&policy, "k", 0), 0);
    assert_int_equal(write_ttl(&policy, "k", NONE), 0);
    close_policy(&policy);
}

static void policy_applies_only_to_its_prefixes(void **state)
{
    (void)state;
    struct policy policy;
    open_policy(&policy, "bounded", "default: 1h, prefixes: ['s:', 't:']");
    assert_int_equal(write_ttl(&policy, "s:", NONE), HOUR);
    assert_int_equal(write_ttl(&policy, "t:x", NONE), HOUR);
    assert_int_equal(write_ttl(&policy, "s", NONE), 0);
    assert_int_equal(write_ttl(&policy, "", NONE), 0);
    close_policy(&policy);
}

static void bounds_that_exclude_each_other_are_refused(void **state)
{
    (void)state;
    expect_refused("bounded", "", "one of default, minimum and maximum");
    expect_refused("bounded", "minimum: 2s, maximum: 1s",
                   "minimum: 2000 ms is longer than maximum");
    expect_refused("bounded", "default: 1ms, minimum: 1s", "default: 1 ms is shorter than minimum");
    expect_refused("bounded", "default: 1h, maximum: 1s", "longer than maximum");
}

/* ---- sliding ---- */

static void read_renews_existing_deadlines(void **state)
{
    (void)state;
    struct policy policy;
    open_policy(&policy, "sliding", "ttl: 1h, step: 1m, prefixes: [k]");
    assert_int_equal(read_deadline(&policy, "k", START + 1), START + HOUR);
    assert_int_equal(read_deadline(&policy, "k", START + HOUR - 60000), START + HOUR);
    assert_int_equal(read_deadline(&policy, "k", KV_NEVER), KV_NEVER);
    assert_int_equal(read_deadline(&policy, "other", START + 1), START + 1);
    close_policy(&policy);
}

static void deadline_is_not_moved_by_less_than_a_step(void **state)
{
    (void)state;
    struct policy policy;
    open_policy(&policy, "sliding", "ttl: 1h, step: 1m");
    assert_int_equal(read_deadline(&policy, "k", START + HOUR - 59999), START + HOUR - 59999);
    assert_int_equal(read_deadline(&policy, "k", START + 2 * HOUR), START + 2 * HOUR);
    close_policy(&policy);
}

static void write_without_a_ttl_gets_the_sliding_one(void **state)
{
    (void)state;
    struct policy policy;
    open_policy(&policy, "sliding", "ttl: 1h");
    assert_int_equal(write_ttl(&policy, "k", NONE), HOUR);
    assert_int_equal(write_ttl(&policy, "k", 0), 0);
    assert_int_equal(write_ttl(&policy, "k", 7), 7);
    close_policy(&policy);
}

static void sliding_options_that_cannot_keep_a_key_are_refused(void **state)
{
    (void)state;
    expect_refused("sliding", "", "ttl");
    expect_refused("sliding", "ttl: 0", "ttl");
    expect_refused("sliding", "ttl: 1m, step: 1m", "step: 60000 ms is not shorter than ttl");
}

/* ---- jitter ---- */

static void jitter_shortens_by_up_to_its_percentage(void **state)
{
    (void)state;
    enum {
        DRAWS = 10000
    };
    struct policy policy;
    int64_t least = HOUR, most = 0, sum = 0;
    open_policy(&policy, "jitter", "percent: 20");
    for (int i = 0; i < DRAWS; i++) {
        int64_t ttl_ms = write_ttl(&policy, "k", HOUR);
        least = ttl_ms < least ? ttl_ms : least;
        most = ttl_ms > most ? ttl_ms : most;
        sum += ttl_ms;
    }
    assert_true(least >= HOUR / 5 * 4 && least < HOUR / 100 * 81);
    assert_true(most <= HOUR && most > HOUR / 100 * 99);
    assert_true(sum / DRAWS > HOUR / 100 * 88 && sum / DRAWS < HOUR / 100 * 92);
    close_policy(&policy);
}

static void jitter_neither_adds_nor_removes_a_ttl(void **state)
{
    (void)state;
    struct policy policy;
    open_policy(&policy, "jitter", "percent: 90, prefixes: [k]");
    assert_int_equal(write_ttl(&policy, "k", 0), 0);
    assert_int_equal(write_ttl(&policy, "k", NONE), 0);
    assert_int_equal(write_ttl(&policy, "other", HOUR), HOUR);
    for (int i = 0; i < 1000; i++)
        assert_true(write_ttl(&policy, "k", 1) == 1);
    close_policy(&policy);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(default_applies_to_writes_without_a_ttl),
        cmocka_unit_test(bounds_apply_to_all_writes),
        cmocka_unit_test(minimum_does_not_affect_writes_without_expiry),
        cmocka_unit_test(policy_applies_only_to_its_prefixes),
        cmocka_unit_test(bounds_that_exclude_each_other_are_refused),
        cmocka_unit_test(read_renews_existing_deadlines),
        cmocka_unit_test(deadline_is_not_moved_by_less_than_a_step),
        cmocka_unit_test(write_without_a_ttl_gets_the_sliding_one),
        cmocka_unit_test(sliding_options_that_cannot_keep_a_key_are_refused),
        cmocka_unit_test(jitter_shortens_by_up_to_its_percentage),
        cmocka_unit_test(jitter_neither_adds_nor_removes_a_ttl),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
