/* The changes that subscribers receive; they never see an older state after a newer one. */
#include "rig.h"

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

static struct kv_client *subscriber(uint32_t loop, const char *key)
{
    struct kv_client *client = rig_client(&rig, loop);
    rig_subscribe(&rig, client, "s", key);
    rig_turn(&rig);
    rig_expect(&rig, "s ok");
    return client;
}

static void a_change_is_notified_on_every_loop_including_the_writers(void **state)
{
    (void)state;
    rig_open(&rig, 2);
    struct kv_client *own = subscriber(0, "k"), *other = subscriber(1, "k");
    rig_set(&rig, own, "a", "k", "1", 0);
    rig_turn(&rig);
    rig_expect(&rig, "told k=1; a ok; told k=1");
    kv_client_close(own);
    kv_client_close(other);
}

static void writes_that_change_nothing_are_not_notified(void **state)
{
    (void)state;
    rig_open(&rig, 1);
    struct kv_client *client = subscriber(0, "k");
    rig_delete(&rig, client, "a", "k");
    rig_set(&rig, client, "b", "k", "1", 0);
    rig_set(&rig, client, "c", "k", "1", 0);
    rig_set(&rig, client, "d", "other", "1", 0);
    rig_turn(&rig);
    rig_expect(&rig, "told k=1; a missing; b ok; c unchanged; d ok");
    kv_client_close(client);
}

static void subscribing_twice_is_the_same_as_once(void **state)
{
    (void)state;
    rig_open(&rig, 1);
    struct kv_client *client = subscriber(0, "k");
    rig_subscribe(&rig, client, "again", "k");
    rig_set(&rig, client, "a", "k", "1", 0);
    rig_unsubscribe(&rig, client, "u", "k");
    rig_set(&rig, client, "b", "k", "2", 0);
    rig_turn(&rig);
    rig_expect(&rig, "again ok; told k=1; a ok; u ok; b ok");
    kv_client_close(client);
}

static void a_subscribe_is_answered_before_its_first_change(void **state)
{
    (void)state;
    rig.is_sync = true;
    rig_open(&rig, 1);
    struct kv_client *client = rig_client(&rig, 0);
    rig_set(&rig, client, "a", "k", "1", 0);
    rig_subscribe(&rig, client, "s", "k");
    rig_set(&rig, client, "b", "k", "2", 0);
    rig_turn(&rig);
    rig_expect(&rig, "a ok; s ok; told k=2; b ok");
    kv_client_close(client);
}

static void a_change_before_the_subscription_is_not_notified(void **state)
{
    (void)state;
    rig_open(&rig, 1);
    struct kv_client *other = subscriber(0, "k"); /* so that the feed delivers the key to this
                                                   * loop */
    rig_set(&rig, other, "a", "k", "1", 0);
    struct kv_client *client = rig_client(&rig, 0);
    kv_keyspace_submit_now(kv_keyspace_on(rig.keyspace, 0));
    rig_subscribe(&rig, client, "s", "k");
    rig_turn(&rig);
    rig_expect(&rig, "told k=1; a ok; s ok");
    kv_client_close(other);
    kv_client_close(client);
}

static void subscriptions_end_with_their_client(void **state)
{
    (void)state;
    rig_open(&rig, 1);
    struct kv_client *client = subscriber(0, "k");
    kv_client_close(client);
    rig_set(&rig, NULL, "a", "k", "1", 0);
    rig_turn(&rig);
    rig_expect(&rig, "a ok");
}

static void too_many_subscriptions_are_refused(void **state)
{
    (void)state;
    rig_open(&rig, 1);
    struct kv_client *client = rig_client(&rig, 0);
    rig_subscribe(&rig, client, "1", "a");
    rig_subscribe(&rig, client, "2", "b");
    rig_subscribe(&rig, client, "3", "c");
    rig_subscribe(&rig, client, "4", "d");
    rig_subscribe(&rig, client, "5", "a");
    rig_turn(&rig);
    rig_expect(&rig, "1 ok; 2 ok; 3 ok; 4 too many subscriptions on this connection; 5 ok");
    kv_client_close(client);
}

static void an_expiry_is_notified_at_its_deadline(void **state)
{
    (void)state;
    rig_open(&rig, 1);
    struct kv_client *client = subscriber(0, "k");
    rig_set(&rig, client, "a", "k", "1", 50);
    rig_turn(&rig);
    rig_expect(&rig, "told k=1; a ok");
    rig_pass_ms(&rig, 49);
    rig_get(&rig, client, "before", "k");
    rig_turn(&rig);
    rig_expect(&rig, "before 1");
    rig_pass_ms(&rig, 1);
    rig_turn(&rig);
    rig_expect(&rig, "told k=expired");
    kv_client_close(client);
}

static void a_get_read_before_a_notified_change_returns_the_changed_state(void **state)
{
    (void)state;
    rig_open(&rig, 1);
    struct kv_client *client = subscriber(0, "k");
    rig.gate_is_shut = true;
    rig_get(&rig, client, "g", "k");
    rig_turn(&rig);
    rig_execute(&rig, 0); /* this read: missing */
    rig.gate_is_shut = false;
    rig_set(&rig, NULL, "w", "k", "1", 0);
    rig_turn(&rig);
    rig_expect(&rig, "told k=1; w ok");
    rig_complete(&rig, 0);
    rig_turn(&rig);
    rig_expect(&rig, "g 1");
    kv_client_close(client);
}

static void a_get_of_a_subscribed_key_delays_later_writes_of_its_client(void **state)
{
    (void)state;
    rig_open(&rig, 1);
    struct kv_client *client = subscriber(0, "k");
    rig.gate_is_shut = true;
    rig_set(&rig, client, "slow", "x", "1", 0);
    rig_get(&rig, client, "g", "k");
    rig_set(&rig, client, "w", "k", "1", 0);
    rig_turn(&rig);
    assert_int_equal(rig.n_waiting, 2);
    rig_execute(&rig, 1);
    rig_complete(&rig, 1);
    rig_turn(&rig);
    assert_int_equal(rig.n_waiting, 2); /* g is complete, but waits behind slow */
    rig.gate_is_shut = false;
    rig_execute(&rig, 0);
    rig_complete(&rig, 0);
    rig_turn(&rig);
    rig_expect(&rig, "slow ok; g missing; told k=1; w ok");
    kv_client_close(client);
}

static void a_get_past_the_deadline_of_the_notified_state_is_read_again(void **state)
{
    (void)state;
    rig_open(&rig, 1);
    struct kv_client *client = subscriber(0, "k");
    rig.gate_is_shut = true;
    rig_get(&rig, client, "g", "k");
    rig_turn(&rig);
    rig_execute(&rig, 0);
    rig.gate_is_shut = false;
    rig_set(&rig, NULL, "w", "k", "1", 50);
    rig_turn(&rig);
    rig_set(&rig, NULL, "longer", "k", "1", 1000); /* moves the deadline without a change */
    rig_turn(&rig);
    rig_pass_ms(&rig, 60);
    rig_complete(&rig, 0);
    rig_turn(&rig);
    rig_expect(&rig, "told k=1; w ok; longer unchanged; g 1");
    kv_client_close(client);
}

/* The second get was read while the first was complete and waiting; then the first was read
 * again. */
static void a_get_after_one_that_is_read_again_is_also_read_again(void **state)
{
    (void)state;
    rig_open(&rig, 1);
    struct kv_client *client = subscriber(0, "k");
    rig.gate_is_shut = true;
    rig_set(&rig, client, "slow", "x", "1", 0);
    rig_get(&rig, client, "g1", "k");
    rig_turn(&rig);
    rig_execute(&rig, 1);
    rig_complete(&rig, 1); /* missing */
    rig.gate_is_shut = false;
    rig_set(&rig, NULL, "w", "k", "1", 50);
    rig_turn(&rig);
    rig_get(&rig, client, "g2", "k"); /* reads 1 */
    rig_turn(&rig);
    rig_expect(&rig, "told k=1; w ok");
    rig_pass_ms(&rig, 60);
    rig_execute(&rig, 0);
    rig_complete(&rig, 0);
    rig_turn(&rig);
    rig_expect(&rig, "slow ok; g1 missing; g2 missing; told k=expired");
    kv_client_close(client);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_change_is_notified_on_every_loop_including_the_writers,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(writes_that_change_nothing_are_not_notified, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(subscribing_twice_is_the_same_as_once, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_subscribe_is_answered_before_its_first_change, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_change_before_the_subscription_is_not_notified, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(subscriptions_end_with_their_client, set_up, tear_down),
        cmocka_unit_test_setup_teardown(too_many_subscriptions_are_refused, set_up, tear_down),
        cmocka_unit_test_setup_teardown(an_expiry_is_notified_at_its_deadline, set_up, tear_down),
        cmocka_unit_test_setup_teardown(
            a_get_read_before_a_notified_change_returns_the_changed_state, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_get_of_a_subscribed_key_delays_later_writes_of_its_client,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_get_past_the_deadline_of_the_notified_state_is_read_again,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_get_after_one_that_is_read_again_is_also_read_again,
                                        set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
