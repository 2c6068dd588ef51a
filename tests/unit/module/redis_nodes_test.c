/* The known nodes of a Redis Cluster, whose addresses change. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "nodes.h"

enum {
    MANY = 300, /* more than are kept */
};

static struct kv_store store;

static int set_up(void **state)
{
    (void)state;
    store = (struct kv_store){.nodes = nodes_create(), .n_parts = 1, .tag = "0"};
    assert_non_null(store.nodes);
    nodes_add(store.nodes, KV_SLICE("seed"), 1);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    nodes_destroy(store.nodes);
    return 0;
}

/* A node answers that there is one master, with a replica. */
static void be_answered(int master, int replica)
{
    char text[256];
    struct owner owner;
    snprintf(text, sizeof(text),
             "*1\r\n*4\r\n:0\r\n:16383\r\n*2\r\n$4\r\nhost\r\n:%d\r\n*2\r\n$4\r\nhost\r\n:%d\r\n",
             master, replica);
    assert_int_equal(nodes_read_slots(&store, kv_slice_of(text), &owner), 0);
    assert_int_equal(owner.port, master);
}

static void be_away(int port)
{
    nodes_note(store.nodes, KV_SLICE("host"), port, false);
}

static bool is_master(int port)
{
    struct place places[MOST_NODES];
    size_t n = nodes_list_masters(store.nodes, places);
    for (size_t i = 0; i < n; i++)
        if (places[i].port == port)
            return true;
    return false;
}

static void a_master_is_known_also_without_slots(void **state)
{
    (void)state;
    be_answered(7000, 7001);
    assert_true(is_master(7000) && !is_master(7001));
    be_answered(7002, 7003);
    assert_true(is_master(7000) && is_master(7002) && !is_master(7003));
    be_answered(7003, 7002);
    assert_true(is_master(7003) && !is_master(7002));
    assert_false(is_master(1));
}

/* Whether it is in the next round. */
static bool is_tried(int port)
{
    for (int i = 0; i < MANY; i++) {
        nodes_try_next(&store);
        if (store.settings.address.port == port)
            return true;
    }
    return false;
}

static void nodes_of_an_answer_are_tried(void **state)
{
    (void)state;
    be_answered(2, 3);
    assert_true(is_tried(1) && is_tried(2) && is_tried(3));
}

static void one_that_is_gone_is_forgotten(void **state)
{
    (void)state;
    be_answered(2, 3);
    be_away(2);
    be_answered(3, 4);
    assert_false(is_tried(2));
    assert_true(is_tried(1) && is_tried(3) && is_tried(4));
}

static void one_that_can_be_reached_or_is_named_stays(void **state)
{
    (void)state;
    be_answered(2, 3);
    be_away(3);
    be_answered(3, 4);
    assert_true(is_tried(2) && is_tried(3));
}

static void one_that_was_reached_again_stays(void **state)
{
    (void)state;
    be_answered(2, 3);
    be_away(2);
    nodes_note(store.nodes, KV_SLICE("host"), 2, true);
    be_answered(3, 4);
    assert_true(is_tried(2));
}

static void those_of_the_configuration_stay(void **state)
{
    (void)state;
    nodes_note(store.nodes, KV_SLICE("seed"), 1, false);
    be_answered(2, 3);
    assert_true(is_tried(1));
}

static void new_ones_find_room(void **state)
{
    (void)state;
    for (int i = 0; i < MANY; i++)
        be_answered(1000 + i, 2000 + i);
    assert_true(is_tried(1) && is_tried(1000 + MANY - 1) && is_tried(2000 + MANY - 1));
    assert_false(is_tried(1000));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_master_is_known_also_without_slots, set_up, tear_down),
        cmocka_unit_test_setup_teardown(nodes_of_an_answer_are_tried, set_up, tear_down),
        cmocka_unit_test_setup_teardown(one_that_is_gone_is_forgotten, set_up, tear_down),
        cmocka_unit_test_setup_teardown(one_that_can_be_reached_or_is_named_stays, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(one_that_was_reached_again_stays, set_up, tear_down),
        cmocka_unit_test_setup_teardown(those_of_the_configuration_stay, set_up, tear_down),
        cmocka_unit_test_setup_teardown(new_ones_find_room, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
