/*
 * Writes during a sync: the next batch is judged by the state that the previous one will leave, and
 * takes effect after it.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "rig.h"
#include "support/client/stream.h"

static void next_batch_is_judged_during_the_sync_and_told_after_its_own(void **state)
{
    struct rig *rig = *state;
    struct kv_cmd one = setting("1"), two = setting("2");
    rig_send_two(rig, &one, &two);
    assert_int_equal(done_so_far(), 1);
    assert_told(1);
    assert_shows(rig, "0");
    disk_allow(2);
    disk_await(&heard.n_done, 2);
    assert_int_equal(one.status, KV_OK);
    disk_await(&disk.n_syncs, 3);
    assert_told(2);
    assert_shows(rig, "1");
    assert_int_equal(done_so_far(), 2);
    disk_allow(3);
    disk_await(&heard.n_done, 3);
    assert_int_equal(two.status, KV_OK);
    assert_true(two.revision > one.revision);
    assert_told(3);
    assert_int_equal(heard.told[1].revision, one.revision);
    assert_int_equal(heard.told[2].revision, two.revision);
    assert_shows(rig, "2");
}

static void one_sync_covers_all_writes_that_arrived_during_the_last(void **state)
{
    struct rig *rig = *state;
    struct kv_cmd one = setting("1"), more[4];
    rig_send(rig, &one);
    disk_await(&disk.n_syncs, 2);
    for (size_t i = 0; i < 4; i++) {
        more[i] = setting(i % 2 == 0 ? "2" : "3");
        rig_send_and_wait(rig, &more[i]);
    }
    disk_allow(2);
    disk_await(&disk.n_syncs, 3);
    disk_allow(3);
    disk_await(&heard.n_done, 6);
    assert_told(6);
    assert_shows(rig, "3");
    assert_int_equal(disk.n_syncs, 3);
    assert_int_equal(disk.n_writes, 2);
}

static void conditions_are_judged_by_unsynced_writes_before_them(void **state)
{
    struct rig *rig = *state;
    struct kv_cmd one = setting("1");
    struct kv_cmd absent = setting("2"), same = setting("3");
    rig_send(rig, &one);
    disk_await(&disk.n_syncs, 2);
    absent.cond = KV_COND_ABSENT;
    same.cond = KV_COND_REVISION;
    same.if_revisions = &rig->first;
    same.n_if_revisions = 1;
    rig_send(rig, &absent);
    rig_send(rig, &same);
    disk_allow(2);
    disk_await(&heard.n_done, 4);
    assert_int_equal(absent.status, KV_CONDITION);
    assert_int_equal(absent.revision, one.revision);
    assert_int_equal(same.status, KV_CONDITION);
    assert_int_equal(same.revision, one.revision);
}

static void key_with_an_unsynced_delete_is_missing_for_later_writes(void **state)
{
    struct rig *rig = *state;
    struct kv_cmd one = {.op = KV_OP_DELETE, .key = KEY}, two = one;
    rig_send(rig, &one);
    disk_await(&disk.n_syncs, 2);
    rig_send(rig, &two);
    disk_allow(2);
    disk_await(&heard.n_done, 3);
    assert_int_equal(one.status, KV_OK);
    assert_int_equal(two.status, KV_MISSING);
    assert_told(2);
    assert_shows(rig, NULL);
}

static void read_after_a_write_waits_for_its_sync(void **state)
{
    struct rig *rig = *state;
    struct kv_cmd one = setting("1");
    struct kv_cmd two = setting("2"), get = {.op = KV_OP_GET, .key = KEY};
    rig_send(rig, &one);
    disk_await(&disk.n_syncs, 2);
    struct kv_cmd *vector[] = {&two, &get};
    two.hash = get.hash = rig_hash(KEY);
    two.deadline_ms = KV_NEVER;
    rig_submit_and_wait(rig, vector, 2);
    disk_allow(2);
    disk_await(&disk.n_syncs, 3);
    disk_await(&heard.n_done, 2);
    assert_int_equal(done_so_far(), 2);
    disk_allow(3);
    disk_await(&heard.n_done, 4);
    assert_int_equal(get.status, KV_OK);
    assert_true(kv_slice_equals(get.item.value, KV_SLICE("2")));
    kv_durable_unref(rig->store, get.item.ref);
}

static void assert_scanned(struct rig *rig, size_t n_before, const char *value)
{
    struct kv_scan_entry entries[4];
    struct kv_scan scan = {.wants_values = true, .entries = entries, .capacity = 4};
    kv_durable_scan(rig->store, 0, &scan);
    disk_await(&heard.n_scanned, n_before + 1);
    assert_int_equal(scan.status, KV_OK);
    assert_int_equal(scan.n, 1);
    assert_true(kv_slice_equals(entries[0].item.value, kv_slice_of(value)));
    kv_durable_unref(rig->store, entries[0].item.ref);
}

/* The scan does not wait for later syncs either. */
static void scan_shows_only_synced_writes(void **state)
{
    struct rig *rig = *state;
    struct kv_cmd one = setting("1"), two = setting("2");
    rig_send_two(rig, &one, &two);
    assert_scanned(rig, 0, "0");
    disk_allow(2);
    disk_await(&heard.n_done, 2);
    assert_scanned(rig, 1, "1");
    disk_allow(3);
    disk_await(&heard.n_done, 3);
    assert_scanned(rig, 2, "2");
}

static void many_writes_during_one_sync_are_bounded_and_all_answered(void **state)
{
    struct rig *rig = *state;
    enum {
        MANY = 10000 /* several full batches */
    };
    static struct kv_cmd cmds[MANY];
    for (size_t i = 0; i < MANY; i++) {
        cmds[i] = setting(i % 2 == 0 ? "1" : "2");
        rig_send(rig, &cmds[i]);
    }
    disk_allow(SIZE_MAX);
    disk_await(&heard.n_done, 1 + MANY);
    for (size_t i = 0; i < MANY; i++)
        assert_int_equal(cmds[i].status, KV_OK);
    assert_shows(rig, "2");
}

/* Of four clients, one writes again only after the answers have arrived: the writer waits for the
 * others, but not for ever, wherever it is delayed. */
static void group_commit_wait_ends_wherever_the_writer_is_delayed(void **state)
{
    struct rig *rig = *state;
    for (int us = 20; us <= 600; us += 20) {
        struct kv_cmd one = setting("1"), others[] = {setting("2"), setting("3"), setting("4")};
        struct kv_cmd again = setting("5");
        size_t n_syncs = disk.n_syncs, n = done_so_far();
        rig_send(rig, &one);
        disk_await(&disk.n_syncs, n_syncs + 1);
        for (size_t i = 0; i < 3; i++)
            rig_send_and_wait(rig, &others[i]);
        disk_allow(n_syncs + 1);
        disk_await(&disk.n_syncs, n_syncs + 2);
        rig_send_and_wait(rig, &again);
        disk_held_up_each_time_ns = us * INT64_C(1000);
        disk_allow(n_syncs + 3);
        disk_await(&heard.n_done, n + 5);
        disk_held_up_each_time_ns = 0;
        assert_int_equal(again.status, KV_OK);
    }
}

/* A state that is not yet visible must not expire before it becomes visible. */
static void command_on_an_unsynced_key_near_its_deadline_waits(void **state)
{
    struct rig *rig = *state;
    struct kv_cmd one = setting("1"), two = setting("2");
    one.deadline_ms = NOW_MS + 10;
    two.cond = KV_COND_ABSENT;
    rig_send(rig, &one);
    disk_await(&disk.n_syncs, 2);
    rig_send(rig, &two);
    kv_test_sleep_ms(20); /* so that a command that does not wait is detected */
    pthread_mutex_lock(&disk_lock);
    heard.now_ms += 10;
    pthread_mutex_unlock(&disk_lock);
    disk_allow(2);
    disk_await(&heard.n_done, 2);
    assert_told(2);
    disk_allow(3);
    disk_await(&heard.n_done, 3);
    assert_int_equal(two.status, KV_OK);
    assert_told(4);
    assert_int_equal(heard.told[1].revision, one.revision);
    assert_int_equal(heard.told[2].reason, KV_REASON_EXPIRE);
    assert_int_equal(heard.told[3].revision, two.revision);
}

static void closing_answers_all_commands_in_progress(void **state)
{
    struct rig *rig = *state;
    struct kv_cmd one = setting("1"), two = setting("2");
    rig_send_two(rig, &one, &two);
    disk_allow(SIZE_MAX);
    kv_durable_close(rig->store);
    assert_int_equal(one.status, KV_OK);
    assert_int_equal(two.status, KV_OK);
    assert_int_equal(heard.n_done, 3);
    rig_open(rig, rig->path);
    assert_shows_in_the_end(rig, "2");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        RIG_TEST(next_batch_is_judged_during_the_sync_and_told_after_its_own),
        RIG_TEST(one_sync_covers_all_writes_that_arrived_during_the_last),
        RIG_TEST(conditions_are_judged_by_unsynced_writes_before_them),
        RIG_TEST(key_with_an_unsynced_delete_is_missing_for_later_writes),
        RIG_TEST(read_after_a_write_waits_for_its_sync),
        RIG_TEST(scan_shows_only_synced_writes),
        RIG_TEST(many_writes_during_one_sync_are_bounded_and_all_answered),
        RIG_TEST(group_commit_wait_ends_wherever_the_writer_is_delayed),
        RIG_TEST(command_on_an_unsynced_key_near_its_deadline_waits),
        RIG_TEST(closing_answers_all_commands_in_progress),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
