/* The checker of histories: which ones it must accept, and which ones it must refuse. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "support/linear/linear.h"

#define N(array) (sizeof(array) / sizeof((array)[0]))

static const struct linear_state nothing;

static struct linear_op make(uint32_t client, uint64_t called, uint64_t returned, enum kv_op op)
{
    return (struct linear_op){.client = client,
                              .called = called,
                              .returned = returned,
                              .returned_ms = 1000,
                              .op = op,
                              .earliest_deadline_ms = KV_NEVER,
                              .latest_deadline_ms = KV_NEVER,
                              .status = KV_OK};
}

static struct linear_op set(uint32_t client, uint64_t called, uint64_t returned, uint64_t value,
                            uint64_t revision)
{
    struct linear_op op = make(client, called, returned, KV_OP_SET);
    op.value = value;
    op.revision = revision;
    return op;
}

/* value 0: missing */
static struct linear_op get(uint32_t client, uint64_t called, uint64_t returned, uint64_t value)
{
    struct linear_op op = make(client, called, returned, KV_OP_GET);
    op.status = value == 0 ? KV_MISSING : KV_OK;
    op.seen_value = value;
    op.revision = LINEAR_NOT_TOLD;
    return op;
}

static struct linear_op until(struct linear_op op, int64_t earliest_ms, int64_t latest_ms)
{
    op.earliest_deadline_ms = earliest_ms;
    op.latest_deadline_ms = latest_ms;
    return op;
}

static struct linear_op during(struct linear_op op, int64_t called_ms, int64_t returned_ms)
{
    op.called_ms = called_ms;
    op.returned_ms = returned_ms;
    return op;
}

#define assert_explained(ops)   assert_true(explain(ops, N(ops)))
#define assert_unexplained(ops) assert_false(explain(ops, N(ops)))

static bool explain(const struct linear_op *ops, size_t n)
{
    const struct linear_op *stuck;
    return linear_check(&nothing, ops, n, &stuck);
}

static void sequential_commands_are_accepted(void **state)
{
    (void)state;
    const struct linear_op ops[] = {set(0, 1, 2, 7, 1), get(1, 3, 4, 7), set(0, 5, 6, 8, 2),
                                    get(1, 7, 8, 8)};
    assert_explained(ops);
}

static void value_that_was_never_written_is_refused(void **state)
{
    (void)state;
    const struct linear_op ops[] = {set(0, 1, 2, 7, 1), get(1, 3, 4, 9)};
    assert_unexplained(ops);
}

static void read_of_a_replaced_value_is_refused(void **state)
{
    (void)state;
    const struct linear_op ops[] = {set(0, 1, 2, 7, 1), set(0, 3, 4, 8, 2), get(1, 5, 6, 7)};
    assert_unexplained(ops);
}

static void reads_concurrent_with_a_write_may_see_either_value(void **state)
{
    (void)state;
    const struct linear_op ops[] = {set(0, 1, 2, 7, 1), set(0, 3, 10, 8, 2), get(1, 4, 5, 7),
                                    get(1, 6, 7, 8), get(2, 4, 9, 7)};
    assert_explained(ops);
}

static void older_state_after_a_newer_one_is_refused(void **state)
{
    (void)state;
    const struct linear_op ops[] = {set(0, 1, 2, 7, 1), set(0, 3, 10, 8, 2), get(1, 4, 5, 8),
                                    get(1, 6, 7, 7)};
    assert_unexplained(ops);
}

static void concurrent_commands_of_one_client_keep_their_order(void **state)
{
    (void)state;
    const struct linear_op ops[] = {set(0, 1, 10, 7, 1), get(0, 2, 11, 0)};
    const struct linear_op others[] = {set(0, 1, 10, 7, 1), get(1, 2, 11, 0)};
    assert_unexplained(ops);
    assert_explained(others);
}

static void revisions_fix_the_order_of_writes(void **state)
{
    (void)state;
    const struct linear_op ops[] = {set(0, 1, 10, 7, 2), set(1, 2, 11, 8, 1), get(2, 12, 13, 8)};
    assert_unexplained(ops);
}

static void only_one_of_two_conditional_creates_succeeds(void **state)
{
    (void)state;
    struct linear_op ops[] = {set(0, 1, 10, 7, 1), set(1, 2, 11, 8, 2)};
    ops[0].cond = ops[1].cond = KV_COND_ABSENT;
    assert_unexplained(ops);
    ops[1].status = KV_CONDITION;
    ops[1].revision = 1;
    assert_explained(ops);
}

static void key_may_expire_between_its_deadlines_and_must_after_them(void **state)
{
    (void)state;
    struct linear_op write = during(until(set(0, 1, 2, 7, 1), 20, 30), 10, 10);
    const struct linear_op early[] = {write, during(get(1, 3, 4, 0), 15, 19)};
    const struct linear_op gone[] = {write, during(get(1, 3, 4, 0), 15, 20)};
    const struct linear_op there[] = {write, during(get(1, 3, 4, 7), 29, 40)};
    const struct linear_op late[] = {write, during(get(1, 3, 4, 7), 30, 40)};
    const struct linear_op back[] = {write, during(get(1, 3, 4, 0), 20, 25),
                                     during(get(1, 5, 6, 7), 20, 25)};
    assert_unexplained(early);
    assert_explained(gone);
    assert_explained(there);
    assert_unexplained(late);
    assert_unexplained(back);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sequential_commands_are_accepted),
        cmocka_unit_test(value_that_was_never_written_is_refused),
        cmocka_unit_test(read_of_a_replaced_value_is_refused),
        cmocka_unit_test(reads_concurrent_with_a_write_may_see_either_value),
        cmocka_unit_test(older_state_after_a_newer_one_is_refused),
        cmocka_unit_test(concurrent_commands_of_one_client_keep_their_order),
        cmocka_unit_test(revisions_fix_the_order_of_writes),
        cmocka_unit_test(only_one_of_two_conditional_creates_succeeds),
        cmocka_unit_test(key_may_expire_between_its_deadlines_and_must_after_them),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
