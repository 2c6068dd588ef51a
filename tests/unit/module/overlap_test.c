/*
 * Writes while a sync is under way: the next batch is judged by what the one ahead will leave, and
 * takes effect behind it, or not at all. The journal's writes and syncs take as long, and end, as
 * the test says; the engine is a table in memory.
 */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/buffer.h"
#include "base/mem.h"
#include "durable.h"
#include "support/client/folder.h"
#include "support/client/stream.h"

#define KEY     KV_SLICE("key")
#define BARRIER KV_SLICE("barrier")
#define NOW_MS  INT64_C(500000)

enum {
    MOST_ROWS = 64,
    MOST_TOLD = 16384,
    MOST_BARRIERS = 256,
    LONGEST_RECORD = 4096, /* what is longer are zeros */
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
    struct rows committed;
    struct rows batch;
};

static struct {
    size_t n_writes;                   /* records, since the store opened */
    size_t n_syncs;                    /* begun */
    size_t n_allowed;                  /* that may end */
    enum kv_engine_status write, sync; /* what becomes of the journal's */
    enum kv_engine_status commit;      /* and of the engine's commits */
    size_t n_commits;                  /* begun */
    bool is_engine_busy;               /* they do not end */
    size_t n_barriers;                 /* that were looked for in the engine */
    struct kv_engine *engine;
    struct rows persisted; /* of the engine: what is there when it is opened */
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
    rows_apply(&disk.engine->committed, &disk.persisted);
    return 0;
}

static void engine_close(struct kv_engine *engine)
{
    rows_clear(&engine->committed);
    rows_clear(&engine->batch);
    free(engine);
}

static enum kv_engine_status engine_get(struct kv_engine *engine, enum kv_engine_table table,
                                        struct kv_slice key, enum kv_engine_reach reach,
                                        kv_engine_take_fn take, void *context)
{
    pthread_mutex_lock(&lock);
    if (kv_slice_has_prefix(key, BARRIER))
        disk.n_barriers++;
    pthread_cond_broadcast(&moved);
    const struct row *row =
        rows_find(reach == KV_ENGINE_ON_DISK ? &disk.persisted : &engine->committed, table, key);
    bool is_there = row != NULL && !row->is_erased;
    if (is_there)
        take(context, kv_buffer_slice(&row->value));
    pthread_mutex_unlock(&lock);
    return is_there ? KV_ENGINE_OK : KV_ENGINE_ABSENT;
}

static void engine_put(struct kv_engine *engine, enum kv_engine_table table, struct kv_slice key,
                       struct kv_slice value)
{
    kv_buffer_append(&rows_set(&engine->batch, table, key)->value, value);
}

static void engine_erase(struct kv_engine *engine, enum kv_engine_table table, struct kv_slice key)
{
    rows_set(&engine->batch, table, key)->is_erased = true;
}

static enum kv_engine_status engine_commit(struct kv_engine *engine)
{
    pthread_mutex_lock(&lock);
    disk.n_commits++;
    pthread_cond_broadcast(&moved);
    while (disk.is_engine_busy)
        wait_for_more();
    enum kv_engine_status status = disk.commit;
    if (status == KV_ENGINE_OK)
        rows_apply(&engine->committed, &engine->batch);
    pthread_mutex_unlock(&lock);
    rows_clear(&engine->batch);
    return status;
}

static enum kv_engine_status engine_persist(struct kv_engine *engine)
{
    pthread_mutex_lock(&lock);
    rows_apply(&disk.persisted, &engine->committed);
    pthread_mutex_unlock(&lock);
    return KV_ENGINE_OK;
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

/* Loses what it can. */
static enum kv_engine_status engine_recover(struct kv_engine *engine, kv_engine_refill_fn refill,
                                            void *context)
{
    pthread_mutex_lock(&lock);
    enum kv_engine_status status = disk.commit;
    rows_clear(&engine->committed);
    rows_apply(&engine->committed, &disk.persisted);
    pthread_mutex_unlock(&lock);
    return status == KV_ENGINE_OK ? refill(context) : status;
}

static const struct kv_engine_ops engine_ops = {
    .name = "table",
    .max_commit = 16,
    .max_row = 1 << 20,
    .open = engine_open,
    .close = engine_close,
    .get = engine_get,
    .put = engine_put,
    .erase = engine_erase,
    .commit = engine_commit,
    .persist = engine_persist,
    .walk = engine_walk,
    .recover = engine_recover,
};

/* ---- the journal's file: the linker has these called instead of the real ones ---- */

ssize_t __real_pwrite(int fd, const void *bytes, size_t len, off_t at);
ssize_t __wrap_pwrite(int fd, const void *bytes, size_t len, off_t at);
int __wrap_fdatasync(int fd);

static int end_with(enum kv_engine_status status)
{
    errno = status == KV_ENGINE_FULL ? ENOSPC : EIO;
    return status == KV_ENGINE_OK ? 0 : -1;
}

ssize_t __wrap_pwrite(int fd, const void *bytes, size_t len, off_t at)
{
    bool is_record = at != 0 && len < LONGEST_RECORD;
    pthread_mutex_lock(&lock);
    enum kv_engine_status status = disk.write;
    disk.n_writes += is_record ? 1 : 0;
    pthread_cond_broadcast(&moved);
    pthread_mutex_unlock(&lock);
    return end_with(status) == 0 ? __real_pwrite(fd, bytes, len, at) : -1;
}

int __wrap_fdatasync(int fd)
{
    (void)fd;
    pthread_mutex_lock(&lock);
    size_t number = ++disk.n_syncs;
    pthread_cond_broadcast(&moved);
    while (disk.n_allowed < number)
        wait_for_more();
    enum kv_engine_status status = disk.sync;
    pthread_mutex_unlock(&lock);
    return end_with(status);
}

/* ---- the clock of the store's threads, likewise: they may be held up at any time ---- */

int64_t __real_queue_now_ns(void);
int64_t __wrap_queue_now_ns(void);

static _Atomic int64_t held_up_ns, held_up_each_time_ns;

int64_t __wrap_queue_now_ns(void)
{
    return __real_queue_now_ns() + (held_up_ns += held_up_each_time_ns);
}

static void disk_say(enum kv_engine_status write, enum kv_engine_status sync)
{
    pthread_mutex_lock(&lock);
    disk.write = write;
    disk.sync = sync;
    pthread_mutex_unlock(&lock);
}

static void engine_say(enum kv_engine_status commit)
{
    pthread_mutex_lock(&lock);
    disk.commit = commit;
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
    pthread_mutex_lock(&lock);
    for (size_t i = 0; i < n; i++)
        n_done += kv_slice_has_prefix(cmds[i]->key, BARRIER) ? 0 : 1;
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

/* A command that is given to the store will be looked at when it is done. */
static void prepare(struct kv_cmd *cmd)
{
    cmd->hash = host_hash(&host, cmd->key);
    if (cmd->deadline_ms == 0)
        cmd->deadline_ms = KV_NEVER;
}

static void send(struct rig *rig, struct kv_cmd *cmd)
{
    prepare(cmd);
    kv_durable_submit(rig->store, 0, (struct kv_cmd *[]){cmd}, 1);
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

static size_t done_so_far(void)
{
    pthread_mutex_lock(&lock);
    size_t n = n_done;
    pthread_mutex_unlock(&lock);
    return n;
}

/* The same, where the engine may have to be read. */
static void assert_shows_in_the_end(struct rig *rig, const char *value)
{
    struct kv_cmd cmd = {.op = KV_OP_GET, .key = KEY};
    size_t before = done_so_far();
    send(rig, &cmd);
    if (cmd.is_deferred)
        await(&n_done, before + 1);
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

static void open_store(struct rig *rig, const char *path)
{
    struct kv_error error;
    struct kv_option_value options[KV_DURABLE_N_OPTIONS] = {
        [KV_DURABLE_OPTION_PATH].string = kv_slice_of(path),
        [KV_DURABLE_OPTION_CACHE].integer = 1 << 20,
        [KV_DURABLE_OPTION_READERS].integer = 1,
        [KV_DURABLE_OPTION_JOURNAL].integer = 1 << 20,
    };
    if (kv_durable_open(&host, options, &engine_ops, &rig->store, &error) != 0)
        fail_msg("%s", error.text);
}

static int set_up(void **state)
{
    struct rig *rig = kv_calloc(1, sizeof(*rig));
    strcpy(rig->folder, "/tmp/kv-overlap-XXXXXX");
    assert_non_null(mkdtemp(rig->folder));
    rig->path = kv_test_path(rig->folder, "store");
    rows_clear(&disk.persisted);
    memset(&disk, 0, sizeof(disk));
    disk.write = disk.sync = disk.commit = KV_ENGINE_OK;
    disk.n_allowed = SIZE_MAX;
    held_up_ns = held_up_each_time_ns = 0;
    n_done = n_scanned = n_told = 0;
    now_ms = NOW_MS;
    open_store(rig, rig->path);
    struct kv_cmd cmd = setting("0");
    send(rig, &cmd);
    await(&n_done, 1);
    rig->first = cmd.revision;
    disk.n_writes = 0;
    disk.n_syncs = disk.n_allowed = 1;
    *state = rig;
    return 0;
}

static int tear_down(void **state)
{
    struct rig *rig = *state;
    disk_say(KV_ENGINE_OK, KV_ENGINE_OK);
    engine_say(KV_ENGINE_OK);
    disk_allow(SIZE_MAX);
    kv_durable_close(rig->store);
    rows_clear(&disk.persisted);
    kv_test_folder_remove(rig->folder);
    free(rig->path);
    free(rig);
    return 0;
}

/* A command of no effect on a key that is not in memory: when the writer looks for that in the
 * engine, it has judged everything before. */
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
    pthread_mutex_lock(&lock);
    size_t before = disk.n_barriers;
    pthread_mutex_unlock(&lock);
    send(rig, &barrier->cmd);
    await(&disk.n_barriers, before + 1);
}

static void submit_and_wait(struct rig *rig, struct kv_cmd *const *cmds, size_t n)
{
    kv_durable_submit(rig->store, 0, cmds, n);
    wait_until_judged(rig);
}

static void send_and_wait(struct rig *rig, struct kv_cmd *cmd)
{
    prepare(cmd);
    submit_and_wait(rig, (struct kv_cmd *[]){cmd}, 1);
}

/* The first of them is being synced (the second sync of the store), the other comes meanwhile. */
static void send_two(struct rig *rig, struct kv_cmd *one, struct kv_cmd *other)
{
    send(rig, one);
    await(&disk.n_syncs, 2);
    send_and_wait(rig, other);
}

/* ---- in order ---- */

static void next_batch_is_judged_during_the_sync_and_told_behind_its_own(void **state)
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
        send_and_wait(rig, &more[i]);
    }
    disk_allow(2);
    await(&disk.n_syncs, 3);
    disk_allow(3);
    await(&n_done, 6);
    assert_told(6);
    assert_shows(rig, "3");
    assert_int_equal(disk.n_syncs, 3);
    assert_int_equal(disk.n_writes, 2);
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
    submit_and_wait(rig, vector, 2);
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
        MANY = 10000 /* several full batches */
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

/* Four clients, of whom one only writes again when the answers have come: the writer waits for the
 * others, and whenever it is held up then, not for ever. */
static void patience_ends_wherever_the_writer_is_held_up(void **state)
{
    struct rig *rig = *state;
    for (int us = 20; us <= 600; us += 20) {
        struct kv_cmd one = setting("1"), others[] = {setting("2"), setting("3"), setting("4")};
        struct kv_cmd again = setting("5");
        size_t n_syncs = disk.n_syncs, n = done_so_far();
        send(rig, &one);
        await(&disk.n_syncs, n_syncs + 1);
        for (size_t i = 0; i < 3; i++)
            send_and_wait(rig, &others[i]);
        disk_allow(n_syncs + 1);
        await(&disk.n_syncs, n_syncs + 2);
        send_and_wait(rig, &again);
        held_up_each_time_ns = us * INT64_C(1000);
        disk_allow(n_syncs + 3);
        await(&n_done, n + 5);
        held_up_each_time_ns = 0;
        assert_int_equal(again.status, KV_OK);
    }
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
    open_store(rig, rig->path);
    assert_shows_in_the_end(rig, "2");
}

/* ---- failures ---- */

/* The store as it would be after a crash: opened from what the disk has now. */
static void crash(struct rig *rig)
{
    char command[160];
    snprintf(command, sizeof(command), "cp -r %s %s-crashed", rig->path, rig->path);
    assert_int_equal(system(command), 0);
    kv_durable_close(rig->store);
    snprintf(command, sizeof(command), "%s-crashed", rig->path);
    open_store(rig, command);
}

/* Until the store takes it. */
static void probe(struct rig *rig)
{
    struct kv_cmd cmd = {.op = KV_OP_SET, .key = KV_SLICE("probe"), .value = KV_SLICE("1")};
    do {
        size_t before = done_so_far();
        cmd.is_deferred = false;
        send(rig, &cmd);
        await(&n_done, before + 1);
    } while (cmd.status == KV_IO || cmd.status == KV_FULL);
    assert_int_equal(cmd.status, KV_OK);
}

/* Returns: the page's status; OK where the two keys, and no other, have been found. */
static enum kv_status scan_all(struct rig *rig, const char *value)
{
    struct kv_scan_entry entries[4];
    struct kv_scan scan = {.wants_values = true, .entries = entries, .capacity = 4};
    pthread_mutex_lock(&lock);
    size_t before = n_scanned;
    pthread_mutex_unlock(&lock);
    kv_durable_scan(rig->store, 0, &scan);
    await(&n_scanned, before + 1);
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

/* What the engine is brought up to: the key's rows as they were, and no deadline. */
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
        struct rows *rows = &disk.engine->committed;
        for (size_t i = 0; i < rows->n; i++)
            assert_true(rows->all[i].table != KV_ENGINE_DEADLINES || rows->all[i].is_erased);
    }
}

static void failed_sync_takes_what_came_behind_it_along(void **state)
{
    struct rig *rig = *state;
    struct kv_cmd one = setting("1"), two = setting("2"), three = setting("3");
    one.deadline_ms = NOW_MS + 1000000;
    two.deadline_ms = NOW_MS + 2000000;
    three.deadline_ms = NOW_MS + 3000000;
    send_two(rig, &one, &two);
    send_and_wait(rig, &three);
    disk_say(KV_ENGINE_OK, KV_ENGINE_FAILED);
    disk_allow(2);
    await(&n_done, 4);
    assert_int_equal(one.status, KV_IO);
    assert_int_equal(two.status, KV_IO);
    assert_int_equal(three.status, KV_IO);
    assert_told(1);
    assert_shows(rig, "0");
    assert_undone(rig);
}

static void failed_sync_of_a_delete_leaves_the_key(void **state)
{
    struct rig *rig = *state;
    struct kv_cmd one = {.op = KV_OP_DELETE, .key = KEY}, two = setting("2");
    send_two(rig, &one, &two);
    disk_say(KV_ENGINE_OK, KV_ENGINE_FAILED);
    disk_allow(2);
    await(&n_done, 3);
    assert_int_equal(one.status, KV_IO);
    assert_int_equal(two.status, KV_IO);
    assert_told(1);
    assert_undone(rig);
}

static void failed_write_leaves_the_sync_ahead_its_effect(void **state)
{
    struct rig *rig = *state;
    struct kv_cmd one = setting("1"), two = setting("2");
    send_two(rig, &one, &two);
    disk_say(KV_ENGINE_FULL, KV_ENGINE_OK);
    disk_allow(2);
    await(&n_done, 3);
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

/* What was answered is in the journal, and read from memory meanwhile. */
static void engine_that_fails_is_given_everything_again(void **state)
{
    struct rig *rig = *state;
    struct kv_cmd one = setting("1"), two = setting("2");
    disk_allow(SIZE_MAX);
    send(rig, &one);
    await(&n_done, 2);
    assert_int_equal(one.status, KV_OK);
    engine_say(KV_ENGINE_FAILED);
    assert_int_equal(scan_all(rig, NULL), KV_IO);
    send(rig, &two);
    await(&n_done, 3);
    assert_int_equal(two.status, KV_IO);
    assert_shows(rig, "1");
    engine_say(KV_ENGINE_OK);
    probe(rig);
    assert_shows(rig, "1");
    assert_int_equal(scan_all(rig, "1"), KV_OK);
    crash(rig);
    assert_int_equal(scan_all(rig, "1"), KV_OK);
}

static void *end_commits_soon(void *argument)
{
    (void)argument;
    kv_test_sleep_ms(20); /* so that who closes is there before */
    pthread_mutex_lock(&lock);
    disk.is_engine_busy = false;
    pthread_cond_broadcast(&moved);
    pthread_mutex_unlock(&lock);
    return NULL;
}

/* Nor can the writer have everything brought to the disk, as there is no room to be tried. */
static void closing_of_an_ill_store_waits_for_the_engine(void **state)
{
    struct rig *rig = *state;
    static char long_value[300001]; /* more than what is applied at a time */
    memset(long_value, '1', sizeof(long_value) - 1);
    struct kv_cmd one = setting(long_value), two = setting("2");
    char *room = kv_test_path(rig->path, "room.tmp");
    pthread_t thread;
    disk_allow(SIZE_MAX);
    disk.is_engine_busy = true;
    size_t n_commits = disk.n_commits;
    send(rig, &one);
    await(&disk.n_commits, n_commits + 1);
    disk_say(KV_ENGINE_FAILED, KV_ENGINE_OK);
    assert_int_equal(mkdir(room, 0700), 0);
    send(rig, &two);
    await(&n_done, 3);
    assert_int_equal(two.status, KV_IO);
    assert_int_equal(pthread_create(&thread, NULL, end_commits_soon, NULL), 0);
    kv_durable_close(rig->store);
    pthread_join(thread, NULL);
    assert_int_equal(rmdir(room), 0);
    free(room);
    disk_say(KV_ENGINE_OK, KV_ENGINE_OK);
    open_store(rig, rig->path);
    assert_shows_in_the_end(rig, long_value);
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
    submit_and_wait(rig, vector, 2);
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
        TEST(next_batch_is_judged_during_the_sync_and_told_behind_its_own),
        TEST(one_sync_is_for_all_that_came_during_the_last),
        TEST(conditions_go_by_what_is_ahead),
        TEST(deleted_ahead_is_missing_behind),
        TEST(read_behind_a_write_waits_for_its_sync),
        TEST(scan_shows_no_more_than_is_synced),
        TEST(many_writes_during_one_sync_are_bounded_and_all_answered),
        TEST(patience_ends_wherever_the_writer_is_held_up),
        TEST(command_that_meets_a_near_deadline_ahead_waits_for_it),
        TEST(closing_answers_all_that_is_under_way),
        TEST(failed_sync_takes_what_came_behind_it_along),
        TEST(failed_sync_of_a_delete_leaves_the_key),
        TEST(failed_write_leaves_the_sync_ahead_its_effect),
        TEST(engine_that_fails_is_given_everything_again),
        TEST(closing_of_an_ill_store_waits_for_the_engine),
        TEST(read_behind_a_refused_write_shows_what_is_published),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
