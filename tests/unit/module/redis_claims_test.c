/* The order of changes over the partitions of a Redis Cluster: what a node says of several
 * partitions. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "answers.h"
#include "catching_up.h"
#include "lease.h"
#include "record.h"
#include "telling.h"
#include "worker.h"

enum {
    N_PARTS = 4,
    NODE = 7,
    OTHER_NODE = 9
};

/* ---- the rest of the store ---- */

static int64_t now_ms;
static size_t n_wakes[N_PARTS];

int64_t link_clock_ms(void)
{
    return now_ms;
}

void worker_wake(struct kv_store *store)
{
    n_wakes[store->part]++;
}

void answers_drop_result(struct job *job)
{
    (void)job;
}

void catching_up_take(const struct cluster *cluster, const struct job *job)
{
    (void)cluster;
    (void)job;
}

bool lease_is_held(const struct kv_store *store)
{
    (void)store;
    return false;
}

void record_ref(struct record *record)
{
    (void)record;
}

void record_unref(struct record *record)
{
    (void)record;
}

/* ---- a cluster of two nodes: the last partition is on the other one ---- */

static struct cluster cluster;
static struct kv_store stores[N_PARTS];

static int set_up(void **state)
{
    (void)state;
    cluster = (struct cluster){.n_shards = N_PARTS, .is_open = true};
    pthread_mutex_init(&cluster.lock, NULL);
    pthread_cond_init(&cluster.is_work, NULL);
    for (uint32_t i = 0; i < N_PARTS; i++) {
        stores[i] =
            (struct kv_store){.part = i, .connected_to = i == N_PARTS - 1 ? OTHER_NODE : NODE};
        cluster.shards[i] = (struct shard){.cluster = &cluster, .store = &stores[i], .upto = 100};
        assert_true(telling_init(&cluster.shards[i]));
        n_wakes[i] = 0;
    }
    now_ms = 1000;
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < N_PARTS; i++)
        telling_clear(&cluster.shards[i]);
    pthread_cond_destroy(&cluster.is_work);
    pthread_mutex_destroy(&cluster.lock);
    return 0;
}

static void change(uint32_t part, uint64_t revision)
{
    telling_line_up(&cluster.shards[part], &(struct kv_change){.revision = revision}, false);
}

/* Partition 0's node says it of the partition. */
static void say(uint32_t part, uint64_t newest, uint64_t revision)
{
    telling_pass_beside(&cluster.shards[0], part, newest, revision);
}

static void expect_passed(uint32_t part, uint64_t revision)
{
    assert_int_equal(cluster.shards[part].upto, revision);
}

static void expect_woken(size_t first, size_t second, size_t third, size_t fourth)
{
    const size_t expected[N_PARTS] = {first, second, third, fourth};
    assert_memory_equal(n_wakes, expected, sizeof(expected));
}

static void a_partition_without_changes_on_their_way_has_passed(void **state)
{
    (void)state;
    change(1, 200);
    say(1, 200, 500);
    expect_passed(1, 500);
    assert_int_equal(stores[1].upto, 500); /* its next write gets a larger revision */
    say(2, 90, 500);
    expect_passed(2, 500);
}

static void changes_on_their_way_come_first(void **state)
{
    (void)state;
    say(1, 300, 500);
    change(1, 200);
    expect_passed(1, 200);
    change(1, 300);
    expect_passed(1, 500);
}

static void the_partition_itself_settles_it_too(void **state)
{
    (void)state;
    say(1, 300, 500);
    telling_pass(&cluster.shards[1], 400);
    expect_passed(1, 500);
}

static void a_node_cannot_speak_for_another(void **state)
{
    (void)state;
    say(3, 90, 500);
    expect_passed(3, 100);
    say(1, 300, 500);
    stores[1].connected_to = OTHER_NODE;
    change(1, 300);
    expect_passed(1, 300);
    stores[2].connected_to = 0; /* it is not connected */
    say(2, 90, 500);
    expect_passed(2, 100);
    say(N_PARTS, 90, 500);
}

static void only_those_of_the_node_that_are_behind_are_asked_about(void **state)
{
    (void)state;
    const struct kv_store *beside[N_PARTS];
    telling_ask_to_pass(&cluster, 300);
    change(2, 400);
    assert_int_equal(telling_find_beside(&cluster.shards[0], beside), 1);
    assert_ptr_equal(beside[0], &stores[1]);
    assert_int_equal(telling_find_beside(&cluster.shards[3], beside), 0);
}

static void one_of_each_node_asks(void **state)
{
    (void)state;
    telling_ask_to_pass(&cluster, 300);
    expect_woken(1, 0, 0, 1);
    change(0, 300);
    telling_ask_to_pass(&cluster, 300);
    expect_woken(1, 1, 0, 1);
}

static void a_partition_that_does_not_move_on_asks_itself(void **state)
{
    (void)state;
    telling_ask_to_pass(&cluster, 300);
    now_ms += 1000;
    telling_ask_to_pass(&cluster, 300);
    expect_woken(1, 1, 1, 1);
}

static void those_that_are_not_connected_ask_for_themselves(void **state)
{
    (void)state;
    stores[0].connected_to = stores[1].connected_to = 0;
    telling_ask_to_pass(&cluster, 300);
    expect_woken(1, 1, 1, 1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_partition_without_changes_on_their_way_has_passed),
        TEST(changes_on_their_way_come_first),
        TEST(the_partition_itself_settles_it_too),
        TEST(a_node_cannot_speak_for_another),
        TEST(only_those_of_the_node_that_are_behind_are_asked_about),
        TEST(one_of_each_node_asks),
        TEST(a_partition_that_does_not_move_on_asks_itself),
        TEST(those_that_are_not_connected_ask_for_themselves),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
