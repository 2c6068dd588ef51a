/* The keys that a walk through the database lacks, in order, as long as it lacks them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "overlay.h"

enum {
    MOST = 4
};

static int set_up(void **state)
{
    *state = overlay_create();
    return *state == NULL ? -1 : 0;
}

static int tear_down(void **state)
{
    overlay_destroy(*state);
    return 0;
}

static void add_entry(struct overlay *overlay, struct entry *entry, uint64_t sequence)
{
    entry->sequence = sequence;
    assert_true(overlay_reserve(overlay, 1));
    overlay_begin_adding(overlay);
    overlay_add(overlay, entry);
    overlay_end_adding(overlay);
}

static void add(struct overlay *overlay, const char *key, uint64_t sequence)
{
    add_entry(overlay, entry_create(kv_slice_of(key), 1, KV_SLICE("1"), sequence, KV_NEVER),
              sequence);
}

static void add_deleted(struct overlay *overlay, const char *key, uint64_t sequence)
{
    add_entry(overlay, entry_create_absent(kv_slice_of(key), 1), sequence);
}

/* expected: `key@sequence ` of each entry, and `...` if there are more. */
static void assert_copied_of(struct overlay *overlay, size_t most_there, const char *from,
                             const char *prefix, const char *expected)
{
    struct entry *entries[MOST];
    char found[128] = "";
    struct overlay_keys keys = {.entries = entries, .most = MOST, .most_there = most_there};
    assert_true(overlay_copy(overlay, kv_slice_of(from), kv_slice_of(prefix), &keys));
    size_t len = 0;
    for (size_t i = 0; i < keys.n; i++) {
        struct kv_slice key = entry_key(entries[i]);
        len += (size_t)snprintf(found + len, sizeof(found) - len, "%.*s@%d ", (int)key.len,
                                key.bytes, (int)entries[i]->sequence);
        entry_unref(entries[i]);
    }
    if (keys.has_more)
        snprintf(found + len, sizeof(found) - len, "...");
    assert_string_equal(found, expected);
}

static void assert_copied(struct overlay *overlay, const char *from, const char *prefix,
                          const char *expected)
{
    assert_copied_of(overlay, MOST, from, prefix, expected);
}

static void deleted_keys_do_not_fill_a_page(void **state)
{
    add_deleted(*state, "a", 1);
    add_deleted(*state, "b", 2);
    add(*state, "c", 3);
    add(*state, "d", 4);
    assert_copied_of(*state, 1, "", "", "a@1 b@2 c@3 ...");
    assert_copied_of(*state, 2, "", "", "a@1 b@2 c@3 d@4 ");
    add_deleted(*state, "e", 5);
    assert_copied_of(*state, 3, "", "", "a@1 b@2 c@3 d@4 ...");
}

static void keys_are_in_order(void **state)
{
    add(*state, "b", 1);
    add(*state, "a", 1);
    add(*state, "ab", 2);
    assert_copied(*state, "", "", "a@1 ab@2 b@1 ");
}

static void later_keys_are_inserted_in_order(void **state)
{
    add(*state, "b", 1);
    add(*state, "d", 1);
    assert_copied(*state, "", "", "b@1 d@1 ");
    add(*state, "e", 2);
    add(*state, "a", 2);
    assert_copied(*state, "", "", "a@2 b@1 d@1 e@2 ");
}

static void last_change_of_a_key_counts(void **state)
{
    add(*state, "a", 1);
    add(*state, "a", 2);
    add(*state, "b", 2);
    assert_copied(*state, "", "", "a@2 b@2 ");
    add(*state, "b", 3);
    add(*state, "a", 3);
    add(*state, "a", 4);
    assert_copied(*state, "", "", "a@4 b@3 ");
}

static void keys_that_the_engine_has_are_removed(void **state)
{
    add(*state, "a", 1);
    add(*state, "b", 1);
    assert_copied(*state, "", "", "a@1 b@1 ");
    add(*state, "b", 2);
    add(*state, "c", 1);
    overlay_applied(*state, 1, 0);
    assert_copied(*state, "", "", "b@2 ");
    overlay_applied(*state, 2, 0);
    assert_copied(*state, "", "", "");
}

static void copying_starts_at_the_given_key(void **state)
{
    add(*state, "a/1", 1);
    add(*state, "a/2", 1);
    add(*state, "b", 1);
    assert_copied(*state, "a/", "a/", "a/1@1 a/2@1 ");
    assert_copied(*state, "a/2", "a/", "a/2@1 ");
    assert_copied(*state, "a/3", "a/", "");
    assert_copied(*state, "a/3", "", "b@1 ");
}

static void copying_reports_further_keys(void **state)
{
    add(*state, "a", 1);
    add(*state, "b", 1);
    add(*state, "c", 1);
    add(*state, "d", 1);
    assert_copied(*state, "", "", "a@1 b@1 c@1 d@1 ");
    add(*state, "e", 1);
    assert_copied(*state, "", "", "a@1 b@1 c@1 d@1 ...");
}

int main(void)
{
#define OVERLAY_TEST(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        OVERLAY_TEST(deleted_keys_do_not_fill_a_page),
        OVERLAY_TEST(keys_are_in_order),
        OVERLAY_TEST(later_keys_are_inserted_in_order),
        OVERLAY_TEST(last_change_of_a_key_counts),
        OVERLAY_TEST(keys_that_the_engine_has_are_removed),
        OVERLAY_TEST(copying_starts_at_the_given_key),
        OVERLAY_TEST(copying_reports_further_keys),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
