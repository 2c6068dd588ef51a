/*
 * The store memory when memory runs out, and when all hashes collide, with order and without. All
 * keys are in one shard, so that a few thousand make its table and its index grow, split, merge and
 * shrink.
 *
 * Each command is tried with its first allocation failing, then with its second, and so on until
 * none fails: each failed command must change nothing.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "allocation.h"
#include "shards.h"

#include <kvserver/module.h>

enum {
    KEYS = 3000,
    COLLIDING = 1500
};

const struct kv_module *kv_module_entry(void);

static const struct kv_store_ops *ops;
static struct kv_store *store;
static int64_t now_ms;
static size_t n_changes;
static bool hash_is_useless;
static struct kv_option_value options[] = {{.integer = 0}, {.boolean = true /* ordered */}};

/* ---- the host ---- */

static int64_t host_now_ms(const struct kv_host *host)
{
    (void)host;
    return now_ms;
}

static int64_t host_wall_us(const struct kv_host *host)
{
    (void)host;
    return 1;
}

static uint64_t mix(uint64_t z)
{
    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return z ^ z >> 31;
}

/* The inverse of table_hash() on `spread`. */
static uint64_t inverse_of(uint64_t spread)
{
    uint64_t hash = spread * UINT64_C(0xf1de83e19937733d); /* 1 / 0x9e3779b97f4a7c15 */
    return hash ^ hash >> 32;
}

/* Keys are numbers; all of them fall into the first shard. */
static uint64_t hash_of(struct kv_slice key)
{
    char text[16] = "";
    memcpy(text, key.bytes, key.len);
    return inverse_of(hash_is_useless ? 0 : mix((uint64_t)atoi(text)) >> SHARD_BITS);
}

static uint64_t host_hash(const struct kv_store_host *host, struct kv_slice key)
{
    (void)host;
    return hash_of(key);
}

static void host_changed(const struct kv_store_host *host, uint32_t part,
                         const struct kv_change *change)
{
    (void)host;
    (void)part;
    (void)change;
    n_changes++;
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

static int open_store(void **state)
{
    (void)state;
    failing_allocation = 0;
    n_changes = 0;
    now_ms = 1000;
    hash_is_useless = false;
    ops = kv_module_entry()->ops;
    return ops->open(&host, options, &store, NULL);
}

static int close_store(void **state)
{
    (void)state;
    failing_allocation = 0;
    ops->close(store);
    return 0;
}

/* ---- commands ---- */

static enum kv_status give_value(struct kv_cmd *cmd, const struct kv_item *old,
                                 struct kv_slice *ret_value)
{
    (void)old;
    *ret_value = cmd->value;
    return KV_OK;
}

static struct kv_cmd make(enum kv_op op, int number, const char *value, int64_t deadline_ms)
{
    static char key[16];
    snprintf(key, sizeof(key), "%d", number);
    return (struct kv_cmd){.op = op,
                           .key = kv_slice_of(key),
                           .hash = hash_of(kv_slice_of(key)),
                           .value = kv_slice_of(value),
                           .compute = give_value,
                           .deadline_ms = deadline_ms};
}

static void submit(struct kv_cmd *cmd)
{
    struct kv_cmd *cmds[] = {cmd};
    ops->submit(store, 0, cmds, 1);
}

/* The first byte of the value; 0: missing. */
static char value_of(int number)
{
    struct kv_cmd cmd = make(KV_OP_GET, number, "", KV_NEVER);
    submit(&cmd);
    char first = cmd.status == KV_OK ? cmd.item.value.bytes[0] : '\0';
    if (cmd.item.ref != NULL)
        ops->unref(store, cmd.item.ref);
    return first;
}

/* Runs the command until no allocation fails. Returns: the number of failures. */
static size_t run(enum kv_op op, int number, const char *value, int64_t deadline_ms,
                  enum kv_status expected)
{
    char before = value_of(number);
    size_t changes_before = n_changes;
    for (size_t n = 1;; n++) {
        struct kv_cmd cmd = make(op, number, value, deadline_ms);
        failing_allocation = n;
        submit(&cmd);
        bool has_failed = failing_allocation == 0;
        failing_allocation = 0;
        if (cmd.status == expected) /* no allocation failed, or only an optional one */
            return n - 1;
        assert_true(has_failed);
        assert_int_equal(cmd.status, KV_FULL);
        assert_int_equal(value_of(number), before);
        assert_int_equal(n_changes, changes_before);
    }
}

static void assert_behind(char last[16], struct kv_slice key)
{
    if (options[1].boolean && last[0] != '\0')
        assert_true(kv_slice_compare(kv_slice_of(last), key) < 0);
    memset(last, 0, 16);
    memcpy(last, key.bytes, key.len);
}

/* If the store has an order, keys are returned in it. */
static size_t count_by_scan(void)
{
    char last[16] = "";
    struct kv_scan_entry entries[100];
    struct kv_scan scan = {.entries = entries, .capacity = 100};
    size_t n = 0;
    void *cursor_ref = NULL;
    do {
        ops->scan(store, 0, &scan);
        assert_int_equal(scan.status, KV_OK);
        for (uint32_t i = 0; i < scan.n; i++) {
            assert_behind(last, entries[i].key);
            ops->unref(store, entries[i].item.ref);
        }
        n += scan.n;
        if (cursor_ref != NULL)
            ops->unref(store, cursor_ref);
        scan.cursor = scan.next;
        cursor_ref = scan.next_ref;
    } while (scan.cursor.len != 0);
    return n;
}

/* ---- the tests ---- */

static void opening_without_memory_fails_with_a_message(void **state)
{
    struct kv_store *another;
    size_t n_failed = 0;
    int failed = -1;
    (void)state;
    for (size_t n = 1; failed != 0; n++) {
        struct kv_error error = {.text = ""};
        failing_allocation = n;
        failed = ops->open(&host, options, &another, &error);
        failing_allocation = 0;
        if (failed != 0) {
            assert_string_equal(error.text, "store memory: no memory");
            n_failed++;
        }
    }
    assert_true(n_failed > N_SHARDS);
    ops->close(another);
}

static void write_without_memory_changes_nothing(void **state)
{
    size_t n_failed = 0;
    (void)state;
    for (int i = 0; i < KEYS; i++)
        n_failed +=
            run(KV_OP_SET, i, i % 2 == 0 ? "a" : "b", i % 3 == 0 ? 5000 + i : KV_NEVER, KV_OK);
    assert_true(n_failed >= KEYS);
    for (int i = 0; i < KEYS; i++)
        assert_int_equal(value_of(i), i % 2 == 0 ? 'a' : 'b');
    assert_int_equal(count_by_scan(), KEYS);
}

static void update_without_memory_changes_nothing(void **state)
{
    (void)state;
    for (int i = 0; i < KEYS; i++)
        assert_true(run(KV_OP_UPDATE, i, "a", i % 3 == 0 ? 5000 + i : KV_NEVER, KV_OK) > 0);
    for (int i = 0; i < KEYS; i++)
        assert_true(run(KV_OP_UPDATE, i, "b", i % 2 == 0 ? 5000 + i : KV_NEVER, KV_OK) > 0);
    assert_int_equal(count_by_scan(), KEYS);
    now_ms = 5000 + KEYS;
    assert_int_equal(count_by_scan(), KEYS / 2);
}

static void deadline_without_memory_changes_nothing(void **state)
{
    (void)state;
    run(KV_OP_SET, 1, "a", KV_NEVER, KV_OK);
    assert_true(run(KV_OP_TOUCH, 1, "", 2000, KV_OK) > 0);
    run(KV_OP_SET, 2, "a", KV_NEVER, KV_OK);
    assert_true(run(KV_OP_SET, 2, "a", 3000, KV_UNCHANGED) > 0);
    now_ms = 2000;
    assert_int_equal(value_of(1), '\0');
    assert_int_equal(value_of(2), 'a');
    now_ms = 3000;
    assert_int_equal(value_of(2), '\0');
}

static void keys_can_be_deleted_without_memory(void **state)
{
    (void)state;
    for (int i = 0; i < KEYS; i++)
        run(KV_OP_SET, i, "a", KV_NEVER, KV_OK);
    for (int i = 0; i < KEYS; i++)
        run(KV_OP_DELETE, i, "", KV_NEVER, KV_OK);
    assert_int_equal(count_by_scan(), 0);
    assert_int_equal(n_changes, 2 * KEYS);
}

static void keys_expire_without_memory(void **state)
{
    (void)state;
    for (int i = 0; i < KEYS; i++)
        run(KV_OP_SET, i, "a", 2000 + i, KV_OK);
    now_ms = 2000 + KEYS;
    for (int calls = 0; n_changes < 2 * KEYS; calls++) {
        assert_true(calls < 2 * KEYS);
        failing_allocation = calls % 3 + 1;
        ops->expire(store, 0, now_ms, 8);
        failing_allocation = 0;
    }
    assert_int_equal(ops->expire(store, 0, now_ms, 8), KV_NEVER);
    assert_int_equal(count_by_scan(), 0);
}

static void scan_without_memory_is_full_and_keeps_no_reference(void **state)
{
    struct kv_scan_entry entries[10];
    (void)state;
    for (int i = 0; i < 100; i++)
        run(KV_OP_SET, i, "a", KV_NEVER, KV_OK);
    for (size_t n = 1;; n++) {
        struct kv_scan scan = {.entries = entries, .capacity = 10};
        failing_allocation = n;
        ops->scan(store, 0, &scan);
        failing_allocation = 0;
        if (scan.status == KV_OK) {
            assert_true(n > 1);
            assert_int_equal(scan.n, 10);
            for (uint32_t i = 0; i < scan.n; i++)
                ops->unref(store, entries[i].item.ref);
            ops->unref(store, scan.next_ref);
            return;
        }
        assert_int_equal(scan.status, KV_FULL);
        assert_int_equal(scan.n, 0);
    }
}

/* Such keys cannot be constructed, but a defect in the hash must cost only time. */
static void keys_with_equal_hashes_are_distinguished(void **state)
{
    (void)state;
    hash_is_useless = true;
    for (int i = 0; i < COLLIDING; i++)
        run(KV_OP_SET, i, i % 2 == 0 ? "a" : "b", KV_NEVER, KV_OK);
    for (int i = 0; i < COLLIDING; i++)
        assert_int_equal(value_of(i), i % 2 == 0 ? 'a' : 'b');
    assert_int_equal(count_by_scan(), COLLIDING);
    for (int i = 0; i < COLLIDING; i += 3) /* another entry for a third of them */
        run(KV_OP_SET, i, "c", i % 2 == 0 ? 2000 : KV_NEVER, KV_OK);
    for (int i = 1; i < COLLIDING; i += 3)
        run(KV_OP_TOUCH, i, "", 3000, KV_OK);
    assert_int_equal(count_by_scan(), COLLIDING);
    for (int i = 0; i < COLLIDING; i += 5) /* including the first one */
        run(KV_OP_DELETE, i, "", KV_NEVER, KV_OK);
    assert_int_equal(count_by_scan(), COLLIDING - COLLIDING / 5);
    for (int i = 0; i < COLLIDING; i += 5)
        run(KV_OP_SET, i, "d", KV_NEVER, KV_OK);
    for (int i = 0; i < COLLIDING; i++)
        assert_int_equal(value_of(i), i % 5 == 0 ? 'd' : i % 3 == 0 ? 'c' : i % 2 == 0 ? 'a' : 'b');
    assert_int_equal(count_by_scan(), COLLIDING);
    for (int i = 0; i < COLLIDING; i++)
        run(KV_OP_DELETE, i, "", KV_NEVER, KV_OK);
    assert_int_equal(count_by_scan(), 0);
}

#define MEMORY_TEST(test) cmocka_unit_test_setup_teardown(test, open_store, close_store)

int main(void)
{
    const struct CMUnitTest tests[] = {
        MEMORY_TEST(opening_without_memory_fails_with_a_message),
        MEMORY_TEST(write_without_memory_changes_nothing),
        MEMORY_TEST(update_without_memory_changes_nothing),
        MEMORY_TEST(deadline_without_memory_changes_nothing),
        MEMORY_TEST(keys_can_be_deleted_without_memory),
        MEMORY_TEST(keys_expire_without_memory),
        MEMORY_TEST(scan_without_memory_is_full_and_keeps_no_reference),
        MEMORY_TEST(keys_with_equal_hashes_are_distinguished),
    };
    int n_failed = cmocka_run_group_tests_name("ordered", tests, NULL, NULL);
    options[1].boolean = false;
    return n_failed + cmocka_run_group_tests_name("without order", tests, NULL, NULL);
}
