/* The deadlines of a backup's states, after touches are applied. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/hash.h"
#include "wire/backup_touches.h"

static struct kv_backup_touches touches;

static int tear_down(void **state)
{
    (void)state;
    kv_backup_touches_fini(&touches);
    touches = (struct kv_backup_touches){0};
    return 0;
}

static void note(const char *key, uint64_t revision, int64_t deadline_unix_ms)
{
    kv_backup_touches_note(&touches,
                           &(struct kv_backup_line){.kind = KV_BACKUP_TOUCH,
                                                    .key = kv_slice_of(key),
                                                    .revision = revision,
                                                    .deadline_unix_ms = deadline_unix_ms});
}

/* The deadline of a state whose own line says 1000. */
static int64_t deadline_of(const char *key, uint64_t revision)
{
    return kv_backup_touches_deadline(&touches, &(struct kv_backup_line){.key = kv_slice_of(key),
                                                                         .revision = revision,
                                                                         .deadline_unix_ms = 1000});
}

static void a_state_without_a_touch_keeps_its_deadline(void **state)
{
    (void)state;
    assert_int_equal(deadline_of("a", 1), 1000);
    note("b", 1, 2000);
    assert_int_equal(deadline_of("a", 1), 1000);
}

static void a_touch_gives_its_state_a_deadline(void **state)
{
    (void)state;
    note("a", 1, 2000);
    assert_int_equal(deadline_of("a", 1), 2000);
}

static void a_touch_can_remove_the_deadline(void **state)
{
    (void)state;
    note("a", 1, 0);
    assert_int_equal(deadline_of("a", 1), 0);
}

static void a_touch_applies_to_one_state_only(void **state)
{
    (void)state;
    note("a", 2, 2000);
    assert_int_equal(deadline_of("a", 1), 1000);
    assert_int_equal(deadline_of("a", 2), 2000);
    assert_int_equal(deadline_of("a", 3), 1000);
}

static void the_last_of_several_touches_of_a_state_counts(void **state)
{
    (void)state;
    note("a", 1, 3000);
    note("a", 1, 2000);
    assert_int_equal(deadline_of("a", 1), 2000);
}

static void touches_of_the_latest_state_count_in_any_order(void **state)
{
    (void)state;
    note("a", 1, 2000);
    note("a", 2, 3000);
    note("a", 1, 4000);
    assert_int_equal(deadline_of("a", 2), 3000);
    assert_int_equal(deadline_of("a", 1), 1000);
}

static void the_empty_key_is_valid(void **state)
{
    (void)state;
    note("", 1, 2000);
    assert_int_equal(deadline_of("", 1), 2000);
    assert_int_equal(deadline_of("a", 1), 1000);
}

static void many_keys_are_distinguished(void **state)
{
    enum {
        N = 1000
    };
    char key[16];
    (void)state;
    for (int i = 0; i < N; i++) {
        snprintf(key, sizeof(key), "key-%d", i);
        note(key, 1, 2000 + i);
    }
    for (int i = 0; i < N; i++) {
        snprintf(key, sizeof(key), "key-%d", i);
        assert_int_equal(deadline_of(key, 1), 2000 + i);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(a_state_without_a_touch_keeps_its_deadline, tear_down),
        cmocka_unit_test_teardown(a_touch_gives_its_state_a_deadline, tear_down),
        cmocka_unit_test_teardown(a_touch_can_remove_the_deadline, tear_down),
        cmocka_unit_test_teardown(a_touch_applies_to_one_state_only, tear_down),
        cmocka_unit_test_teardown(the_last_of_several_touches_of_a_state_counts, tear_down),
        cmocka_unit_test_teardown(touches_of_the_latest_state_count_in_any_order, tear_down),
        cmocka_unit_test_teardown(the_empty_key_is_valid, tear_down),
        cmocka_unit_test_teardown(many_keys_are_distinguished, tear_down),
    };
    kv_hash_init();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
