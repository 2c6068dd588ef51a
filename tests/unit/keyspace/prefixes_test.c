/* Subscriptions to prefixes, and the changes that a client receives if several subscriptions cover
 * them or if it falls behind. */
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

static void set(const char *key, const char *value)
{
    rig_turn(&rig);
    rig_set(&rig, NULL, "w", key, value, 0);
    rig_turn(&rig);
}

static void a_change_below_the_prefix_is_notified_on_every_loop(void **state)
{
    (void)state;
    rig_open(&rig, 2);
    struct kv_client *here = rig_client(&rig, 0), *there = rig_client(&rig, 1);
    rig_subscribe_prefix(&rig, here, "s", "room/");
    rig_subscribe_prefix(&rig, there, "t", "room/");
    rig_turn(&rig);
    rig_expect(&rig, "s ok; t ok");
    set("room/1", "1");
    rig_expect(&rig, "told room/1=1; w ok; told room/1=1");
    set("room/", "2");
    rig_expect(&rig, "told room/=2; w ok; told room/=2");
    set("room", "3");
    set("other/room/1", "4");
    rig_expect(&rig, "w ok; w ok");
    kv_client_close(here);
    kv_client_close(there);
}

static void the_empty_prefix_covers_every_key(void **state)
{
    (void)state;
    rig_open(&rig, 1);
    struct kv_client *client = rig_client(&rig, 0);
    rig_subscribe_prefix(&rig, client, "s", "");
    set("", "1");
    set("k", "2");
    rig_expect(&rig, "s ok; told =1; w ok; told k=2; w ok");
    kv_client_close(client);
}

static void a_prefix_of_any_length_covers_only_its_keys(void **state)
{
    char prefix[100], twin[100], key[101];
    (void)state;
    rig_open(&rig, 1);
    memset(prefix, 'p', sizeof(prefix) - 1);
    prefix[sizeof(prefix) - 1] = '\0';
    memcpy(twin, prefix, sizeof(twin));
    twin[90] = 'q'; /* the commit cannot distinguish them, the loop can */
    snprintf(key, sizeof(key), "%s1", prefix);
    struct kv_client *client = rig_client(&rig, 0), *other = rig_client(&rig, 0);
    rig_subscribe_prefix(&rig, client, "s", prefix);
    rig_subscribe_prefix(&rig, other, "t", twin);
    rig_turn(&rig);
    rig_unsubscribe_prefix(&rig, other, "u", twin);
    set(key, "1");
    char expected[300];
    snprintf(expected, sizeof(expected), "s ok; t ok; u ok; told %s=1; w ok", key);
    rig_expect(&rig, expected);
    kv_client_close(client);
    kv_client_close(other);
}

static void a_change_covered_by_several_subscriptions_is_notified_once(void **state)
{
    (void)state;
    rig_open(&rig, 1);
    struct kv_client *client = rig_client(&rig, 0), *other = rig_client(&rig, 0);
    rig_subscribe(&rig, client, "1", "a/b");
    rig_subscribe_prefix(&rig, client, "2", "a/");
    rig_subscribe_prefix(&rig, client, "3", "a/b");
    rig_subscribe_prefix(&rig, other, "4", "a");
    rig_turn(&rig);
    rig_expect(&rig, "1 ok; 2 ok; 3 ok; 4 ok");
    set("a/b", "1");
    rig_expect(&rig, "told a/b=1; told a/b=1; w ok");
    rig_unsubscribe_prefix(&rig, client, "u2", "a/");
    rig_unsubscribe_prefix(&rig, client, "u3", "a/b");
    set("a/b", "2");
    rig_expect(&rig, "u2 ok; u3 ok; told a/b=2; told a/b=2; w ok");
    rig_unsubscribe(&rig, client, "u1", "a/b");
    set("a/b", "3");
    rig_expect(&rig, "u1 ok; told a/b=3; w ok");
    kv_client_close(client);
    kv_client_close(other);
}

static void subscribe_with_meta(struct kv_client *client, const char *key, bool is_prefix,
                                bool wants_meta)
{
    struct kv_command *command = rig_command(&rig, client, "s", KV_COMMAND_SUBSCRIBE, key);
    command->subscribe = (struct kv_subscribe){.is_prefix = is_prefix, .wants_meta = wants_meta};
    rig_send(client, command);
    rig_turn(&rig);
    rig_expect(&rig, "s ok");
}

static void a_change_has_meta_if_any_of_its_subscriptions_requested_it(void **state)
{
    (void)state;
    rig_open(&rig, 1);
    struct kv_client *client = rig_client(&rig, 0), *plain = rig_client(&rig, 0);
    subscribe_with_meta(plain, "a/", true, false);
    subscribe_with_meta(client, "a/", true, true);
    subscribe_with_meta(client, "a/b", false, false);
    set("a/b", "1");
    rig_expect(&rig, "told a/b=1 meta; told a/b=1; w ok");
    set("a/c", "2");
    rig_expect(&rig, "told a/c=2; told a/c=2 meta; w ok");
    subscribe_with_meta(client, "a/", true, false);
    set("a/b", "3");
    rig_expect(&rig, "told a/b=3; told a/b=3; w ok");
    kv_client_close(client);
    kv_client_close(plain);
}

static void a_key_and_a_prefix_of_the_same_text_are_two_subscriptions(void **state)
{
    (void)state;
    rig_open(&rig, 1);
    struct kv_client *client = rig_client(&rig, 0);
    rig_subscribe(&rig, client, "k", "a");
    rig_subscribe_prefix(&rig, client, "p", "a");
    rig_unsubscribe(&rig, client, "u", "a");
    set("a", "1");
    rig_expect(&rig, "k ok; p ok; u ok; told a=1; w ok");
    kv_client_close(client);
}

static void prefixes_count_as_subscriptions(void **state)
{
    (void)state;
    rig_open(&rig, 1);
    struct kv_client *client = rig_client(&rig, 0);
    rig_subscribe_prefix(&rig, client, "1", "a");
    rig_subscribe_prefix(&rig, client, "2", "b");
    rig_subscribe(&rig, client, "3", "c");
    rig_subscribe_prefix(&rig, client, "4", "d");
    rig_unsubscribe_prefix(&rig, client, "5", "a");
    rig_subscribe_prefix(&rig, client, "6", "d");
    rig_turn(&rig);
    rig_expect(&rig, "1 ok; 2 ok; 3 ok; 4 too many subscriptions on this connection; 5 ok; 6 ok");
    kv_client_close(client);
}

static void a_subscribe_to_a_prefix_takes_effect_before_the_next_message(void **state)
{
    (void)state;
    rig.is_sync = true;
    rig_open(&rig, 1);
    struct kv_client *client = rig_client(&rig, 0);
    rig_set(&rig, client, "a", "p/1", "1", 0);
    rig_subscribe_prefix(&rig, client, "s", "p/");
    rig_set(&rig, client, "b", "p/1", "2", 0);
    rig_turn(&rig);
    rig_expect(&rig, "a ok; s ok; told p/1=2; b ok");
    kv_client_close(client);
}

static void a_get_below_a_prefix_never_returns_less_than_was_notified(void **state)
{
    (void)state;
    rig_open(&rig, 1);
    struct kv_client *client = rig_client(&rig, 0);
    rig_subscribe_prefix(&rig, client, "s", "p/");
    rig_turn(&rig);
    rig.gate_is_shut = true;
    rig_get(&rig, client, "g", "p/k");
    rig_turn(&rig);
    rig_execute(&rig, 0); /* this read: missing */
    rig.gate_is_shut = false;
    rig_set(&rig, NULL, "w", "p/k", "1", 0);
    rig_turn(&rig);
    rig_expect(&rig, "s ok; told p/k=1; w ok");
    rig_complete(&rig, 0);
    rig_turn(&rig);
    rig_expect(&rig, "g 1");
    kv_client_close(client);
}

/* ---- falling behind ---- */

static size_t unsent;

static struct kv_client *narrow_subscriber(const char *prefix)
{
    unsent = 0;
    struct kv_client *client = rig_narrow_client(&rig, 0, &unsent);
    rig_subscribe_prefix(&rig, client, "s", prefix);
    rig_turn(&rig);
    rig_expect(&rig, "s ok");
    unsent = 1;
    return client;
}

static void make_room(struct kv_client *client)
{
    unsent = 0;
    kv_client_catch_up(client);
}

static void a_client_behind_receives_only_newest_states_in_the_order_of_changes(void **state)
{
    (void)state;
    rig_open(&rig, 1);
    struct kv_client *client = narrow_subscriber("p/");
    set("p/a", "1");
    set("p/b", "2");
    set("p/a", "3");
    rig_expect(&rig, "w ok; w ok; w ok");
    make_room(client);
    rig_expect(&rig, "told p/b=2 collapsed; told p/a=3 collapsed");
    set("p/a", "4");
    rig_expect(&rig, "told p/a=4; w ok");
    kv_client_close(client);
}

static void no_change_overtakes_a_key_that_is_behind(void **state)
{
    (void)state;
    rig_open(&rig, 1);
    struct kv_client *client = narrow_subscriber("p/");
    set("p/a", "1");
    unsent = 0;
    set("p/b", "2");
    rig_expect(&rig, "w ok; w ok");
    make_room(client);
    rig_expect(&rig, "told p/a=1 collapsed; told p/b=2 collapsed");
    kv_client_close(client);
}

static void no_state_older_than_the_result_of_a_get_follows(void **state)
{
    (void)state;
    rig_open(&rig, 1);
    struct kv_client *client = narrow_subscriber("p/");
    set("p/a", "1");
    set("p/b", "2");
    unsent = 0;
    rig.gate_is_shut = true;
    rig_get(&rig, client, "g", "p/a");
    rig_turn(&rig);
    rig.gate_is_shut = false;
    kv_keyspace_hold_writes(rig.keyspace);
    rig_execute(&rig, 0);
    rig_complete(&rig, 0);
    rig_turn(&rig);
    rig_expect(&rig, "w ok; w ok; g 1");
    kv_keyspace_release_writes(rig.keyspace);
    make_room(client);
    rig_expect(&rig, "told p/a=1 collapsed; told p/b=2 collapsed");
    kv_client_close(client);
}

static void subscribers_that_are_behind_share_pending_changes(void **state)
{
    (void)state;
    rig_open(&rig, 1);
    struct kv_client *first = narrow_subscriber("p/"), *second = narrow_subscriber("");
    set("p/a", "1");
    rig_delete(&rig, NULL, "d", "p/a");
    rig_turn(&rig);
    rig_expect(&rig, "w ok; d ok");
    kv_client_close(first);
    make_room(second);
    rig_expect(&rig, "told p/a=none collapsed");
    kv_client_close(second);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_change_below_the_prefix_is_notified_on_every_loop),
        TEST(the_empty_prefix_covers_every_key),
        TEST(a_prefix_of_any_length_covers_only_its_keys),
        TEST(a_change_covered_by_several_subscriptions_is_notified_once),
        TEST(a_change_has_meta_if_any_of_its_subscriptions_requested_it),
        TEST(a_key_and_a_prefix_of_the_same_text_are_two_subscriptions),
        TEST(prefixes_count_as_subscriptions),
        TEST(a_subscribe_to_a_prefix_takes_effect_before_the_next_message),
        TEST(a_get_below_a_prefix_never_returns_less_than_was_notified),
        TEST(a_client_behind_receives_only_newest_states_in_the_order_of_changes),
        TEST(no_change_overtakes_a_key_that_is_behind),
        TEST(no_state_older_than_the_result_of_a_get_follows),
        TEST(subscribers_that_are_behind_share_pending_changes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
