/*
 * Power cuts while the journal is synced only at intervals, and the engine persists its tables by
 * itself, one before another: the remaining state is the store's state at some earlier moment.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base.h"
#include "rig.h"

#define LATER KV_SLICE("later")

enum {
    LONGEST = 120000 /* two exceed one segment of the rig's journal */
};

/* A store whose writes are answered before they are synced. */
static int set_up(void **state)
{
    rig_set_up(state);
    struct rig *rig = *state;
    disk_allow(SIZE_MAX);
    kv_durable_close(rig->store);
    rig->durability = DURABILITY_INTERVAL;
    rig_open(rig, rig->path);
    return 0;
}

static void set(struct rig *rig, struct kv_slice key, struct kv_slice value)
{
    struct kv_cmd cmd = {.op = KV_OP_SET, .key = key, .value = value};
    size_t before = done_so_far();
    rig_send(rig, &cmd);
    disk_await(&heard.n_done, before + 1);
    assert_int_equal(cmd.status, KV_OK);
}

static void fill(struct rig *rig, const char *key, size_t len)
{
    static char value[LONGEST];
    memset(value, '1', sizeof(value));
    set(rig, kv_slice_of(key), (struct kv_slice){value, len});
}

/* Opens the store in its state after a power cut. */
static void cut_power(struct rig *rig)
{
    struct table persisted = {.n = 0};
    char command[160];
    char after[80];
    snprintf(after, sizeof(after), "%s-after", rig->path);
    snprintf(command, sizeof(command), "cp -r %s %s", rig->path, after);
    pthread_mutex_lock(&disk_lock);
    table_apply(&persisted, &disk.persisted);
    pthread_mutex_unlock(&disk_lock);
    assert_int_equal(system(command), 0);
    disk_cut_power(rig->path, after);
    kv_durable_close(rig->store);
    table_clear(&disk.persisted);
    table_apply(&disk.persisted, &persisted);
    table_clear(&persisted);
    rig_open(rig, after);
}

static bool is_there(struct rig *rig, struct kv_slice key)
{
    struct kv_cmd cmd = {.op = KV_OP_GET, .key = key};
    size_t before = done_so_far();
    rig_send(rig, &cmd);
    if (cmd.is_deferred)
        disk_await(&heard.n_done, before + 1);
    if (cmd.status == KV_OK)
        kv_durable_unref(rig->store, cmd.item.ref);
    return cmd.status == KV_OK;
}

/* The journal has "1" on the disk when the engine is given "2" and later writes; the engine
 * persists both, but not its position in the journal: so "1" is applied again. */
static void key_does_not_revert_while_a_later_write_persists(void **state)
{
    struct rig *rig = *state;
    set(rig, KEY, KV_SLICE("1"));
    fill(rig, "a", LONGEST);
    fill(rig, "b", LONGEST); /* starts a segment, before which the previous one is synced */
    fill(rig, "c", 15000);   /* the same */
    set(rig, KEY, KV_SLICE("2"));
    set(rig, LATER, KV_SLICE("1"));
    pthread_mutex_lock(&disk_lock);
    disk.is_engine_eager = true;
    size_t n_commits = disk.n_commits;
    pthread_mutex_unlock(&disk_lock);
    fill(rig, "d", 10000); /* with it there is enough to be applied */
    disk_await(&disk.n_commits, n_commits + 1);
    cut_power(rig);
    assert_true(is_there(rig, LATER));
    assert_shows_in_the_end(rig, "2");
}

/* Writes that neither the journal nor the engine has on the disk are lost, the latest ones. */
static void only_the_latest_unsynced_writes_are_lost(void **state)
{
    struct rig *rig = *state;
    set(rig, KEY, KV_SLICE("1"));
    fill(rig, "a", LONGEST);
    fill(rig, "b", LONGEST);
    set(rig, KEY, KV_SLICE("2"));
    set(rig, LATER, KV_SLICE("1"));
    cut_power(rig);
    assert_true(is_there(rig, KV_SLICE("a")));
    assert_false(is_there(rig, LATER));
    assert_shows_in_the_end(rig, "1");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(key_does_not_revert_while_a_later_write_persists, set_up,
                                        rig_tear_down),
        cmocka_unit_test_setup_teardown(only_the_latest_unsynced_writes_are_lost, set_up,
                                        rig_tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
