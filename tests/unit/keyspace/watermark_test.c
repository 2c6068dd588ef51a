/* The order in which a loop delivers the changes of different keys. */
#include "keyspace/loop.h"
#include "told_store.h"

static struct rig rig;

static int set_up(void **state)
{
    (void)state;
    rig_init(&rig);
    told_store_use(&rig);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    rig_fini(&rig);
    told_store_expect_no_references();
    return 0;
}

static struct kv_feed_inbox *inbox(uint32_t loop)
{
    return &kv_keyspace_on(rig.keyspace, loop)->inbox;
}

static struct kv_watermark *watermark(void)
{
    return &inbox(0)->feed->watermark;
}

static struct kv_client *subscriber(uint32_t loop)
{
    struct kv_client *client = rig_client(&rig, loop);
    rig_subscribe(&rig, client, "s", "a");
    rig_subscribe(&rig, client, "s", "b");
    rig_turn(&rig);
    rig_expect(&rig, "s ok; s ok");
    return client;
}

static void open_sync(void)
{
    rig.is_sync = true;
    rig_open(&rig, 2);
}

static void changes_wait_for_calls_in_progress_on_other_loops(void **state)
{
    (void)state;
    open_sync();
    struct kv_client *client = subscriber(0);
    told_store_set_revision(10);
    kv_watermark_enter(watermark(), 1);
    told_store_tell(&rig, 12, "a", "later");
    rig_turn(&rig);
    rig_expect(&rig, "");
    assert_int_equal(kv_feed_delivered_upto(inbox(0)), 10);
    told_store_tell(&rig, 11, "b", "earlier");
    kv_watermark_leave(watermark(), 1);
    rig_turn(&rig);
    rig_expect(&rig, "told b=earlier; told a=later");
    assert_int_equal(kv_feed_delivered_upto(inbox(0)), 12);
    kv_client_close(client);
}

static void changes_below_the_calls_in_progress_are_delivered(void **state)
{
    (void)state;
    open_sync();
    struct kv_client *client = subscriber(0);
    told_store_tell(&rig, 9, "b", "below");
    told_store_set_revision(10);
    kv_watermark_enter(watermark(), 1);
    told_store_tell(&rig, 12, "a", "above");
    rig_turn(&rig);
    rig_expect(&rig, "told b=below");
    kv_watermark_leave(watermark(), 1);
    rig_turn(&rig);
    rig_expect(&rig, "told a=above");
    kv_client_close(client);
}

static void a_later_call_releases_changes_held_by_the_previous_one(void **state)
{
    (void)state;
    open_sync();
    struct kv_client *client = subscriber(0);
    told_store_set_revision(10);
    kv_watermark_enter(watermark(), 1);
    told_store_tell(&rig, 11, "a", "1");
    rig_turn(&rig);
    kv_watermark_leave(watermark(), 1);
    kv_watermark_enter(watermark(), 1);
    told_store_tell(&rig, 12, "b", "2");
    rig_turn(&rig);
    rig_expect(&rig, "told a=1");
    kv_watermark_leave(watermark(), 1);
    rig_turn(&rig);
    rig_expect(&rig, "told b=2");
    kv_client_close(client);
}

/* Otherwise the subscriber would be notified of `old` after it was shown `new`. */
static void a_get_waits_for_held_changes_of_its_subscribed_key(void **state)
{
    (void)state;
    open_sync();
    struct kv_client *client = subscriber(0);
    kv_watermark_enter(watermark(), 1);
    told_store_tell(&rig, 11, "a", "old");
    told_store_tell(&rig, 12, "a", "new");
    rig_get(&rig, client, "g", "a");
    rig_turn(&rig);
    rig_expect(&rig, "");
    kv_watermark_leave(watermark(), 1);
    rig_turn(&rig);
    rig_expect(&rig, "told a=old; told a=new; g new");
    kv_client_close(client);
}

static void a_subscribe_waits_for_changes_made_before_it(void **state)
{
    (void)state;
    open_sync();
    struct kv_client *earlier = subscriber(0), *later = rig_client(&rig, 0);
    kv_watermark_enter(watermark(), 1);
    told_store_tell(&rig, 11, "a", "old");
    rig_subscribe(&rig, later, "s", "a");
    rig_turn(&rig);
    rig_expect(&rig, "");
    kv_watermark_leave(watermark(), 1);
    rig_turn(&rig);
    rig_expect(&rig, "told a=old; s ok");
    kv_client_close(earlier);
    kv_client_close(later);
}

static void a_client_may_close_while_its_answer_waits_for_the_feed(void **state)
{
    (void)state;
    open_sync();
    struct kv_client *client = subscriber(0), *other = subscriber(0);
    kv_watermark_enter(watermark(), 1);
    told_store_tell(&rig, 11, "a", "old");
    rig_get(&rig, client, "g", "a");
    rig_turn(&rig);
    kv_client_close(client);
    rig_turn(&rig);
    kv_watermark_leave(watermark(), 1);
    rig_turn(&rig);
    rig_expect(&rig, "told a=old");
    kv_client_close(other);
}

static void changes_of_a_store_with_order_are_delivered_at_once(void **state)
{
    (void)state;
    rig.capabilities = KV_STORE_IN_ORDER;
    told_store_set_revision(5);
    rig_open(&rig, 2);
    struct kv_client *client = subscriber(0);
    assert_int_equal(kv_feed_delivered_upto(inbox(0)), 5);
    told_store_tell(&rig, 6, "a", "1");
    told_store_tell(&rig, 7, "elsewhere", "2");
    rig_turn(&rig);
    rig_expect(&rig, "told a=1");
    assert_int_equal(kv_feed_delivered_upto(inbox(0)), 7);
    assert_int_equal(kv_watermark_now(watermark()), 7);
    kv_client_close(client);
}

static void without_a_known_order_changes_are_delivered_as_told(void **state)
{
    (void)state;
    rig_open(&rig, 2);
    struct kv_client *client = subscriber(0);
    told_store_tell(&rig, 7, "a", "1");
    told_store_tell(&rig, 6, "b", "2");
    rig_turn(&rig);
    rig_expect(&rig, "told a=1; told b=2");
    assert_int_equal(kv_watermark_now(watermark()), 0);
    assert_int_equal(kv_feed_delivered_upto(inbox(0)), 0);
    kv_client_close(client);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(changes_wait_for_calls_in_progress_on_other_loops),
        TEST(changes_below_the_calls_in_progress_are_delivered),
        TEST(a_later_call_releases_changes_held_by_the_previous_one),
        TEST(a_get_waits_for_held_changes_of_its_subscribed_key),
        TEST(a_subscribe_waits_for_changes_made_before_it),
        TEST(a_client_may_close_while_its_answer_waits_for_the_feed),
        TEST(changes_of_a_store_with_order_are_delivered_at_once),
        TEST(without_a_known_order_changes_are_delivered_as_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
