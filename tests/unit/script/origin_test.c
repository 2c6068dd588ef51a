/*
 * Which changes come from hooks, in whatever order a write ends and its change is seen.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/hash.h"
#include "script/origin.h"

enum {
    MANY = 200000 /* with a linear search for each, this would take minutes */
};

static const struct kv_slice key = {"k", 1}, other = {"other", 5};

static void change_is_known_before_and_after_its_write_has_ended(void **state)
{
    (void)state;
    struct kv_origins *origins = kv_origins_create();
    assert_int_equal(kv_origins_see(origins, key, 1), 0);
    struct kv_origin *one = kv_origins_begin(origins, key, 3);
    assert_int_equal(kv_origins_see(origins, other, 2), 0);
    assert_int_equal(kv_origins_see(origins, key, 3), 3);
    kv_origins_end(origins, one, 3);
    assert_int_equal(kv_origins_see(origins, key, 4), 0);
    struct kv_origin *two = kv_origins_begin(origins, key, 2);
    kv_origins_end(origins, two, 6);
    assert_int_equal(kv_origins_see(origins, key, 5), 0); /* from a client, before it */
    assert_int_equal(kv_origins_see(origins, key, 6), 2);
    assert_int_equal(kv_origins_see(origins, key, 7), 0);
    kv_origins_destroy(origins);
}

static void write_that_changed_nothing_is_forgotten(void **state)
{
    (void)state;
    struct kv_origins *origins = kv_origins_create();
    kv_origins_end(origins, kv_origins_begin(origins, key, 1), 0);
    assert_int_equal(kv_origins_see(origins, key, 1), 0);
    kv_origins_destroy(origins);
}

static void each_of_many_that_ended_in_any_order_is_seen(void **state)
{
    (void)state;
    struct kv_origins *origins = kv_origins_create();
    struct kv_origin **writes = calloc(MANY, sizeof(struct kv_origin *));
    for (uint32_t i = 0; i < MANY; i++)
        writes[i] = kv_origins_begin(origins, key, 1 + i % 7);
    for (uint32_t i = 0; i < MANY; i++)
        kv_origins_end(origins, writes[i ^ 1], 1 + (i ^ 1));
    for (uint32_t i = 0; i < MANY; i++)
        assert_int_equal(kv_origins_see(origins, key, 1 + i), 1 + i % 7);
    assert_int_equal(kv_origins_see(origins, key, MANY + 1), 0);
    free(writes);
    kv_origins_destroy(origins);
}

static void unseen_writes_are_freed_at_the_end(void **state)
{
    (void)state;
    struct kv_origins *origins = kv_origins_create();
    kv_origins_end(origins, kv_origins_begin(origins, key, 1), 5);
    kv_origins_end(origins, kv_origins_begin(origins, other, 1), 6);
    kv_origins_destroy(origins);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(change_is_known_before_and_after_its_write_has_ended),
        cmocka_unit_test(write_that_changed_nothing_is_forgotten),
        cmocka_unit_test(each_of_many_that_ended_in_any_order_is_seen),
        cmocka_unit_test(unseen_writes_are_freed_at_the_end),
    };
    kv_hash_init();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
