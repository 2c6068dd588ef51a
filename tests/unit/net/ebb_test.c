/* Connections are asked to close a few at a time, and all of them within the time limit. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/mem.h"
#include "net/ebb.h"

enum {
    MANY = 1000,
    TICK_MS = 20,
    OVER_MS = 100
};

static int64_t now_ms;

static int64_t now_ns(const struct kv_clock *clock)
{
    (void)clock;
    return now_ms * KV_NS_PER_MS;
}

static const struct kv_clock hand = {.now_ns = now_ns};

struct one {
    struct kv_list link;
    int n_told;
};

static struct one ones[MANY];
static size_t n_told;

static void tell(struct kv_list *link)
{
    KV_CONTAINER(link, struct one, link)->n_told++;
    n_told++;
}

static struct kv_loop *set_up(struct kv_list *all, size_t n)
{
    now_ms = 1000;
    n_told = 0;
    kv_list_init(all);
    for (size_t i = 0; i < n; i++) {
        ones[i].n_told = 0;
        kv_list_append(all, &ones[i].link);
    }
    return kv_loop_create(0, &hand);
}

static void pass(struct kv_loop *loop, int64_t ms)
{
    now_ms += ms;
    kv_loop_turn(loop); /* uses up the time */
    kv_loop_turn(loop);
}

static void few_connections_are_asked_at_once(void **state)
{
    struct kv_list all;
    struct kv_ebb ebb = {0};
    struct kv_loop *loop = set_up(&all, 10);
    (void)state;
    kv_ebb_begin(&ebb, loop, &all, OVER_MS, tell);
    assert_int_equal(n_told, 10);
    kv_ebb_end(&ebb);
    kv_loop_destroy(loop);
}

static void many_connections_are_asked_in_portions_and_each_once(void **state)
{
    struct kv_list all;
    struct kv_ebb ebb = {0};
    struct kv_loop *loop = set_up(&all, MANY);
    (void)state;
    kv_ebb_begin(&ebb, loop, &all, OVER_MS, tell);
    size_t first = n_told;
    assert_true(first > 0 && first < MANY / 3);
    for (int64_t ms = 0; ms < OVER_MS; ms += TICK_MS)
        pass(loop, TICK_MS);
    assert_int_equal(n_told, MANY);
    for (size_t i = 0; i < MANY; i++)
        assert_int_equal(ones[i].n_told, 1);
    kv_ebb_end(&ebb);
    kv_loop_destroy(loop);
}

static void connections_that_left_or_arrived_are_not_awaited(void **state)
{
    struct kv_list all;
    struct kv_ebb ebb = {0};
    struct one late = {.n_told = 0};
    struct kv_loop *loop = set_up(&all, MANY);
    (void)state;
    kv_ebb_begin(&ebb, loop, &all, OVER_MS, tell);
    kv_list_remove(&ones[MANY - 1].link);
    kv_ebb_leave(&ebb);
    kv_list_append(&all, &late.link); /* it learns of the ebb by itself */
    for (int64_t ms = 0; ms < 2 * OVER_MS; ms += TICK_MS)
        pass(loop, TICK_MS);
    assert_int_equal(n_told, MANY - 1);
    assert_int_equal(late.n_told, 0);
    kv_ebb_end(&ebb);
    kv_loop_destroy(loop);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(few_connections_are_asked_at_once),
        cmocka_unit_test(many_connections_are_asked_in_portions_and_each_once),
        cmocka_unit_test(connections_that_left_or_arrived_are_not_awaited),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
