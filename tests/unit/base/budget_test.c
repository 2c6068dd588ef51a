/* The memory budget of all connections: tallies, allowances, pins and waiters. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/budget.h"
#include "base/mem.h"

enum {
    LIMIT = 64 << 20,
    LOOPS = 2,
    MIB = 1 << 20,
};

static struct kv_budget *budget;
static struct kv_tally *here, *there;

static int set_up(void **state)
{
    (void)state;
    budget = kv_budget_create(LIMIT, LOOPS);
    here = kv_budget_tally(budget, 0);
    there = kv_budget_tally(budget, 1);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    kv_budget_destroy(budget);
    return 0;
}

static void loops_see_the_counts_of_others_within_a_step(void **state)
{
    (void)state;
    kv_tally_add(here, 10 * MIB);
    assert_true(kv_tally_left(here) == LIMIT - 10 * MIB);
    assert_true(kv_tally_left(there) == LIMIT - 10 * MIB);
    for (int i = 0; i < MIB; i++)
        kv_tally_add(here, 1);
    assert_true(kv_tally_left(here) == LIMIT - 11 * MIB);
    assert_in_range(kv_tally_left(there), LIMIT - 11 * MIB,
                    LIMIT - 11 * MIB + KV_TALLY_LONGEST_STEP);
    kv_tally_add(here, -11 * MIB);
    assert_true(kv_tally_left(there) == LIMIT);
}

/* If n connections use their whole allowance, each gets an equal share of three quarters of the
 * limit; one share and the last quarter remain free. */
static void allowances_shrink_so_that_each_gets_a_share(void **state)
{
    enum {
        CONNECTIONS = 15
    };
    size_t held[CONNECTIONS] = {0};
    (void)state;
    for (int round = 0; round < 100000; round++) {
        size_t *mine = &held[round % CONNECTIONS];
        if (*mine >= kv_tally_allowance(here, LIMIT))
            continue;
        *mine += 16384;
        kv_tally_add(here, 16384);
    }
    for (int i = 0; i < CONNECTIONS; i++)
        assert_in_range(held[i], LIMIT / 4 * 3 / (CONNECTIONS + 1) - 65536,
                        LIMIT / 4 * 3 / (CONNECTIONS + 1) + 65536);
    assert_true(kv_tally_left(here) > LIMIT / 4);
    assert_true(kv_tally_spare(here) > 0);
}

static void allowance_has_a_floor_and_a_ceiling(void **state)
{
    (void)state;
    assert_true(kv_tally_allowance(here, MIB) == MIB);
    kv_tally_add(here, LIMIT / 4 * 3);
    assert_int_equal(kv_tally_spare(here), 0);
    assert_int_equal(kv_tally_left(here), LIMIT / 4);
    assert_int_equal(kv_tally_allowance(there, MIB), KV_TALLY_FLOOR);
    kv_tally_add(here, 2 * LIMIT);
    assert_int_equal(kv_tally_left(here), 0);
    assert_int_equal(kv_tally_allowance(there, MIB), KV_TALLY_FLOOR);
    assert_true(kv_tally_allowance(NULL, MIB) == MIB);
}

static void bytes_can_be_taken_if_enough_are_left(void **state)
{
    (void)state;
    assert_true(kv_tally_try_add(here, LIMIT / 2));
    assert_true(kv_tally_try_add(there, LIMIT / 4));
    assert_false(kv_tally_try_add(here, LIMIT / 2));
    assert_true(kv_tally_left(here) == LIMIT / 4);
    kv_tally_add(there, -(LIMIT / 4));
    assert_true(kv_tally_try_add(here, LIMIT / 2));
}

static void more_than_half_can_be_taken_if_half_is_free(void **state)
{
    (void)state;
    kv_tally_add(here, LIMIT / 2);
    assert_true(kv_tally_try_add(here, 3 * (size_t)LIMIT));
    assert_true(kv_budget_is_strained(budget));
    assert_false(kv_tally_try_add(here, 1));
}

static void pinned_item_counts_once_on_a_loop(void **state)
{
    static char items[2];
    (void)state;
    kv_tally_pin(here, &items[0], 8 * MIB);
    kv_tally_pin(here, &items[0], 8 * MIB);
    kv_tally_pin(here, &items[1], 4 * MIB);
    assert_true(kv_tally_left(here) == LIMIT - 12 * MIB);
    kv_tally_unpin(here, &items[0], 8 * MIB);
    assert_true(kv_tally_left(here) == LIMIT - 12 * MIB);
    kv_tally_unpin(here, &items[0], 8 * MIB);
    kv_tally_unpin(here, &items[1], 4 * MIB);
    assert_true(kv_tally_left(here) == LIMIT);
}

struct waiting {
    struct kv_waiter waiter;
    size_t wants; /* added on resumption */
    int n;
};

static void take(struct kv_waiter *waiter)
{
    struct waiting *waiting = KV_CONTAINER(waiter, struct waiting, waiter);
    waiting->n++;
    kv_tally_add(here, (int64_t)waiting->wants);
}

static int n_began;

static void note_beginning(struct kv_waits *waits)
{
    (void)waits;
    n_began++;
}

static void waiters_resume_in_order_while_there_is_memory(void **state)
{
    struct kv_waits waits = {.on_begin = note_beginning};
    struct waiting all[3] = {{.wants = LIMIT / 2}, {.wants = LIMIT}, {.wants = 1}};
    (void)state;
    n_began = 0;
    kv_tally_watch(here, &waits);
    kv_tally_add(here, LIMIT);
    for (int i = 0; i < 3; i++) {
        kv_waiter_init(&all[i].waiter, take);
        kv_tally_wait(here, &all[i].waiter);
        kv_tally_wait(here, &all[i].waiter); /* registered only once */
    }
    assert_int_equal(n_began, 1);
    assert_true(kv_budget_is_strained(budget));
    kv_tally_resume(here);
    assert_int_equal(all[0].n, 0);
    kv_tally_add(here, -LIMIT);
    kv_tally_resume(here);
    assert_int_equal(all[0].n, 1);
    assert_int_equal(all[1].n, 1);
    assert_int_equal(all[2].n, 0);
    assert_true(kv_waiter_is_waiting(&all[2].waiter));
    kv_tally_stop_waiting(here, &all[2].waiter);
    kv_tally_add(here, -LIMIT - LIMIT / 2);
    assert_false(kv_budget_is_strained(budget));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(loops_see_the_counts_of_others_within_a_step),
        TEST(allowances_shrink_so_that_each_gets_a_share),
        TEST(allowance_has_a_floor_and_a_ceiling),
        TEST(bytes_can_be_taken_if_enough_are_left),
        TEST(more_than_half_can_be_taken_if_half_is_free),
        TEST(pinned_item_counts_once_on_a_loop),
        TEST(waiters_resume_in_order_while_there_is_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
