/* Vectors: writes of one loop take effect in the order submitted, within a vector and across. */
#include "contract/store/fixture.h"

#define KEY   KV_SLICE("key")
#define OTHER KV_SLICE("other")
#define ONE   KV_SLICE("1")
#define TWO   KV_SLICE("2")
#define THREE KV_SLICE("3")

static void empty_vector_does_nothing(void **state)
{
    struct fixture *fixture = *state;
    struct call none[1];
    run_all(fixture, none, 0);
    assert_n_told(fixture, 0);
}

static void writes_of_one_key_take_effect_in_order(void **state)
{
    struct fixture *fixture = *state;
    struct call calls[] = {call_set(KEY, ONE), call_set(KEY, TWO),   call_delete(KEY),
                           call_delete(KEY),   call_set(KEY, THREE), call_set(KEY, THREE)};
    run_all(fixture, calls, 6);
    static const enum kv_status expected[] = {KV_OK, KV_OK, KV_OK, KV_MISSING, KV_OK, KV_UNCHANGED};
    for (size_t i = 0; i < 6; i++)
        assert_int_equal(calls[i].cmd.status, expected[i]);
    assert_n_told(fixture, 4);
    assert_told(fixture, 0, KV_REASON_SET, KEY, NULL, "1");
    assert_told(fixture, 1, KV_REASON_SET, KEY, "1", "2");
    assert_told(fixture, 2, KV_REASON_DELETE, KEY, "2", NULL);
    assert_told(fixture, 3, KV_REASON_SET, KEY, NULL, "3");
}

static void writes_of_different_keys_get_their_revisions_in_order(void **state)
{
    struct fixture *fixture = *state;
    struct call calls[] = {call_set(KEY, ONE),   call_set(OTHER, ONE), call_set(KEY, TWO),
                           call_set(OTHER, TWO), call_delete(KEY),     call_delete(OTHER)};
    run_all(fixture, calls, 6);
    for (size_t i = 1; i < 6; i++)
        assert_true(calls[i].cmd.revision > calls[i - 1].cmd.revision);
}

static void condition_sees_the_writes_before_it(void **state)
{
    struct fixture *fixture = *state;
    struct call calls[] = {with_cond(call_set(KEY, ONE), KV_COND_ABSENT),
                           with_cond(call_set(KEY, TWO), KV_COND_ABSENT),
                           with_cond(call_delete(KEY), KV_COND_PRESENT),
                           with_cond(call_set(KEY, THREE), KV_COND_PRESENT)};
    run_all(fixture, calls, 4);
    assert_int_equal(calls[0].cmd.status, KV_OK);
    assert_int_equal(calls[1].cmd.status, KV_CONDITION);
    assert_int_equal(calls[1].cmd.revision, calls[0].cmd.revision);
    assert_int_equal(calls[2].cmd.status, KV_OK);
    assert_int_equal(calls[3].cmd.status, KV_CONDITION);
}

static void get_answered_within_submit_has_its_place(void **state)
{
    struct fixture *fixture = *state;
    struct call calls[] = {call_set(KEY, ONE), call_get(KEY),    call_set(KEY, TWO),
                           call_get(KEY),      call_delete(KEY), call_get(KEY)};
    run_all(fixture, calls, 6);
    if (!calls[1].cmd.is_deferred)
        assert_slice(calls[1].cmd.item.value, ONE);
    if (!calls[3].cmd.is_deferred)
        assert_slice(calls[3].cmd.item.value, TWO);
    if (!calls[5].cmd.is_deferred)
        assert_int_equal(calls[5].cmd.status, KV_MISSING);
    for (size_t i = 1; i < 6; i += 2)
        release(fixture, &calls[i].cmd.item);
}

static void get_after_a_completed_write_sees_it_on_every_loop(void **state)
{
    struct fixture *fixture = *state;
    put(fixture, KEY, ONE);
    for (uint32_t loop = 0; loop < N_LOOPS; loop++) {
        struct call call = call_get(KEY);
        submit(fixture, loop, &call, 1);
        assert_true(wait_for(fixture, &call, 1));
        assert_int_equal(call.cmd.status, KV_OK);
        assert_slice(call.cmd.item.value, ONE);
        release(fixture, &call.cmd.item);
    }
}

static void vectors_of_one_loop_keep_their_order_without_waiting(void **state)
{
    enum {
        N = 300
    };
    struct fixture *fixture = *state;
    static struct call calls[N];
    char values[N][8];
    for (int i = 0; i < N; i++) {
        snprintf(values[i], sizeof(values[i]), "%d", i);
        calls[i] = call_set(KEY, kv_slice_of(values[i]));
    }
    for (size_t i = 0, n; i < N; i += n) {
        n = 1 + i % 7 < N - i ? 1 + i % 7 : N - i;
        submit(fixture, 1, calls + i, n);
    }
    assert_true(wait_for(fixture, calls, N));
    assert_n_told(fixture, N);
    for (size_t i = 0; i < N; i++)
        assert_slice(fixture->told[i].change.after.value, kv_slice_of(values[i]));
}

static void vector_may_be_long(void **state)
{
    enum {
        N = 4096
    };
    struct fixture *fixture = *state;
    static struct call calls[N];
    static char keys[N][8];
    for (int i = 0; i < N; i++) {
        snprintf(keys[i], sizeof(keys[i]), "%d", i);
        calls[i] = call_set(kv_slice_of(keys[i]), ONE);
    }
    run_all(fixture, calls, N);
    for (int i = 0; i < N; i++)
        assert_int_equal(calls[i].cmd.status, KV_OK);
    assert_n_told(fixture, N);
}

int run_order_tests(void)
{
    const struct CMUnitTest tests[] = {
        CONTRACT_TEST(empty_vector_does_nothing),
        CONTRACT_TEST(writes_of_one_key_take_effect_in_order),
        CONTRACT_TEST(writes_of_different_keys_get_their_revisions_in_order),
        CONTRACT_TEST(condition_sees_the_writes_before_it),
        CONTRACT_TEST(get_answered_within_submit_has_its_place),
        CONTRACT_TEST(get_after_a_completed_write_sees_it_on_every_loop),
        CONTRACT_TEST(vectors_of_one_loop_keep_their_order_without_waiting),
        CONTRACT_TEST(vector_may_be_long),
    };
    return cmocka_run_group_tests_name("order", tests, NULL, NULL);
}
