/*
 * Writes while a sync is under way: the next batch is judged by what the one ahead will leave, is
 * written meanwhile, and takes effect behind it, or not at all. The engine is a table in memory
 * whose syncs take as long, and end, as the test says.
 */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/buffer.h"
#include "base/mem.h"
#include "durable.h"
#include "support/client/folder.h"
#include "support/client/stream.h"

#define KEY    KV_SLICE("key")
#define NOW_MS INT64_C(500000)

enum {
    MOST_ROWS = 64,
    MOST_TOLD = 256,
    PATIENCE_MS = 20000
};

/* ---- what the store's threads and the test share; one lock for all of it ---- */

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t moved = PTHREAD_COND_INITIALIZER;

static void wait_for_more(void)
{
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += PATIENCE_MS / 1000;
    if (pthread_cond_timedwait(&moved, &lock, &until) != 0) {
        pthread_mutex_unlock(&lock);
        fail_msg("waited in vain");
    }
}

/* ---- an engine ---- */

struct row {
    enum kv_engine_table table;
    struct kv_buffer key, value;
    bool is_erased;
};

struct rows {
    struct row all[MOST_ROWS];
    size_t n;
};

struct kv_engine {
    struct rows committed, synced;
    struct rows batch;
};

/* What of that which was never synced is there when the engine recovers. */
enum keeps {
    KEEPS_NOTHING,
    KEEPS_COMMITTED,
    KEEPS_ALL, /* of failed commits, too */
    N_KEEPS
};

static struct {
    size_t n_commits; /* since the store opened */
    size_t n_syncs;   /* begun */
    size_t n_allowed; /* that may end */
    enum kv_engine_status sync, commit;
    enum keeps keeps;
    struct kv_engine *engine;
} disk;

static void row_fini(struct row *row)
{
    kv_buffer_fini(&row->key);
    kv_buffer_fini(&row->value);
}

static void rows_clear(struct rows *rows)
{
    while (rows->n != 0)
        row_fini(&rows->all[--rows->n]);
}

static struct row *rows_find(struct rows *rows, enum kv_engine_table table, struct kv_slice key)
{
    for (size_t i = 0; i < rows->n; i++)
        if (rows->all[i].table == table && kv_slice_equals(kv_buffer_slice(&rows->all[i].key), key))
            return &rows->all[i];
    return NULL;
}

static struct row *rows_set(struct rows *rows, enum kv_engine_table table, struct kv_slice key)
{
    struct row *row = rows_find(rows, table, key);
    if (row == NULL) {
        assert_true(rows->n < MOST_ROWS);
        row = &rows->all[rows->n++];
        *row = (struct row){.table = table};
        kv_buffer_append(&row->key, key);
    }
    row->value.len = 0;
    row->is_erased = false;
    return row;
}

static void rows_apply(struct rows *rows, const struct rows *changes)
{
    for (size_t i = 0; i < changes->n; i++) {
        const struct row *change = &changes->all[i];
        struct row *row = rows_set(rows, change->table, kv_buffer_slice(&change->key));
        kv_buffer_append(&row->value, kv_buffer_slice(&change->value));
        row->is_erased = change->is_erased;
    }
}

static int engine_open(const struct kv_host *host, const char *folder,
                       const struct kv_option_value *options, struct kv_engine **ret,
                       struct kv_error *reterr)
{
    (void)host;
    (void)folder;
    (void)options;
    (void)reterr;
    *ret = disk.engine = kv_calloc(1, sizeof(struct kv_engine));
    return 0;
}

static void engine_close(struct kv_engine *engine)
{
    rows_clear(&engine->committed);
    rows_clear(&engine->synced);
    rows_clear(&engine->batch);
    free(engine);
}

static enum kv_engine_status engine_get(struct kv_engine *engine, enum kv_engine_table table,
                                        struct kv_slice key, bool may_wait, kv_engine_take_fn take,
                                        void *context)
{
    (void)may_wait;
    pthread_mutex_lock(&lock);
    const struct row *row = rows_find(&engine->committed, table, key);
    bool is_there = row != NULL && !row->is_erased;
    if (is_there)
        take(context, kv_buffer_slice(&row->value));
    pthread_mutex_unlock(&lock);
    return is_there ? KV_ENGINE_OK : KV_ENGINE_ABSENT;
}

static void engine_put(struct kv_engine *engine, enum kv_engine_table table, struct kv_slice key,
                       const struct kv_slice *value, size_t n_parts)
{
    struct row *row = rows_set(&engine->batch, table, key);
    for (size_t i = 0; i < n_parts; i++)
        kv_buffer_append(&row->value, value[i]);
}

static void engine_erase(struct kv_engine *engine, enum kv_engine_table table, struct kv_slice key)
{
    rows_set(&engine->batch, table, key)->is_erased = true;
}

static enum kv_engine_status engine_commit(struct kv_engine *engine, bool is_synced)
{
    pthread_mutex_lock(&lock);
    enum kv_engine_status status = disk.commit;
    if (status == KV_ENGINE_OK || disk.keeps == KEEPS_ALL)
        rows_apply(&engine->committed, &engine->batch);
    if (status == KV_ENGINE_OK && is_synced)
        rows_apply(&engine->synced, &engine->committed);
    disk.n_commits++;
    pthread_cond_broadcast(&moved);
    pthread_mutex_unlock(&lock);
    rows_clear(&engine->batch);
    return status;
}

static enum kv_engine_status engine_sync(struct kv_engine *engine)
{
    struct rows synced = {0};
    pthread_mutex_lock(&lock);
    size_t number = ++disk.n_syncs;
    rows_apply(&synced, &engine->committed);
    pthread_cond_broadcast(&moved);
    while (disk.n_allowed < number)
        wait_for_more();
    enum kv_engine_status status = disk.sync;
    if (status == KV_ENGINE_OK)
        rows_apply(&engine->synced, &synced);
    pthread_mutex_unlock(&lock);
    rows_clear(&synced);
    return status;
}

static enum kv_engine_status engine_walk(struct kv_engine *engine, enum kv_engine_table table,
                                         struct kv_slice from, kv_engine_visit_fn visit,
                                         void *context)
{
    pthread_mutex_lock(&lock);
    for (size_t i = 0; i < engine->committed.n; i++) {
        const struct row *row = &engine->committed.all[i];
        if (row->table == table && !row->is_erased &&
            kv_slice_compare(kv_buffer_slice(&row->key), from) >= 0 &&
            !visit(context, kv_buffer_slice(&row->key), kv_buffer_slice(&row->value)))
            break;
    }
    pthread_mutex_unlock(&lock);
    return KV_ENGINE_OK;
}

static enum kv_engine_status engine_recover(struct kv_engine *engine)
{
    pthread_mutex_lock(&lock);
    bool is_well = disk.sync == KV_ENGINE_OK && disk.commit == KV_ENGINE_OK;
    if (is_well && disk.keeps == KEEPS_NOTHING) {
        rows_clear(&engine->committed);
        rows_apply(&engine->committed, &engine->synced);
    }
    pthread_mutex_unlock(&lock);
    return is_well ? KV_ENGINE_OK : KV_ENGINE_FAILED;
}

static const struct kv_engine_ops engine_ops = {
    .name = "table",
    .can_overlap = true,
    .max_batch = 16,
    .max_row = 1 << 20,
    .open = engine_open,
    .close = engine_close,
    .get = engine_get,
    .put = engine_put,
    .erase = engine_erase,
    .commit = engine_commit,
    .sync = engine_sync,
    .walk = engine_walk,
    .recover = engine_recover,
};

static void disk_say(enum kv_engine_status commit, enum kv_engine_status sync)
{
    pthread_mutex_lock(&lock);
    disk.commit = commit;
    disk.sync = sync;
    pthread_mutex_unlock(&lock);
}

/* Lets the n-th sync end, and those before. */
static void disk_allow(size_t n)
{
    pthread_mutex_lock(&lock);
    disk.n_allowed = n;
    pthread_cond_broadcast(&moved);
    pthread_mutex_unlock(&lock);
}

static void await(const size_t *counter, size_t n)
{
    pthread_mutex_lock(&lock);
    while (*counter < n)
        wait_for_more();
    pthread_mutex_unlock(&lock);
}

/* ---- a host ---- */

static size_t n_done, n_scanned;
static struct told {
    enum kv_reason reason;
    uint64_t revision;
} told[MOST_TOLD];
static size_t n_told;
static int64_t now_ms;

static int64_t host_now_ms(const struct kv_host *base)
{
    (void)base;
    pthread_mutex_lock(&lock);
    int64_t now = now_ms;
    pthread_mutex_unlock(&lock);
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

static uint64_t host_hash(const struct kv_store_host *base, struct kv_slice key)
{
    uint64_t hash = 1;
    (void)base;
    for (size_t i = 0; i < key.len; i++)
        hash = hash * UINT64_C(0x9e3779b97f4a7c15) + (unsigned char)key.bytes[i];
    return hash;
}

static void host_changed(const struct kv_store_host *base, uint32_t part,
                         const struct kv_change *change)
{
    (void)base;
    (void)part;
    pthread_mutex_lock(&lock);
    assert_true(n_told < MOST_TOLD);
    told[n_told++] = (struct told){change->reason, change->revision};
    pthread_mutex_unlock(&lock);
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
    (void)cmds;
    pthread_mutex_lock(&lock);
    n_done += n;
    pthread_cond_broadcast(&moved);
    pthread_mutex_unlock(&lock);
}

static void host_scan_done(const struct kv_store_host *base, uint32_t loop, struct kv_scan *scan)
{
    (void)base;
    (void)loop;
    (void)scan;
    pthread_mutex_lock(&lock);
    n_scanned++;
    pthread_cond_broadcast(&moved);
    pthread_mutex_unlock(&lock);
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

struct rig {
    char folder[32];
    char *path;
    struct kv_store *store;
    uint64_t first; /* the revision of KEY's first value, which is synced */
};

/* A command that is given to the store, and will be looked at when it is done. */
static void send(struct rig *rig, struct kv_cmd *cmd)
{
    struct kv_cmd *cmds[] = {cmd};
    cmd->hash = host_hash(&host, cmd->key);
    if (cmd->deadline_ms == 0)
        cmd->deadline_ms = KV_NEVER;
    kv_durable_submit(rig->store, 0, cmds, 1);
}

static struct kv_cmd setting(const char *value)
{
    return (struct kv_cmd){.op = KV_OP_SET, .key = KEY, .value = kv_slice_of(value)};
}

/* What a reader sees now. */
static void assert_shows(struct rig *rig, const char *value)
{
    struct kv_cmd cmd = {.op = KV_OP_GET, .key = KEY};
    send(rig, &cmd);
    assert_false(cmd.is_deferred);
    if (value == NULL) {
        assert_int_equal(cmd.status, KV_MISSING);
        return;
    }
    assert_int_equal(cmd.status, KV_OK);
    assert_true(kv_slice_equals(cmd.item.value, kv_slice_of(value)));
    kv_durable_unref(rig->store, cmd.item.ref);
}

static void assert_told(size_t n)
{
    pthread_mutex_lock(&lock);
    assert_int_equal(n_told, n);
    pthread_mutex_unlock(&lock);
}

static size_t done_so_far(void)
{
    pthread_mutex_lock(&lock);
    size_t n = n_done;
    pthread_mutex_unlock(&lock);
    return n;
}

static int set_up(void **state)
{
    struct rig *rig = kv_calloc(1, sizeof(*rig));
    struct kv_error error;
    strcpy(rig->folder, "/tmp/kv-overlap-XXXXXX");
    assert_non_null(mkdtemp(rig->folder));
    assert_true(asprintf(&rig->path, "%s/store", rig->folder) > 0);
    struct kv_option_value options[KV_DURABLE_N_OPTIONS] = {
        [KV_DURABLE_OPTION_PATH].string = kv_slice_of(rig->path),
        [KV_DURABLE_OPTION_CACHE].integer = 1 << 20,
        [KV_DURABLE_OPTION_READERS].integer = 1,
    };
    memset(&disk, 0, sizeof(disk));
    disk.sync = disk.commit = KV_ENGINE_OK;
    disk.n_allowed = 1;
    n_done = n_scanned = n_told = 0;
    now_ms = NOW_MS;
    if (kv_durable_open(&host, options, &engine_ops, &rig->store, &error) != 0)
        fail_msg("%s", error.text);
    struct kv_cmd cmd = setting("0");
    send(rig, &cmd);
    await(&n_done, 1);
    rig->first = cmd.revision;
    disk.n_commits = 0;
    *state = rig;
    return 0;
}

static int tear_down(void **state)
{
    struct rig *rig = *state;
    disk_say(KV_ENGINE_OK, KV_ENGINE_OK);
    disk_allow(SIZE_MAX);
    kv_durable_close(rig->store);
    kv_test_folder_remove(rig->folder);
    free(rig->path);
    free(rig);
    return 0;
}

/* The first of them is being synced, the second is written. The sync is the second of the store. */
static void send_two(struct rig *rig, struct kv_cmd *one, struct kv_cmd *other)
{
    send(rig, one);
    await(&disk.n_syncs, 2);
    send(rig, other);
    await(&disk.n_commits, 2);
}

/* ---- in order ---- */

static void next_batch_is_written_during_the_sync_and_told_behind_its_own(void **state)
{
    struct rig *rig = *state;
    struct kv_cmd one = setting("1"), two = setting("2");
    send_two(rig, &one, &two);
    assert_int_equal(done_so_far(), 1);
    assert_told(1);
    assert_shows(rig, "0");
    disk_allow(2);
    await(&n_done, 2);
    assert_int_equal(one.status, KV_OK);
    await(&disk.n_syncs, 3);
    assert_told(2);
    assert_shows(rig, "1");
    assert_int_equal(done_so_far(), 2);
    disk_allow(3);
    await(&n_done, 3);
    assert_int_equal(two.status, KV_OK);
    assert_true(two.revision > one.revision);
    assert_told(3);
    assert_int_equal(told[1].revision, one.revision);
    assert_int_equal(told[2].revision, two.revision);
    assert_shows(rig, "2");
}

static void one_sync_is_for_all_that_came_during_the_last(void **state)
{
    struct rig *rig = *state;
    struct kv_cmd one = setting("1"), more[4];
    send(rig, &one);
    await(&disk.n_syncs, 2);
    for (size_t i = 0; i < 4; i++) {
        more[i] = setting(i % 2 == 0 ? "2" : "3");
        send(rig, &more[i]);
        await(&disk.n_commits, 2 + i);
    }
    disk_allow(2);
    await(&disk.n_syncs, 3);
    disk_allow(3);
    await(&n_done, 6);
    assert_told(6);
    assert_shows(rig, "3");
    assert_int_equal(disk.n_syncs, 3);
}

static void conditions_go_by_what_is_ahead(void **state)
{
    struct rig *rig = *state;
    struct kv_cmd one = setting("1");
    struct kv_cmd absent = setting("2"), same = setting("3");
    send(rig, &one);
    await(&disk.n_syncs, 2);
    absent.cond = KV_COND_ABSENT;
    same.cond = KV_COND_REVISION;
    same.if_revisions = &rig->first;
    same.n_if_revisions = 1;
    send(rig, &absent);
    send(rig, &same);
    disk_allow(2);
    await(&n_done, 4);
    assert_int_equal(absent.status, KV_CONDITION);
    assert_int_equal(absent.revision, one.revision);
    assert_int_equal(same.status, KV_CONDITION);
    assert_int_equal(same.revision, one.revision);
}

static void deleted_ahead_is_missing_behind(void **state)
{
    struct rig *rig = *state;
    struct kv_cmd one = {.op = KV_OP_DELETE, .key = KEY}, two = one;
    send(rig, &one);
    await(&disk.n_syncs, 2);
    send(rig, &two);
    disk_allow(2);
    await(&n_done, 3);
    assert_int_equal(one.status, KV_OK);
    assert_int_equal(two.status, KV_MISSING);
    assert_told(2);
    assert_shows(rig, NULL);
}

static void read_behind_a_write_waits_for_its_sync(void **state)
{
    struct rig *rig = *state;
    struct kv_cmd one = setting("1");
    struct kv_cmd two = setting("2"), get = {.op = KV_OP_GET, .key = KEY};
    send(rig, &one);
    await(&disk.n_syncs, 2);
    struct kv_cmd *vector[] = {&two, &get};
    two.hash = get.hash = host_hash(&host, KEY);
    two.deadline_ms = KV_NEVER;
    kv_durable_submit(rig->store, 0, vector, 2);
    await(&disk.n_commits, 2);
    disk_allow(2);
    await(&disk.n_syncs, 3);
    await(&n_done, 2);
    assert_int_equal(done_so_far(), 2);
    disk_allow(3);
    await(&n_done, 4);
    assert_int_equal(get.status, KV_OK);
    assert_true(kv_slice_equals(get.item.value, KV_SLICE("2")));
    kv_durable_unref(rig->store, get.item.ref);
}

static void scan_shows_no_more_than_is_synced(void **state)
{
    struct rig *rig = *state;
    struct kv_cmd one = setting("1"), two = setting("2");
    struct kv_scan_entry entries[4];
    struct kv_scan scan = {.wants_values = true, .entries = entries, .capacity = 4};
    send_two(rig, &one, &two);
    kv_durable_scan(rig->store, 0, &scan);
    disk_allow(2);
    await(&disk.n_syncs, 3);
    pthread_mutex_lock(&lock);
    assert_int_equal(n_scanned, 0);
    pthread_mutex_unlock(&lock);
    disk_allow(3);
    await(&n_scanned, 1);
    assert_int_equal(scan.status, KV_OK);
    assert_int_equal(scan.n, 1);
    assert_true(kv_slice_equals(entries[0].item.value, KV_SLICE("2")));
    kv_durable_unref(rig->store, entries[0].item.ref);
}

static void many_writes_during_one_sync_are_bounded_and_all_answered(void **state)
{
    struct rig *rig = *state;
    enum {
        MANY = 100 /* several full batches */
    };
    static struct kv_cmd cmds[MANY];
    for (size_t i = 0; i < MANY; i++) {
        cmds[i] = setting(i % 2 == 0 ? "1" : "2");
        send(rig, &cmds[i]);
    }
    disk_allow(SIZE_MAX);
    await(&n_done, 1 + MANY);
    for (size_t i = 0; i < MANY; i++)
        assert_int_equal(cmds[i].status, KV_OK);
    assert_shows(rig, "2");
}

/* A state that nobody has seen yet must not expire before it is seen. */
static void command_that_meets_a_near_deadline_ahead_waits_for_it(void **state)
{
    struct rig *rig = *state;
    struct kv_cmd one = setting("1"), two = setting("2");
    one.deadline_ms = NOW_MS + 10;
    two.cond = KV_COND_ABSENT;
    send(rig, &one);
    await(&disk.n_syncs, 2);
    send(rig, &two);
    kv_test_sleep_ms(20); /* so that one that does not wait shows */
    pthread_mutex_lock(&lock);
    now_ms += 10;
    pthread_mutex_unlock(&lock);
    disk_allow(2);
    await(&n_done, 2);
    assert_told(2);
    disk_allow(3);
    await(&n_done, 3);
    assert_int_equal(two.status, KV_OK);
    assert_told(4);
    assert_int_equal(told[1].revision, one.revision);
    assert_int_equal(told[2].reason, KV_REASON_EXPIRE);
    assert_int_equal(told[3].revision, two.revision);
}

static void closing_answers_all_that_is_under_way(void **state)
{
    struct rig *rig = *state;
    struct kv_cmd one = setting("1"), two = setting("2");
    send_two(rig, &one, &two);
    disk_allow(SIZE_MAX);
    kv_durable_close(rig->store);
    assert_int_equal(one.status, KV_OK);
    assert_int_equal(two.status, KV_OK);
    assert_int_equal(n_done, 3);
    struct kv_option_value options[KV_DURABLE_N_OPTIONS] = {
        [KV_DURABLE_OPTION_PATH].string = kv_slice_of(rig->path),
        [KV_DURABLE_OPTION_CACHE].integer = 1 << 20,
        [KV_DURABLE_OPTION_READERS].integer = 1,
    };
    kv_test_folder_empty(rig->path);
    assert_int_equal(kv_durable_open(&host, options, &engine_ops, &rig->store, NULL), 0);
}

/* ---- failures ---- */

/* What the disk has after it recovered: the key's rows as they were, and no deadline. */
static void assert_undone(struct rig *rig)
{
    struct kv_cmd probe = {.op = KV_OP_SET, .key = KV_SLICE("probe"), .value = KV_SLICE("1")};
    disk_say(KV_ENGINE_OK, KV_ENGINE_OK);
    disk_allow(SIZE_MAX);
    do {
        size_t before = done_so_far();
        probe.is_deferred = false;
        send(rig, &probe);
        await(&n_done, before + 1);
    } while (probe.status == KV_IO);
    assert_shows(rig, "0");
    pthread_mutex_lock(&lock);
    struct rows *rows = &disk.engine->committed;
    for (size_t i = 0; i < rows->n; i++)
        assert_true(rows->all[i].table != KV_ENGINE_DEADLINES || rows->all[i].is_erased);
    const struct row *row = rows_find(rows, KV_ENGINE_RECORDS, KEY);
    assert_non_null(row);
    assert_false(row->is_erased);
    assert_int_equal(row->value.bytes[row->value.len - 1], '0');
    pthread_mutex_unlock(&lock);
}

static void failed_sync_takes_what_came_behind_it_along(void **state)
{
    for (enum keeps keeps = 0; keeps < N_KEEPS; keeps++) {
        struct rig *rig = *state;
        struct kv_cmd one = setting("1"), two = setting("2"), three = setting("3");
        disk.keeps = keeps;
        one.deadline_ms = NOW_MS + 1000000;
        two.deadline_ms = NOW_MS + 2000000;
        three.deadline_ms = NOW_MS + 3000000;
        send_two(rig, &one, &two);
        send(rig, &three);
        await(&disk.n_commits, 3);
        disk_say(KV_ENGINE_OK, KV_ENGINE_FAILED);
        disk_allow(2);
        await(&n_done, 4);
        assert_int_equal(one.status, KV_IO);
        assert_int_equal(two.status, KV_IO);
        assert_int_equal(three.status, KV_IO);
        assert_told(1);
        assert_shows(rig, "0");
        assert_undone(rig);
        tear_down(state);
        set_up(state);
    }
}

static void failed_write_leaves_the_sync_ahead_its_effect(void **state)
{
    struct rig *rig = *state;
    struct kv_cmd one = setting("1"), two = setting("2");
    disk.keeps = KEEPS_ALL;
    send(rig, &one);
    await(&disk.n_syncs, 2);
    disk_say(KV_ENGINE_FULL, KV_ENGINE_OK);
    send(rig, &two);
    await(&disk.n_commits, 2);
    disk_allow(2);
    await(&n_done, 3);
    assert_int_equal(one.status, KV_OK);
    assert_int_equal(two.status, KV_FULL);
    assert_shows(rig, "1");
    assert_told(2);
}

/* The disk may have the last of what was written, or the one before. */
static void failed_second_write_of_a_batch_leaves_nothing_of_the_first(void **state)
{
    for (enum keeps keeps = 0; keeps < N_KEEPS; keeps++) {
        struct rig *rig = *state;
        struct kv_cmd one = setting("0"), two = setting("2"), three = setting("3");
        disk.keeps = keeps;
        one.key = KV_SLICE("another");
        two.deadline_ms = NOW_MS + 1000000;
        three.deadline_ms = NOW_MS + 2000000;
        send_two(rig, &one, &two);
        disk_say(KV_ENGINE_FAILED, KV_ENGINE_OK);
        send(rig, &three);
        await(&disk.n_commits, 3);
        disk_allow(2);
        await(&n_done, 4);
        assert_int_equal(one.status, KV_OK);
        assert_int_equal(two.status, KV_IO);
        assert_int_equal(three.status, KV_IO);
        assert_undone(rig);
        tear_down(state);
        set_up(state);
    }
}

static void failed_write_and_failed_sync_leave_nothing(void **state)
{
    struct rig *rig = *state;
    struct kv_cmd one = {.op = KV_OP_DELETE, .key = KEY}, two = setting("2");
    disk.keeps = KEEPS_ALL;
    two.deadline_ms = NOW_MS + 1000000;
    send(rig, &one);
    await(&disk.n_syncs, 2);
    disk_say(KV_ENGINE_FAILED, KV_ENGINE_FAILED);
    send(rig, &two);
    await(&disk.n_commits, 2);
    disk_allow(2);
    await(&n_done, 3);
    assert_int_equal(one.status, KV_IO);
    assert_int_equal(two.status, KV_IO);
    assert_told(1);
    assert_undone(rig);
}

static void read_behind_a_refused_write_shows_what_is_published(void **state)
{
    struct rig *rig = *state;
    struct kv_cmd one = setting("1"), two = setting("2");
    struct kv_cmd get = {.op = KV_OP_GET, .key = KEY};
    send(rig, &one);
    await(&disk.n_syncs, 2);
    struct kv_cmd *vector[] = {&two, &get};
    two.hash = get.hash = host_hash(&host, KEY);
    two.deadline_ms = KV_NEVER;
    kv_durable_submit(rig->store, 0, vector, 2);
    await(&disk.n_commits, 2);
    disk_say(KV_ENGINE_OK, KV_ENGINE_FAILED);
    disk_allow(2);
    await(&n_done, 4);
    assert_int_equal(get.status, KV_OK);
    assert_true(kv_slice_equals(get.item.value, KV_SLICE("0")));
    kv_durable_unref(rig->store, get.item.ref);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(next_batch_is_written_during_the_sync_and_told_behind_its_own),
        TEST(one_sync_is_for_all_that_came_during_the_last),
        TEST(conditions_go_by_what_is_ahead),
        TEST(deleted_ahead_is_missing_behind),
        TEST(read_behind_a_write_waits_for_its_sync),
        TEST(scan_shows_no_more_than_is_synced),
        TEST(many_writes_during_one_sync_are_bounded_and_all_answered),
        TEST(command_that_meets_a_near_deadline_ahead_waits_for_it),
        TEST(closing_answers_all_that_is_under_way),
        TEST(failed_sync_takes_what_came_behind_it_along),
        TEST(failed_write_leaves_the_sync_ahead_its_effect),
        TEST(failed_second_write_of_a_batch_leaves_nothing_of_the_first),
        TEST(failed_write_and_failed_sync_leave_nothing),
        TEST(read_behind_a_refused_write_shows_what_is_published),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
