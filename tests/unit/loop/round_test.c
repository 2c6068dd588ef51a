/* Whether all loops have come by. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/mem.h"
#include "loop/round.h"

static struct kv_loop *loops[2];
static int n_over;

static void note_over(void)
{
    n_over++;
}

static int set_up(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < 2; i++)
        loops[i] = kv_loop_create(i, &kv_clock_boot);
    n_over = 0;
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < 2; i++)
        kv_loop_destroy(loops[i]);
    return 0;
}

static void round_is_over_when_every_loop_has_come_by(void **state)
{
    struct kv_round *round = kv_round_create(loops, 2, note_over);
    (void)state;
    assert_true(kv_round_is_over(round)); /* none has begun */
    for (int i = 1; i <= 2; i++) {
        kv_round_begin(round);
        kv_loop_turn(loops[0]);
        assert_false(kv_round_is_over(round)); /* the other loop hangs */
        assert_int_equal(n_over, i - 1);
        kv_loop_turn(loops[1]);
        assert_true(kv_round_is_over(round));
        assert_int_equal(n_over, i);
    }
    kv_round_destroy(round);
}

struct change {
    struct kv_post post;
    bool is_taken;
};

static void take(struct kv_post *post)
{
    KV_CONTAINER(post, struct change, post)->is_taken = true;
}

static struct change change = {.post = {.run = take}};

static void expect_taken(void)
{
    assert_true(change.is_taken);
    note_over();
}

static void round_comes_behind_earlier_posts(void **state)
{
    struct kv_round *round = kv_round_create(loops, 2, expect_taken);
    (void)state;
    kv_loop_post(loops[1], &change.post);
    kv_round_begin(round);
    kv_loop_turn(loops[0]);
    kv_loop_turn(loops[1]);
    assert_int_equal(n_over, 1);
    kv_round_destroy(round);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(round_is_over_when_every_loop_has_come_by, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(round_comes_behind_earlier_posts, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
