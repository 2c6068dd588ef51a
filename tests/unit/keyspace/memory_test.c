/* Commands for which memory runs out: they end as full, in order, and change nothing. The program
 * is linked with --wrap=kv_try_alloc. */
#include "rig.h"

#include "base/mem.h"

enum {
    LONG = 4 * KV_COMMAND_SMALL
};

static struct rig rig;
static char long_value[LONG + 1];

/* The n-th allocation from now on fails, once; 0: none fails. */
static size_t failing_allocation;

void *__real_kv_try_alloc(size_t size);
void *__wrap_kv_try_alloc(size_t size);

void *__wrap_kv_try_alloc(size_t size)
{
    if (failing_allocation != 0 && --failing_allocation == 0)
        return NULL;
    return __real_kv_try_alloc(size);
}

static int set_up(void **state)
{
    (void)state;
    memset(long_value, '1', LONG);
    failing_allocation = 0;
    rig_init(&rig);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    rig_fini(&rig);
    return 0;
}

static void write_without_memory_is_full_and_changes_nothing(void **state)
{
    (void)state;
    rig_open(&rig, 1);
    struct kv_client *client = rig_client(&rig, 0);
    failing_allocation = 1;
    rig_set(&rig, client, "a", "k", long_value, 0);
    rig_turn(&rig);
    assert_int_equal(failing_allocation, 0);
    rig_get(&rig, client, "b", "k");
    rig_turn(&rig);
    rig_expect(&rig, "a full; b missing");
    kv_client_close(client);
}

static void waiting_command_without_memory_is_full_in_its_order(void **state)
{
    (void)state;
    rig_open(&rig, 1);
    struct kv_client *client = rig_client(&rig, 0);
    rig.gate_is_shut = true;
    rig_get(&rig, client, "a", "k");
    rig_turn(&rig);
    failing_allocation = 1;
    rig_set(&rig, client, "b", "k", long_value, 0); /* waits for the get */
    rig_turn(&rig);
    assert_int_equal(failing_allocation, 0);
    rig_expect(&rig, "");
    rig_execute(&rig, 0);
    rig_complete(&rig, 0);
    rig_turn(&rig);
    rig_expect(&rig, "a missing; b full");
    kv_client_close(client);
}

static void subscription_without_memory_is_full_and_can_be_retried(void **state)
{
    (void)state;
    rig_open(&rig, 1);
    struct kv_client *client = rig_client(&rig, 0);
    failing_allocation = 1;
    rig_subscribe(&rig, client, "a", "k");
    rig_turn(&rig);
    assert_int_equal(failing_allocation, 0);
    rig_subscribe(&rig, client, "b", "k");
    rig_turn(&rig);
    rig_set(&rig, NULL, "c", "k", "1", 0);
    rig_turn(&rig);
    rig_expect(&rig, "a full; b ok; told k=1; c ok");
    kv_client_close(client);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(write_without_memory_is_full_and_changes_nothing, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(waiting_command_without_memory_is_full_in_its_order, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(subscription_without_memory_is_full_and_can_be_retried,
                                        set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
