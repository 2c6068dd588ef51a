/* The option `max_bytes` of volatile stores: limit_test <name of the store>. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "module/module.h"

#define MAX_BYTES 100

static int64_t clock_ms;

static struct kv_loaded_module *module;
static const struct kv_store_ops *ops;

static int64_t host_now_ms(const struct kv_host *host)
{
    (void)host;
    return clock_ms;
}

/* A wall clock above the largest revision. */
static int64_t host_wall_us(const struct kv_host *host)
{
    (void)host;
    return INT64_MAX;
}

static uint64_t host_hash(const struct kv_store_host *host, struct kv_slice key)
{
    (void)host;
    (void)key;
    return 0;
}

static void host_changed(const struct kv_store_host *host, uint32_t part,
                         const struct kv_change *change)
{
    (void)host;
    (void)part;
    (void)change;
}

static void host_wake_at(const struct kv_store_host *host, uint32_t part, int64_t deadline_ms)
{
    (void)host;
    (void)part;
    (void)deadline_ms;
}

static const struct kv_store_host host = {
    .base = {.size = sizeof(host), .now_ms = host_now_ms, .wall_us = host_wall_us},
    .n_loops = 1,
    .hash = host_hash,
    .changed = host_changed,
    .wake_at = host_wake_at,
};

static int open_limited(void **state)
{
    struct kv_option_value options[] = {{.is_given = true, .integer = MAX_BYTES},
                                        {.boolean = true} /* memory: ordered */};
    struct kv_store *store;
    clock_ms = 0;
    if (ops->open(&host, options, &store, NULL) != 0)
        return -1;
    *state = store;
    return 0;
}

static int close_limited(void **state)
{
    ops->close(*state);
    return 0;
}

/* Sets `len` bytes, all of them `fill`. Returns: the completed command. */
static struct kv_cmd set_until(struct kv_store *store, const char *key, char fill, size_t len,
                               int64_t deadline_ms)
{
    char value[2 * MAX_BYTES];
    memset(value, fill, len);
    struct kv_cmd cmd = {.op = KV_OP_SET,
                         .key = kv_slice_of(key),
                         .value = {value, len},
                         .deadline_ms = deadline_ms};
    struct kv_cmd *cmds[] = {&cmd};
    ops->submit(store, 0, cmds, 1);
    return cmd;
}

static enum kv_status set(struct kv_store *store, const char *key, char fill, size_t len)
{
    return set_until(store, key, fill, len, KV_NEVER).status;
}

static size_t length_of(struct kv_store *store, const char *key)
{
    struct kv_cmd cmd = {.op = KV_OP_GET, .key = kv_slice_of(key)};
    struct kv_cmd *cmds[] = {&cmd};
    ops->submit(store, 0, cmds, 1);
    assert_int_equal(cmd.status, KV_OK);
    size_t len = cmd.item.value.len;
    ops->unref(store, cmd.item.ref);
    return len;
}

static void delete_key(struct kv_store *store, const char *key)
{
    struct kv_cmd cmd = {.op = KV_OP_DELETE, .key = kv_slice_of(key)};
    struct kv_cmd *cmds[] = {&cmd};
    ops->submit(store, 0, cmds, 1);
    assert_int_equal(cmd.status, KV_OK);
}

static void set_up_to_the_limit_fits(void **state)
{
    assert_int_equal(set(*state, "k", 'x', MAX_BYTES - 1), KV_OK);
}

static void set_beyond_the_limit_is_refused_and_changes_nothing(void **state)
{
    assert_int_equal(set(*state, "k", 'x', 50), KV_OK);
    assert_int_equal(set(*state, "k", 'y', MAX_BYTES), KV_FULL);
    assert_int_equal(set(*state, "l", 'x', 49), KV_FULL);
    assert_int_equal(length_of(*state, "k"), 50);
}

static void overwriting_counts_only_the_new_value(void **state)
{
    assert_int_equal(set(*state, "k", 'x', MAX_BYTES - 1), KV_OK);
    assert_int_equal(set(*state, "k", 'y', MAX_BYTES - 1), KV_OK);
    assert_int_equal(set(*state, "k", 'y', 9), KV_OK);
    assert_int_equal(set(*state, "l", 'x', MAX_BYTES - 11), KV_OK);
}

static void unchanged_set_needs_no_space(void **state)
{
    assert_int_equal(set(*state, "k", 'x', MAX_BYTES - 1), KV_OK);
    assert_int_equal(set(*state, "k", 'x', MAX_BYTES - 1), KV_UNCHANGED);
}

static void deleting_frees_space(void **state)
{
    assert_int_equal(set(*state, "k", 'x', MAX_BYTES - 1), KV_OK);
    delete_key(*state, "k");
    assert_int_equal(set(*state, "l", 'x', MAX_BYTES - 1), KV_OK);
}

static void expiry_frees_space(void **state)
{
    assert_int_equal(set_until(*state, "k", 'x', MAX_BYTES - 1, 5).status, KV_OK);
    clock_ms = 5;
    assert_int_equal(ops->expire(*state, 0, clock_ms, 1), KV_NEVER);
    assert_int_equal(set(*state, "l", 'x', MAX_BYTES - 1), KV_OK);
}

static void revisions_fit_53_bits_with_any_wall_clock(void **state)
{
    struct kv_cmd cmd = set_until(*state, "k", 'x', 1, KV_NEVER);
    assert_true(cmd.revision > 0 && cmd.revision <= KV_REVISION_MAX);
}

#define LIMIT_TEST(test) cmocka_unit_test_setup_teardown(test, open_limited, close_limited)

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        LIMIT_TEST(set_up_to_the_limit_fits),
        LIMIT_TEST(set_beyond_the_limit_is_refused_and_changes_nothing),
        LIMIT_TEST(overwriting_counts_only_the_new_value),
        LIMIT_TEST(unchanged_set_needs_no_space),
        LIMIT_TEST(deleting_frees_space),
        LIMIT_TEST(expiry_frees_space),
        LIMIT_TEST(revisions_fit_53_bits_with_any_wall_clock),
    };
    struct kv_error error = {.text = "which store?"};
    if (argc != 2 || kv_module_load(MODULES, KV_MODULE_STORE, argv[1], &module, &error) != 0) {
        fprintf(stderr, "%s\n", error.text);
        return 1;
    }
    ops = kv_module_store_ops(module);
    int n_failed = cmocka_run_group_tests(tests, NULL, NULL);
    kv_module_unload(module);
    return n_failed;
}
