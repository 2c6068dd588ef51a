/*
 * Writes after a sync, a write or a commit that fails: answered writes persist, others have no
 * effect, now and after a crash.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "rig.h"
#include "support/client/folder.h"
#include "support/client/stream.h"

/* Opens the store as it would be after a crash: from the current content of the disk. */
static void crash(struct rig *rig)
{
    char command[160];
    snprintf(command, sizeof(command), "cp -r %s %s-crashed", rig->path, rig->path);
    assert_int_equal(system(command), 0);
    kv_durable_close(rig->store);
    snprintf(command, sizeof(command), "%s-crashed", rig->path);
    rig_open(rig, command);
}

/* Writes until the store accepts it. */
static void probe(struct rig *rig)
{
    struct kv_cmd cmd = {.op = KV_OP_SET, .key = KV_SLICE("probe"), .value = KV_SLICE("1")};
    do {
        size_t before = done_so_far();
        cmd.is_deferred = false;
        rig_send(rig, &cmd);
        disk_await(&heard.n_done, before + 1);
    } while (cmd.status == KV_IO || cmd.status == KV_FULL);
    assert_int_equal(cmd.status, KV_OK);
}

/* Returns: the status of the page; OK if exactly the two keys were found. */
static enum kv_status scan_all(struct rig *rig, const char *value)
{
    struct kv_scan_entry entries[4];
    struct kv_scan scan = {.wants_values = true, .entries = entries, .capacity = 4};
    pthread_mutex_lock(&disk_lock);
    size_t before = heard.n_scanned;
    pthread_mutex_unlock(&disk_lock);
    kv_durable_scan(rig->store, 0, &scan);
    disk_await(&heard.n_scanned, before + 1);
    if (scan.status != KV_OK)
        return scan.status;
    assert_int_equal(scan.n, 2);
    for (uint32_t i = 0; i < scan.n; i++) {
        bool is_key = kv_slice_equals(entries[i].key, KEY);
        assert_true(
            kv_slice_equals(entries[i].item.value, is_key ? kv_slice_of(value) : KV_SLICE("1")));
        kv_durable_unref(rig->store, entries[i].item.ref);
    }
    return KV_OK;
}

/* Asserts the state that the engine must reach: the key's original rows, and no deadline. */
static void assert_undone(struct rig *rig)
{
    disk_say(KV_ENGINE_OK, KV_ENGINE_OK);
    disk_allow(SIZE_MAX);
    probe(rig);
    assert_shows(rig, "0");
    for (int has_crashed = 0; has_crashed < 2; has_crashed++) {
        if (has_crashed)
            crash(rig);
        assert_int_equal(scan_all(rig, "0"), KV_OK);
        struct table *table = &disk.engine->committed;
        for (size_t i = 0; i < table->n; i++)
            assert_true(table->all[i].table != KV_ENGINE_DEADLINES || table->all[i].is_erased);
    }
}

static void failed_sync_also_fails_the_writes_after_it(void **state)
{
    struct rig *rig = *state;
    struct kv_cmd one = setting("1"), two = setting("2"), three = setting("3");
    one.deadline_ms = NOW_MS + 1000000;
    two.deadline_ms = NOW_MS + 2000000;
    three.deadline_ms = NOW_MS + 3000000;
    rig_send_two(rig, &one, &two);
    rig_send_and_wait(rig, &three);
    disk_say(KV_ENGINE_OK, KV_ENGINE_FAILED);
    disk_allow(2);
    disk_await(&heard.n_done, 4);
    assert_int_equal(one.status, KV_IO);
    assert_int_equal(two.status, KV_IO);
    assert_int_equal(three.status, KV_IO);
    assert_told(1);
    assert_shows(rig, "0");
    assert_undone(rig);
}

static void failed_sync_of_a_delete_keeps_the_key(void **state)
{
    struct rig *rig = *state;
    struct kv_cmd one = {.op = KV_OP_DELETE, .key = KEY}, two = setting("2");
    rig_send_two(rig, &one, &two);
    disk_say(KV_ENGINE_OK, KV_ENGINE_FAILED);
    disk_allow(2);
    disk_await(&heard.n_done, 3);
    assert_int_equal(one.status, KV_IO);
    assert_int_equal(two.status, KV_IO);
    assert_told(1);
    assert_undone(rig);
}

static void failed_write_does_not_affect_the_sync_before_it(void **state)
{
    struct rig *rig = *state;
    struct kv_cmd one = setting("1"), two = setting("2");
    rig_send_two(rig, &one, &two);
    disk_say(KV_ENGINE_FULL, KV_ENGINE_OK);
    disk_allow(2);
    disk_await(&heard.n_done, 3);
    assert_int_equal(one.status, KV_OK);
    assert_int_equal(two.status, KV_FULL);
    assert_told(2);
    disk_say(KV_ENGINE_OK, KV_ENGINE_OK);
    disk_allow(SIZE_MAX);
    probe(rig);
    assert_shows(rig, "1");
    assert_int_equal(scan_all(rig, "1"), KV_OK);
    crash(rig);
    assert_int_equal(scan_all(rig, "1"), KV_OK);
}

/* Waits until the writer has learned that the engine fails. */
static void await_refusal(struct rig *rig)
{
    struct kv_cmd cmd = {
        .op = KV_OP_TOUCH, .key = KEY, .status = KV_OK, .deadline_ms = INT64_C(1) << 50};
    for (; cmd.status == KV_OK; cmd.deadline_ms++) {
        size_t before = done_so_far();
        cmd.is_deferred = false;
        rig_send(rig, &cmd);
        disk_await(&heard.n_done, before + 1);
    }
    assert_int_equal(cmd.status, KV_IO);
}

static void failed_engine_is_given_all_records_again(void **state)
{
    struct rig *rig = *state;
    static char long_value[300001]; /* enough to be applied at once */
    memset(long_value, '1', sizeof(long_value) - 1);
    struct kv_cmd one = setting(long_value);
    disk_allow(SIZE_MAX);
    disk_say_of_engine(KV_ENGINE_FAILED);
    rig_send(rig, &one);
    disk_await(&heard.n_done, 2);
    assert_int_equal(one.status, KV_OK);
    await_refusal(rig);
    assert_shows_in_the_end(rig, long_value);
    disk_say_of_engine(KV_ENGINE_OK);
    probe(rig);
    assert_shows_in_the_end(rig, long_value);
    assert_int_equal(scan_all(rig, long_value), KV_OK);
    crash(rig);
    assert_int_equal(scan_all(rig, long_value), KV_OK);
}

static void *end_commits_soon(void *argument)
{
    (void)argument;
    kv_test_sleep_ms(20); /* so that the close starts first */
    pthread_mutex_lock(&disk_lock);
    disk.is_engine_busy = false;
    pthread_cond_broadcast(&disk_moved);
    pthread_mutex_unlock(&disk_lock);
    return NULL;
}

/* The writer cannot bring everything to the disk either, as its test for free space fails. */
static void closing_a_faulty_store_waits_for_the_engine(void **state)
{
    struct rig *rig = *state;
    static char long_value[300001]; /* more than is applied at a time */
    memset(long_value, '1', sizeof(long_value) - 1);
    struct kv_cmd one = setting(long_value), two = setting("2");
    char *room = kv_test_path(rig->path, "room.tmp");
    pthread_t thread;
    disk_allow(SIZE_MAX);
    disk.is_engine_busy = true;
    size_t n_commits = disk.n_commits;
    rig_send(rig, &one);
    disk_await(&disk.n_commits, n_commits + 1);
    disk_say(KV_ENGINE_FAILED, KV_ENGINE_OK);
    assert_int_equal(mkdir(room, 0700), 0);
    rig_send(rig, &two);
    disk_await(&heard.n_done, 3);
    assert_int_equal(two.status, KV_IO);
    assert_int_equal(pthread_create(&thread, NULL, end_commits_soon, NULL), 0);
    kv_durable_close(rig->store);
    pthread_join(thread, NULL);
    assert_int_equal(rmdir(room), 0);
    free(room);
    disk_say(KV_ENGINE_OK, KV_ENGINE_OK);
    rig_open(rig, rig->path);
    assert_shows_in_the_end(rig, long_value);
}

static void read_after_a_refused_write_shows_the_published_state(void **state)
{
    struct rig *rig = *state;
    struct kv_cmd one = setting("1"), two = setting("2");
    struct kv_cmd get = {.op = KV_OP_GET, .key = KEY};
    rig_send(rig, &one);
    disk_await(&disk.n_syncs, 2);
    struct kv_cmd *vector[] = {&two, &get};
    two.hash = get.hash = rig_hash(KEY);
    two.deadline_ms = KV_NEVER;
    rig_submit_and_wait(rig, vector, 2);
    disk_say(KV_ENGINE_OK, KV_ENGINE_FAILED);
    disk_allow(2);
    disk_await(&heard.n_done, 4);
    assert_int_equal(get.status, KV_OK);
    assert_true(kv_slice_equals(get.item.value, KV_SLICE("0")));
    kv_durable_unref(rig->store, get.item.ref);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        RIG_TEST(failed_sync_also_fails_the_writes_after_it),
        RIG_TEST(failed_sync_of_a_delete_keeps_the_key),
        RIG_TEST(failed_write_does_not_affect_the_sync_before_it),
        RIG_TEST(failed_engine_is_given_all_records_again),
        RIG_TEST(closing_a_faulty_store_waits_for_the_engine),
        RIG_TEST(read_after_a_refused_write_shows_the_published_state),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
