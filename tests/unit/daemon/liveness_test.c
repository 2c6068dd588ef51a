/* Whether all loops have run between two checks. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "daemon/liveness.h"

static void loops_are_alive_if_each_has_run_its_post(void **state)
{
    struct kv_loop *loops[] = {kv_loop_create(0, &kv_clock_boot),
                               kv_loop_create(1, &kv_clock_boot)};
    struct kv_liveness *liveness = kv_liveness_create(loops, 2);
    (void)state;
    assert_true(kv_liveness_look(liveness)); /* the first check */
    assert_false(kv_liveness_look(liveness));
    kv_loop_turn(loops[0]);
    assert_false(kv_liveness_look(liveness)); /* one loop hangs */
    kv_loop_turn(loops[1]);
    assert_true(kv_liveness_look(liveness));
    kv_loop_turn(loops[0]);
    kv_loop_turn(loops[1]);
    kv_liveness_destroy(liveness);
    kv_loop_destroy(loops[0]);
    kv_loop_destroy(loops[1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(loops_are_alive_if_each_has_run_its_post),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
