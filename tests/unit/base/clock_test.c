/* The clocks, and the rounding of times. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/clock.h"

enum {
    TICK_NS = 100000, /* largest difference in an uninterrupted try */
    TRIES = 1000
};

static int64_t shown_ns;

static int64_t show(const struct kv_clock *clock)
{
    (void)clock;
    return shown_ns;
}

static const struct kv_clock clock_of_test = {.now_ns = show};

static void
deadlines_start_from_the_time_rounded_up_and_are_due_by_the_time_rounded_down(void **state)
{
    (void)state;
    shown_ns = 7 * KV_NS_PER_MS;
    assert_int_equal(kv_clock_now_ms(&clock_of_test), 7);
    assert_int_equal(kv_clock_next_ms(&clock_of_test), 7);
    assert_int_equal(kv_clock_left_ms(&clock_of_test, 10), 3);
    shown_ns++;
    assert_int_equal(kv_clock_now_ms(&clock_of_test), 7);
    assert_int_equal(kv_clock_next_ms(&clock_of_test), 8);
    assert_int_equal(kv_clock_left_ms(&clock_of_test, 10), 2);
}

/* The difference between the starts of their milliseconds, as far as one reading shows it. */
static int64_t look_at_both(void)
{
    int64_t boot_ns = kv_clock_boot.now_ns(&kv_clock_boot);
    int64_t apart_ns = (kv_wall_us() * 1000 - boot_ns) % KV_NS_PER_MS;
    if (apart_ns < 0)
        apart_ns += KV_NS_PER_MS;
    return apart_ns > KV_NS_PER_MS / 2 ? KV_NS_PER_MS - apart_ns : apart_ns;
}

static void milliseconds_are_aligned_with_the_wall_clock(void **state)
{
    (void)state;
    int64_t closest_ns = KV_NS_PER_MS;
    kv_clock_init();
    for (int i = 0; i < TRIES && closest_ns >= TICK_NS; i++)
        closest_ns = look_at_both();
    assert_true(closest_ns < TICK_NS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(
            deadlines_start_from_the_time_rounded_up_and_are_due_by_the_time_rounded_down),
        cmocka_unit_test(milliseconds_are_aligned_with_the_wall_clock),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
