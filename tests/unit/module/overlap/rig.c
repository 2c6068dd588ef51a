#include "rig.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/mem.h"
#include "support/client/folder.h"

enum {
    MOST_BARRIERS = 256
};

struct heard heard;

/* ---- a host ---- */

static int64_t host_now_ms(const struct kv_host *base)
{
    (void)base;
    pthread_mutex_lock(&disk_lock);
    int64_t now = heard.now_ms;
    pthread_mutex_unlock(&disk_lock);
    return now;
}

static int64_t host_wall_us(const struct kv_host *base)
{
    (void)base;
    return INT64_C(1700000000000000);
}

static void host_log(const struct kv_host *base, enum kv_log_level level, const char *format, ...)
{
    (void)base;
    (void)level;
    (void)format;
}

uint64_t rig_hash(struct kv_slice key)
{
    uint64_t hash = 1;
    for (size_t i = 0; i < key.len; i++)
        hash = hash * UINT64_C(0x9e3779b97f4a7c15) + (unsigned char)key.bytes[i];
    return hash;
}

static uint64_t host_hash(const struct kv_store_host *base, struct kv_slice key)
{
    (void)base;
    return rig_hash(key);
}

static void host_changed(const struct kv_store_host *base, uint32_t part,
                         const struct kv_change *change)
{
    (void)base;
    (void)part;
    pthread_mutex_lock(&disk_lock);
    assert_true(heard.n_told < MOST_TOLD);
    heard.told[heard.n_told++] = (struct told){change->reason, change->revision};
    pthread_mutex_unlock(&disk_lock);
}

static void host_wake_at(const struct kv_store_host *base, uint32_t part, int64_t deadline_ms)
{
    (void)base;
    (void)part;
    (void)deadline_ms;
}

static void host_done(const struct kv_store_host *base, uint32_t loop, struct kv_cmd *const *cmds,
                      size_t n)
{
    (void)base;
    (void)loop;
    pthread_mutex_lock(&disk_lock);
    for (size_t i = 0; i < n; i++)
        heard.n_done += kv_slice_has_prefix(cmds[i]->key, BARRIER) ? 0 : 1;
    pthread_cond_broadcast(&disk_moved);
    pthread_mutex_unlock(&disk_lock);
}

static void host_scan_done(const struct kv_store_host *base, uint32_t loop, struct kv_scan *scan)
{
    (void)base;
    (void)loop;
    (void)scan;
    pthread_mutex_lock(&disk_lock);
    heard.n_scanned++;
    pthread_cond_broadcast(&disk_moved);
    pthread_mutex_unlock(&disk_lock);
}

static const struct kv_store_host host = {
    .base = {.size = sizeof(host), .now_ms = host_now_ms, .wall_us = host_wall_us, .log = host_log},
    .n_loops = 1,
    .hash = host_hash,
    .changed = host_changed,
    .wake_at = host_wake_at,
    .done = host_done,
    .scan_done = host_scan_done,
};

/* ---- a store ---- */

/* Fills in the hash, and KV_NEVER for a missing deadline. */
static void prepare(struct kv_cmd *cmd)
{
    cmd->hash = rig_hash(cmd->key);
    if (cmd->deadline_ms == 0)
        cmd->deadline_ms = KV_NEVER;
}

void rig_send(struct rig *rig, struct kv_cmd *cmd)
{
    prepare(cmd);
    kv_durable_submit(rig->store, 0, (struct kv_cmd *[]){cmd}, 1);
}

struct kv_cmd setting(const char *value)
{
    return (struct kv_cmd){.op = KV_OP_SET, .key = KEY, .value = kv_slice_of(value)};
}

void assert_shows(struct rig *rig, const char *value)
{
    struct kv_cmd cmd = {.op = KV_OP_GET, .key = KEY};
    rig_send(rig, &cmd);
    assert_false(cmd.is_deferred);
    if (value == NULL) {
        assert_int_equal(cmd.status, KV_MISSING);
        return;
    }
    assert_int_equal(cmd.status, KV_OK);
    assert_true(kv_slice_equals(cmd.item.value, kv_slice_of(value)));
    kv_durable_unref(rig->store, cmd.item.ref);
}

size_t done_so_far(void)
{
    pthread_mutex_lock(&disk_lock);
    size_t n = heard.n_done;
    pthread_mutex_unlock(&disk_lock);
    return n;
}

void assert_shows_in_the_end(struct rig *rig, const char *value)
{
    struct kv_cmd cmd = {.op = KV_OP_GET, .key = KEY};
    size_t before = done_so_far();
    rig_send(rig, &cmd);
    if (cmd.is_deferred)
        disk_await(&heard.n_done, before + 1);
    assert_int_equal(cmd.status, KV_OK);
    assert_true(kv_slice_equals(cmd.item.value, kv_slice_of(value)));
    kv_durable_unref(rig->store, cmd.item.ref);
}

void assert_told(size_t n)
{
    pthread_mutex_lock(&disk_lock);
    assert_int_equal(heard.n_told, n);
    pthread_mutex_unlock(&disk_lock);
}

void rig_open(struct rig *rig, const char *path)
{
    struct kv_error error;
    struct kv_option_value options[KV_DURABLE_N_OPTIONS] = {
        [KV_DURABLE_OPTION_PATH].string = kv_slice_of(path),
        [KV_DURABLE_OPTION_DURABILITY].integer = rig->durability,
        [KV_DURABLE_OPTION_INTERVAL].integer = 3600000,
        [KV_DURABLE_OPTION_CACHE].integer = 1 << 20,
        [KV_DURABLE_OPTION_READERS].integer = 1,
        [KV_DURABLE_OPTION_JOURNAL].integer = 1 << 20,
    };
    if (kv_durable_open(&host, options, &table_engine_ops, &rig->store, &error) != 0)
        fail_msg("%s", error.text);
}

int rig_set_up(void **state)
{
    struct rig *rig = kv_calloc(1, sizeof(*rig));
    strcpy(rig->folder, "/tmp/kv-overlap-XXXXXX");
    assert_non_null(mkdtemp(rig->folder));
    rig->path = kv_test_path(rig->folder, "store");
    disk_init();
    heard.n_done = heard.n_scanned = heard.n_told = 0;
    heard.now_ms = NOW_MS;
    rig_open(rig, rig->path);
    struct kv_cmd cmd = setting("0");
    rig_send(rig, &cmd);
    disk_await(&heard.n_done, 1);
    rig->first = cmd.revision;
    disk.n_writes = 0;
    disk.n_syncs = disk.n_allowed = 1;
    *state = rig;
    return 0;
}

int rig_tear_down(void **state)
{
    struct rig *rig = *state;
    disk_say(KV_ENGINE_OK, KV_ENGINE_OK);
    disk_say_of_engine(KV_ENGINE_OK);
    disk_allow(SIZE_MAX);
    kv_durable_close(rig->store);
    table_clear(&disk.persisted);
    kv_test_folder_remove(rig->folder);
    free(rig->path);
    free(rig);
    return 0;
}

/* Sends a command without effect on a key that is not in memory: when the writer looks it up in the
 * engine, it has judged all earlier commands. */
static void wait_until_judged(struct rig *rig)
{
    static struct barrier {
        struct kv_cmd cmd;
        char key[24];
    } barriers[MOST_BARRIERS];
    static uint64_t no_revision[] = {1};
    static size_t n;
    assert_true(n < MOST_BARRIERS);
    struct barrier *barrier = &barriers[n++];
    snprintf(barrier->key, sizeof(barrier->key), "%.*s%zu", (int)BARRIER.len, BARRIER.bytes, n);
    barrier->cmd = (struct kv_cmd){.op = KV_OP_DELETE,
                                   .key = kv_slice_of(barrier->key),
                                   .cond = KV_COND_REVISION,
                                   .if_revisions = no_revision,
                                   .n_if_revisions = 1};
    pthread_mutex_lock(&disk_lock);
    size_t before = disk.n_barriers;
    pthread_mutex_unlock(&disk_lock);
    rig_send(rig, &barrier->cmd);
    disk_await(&disk.n_barriers, before + 1);
}

void rig_submit_and_wait(struct rig *rig, struct kv_cmd *const *cmds, size_t n)
{
    kv_durable_submit(rig->store, 0, cmds, n);
    wait_until_judged(rig);
}

void rig_send_and_wait(struct rig *rig, struct kv_cmd *cmd)
{
    prepare(cmd);
    rig_submit_and_wait(rig, (struct kv_cmd *[]){cmd}, 1);
}

void rig_send_two(struct rig *rig, struct kv_cmd *one, struct kv_cmd *other)
{
    rig_send(rig, one);
    disk_await(&disk.n_syncs, 2);
    rig_send_and_wait(rig, other);
}
