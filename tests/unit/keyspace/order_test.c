/* The commands of one connection take effect and are answered in the order sent, however late the
 * store completes them. */
#include "rig.h"

#include <string.h>

#include "keyspace/loop.h"
#include "loop/loop.h"

static struct rig rig;

static int set_up(void **state)
{
    (void)state;
    rig_init(&rig);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    rig_fini(&rig);
    return 0;
}

static size_t n_of(const char *text, const char *part)
{
    size_t n = 0;
    for (const char *at = text; (at = strstr(at, part)) != NULL; at++)
        n++;
    return n;
}

static void a_write_is_invisible_before_its_commit_point(void **state)
{
    (void)state;
    rig_open(&rig, 1);
    struct kv_client *writer = rig_client(&rig, 0), *reader = rig_client(&rig, 0);
    rig.gate_is_shut = true;
    rig_set(&rig, writer, "w", "k", "1", 0);
    rig_turn(&rig);
    rig.gate_is_shut = false;
    rig_get(&rig, reader, "before", "k");
    rig_turn(&rig);
    rig_execute(&rig, 0);
    rig_get(&rig, reader, "after", "k");
    rig_turn(&rig);
    rig_complete(&rig, 0);
    rig_turn(&rig);
    rig_expect(&rig, "before missing; after 1; w ok");
    kv_client_close(writer);
    kv_client_close(reader);
}

static void answers_keep_the_order_sent(void **state)
{
    (void)state;
    rig_open(&rig, 1);
    struct kv_client *client = rig_client(&rig, 0);
    rig.gate_is_shut = true;
    rig_set(&rig, client, "a", "x", "1", 0);
    rig_set(&rig, client, "b", "y", "1", 0);
    rig_get(&rig, client, "c", "z");
    rig_turn(&rig);
    assert_int_equal(rig.n_waiting, 3);
    for (size_t i = 0; i < 3; i++)
        rig_execute(&rig, i);
    rig_complete(&rig, 2);
    rig_complete(&rig, 1);
    rig_turn(&rig);
    rig_expect(&rig, "");
    rig_complete(&rig, 0);
    rig_turn(&rig);
    rig_expect(&rig, "a ok; b ok; c missing");
    kv_client_close(client);
}

static void a_get_waits_only_for_pending_writes_of_its_key(void **state)
{
    (void)state;
    rig_open(&rig, 1);
    struct kv_client *client = rig_client(&rig, 0);
    rig.gate_is_shut = true;
    rig_set(&rig, client, "a", "x", "1", 0);
    rig_get(&rig, client, "b", "x");
    rig_get(&rig, client, "c", "y");
    rig_turn(&rig);
    assert_int_equal(rig.n_waiting, 2); /* a and c */
    rig_execute(&rig, 0);
    rig_complete(&rig, 0);
    rig_turn(&rig);
    assert_int_equal(rig.n_waiting, 3); /* and now b */
    rig_execute(&rig, 1);
    rig_execute(&rig, 2);
    rig_complete(&rig, 1);
    rig_complete(&rig, 2);
    rig_turn(&rig);
    rig_expect(&rig, "a ok; b 1; c missing");
    kv_client_close(client);
}

/* The store may execute reads in any order, and another client may write in between. */
static void a_get_does_not_see_an_older_state_than_the_previous_get(void **state)
{
    (void)state;
    rig_open(&rig, 1);
    struct kv_client *client = rig_client(&rig, 0);
    rig.gate_is_shut = true;
    rig_get(&rig, client, "a", "k");
    rig_get(&rig, client, "b", "k");
    rig_turn(&rig);
    assert_int_equal(rig.n_waiting, 1);
    rig.gate_is_shut = false;
    rig_set(&rig, NULL, "w", "k", "1", 0);
    rig_turn(&rig);
    rig_execute(&rig, 0);
    rig_complete(&rig, 0);
    rig_turn(&rig);
    rig_expect(&rig, "w ok; a 1; b 1");
    kv_client_close(client);
}

static void a_get_does_not_see_a_write_sent_after_it(void **state)
{
    (void)state;
    rig_open(&rig, 1);
    struct kv_client *client = rig_client(&rig, 0);
    rig.gate_is_shut = true;
    rig_get(&rig, client, "a", "k");
    rig_set(&rig, client, "b", "k", "1", 0);
    rig_turn(&rig);
    assert_int_equal(rig.n_waiting, 1);
    rig_execute(&rig, 0);
    rig_complete(&rig, 0);
    rig_turn(&rig);
    rig_execute(&rig, 1);
    rig_complete(&rig, 1);
    rig_turn(&rig);
    rig_expect(&rig, "a missing; b ok");
    kv_client_close(client);
}

static void commands_of_a_closed_client_still_take_effect_in_order(void **state)
{
    (void)state;
    rig_open(&rig, 1);
    struct kv_client *client = rig_client(&rig, 0);
    rig.gate_is_shut = true;
    rig_get(&rig, client, "a", "k");
    rig_set(&rig, client, "b", "k", "1", 0);
    rig_set(&rig, client, "c", "k", "2", 0);
    rig_turn(&rig);
    kv_client_close(client);
    rig.gate_is_shut = false;
    rig_execute(&rig, 0);
    rig_complete(&rig, 0);
    rig_turn(&rig);
    rig_get(&rig, NULL, "now", "k");
    rig_turn(&rig);
    rig_expect(&rig, "now 2");
    assert_int_equal(kv_keyspace_under_way(rig.keyspace), 0);
}

static void lent_bytes_are_needed_only_until_the_end_of_the_turn(void **state)
{
    (void)state;
    char *key = strdup("k"), *value = strdup("\"lent\""), *name = strdup("a");
    rig_open(&rig, 1);
    struct kv_client *client = rig_client(&rig, 0);
    rig.gate_is_shut = true;
    rig_get(&rig, client, "first", "k");
    rig_set(&rig, client, name, key, value, 0);
    rig_turn(&rig);
    free(key);
    free(value);
    free(name);
    rig.gate_is_shut = false;
    rig_execute(&rig, 0);
    rig_complete(&rig, 0);
    rig_turn(&rig);
    rig_get(&rig, client, "now", "k");
    rig_turn(&rig);
    rig_expect(&rig, "first missing; a ok; now \"lent\"");
    kv_client_close(client);
}

static void a_burst_of_a_sync_store_is_executed_in_order(void **state)
{
    (void)state;
    rig.is_sync = true;
    rig_open(&rig, 1);
    struct kv_client *client = rig_client(&rig, 0);
    rig_set(&rig, client, "a", "k", "1", 0);
    rig_get(&rig, client, "b", "k");
    rig_set(&rig, client, "c", "k", "1", 0);
    rig_delete(&rig, client, "d", "k");
    rig_get(&rig, client, "e", "k");
    rig_turn(&rig);
    rig_expect(&rig, "a ok; b 1; c unchanged; d ok; e missing");
    kv_client_close(client);
}

/* Otherwise the commands of many connections would no longer be in the cache when they are executed
 * and answered. */
static void many_commands_do_not_wait_for_the_end_of_the_turn(void **state)
{
    (void)state;
    rig.is_sync = true;
    rig_open(&rig, 1);
    struct kv_client *writer = rig_client(&rig, 0), *reader = rig_client(&rig, 0);
    rig_subscribe(&rig, reader, "sub", "k");
    rig_turn(&rig);
    rig_expect(&rig, "sub ok");
    rig_set(&rig, writer, "few", "k", "1", 0);
    kv_loop_end_work(rig.loops[0]);
    rig_expect(&rig, "");
    for (int i = 0; i < 200; i++)
        rig_get(&rig, i % 2 == 0 ? writer : NULL, "", "");
    rig_get(&rig, reader, "read", "k");
    kv_loop_end_work(rig.loops[0]);
    assert_non_null(strstr(rig.log, "few ok"));
    const char *told = strstr(rig.log, "told k=1"), *read = strstr(rig.log, "read 1");
    assert_true(told != NULL && read > told);
    assert_int_equal(n_of(rig.log, " missing"), 200);
    rig.log[0] = '\0';
    rig_turn(&rig);
    rig_expect(&rig, "");
    kv_client_close(writer);
    kv_client_close(reader);
}

static void commands_are_unavailable_before_the_store_is_open(void **state)
{
    (void)state;
    struct kv_loop *loop = kv_loop_create(0, &rig.clock);
    struct kv_keyspace_parts parts = {.clock = &rig.clock,
                                      .loops = &loop,
                                      .n_loops = 1,
                                      .store_ops = &rig.ops,
                                      .store_name = "store"};
    rig.keyspace = kv_keyspace_create(&parts);
    rig.loops[0] = loop;
    rig.n_loops = 1;
    rig_get(&rig, NULL, "a", "k");
    rig_turn(&rig);
    rig_expect(&rig, "a the store is not available: the server is starting or shutting down");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_write_is_invisible_before_its_commit_point, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(answers_keep_the_order_sent, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_get_waits_only_for_pending_writes_of_its_key, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_get_does_not_see_an_older_state_than_the_previous_get,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_get_does_not_see_a_write_sent_after_it, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(commands_of_a_closed_client_still_take_effect_in_order,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(lent_bytes_are_needed_only_until_the_end_of_the_turn,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_burst_of_a_sync_store_is_executed_in_order, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(many_commands_do_not_wait_for_the_end_of_the_turn, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(commands_are_unavailable_before_the_store_is_open, set_up,
                                        tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
