/* Percentiles of durations. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "kvctl/spread.h"

static struct kv_ctl_spread spread;

static void percentiles_are_within_two_percent(void **state)
{
    (void)state;
    memset(&spread, 0, sizeof(spread));
    for (uint64_t i = 1; i <= 100000; i++)
        kv_ctl_spread_add(&spread, i);
    assert_in_range(kv_ctl_spread_at(&spread, 0.5), 50000, 51000);
    assert_in_range(kv_ctl_spread_at(&spread, 0.99), 99000, 100000);
    assert_int_equal(kv_ctl_spread_at(&spread, 1), 100000);
    assert_int_equal(spread.most, 100000);
}

static void any_number_can_be_counted(void **state)
{
    static const uint64_t numbers[] = {0, 1, 63, 64, 127, 128, UINT32_MAX, UINT64_MAX};
    (void)state;
    for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
        memset(&spread, 0, sizeof(spread));
        kv_ctl_spread_add(&spread, numbers[i]);
        assert_int_equal(kv_ctl_spread_at(&spread, 0.5), numbers[i]);
    }
}

static void percentile_of_nothing_is_zero(void **state)
{
    (void)state;
    memset(&spread, 0, sizeof(spread));
    assert_int_equal(kv_ctl_spread_at(&spread, 0.5), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(percentiles_are_within_two_percent),
        cmocka_unit_test(any_number_can_be_counted),
        cmocka_unit_test(percentile_of_nothing_is_zero),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
