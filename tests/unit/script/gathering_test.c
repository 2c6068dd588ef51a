#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "script/gathering.h"
#include "script/script.h"

enum {
    N = 3
};

struct rig {
    struct kv_script_loop here;
    struct kv_gathering *gathering;
    struct kv_script_call calls[N];
    const char *faults[N]; /* that they went on with */
};

static void resume(struct kv_script_call *call, const struct kv_outcome *outcome)
{
    struct rig *rig = KV_CONTAINER(call->here, struct rig, here);
    rig->faults[call - rig->calls] = outcome->fault;
}

static int set_up(void **state)
{
    struct rig *rig = calloc(1, sizeof(*rig));
    rig->gathering = kv_gathering_create(&rig->here, &rig->here.counters, sizeof(*rig->gathering),
                                         KV_SLICE("key"), 7);
    for (int i = 0; i < N; i++) {
        rig->calls[i] = (struct kv_script_call){.here = &rig->here, .resume = resume};
        kv_list_append(&rig->gathering->waiting, &rig->calls[i].in_gathering);
    }
    *state = rig;
    return 0;
}

static int tear_down(void **state)
{
    struct rig *rig = *state;
    kv_gathering_destroy(rig->gathering);
    kv_table_fini(&rig->here.counters);
    free(rig);
    return 0;
}

/* Takes all that may be taken together. Returns: their number. */
static uint32_t take_all(struct kv_gathering *gathering)
{
    struct kv_script_call *call;
    while ((call = kv_gathering_next(gathering)) != NULL)
        kv_gathering_take(gathering, call);
    return gathering->n_taken;
}

static void is_found_by_its_key(void **state)
{
    struct rig *rig = *state;
    struct kv_table *table = &rig->here.counters;
    assert_ptr_equal(kv_gathering_find(table, KV_SLICE("key"), 7), rig->gathering);
    assert_null(kv_gathering_find(table, KV_SLICE("yek"), 7));
    assert_null(kv_gathering_find(table, KV_SLICE("key"), 8));
}

static void all_waiting_updates_are_taken_together_in_order(void **state)
{
    struct rig *rig = *state;
    assert_int_equal(take_all(rig->gathering), N);
    assert_ptr_equal(kv_gathering_pop_last(rig->gathering), &rig->calls[N - 1]);
    for (int i = 0; i < N - 1; i++)
        assert_ptr_equal(kv_gathering_pop(rig->gathering), &rig->calls[i]);
    assert_null(kv_gathering_pop(rig->gathering));
}

static void updates_put_back_come_first_in_order(void **state)
{
    struct rig *rig = *state;
    struct kv_script_call *first = kv_gathering_next(rig->gathering);
    struct kv_script_call *second = kv_gathering_next(rig->gathering);
    kv_gathering_take(rig->gathering, first);
    kv_gathering_take(rig->gathering, second);
    kv_gathering_put_all_back(rig->gathering);
    for (int i = 0; i < N; i++)
        assert_ptr_equal(kv_gathering_next(rig->gathering), &rig->calls[i]);
}

static void updates_that_failed_together_are_retried_alone(void **state)
{
    struct rig *rig = *state;
    assert_int_equal(take_all(rig->gathering), N);
    kv_gathering_fail(rig->gathering, "no");
    for (int i = 0; i < N; i++) {
        assert_null(rig->faults[i]);
        assert_int_equal(take_all(rig->gathering), 1);
        if (i == 1)
            kv_gathering_fail(rig->gathering, "no");
        else
            assert_ptr_equal(kv_gathering_pop(rig->gathering), &rig->calls[i]);
    }
    assert_string_equal(rig->faults[1], "no");
    assert_null(rig->faults[0]);
    assert_null(rig->faults[2]);
}

/* Another client has written the key meanwhile: that is not a failure of the gathered updates. */
static void update_put_back_alone_stays_alone(void **state)
{
    struct rig *rig = *state;
    assert_int_equal(take_all(rig->gathering), N);
    kv_gathering_fail(rig->gathering, "no");
    assert_int_equal(take_all(rig->gathering), 1);
    kv_gathering_put_all_back(rig->gathering);
    assert_int_equal(take_all(rig->gathering), 1);
    assert_ptr_equal(kv_gathering_pop(rig->gathering), &rig->calls[0]);
}

static void a_common_failure_reaches_waiting_updates_too(void **state)
{
    struct rig *rig = *state;
    kv_gathering_take(rig->gathering, kv_gathering_next(rig->gathering));
    kv_gathering_fail_all(rig->gathering, "no");
    for (int i = 0; i < N; i++)
        assert_string_equal(rig->faults[i], "no");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(is_found_by_its_key),
        TEST(all_waiting_updates_are_taken_together_in_order),
        TEST(updates_put_back_come_first_in_order),
        TEST(updates_that_failed_together_are_retried_alone),
        TEST(update_put_back_alone_stays_alone),
        TEST(a_common_failure_reaches_waiting_updates_too),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
