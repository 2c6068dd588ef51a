/*
 * Power cuts where the journal is synced now and then, and the engine brings what it is given to
 * its disk by itself, one table before another: what is left is the store as it was at some moment.
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
    LONGEST = 120000 /* two have no room in one segment of the rig's journal */
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

/* Opens the store as it is after the power was cut. */
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

/* The journal has "1" on the disk when the engine is given "2" and what was written after it, and
 * brings both to its own disk, but not how far it has come: "1" is done again there. */
static void key_does_not_go_back_behind_a_later_one(void **state)
{
    struct rig *rig = *state;
    set(rig, KEY, KV_SLICE("1"));
    fill(rig, "a", LONGEST);
    fill(rig, "b", LONGEST); /* begins a segment, for which the one before is synced */
    fill(rig, "c", 15000);   /* the same */
    set(rig, KEY, KV_SLICE("2"));
    set(rig, LATER, KV_SLICE("1"));
    pthread_mutex_lock(&disk_lock);
    disk.is_engine_eager = true;
    size_t n_commits = disk.n_commits;
    pthread_mutex_unlock(&disk_lock);
    fill(rig, "d", 10000); /* with it they are enough for the engine */
    disk_await(&disk.n_commits, n_commits + 1);
    cut_power(rig);
    assert_true(is_there(rig, LATER));
    assert_shows_in_the_end(rig, "2");
}

/* What neither the journal nor the engine has on the disk is lost from the end. */
static void what_is_not_synced_is_lost_from_the_end(void **state)
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
        cmocka_unit_test_setup_teardown(key_does_not_go_back_behind_a_later_one, set_up,
                                        rig_tear_down),
        cmocka_unit_test_setup_teardown(what_is_not_synced_is_lost_from_the_end, set_up,
                                        rig_tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
