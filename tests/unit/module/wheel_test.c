/* The timing wheel of the store memory: entries are due at their time and not before, however time
 * moves. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "allocation.h"
#include "wheel.h"

enum {
    TIMERS = 200,
    STEPS = 20000,
    MANY_MOVES = 1 << 30
};

#define START_MS INT64_C(123456789)

static struct wheel wheel;
static struct timed *timers[TIMERS];

static int set_up(void **state)
{
    (void)state;
    wheel_init(&wheel, 17, START_MS);
    for (int i = 0; i < TIMERS; i++)
        timers[i] = (struct timed *)entry_create(KV_SLICE("k"), KV_SLICE("v"), 0);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    for (int i = 0; i < TIMERS; i++)
        entry_unref(&timers[i]->entry);
    return 0;
}

static void add(struct timed *timed, int64_t deadline_ms)
{
    assert_true(entry_move_deadline(&timed->entry, deadline_ms));
    wheel_add(&wheel, timed);
}

static struct timed *take(int64_t now_ms)
{
    uint32_t moves = MANY_MOVES;
    return wheel_take_due(&wheel, now_ms, &moves);
}

static void empty_wheel_has_no_next_time(void **state)
{
    (void)state;
    assert_int_equal(wheel_next(&wheel), KV_NEVER);
    assert_null(take(START_MS + 1000000));
    assert_int_equal(wheel_next(&wheel), KV_NEVER);
}

static void deadline_of_any_length_is_exact_to_the_millisecond(void **state)
{
    static const int64_t lengths[] = {1,
                                      63,
                                      64,
                                      65,
                                      4095,
                                      4096,
                                      262143,
                                      86400000,
                                      31557600000,
                                      INT64_C(1) << 40,
                                      INT64_C(1) << 50};
    int64_t now_ms = START_MS;
    (void)state;
    for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
        add(timers[0], now_ms + lengths[i]);
        assert_null(take(now_ms + lengths[i] - 1));
        now_ms += lengths[i];
        assert_ptr_equal(take(now_ms), timers[0]);
        assert_null(take(now_ms));
        assert_int_equal(wheel_next(&wheel), KV_NEVER);
    }
}

static void waking_at_each_returned_time_reaches_the_deadline_on_time(void **state)
{
    int64_t deadline_ms = START_MS + 3 * 86400000 + 4321;
    (void)state;
    add(timers[0], deadline_ms);
    for (int turns = 0;; turns++) {
        int64_t next = wheel_next(&wheel);
        assert_true(turns < 10 && next <= deadline_ms);
        struct timed *due = take(next);
        if (due == NULL)
            continue;
        assert_int_equal(next, deadline_ms);
        return;
    }
}

static void deadline_in_the_past_is_due_at_once(void **state)
{
    (void)state;
    add(timers[0], START_MS - 5);
    add(timers[1], INT64_MIN);
    assert_true(wheel_next(&wheel) <= START_MS);
    assert_non_null(take(START_MS));
    assert_non_null(take(START_MS));
    assert_null(take(START_MS));
}

static void deadline_beyond_the_wheel_is_kept(void **state)
{
    (void)state;
    add(timers[0], KV_NEVER - 1);
    assert_null(take(START_MS + (INT64_C(1) << 52)));
    wheel_remove(timers[0]);
    assert_null(take(START_MS + (INT64_C(1) << 53)));
}

static void removed_entry_is_never_due(void **state)
{
    (void)state;
    for (int i = 0; i < 5; i++)
        add(timers[i], START_MS + 100);
    for (int i = 0; i < 5; i += 2)
        wheel_remove(timers[i]);
    wheel_remove(timers[0]); /* no effect */
    struct timed *one = take(START_MS + 100);
    struct timed *other = take(START_MS + 100);
    assert_true((one == timers[1] && other == timers[3]) ||
                (one == timers[3] && other == timers[1]));
    assert_null(take(START_MS + 100));
}

static void clock_that_goes_back_makes_nothing_due_early(void **state)
{
    (void)state;
    assert_null(take(START_MS + 5000));
    add(timers[0], START_MS + 6000);
    assert_null(take(START_MS));
    assert_null(take(START_MS + 5999));
    assert_ptr_equal(take(START_MS + 6000), timers[0]);
}

static void at_most_the_allowed_number_is_returned(void **state)
{
    (void)state;
    int64_t deadline_ms = START_MS + 10 * 4096;
    for (int i = 0; i < TIMERS; i++)
        add(timers[i], deadline_ms + i % 3);
    int n_due = 0;
    for (int calls = 0; n_due < TIMERS; calls++) {
        uint32_t moves = 7;
        assert_true(calls < 4 * TIMERS);
        n_due += wheel_take_due(&wheel, deadline_ms + 3, &moves) != NULL;
        assert_true(moves <= 7);
        if (n_due < TIMERS)
            assert_true(wheel_next(&wheel) <= deadline_ms + 3);
    }
    assert_int_equal(wheel_next(&wheel), KV_NEVER);
}

/* ---- compared with a simple list ---- */

struct model {
    int64_t now_ms;
    unsigned seed;
    bool is_in[TIMERS];
};

static int64_t draw_length(struct model *model)
{
    int shift = rand_r(&model->seed) % 30;
    return rand_r(&model->seed) % (INT64_C(1) << shift);
}

static void move_one(struct model *model)
{
    int i = rand_r(&model->seed) % TIMERS;
    if (model->is_in[i])
        wheel_remove(timers[i]);
    model->is_in[i] = rand_r(&model->seed) % 4 != 0;
    if (model->is_in[i])
        add(timers[i], model->now_ms + draw_length(model));
}

static int index_of(const struct timed *timed)
{
    for (int i = 0; i < TIMERS; i++)
        if (timers[i] == timed)
            return i;
    return -1;
}

static void pass_time(struct model *model)
{
    model->now_ms += rand_r(&model->seed) % 8 == 0 ? draw_length(model) : rand_r(&model->seed) % 50;
    for (struct timed *due; (due = take(model->now_ms)) != NULL;) {
        int i = index_of(due);
        assert_true(i >= 0 && model->is_in[i]);
        assert_true(entry_deadline(&due->entry) <= model->now_ms);
        model->is_in[i] = false;
    }
    int64_t next = wheel_next(&wheel);
    assert_true(next > model->now_ms);
    for (int i = 0; i < TIMERS; i++)
        if (model->is_in[i])
            assert_true(entry_deadline(&timers[i]->entry) >= next);
}

static void random_deadlines_are_due_on_time(void **state)
{
    struct model model = {.now_ms = START_MS, .seed = 1};
    (void)state;
    for (int step = 0; step < STEPS; step++) {
        for (int i = 0; i < 5; i++)
            move_one(&model);
        pass_time(&model);
    }
}

#define WHEEL_TEST(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WHEEL_TEST(empty_wheel_has_no_next_time),
        WHEEL_TEST(deadline_of_any_length_is_exact_to_the_millisecond),
        WHEEL_TEST(waking_at_each_returned_time_reaches_the_deadline_on_time),
        WHEEL_TEST(deadline_in_the_past_is_due_at_once),
        WHEEL_TEST(deadline_beyond_the_wheel_is_kept),
        WHEEL_TEST(removed_entry_is_never_due),
        WHEEL_TEST(clock_that_goes_back_makes_nothing_due_early),
        WHEEL_TEST(at_most_the_allowed_number_is_returned),
        WHEEL_TEST(random_deadlines_are_due_on_time),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
