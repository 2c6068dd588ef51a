/*
 * Requirements on durable stores beyond the contract of all stores: the state after closing and
 * opening again, on clocks that the test owns. durable_test <name of the store>.
 */
#include <ftw.h>
#include <glob.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>
#include <lmdb.h>

#include "base/buffer.h"
#include "base/mem.h"
#include "conf/scalar.h"
#include "module/module.h"

#define KEY KV_SLICE("key")

/* Initial readings of the clocks: the host's restarts with the machine, the wall clock
 * continues. */
#define BOOT_MS INT64_C(500000)
#define WALL_US INT64_C(1700000000000000)

static struct kv_loaded_module *module;
static const struct kv_store_ops *ops;

/* ---- a host ---- */

static _Atomic int64_t now_ms;
static _Atomic int64_t wall_us;
static _Atomic int64_t look_takes_us; /* both clocks advance by this at each reading */
static _Atomic int64_t spent_us;      /* by readings */

enum {
    LOG_BYTES = 128 << 10,
    JOURNAL_BYTES = 256 << 10, /* for tests of it: eight segments */
    LOG_CAPACITY = 16
};

/* Results from the store's threads, protected by one lock. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t arrived = PTHREAD_COND_INITIALIZER;
static size_t n_done;
static size_t n_scanned;
static size_t n_logged;
static size_t n_wakes;
static enum kv_reason told[16];
static size_t n_told;

static int64_t host_now_ms(const struct kv_host *base)
{
    (void)base;
    return atomic_load(&now_ms) + atomic_fetch_add(&spent_us, atomic_load(&look_takes_us)) / 1000;
}

static int64_t host_wall_us(const struct kv_host *base)
{
    (void)base;
    return atomic_load(&wall_us) + atomic_fetch_add(&spent_us, atomic_load(&look_takes_us));
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

static void count(size_t *counter, size_t n)
{
    pthread_mutex_lock(&lock);
    *counter += n;
    pthread_cond_broadcast(&arrived);
    pthread_mutex_unlock(&lock);
}

static void host_changed(const struct kv_store_host *base, uint32_t part,
                         const struct kv_change *change)
{
    (void)base;
    (void)part;
    pthread_mutex_lock(&lock);
    if (n_told < sizeof(told) / sizeof(told[0]))
        told[n_told++] = change->reason;
    pthread_mutex_unlock(&lock);
}

static void host_wake_at(const struct kv_store_host *base, uint32_t part, int64_t deadline_ms)
{
    (void)base;
    (void)part;
    (void)deadline_ms;
    count(&n_wakes, 1);
}

static void host_done(const struct kv_store_host *base, uint32_t loop, struct kv_cmd *const *cmds,
                      size_t n)
{
    (void)base;
    (void)loop;
    (void)cmds;
    count(&n_done, n);
}

static void host_scan_done(const struct kv_store_host *base, uint32_t loop, struct kv_scan *scan)
{
    (void)base;
    (void)loop;
    (void)scan;
    count(&n_scanned, 1);
}

static void host_log_done(const struct kv_store_host *base, uint32_t loop, struct kv_log_page *page)
{
    (void)base;
    (void)loop;
    (void)page;
    count(&n_logged, 1);
}

static struct kv_store_host host = {
    .base = {.size = sizeof(host), .now_ms = host_now_ms, .wall_us = host_wall_us, .log = host_log},
    .n_loops = 1,
    .hash = host_hash,
    .changed = host_changed,
    .wake_at = host_wake_at,
    .done = host_done,
    .scan_done = host_scan_done,
    .log_done = host_log_done,
    .log_bytes = LOG_BYTES,
    .log_ms = 3600000,
};

static void wait_until(const size_t *counter, size_t n)
{
    pthread_mutex_lock(&lock);
    while (*counter < n)
        pthread_cond_wait(&arrived, &lock);
    pthread_mutex_unlock(&lock);
}

/* ---- a store in a folder of its own ---- */

struct rig {
    char folder[32];
    char *path;
    struct kv_option_value *options;
    struct kv_store *store;
};

static void set_path(struct rig *rig, const char *path)
{
    for (size_t i = 0; i < module->identity->n_options; i++)
        if (strcmp(module->identity->options[i].name, "path") == 0)
            rig->options[i].string = kv_slice_of(path);
}

static struct kv_option_value *default_options(void)
{
    const struct kv_module *identity = module->identity;
    struct kv_option_value *values = kv_calloc(identity->n_options, sizeof(*values));
    for (size_t i = 0; i < identity->n_options; i++) {
        const struct kv_option *option = &identity->options[i];
        /* ThreadSanitizer leaves little address space. */
        const char *text = strcmp(option->name, "map_size") == 0 ? "1GiB" : option->fallback;
        assert_int_equal(kv_scalar_parse(option, kv_slice_of(text), &values[i], NULL), 0);
    }
    return values;
}

static int set_up(void **state)
{
    struct rig *rig = kv_calloc(1, sizeof(*rig));
    strcpy(rig->folder, "/tmp/kv-durable-XXXXXX");
    assert_non_null(mkdtemp(rig->folder));
    assert_true(asprintf(&rig->path, "%s/deep/store", rig->folder) > 0);
    rig->options = default_options();
    set_path(rig, rig->path);
    atomic_store(&now_ms, BOOT_MS);
    atomic_store(&wall_us, WALL_US);
    atomic_store(&look_takes_us, 0);
    atomic_store(&spent_us, 0);
    n_told = 0;
    *state = rig;
    return 0;
}

static int remove_one(const char *path, const struct stat *status, int type, struct FTW *walk)
{
    (void)status;
    (void)type;
    (void)walk;
    return remove(path);
}

static void close_store(struct rig *rig)
{
    if (rig->store != NULL)
        ops->close(rig->store);
    rig->store = NULL;
}

static int tear_down(void **state)
{
    struct rig *rig = *state;
    close_store(rig);
    nftw(rig->folder, remove_one, 8, FTW_DEPTH | FTW_PHYS);
    free(rig->options);
    free(rig->path);
    free(rig);
    return 0;
}

static void open_store(struct rig *rig)
{
    struct kv_error error;
    if (ops->open(&host, rig->options, &rig->store, &error) != 0)
        fail_msg("%s", error.text);
}

/* The machine was off for `off_ms` of wall-clock time, which may be negative. */
static void start_again(struct rig *rig, int64_t off_ms)
{
    close_store(rig);
    atomic_store(&now_ms, BOOT_MS / 2);
    atomic_fetch_add(&wall_us, off_ms * 1000);
    n_told = 0;
    open_store(rig);
}

/* Opens the files as a crash would leave them: copied while the store was open. */
static void crash(struct rig *rig)
{
    char *copy;
    char command[256];
    assert_true(asprintf(&copy, "%s-crashed", rig->path) > 0);
    snprintf(command, sizeof(command), "cp -r '%s' '%s'", rig->path, copy);
    assert_int_equal(system(command), 0);
    close_store(rig);
    free(rig->path);
    rig->path = copy;
    set_path(rig, copy);
}

static void pass(int64_t ms)
{
    atomic_fetch_add(&now_ms, ms);
    atomic_fetch_add(&wall_us, ms * 1000);
}

/* ---- commands ---- */

static struct kv_cmd run(struct rig *rig, struct kv_cmd cmd)
{
    struct kv_cmd *cmds[] = {&cmd};
    size_t before = n_done;
    cmd.hash = host_hash(&host, cmd.key);
    ops->submit(rig->store, 0, cmds, 1);
    if (cmd.is_deferred)
        wait_until(&n_done, before + 1);
    return cmd;
}

static uint64_t set_until(struct rig *rig, struct kv_slice key, struct kv_slice value,
                          int64_t deadline_ms)
{
    struct kv_cmd cmd = run(
        rig,
        (struct kv_cmd){.op = KV_OP_SET, .key = key, .value = value, .deadline_ms = deadline_ms});
    assert_int_equal(cmd.status, KV_OK);
    return cmd.revision;
}

static uint64_t set(struct rig *rig, struct kv_slice key, struct kv_slice value)
{
    return set_until(rig, key, value, KV_NEVER);
}

static uint64_t delete_key(struct rig *rig, struct kv_slice key)
{
    struct kv_cmd cmd = run(rig, (struct kv_cmd){.op = KV_OP_DELETE, .key = key});
    assert_int_equal(cmd.status, KV_OK);
    return cmd.revision;
}

static enum kv_status get(struct rig *rig, struct kv_slice key)
{
    struct kv_cmd cmd = run(rig, (struct kv_cmd){.op = KV_OP_GET, .key = key});
    if (cmd.status == KV_OK)
        ops->unref(rig->store, cmd.item.ref);
    return cmd.status;
}

static void assert_holds(struct rig *rig, struct kv_slice key, struct kv_slice value,
                         uint64_t revision, int64_t deadline_ms)
{
    struct kv_cmd cmd = run(rig, (struct kv_cmd){.op = KV_OP_GET, .key = key});
    assert_int_equal(cmd.status, KV_OK);
    assert_true(kv_slice_equals(cmd.item.value, value));
    assert_int_equal(cmd.item.revision, revision);
    assert_int_equal(cmd.item.deadline_ms, deadline_ms);
    ops->unref(rig->store, cmd.item.ref);
}

static void expire_all(struct rig *rig)
{
    struct kv_store_info info;
    ops->info(rig->store, &info);
    for (uint32_t part = 0; part < info.parts; part++) {
        size_t before = n_wakes;
        if (ops->expire(rig->store, part, atomic_load(&now_ms), 64) == KV_EXPIRING)
            wait_until(&n_wakes, before + 1);
    }
}

/* ---- state after a restart ---- */

static void everything_survives_a_restart(void **state)
{
    struct rig *rig = *state;
    char *long_key = kv_alloc(100000);
    memset(long_key, 'k', 100000);
    struct kv_slice key = {long_key, 100000};
    open_store(rig);
    uint64_t empty = set(rig, KV_SLICE(""), KV_SLICE("{}"));
    uint64_t first = set(rig, KEY, KV_SLICE("[1, 2]"));
    uint64_t last = set(rig, key, KV_SLICE("\"long\""));
    start_again(rig, 1000);
    assert_holds(rig, KV_SLICE(""), KV_SLICE("{}"), empty, KV_NEVER);
    assert_holds(rig, KEY, KV_SLICE("[1, 2]"), first, KV_NEVER);
    assert_holds(rig, key, KV_SLICE("\"long\""), last, KV_NEVER);
    free(long_key);
}

static void deleted_key_stays_deleted(void **state)
{
    struct rig *rig = *state;
    open_store(rig);
    set(rig, KEY, KV_SLICE("1"));
    delete_key(rig, KEY);
    start_again(rig, 1000);
    assert_int_equal(get(rig, KEY), KV_MISSING);
}

static void revisions_keep_growing(void **state)
{
    struct rig *rig = *state;
    open_store(rig);
    uint64_t revision = set(rig, KEY, KV_SLICE("0"));
    for (int life = 0; life < 3; life++) {
        char value[16];
        snprintf(value, sizeof(value), "%d", life + 1);
        uint64_t deleted = delete_key(rig, KEY);
        assert_true(deleted > revision);
        start_again(rig, -1000);
        revision = set(rig, KEY, kv_slice_of(value));
        assert_true(revision > deleted);
    }
}

/* Larger ones would be treated as damage. */
static void revisions_fit_53_bits_with_any_wall_clock(void **state)
{
    struct rig *rig = *state;
    atomic_store(&wall_us, (int64_t)KV_REVISION_MAX);
    open_store(rig);
    uint64_t revision = set(rig, KEY, KV_SLICE("1"));
    assert_true(revision <= KV_REVISION_MAX);
    start_again(rig, 0);
    assert_holds(rig, KEY, KV_SLICE("1"), revision, KV_NEVER);
}

static void epoch_is_kept(void **state)
{
    struct rig *rig = *state;
    struct kv_store_info first;
    struct kv_store_info again;
    open_store(rig);
    ops->info(rig->store, &first);
    start_again(rig, 1000);
    ops->info(rig->store, &again);
    assert_string_equal(first.epoch, again.epoch);
    assert_int_equal(strlen(first.epoch), 32);
}

static void setting_the_stored_value_again_is_unchanged(void **state)
{
    struct rig *rig = *state;
    open_store(rig);
    uint64_t revision = set(rig, KEY, KV_SLICE("1"));
    start_again(rig, 1000);
    struct kv_cmd cmd =
        run(rig, (struct kv_cmd){
                     .op = KV_OP_SET, .key = KEY, .value = KV_SLICE("1"), .deadline_ms = KV_NEVER});
    assert_int_equal(cmd.status, KV_UNCHANGED);
    assert_int_equal(cmd.revision, revision);
}

static void assert_refused(struct rig *rig, const char *why)
{
    struct kv_error error;
    struct kv_store *store;
    assert_int_equal(ops->open(&host, rig->options, &store, &error), -1);
    if (strstr(error.text, why) == NULL || strstr(error.text, rig->folder) == NULL)
        fail_msg("expected the folder and \"%s\" in \"%s\"", why, error.text);
}

/* ---- long values ---- */

static struct kv_slice long_value(char letter)
{
    size_t len = KV_LONG_VALUE + 1000;
    char *bytes = kv_alloc(len);
    memset(bytes, letter, len);
    bytes[0] = bytes[len - 1] = '"';
    return (struct kv_slice){.bytes = bytes, .len = len};
}

/* Files in the journal's folder with that ending. */
static size_t count_files(const struct rig *rig, const char *ending)
{
    char pattern[128];
    glob_t found;
    snprintf(pattern, sizeof(pattern), "%s/journal/*%s", rig->path, ending);
    size_t n = glob(pattern, 0, NULL, &found) == 0 ? found.gl_pathc : 0;
    globfree(&found);
    return n;
}

/* One value alone, so that the files are copied before the database gets it. */
static void long_value_survives_a_crash(void **state)
{
    struct rig *rig = *state;
    struct kv_slice value = long_value('a');
    open_store(rig);
    set(rig, KEY, KV_SLICE("1"));
    uint64_t revision = set_until(rig, KEY, value, BOOT_MS + 100000);
    crash(rig);
    open_store(rig);
    assert_holds(rig, KEY, value, revision, BOOT_MS + 100000);
    start_again(rig, 0);
    assert_int_equal(count_files(rig, ".value"), 0);
    free((char *)value.bytes);
}

static void refused_long_value_leaves_no_file(void **state)
{
    struct rig *rig = *state;
    struct kv_slice value = long_value('a');
    open_store(rig);
    set(rig, KEY, KV_SLICE("1"));
    struct kv_cmd cmd = run(rig, (struct kv_cmd){.op = KV_OP_SET,
                                                 .cond = KV_COND_ABSENT,
                                                 .key = KEY,
                                                 .value = value,
                                                 .deadline_ms = KV_NEVER});
    assert_int_equal(cmd.status, KV_CONDITION);
    assert_int_equal(count_files(rig, ".value"), 0);
    free((char *)value.bytes);
}

/* A crash may happen before any record refers to the file. */
static void file_without_a_record_is_deleted(void **state)
{
    struct rig *rig = *state;
    char *path;
    open_store(rig);
    set(rig, KEY, KV_SLICE("1"));
    crash(rig);
    assert_true(asprintf(&path, "%s/journal/000007.value", rig->path) > 0);
    fclose(fopen(path, "w"));
    free(path);
    open_store(rig);
    assert_int_equal(count_files(rig, ".value"), 0);
}

/* Removes or truncates the file. */
static void damage_value_file(const struct rig *rig, off_t len)
{
    char *path;
    assert_true(asprintf(&path, "%s/journal/000001.value", rig->path) > 0);
    assert_int_equal(len == 0 ? unlink(path) : truncate(path, len), 0);
    free(path);
}

static void damaged_long_value_is_refused(void **state)
{
    struct rig *rig = *state;
    struct kv_slice value = long_value('a');
    open_store(rig);
    set(rig, KEY, value);
    crash(rig);
    damage_value_file(rig, KV_LONG_VALUE);
    assert_refused(rig, "record");
    damage_value_file(rig, 0);
    assert_refused(rig, "record");
    free((char *)value.bytes);
}

/* ---- the log ---- */

static void set_journal_size(struct rig *rig)
{
    for (size_t i = 0; i < module->identity->n_options; i++)
        if (strcmp(module->identity->options[i].name, "journal") == 0)
            rig->options[i].integer = JOURNAL_BYTES;
}

/* A page of the changes after the revision. Returns: its status. */
static enum kv_status read_log(struct rig *rig, uint64_t after, struct kv_log_page *ret)
{
    static struct kv_log_entry entries[LOG_CAPACITY];
    *ret = (struct kv_log_page){
        .after = after, .entries = entries, .capacity = LOG_CAPACITY, .most_bytes = SIZE_MAX};
    size_t before = n_logged;
    ops->read_log(rig->store, 0, ret);
    if (ret->is_deferred)
        wait_until(&n_logged, before + 1);
    for (uint32_t i = 0; ret->status == KV_OK && i < ret->n; i++)
        ops->unref(rig->store, entries[i].ref);
    return ret->status;
}

static void assert_trimmed(struct rig *rig, uint64_t after)
{
    struct kv_log_page page;
    assert_int_equal(read_log(rig, after, &page), KV_TRIMMED);
}

/* Expects one last page with n changes. */
static void assert_logged(struct rig *rig, uint64_t after, uint32_t n)
{
    struct kv_log_page page;
    assert_int_equal(read_log(rig, after, &page), KV_OK);
    assert_int_equal(page.n, n);
    assert_true(page.is_last);
}

/* Reserved revisions may have been notified before a crash lost them. */
static void log_after_a_crash_has_committed_changes_and_a_gap(void **state)
{
    struct rig *rig = *state;
    struct kv_log_page page;
    open_store(rig);
    uint64_t first = set(rig, KEY, KV_SLICE("1"));
    set(rig, KV_SLICE("other"), KV_SLICE("1"));
    uint64_t last = delete_key(rig, KEY);
    crash(rig);
    open_store(rig);
    assert_logged(rig, first, 2);
    assert_logged(rig, last, 0);
    assert_trimmed(rig, last + 1);
    assert_trimmed(rig, ops->revision(rig->store) - 1);
    assert_logged(rig, ops->revision(rig->store), 0);
    uint64_t next = set(rig, KEY, KV_SLICE("2"));
    assert_int_equal(read_log(rig, last, &page), KV_OK);
    assert_int_equal(page.n, 1);
    assert_int_equal(page.entries[0].revision, next);
    crash(rig);
    open_store(rig);
    assert_logged(rig, first, 3);
    assert_trimmed(rig, last + 1);
}

/* Returns: the revision of the last write. */
static uint64_t set_many(struct rig *rig, int n)
{
    char value[1000];
    uint64_t revision = 0;
    memset(value, 'v', sizeof(value));
    for (int i = 0; i < n; i++) {
        snprintf(value, sizeof(value), "%d", i);
        revision = set(rig, KEY, (struct kv_slice){value, sizeof(value)});
    }
    return revision;
}

static size_t journal_bytes(const struct rig *rig)
{
    struct stat status;
    char pattern[128];
    glob_t found;
    size_t bytes = 0;
    snprintf(pattern, sizeof(pattern), "%s/journal/*.journal", rig->path);
    assert_int_equal(glob(pattern, 0, NULL, &found), 0);
    for (size_t i = 0; i < found.gl_pathc; i++)
        bytes += stat(found.gl_pathv[i], &status) == 0 ? (size_t)status.st_size : 0;
    globfree(&found);
    return bytes;
}

static void log_is_trimmed_to_its_required_length(void **state)
{
    struct rig *rig = *state;
    set_journal_size(rig);
    open_store(rig);
    uint64_t first = set(rig, KEY, KV_SLICE("1"));
    set_many(rig, 1500);
    uint64_t recent = set(rig, KEY, KV_SLICE("2"));
    uint64_t last = set_many(rig, LOG_CAPACITY / 2);
    assert_trimmed(rig, first);
    assert_logged(rig, recent, LOG_CAPACITY / 2);
    assert_true(journal_bytes(rig) <= 6 * JOURNAL_BYTES + LOG_BYTES);
    start_again(rig, 0);
    assert_trimmed(rig, first);
    assert_logged(rig, recent, LOG_CAPACITY / 2);
    assert_logged(rig, last, 0);
}

static void spoil_journal(const struct rig *rig, const char *name, long at)
{
    char path[128];
    snprintf(path, sizeof(path), "%s/journal/%s", rig->path, name);
    FILE *file = fopen(path, "r+");
    assert_non_null(file);
    assert_int_equal(fseek(file, at, SEEK_SET), 0);
    assert_int_equal(fputs("spoilt", file) < 0, 0);
    fclose(file);
}

/* The database has the damaged records. */
static void damage_in_the_log_shortens_it(void **state)
{
    struct rig *rig = *state;
    set_journal_size(rig);
    open_store(rig);
    uint64_t first = set(rig, KEY, KV_SLICE("1"));
    set_many(rig, 60);
    uint64_t recent = set(rig, KEY, KV_SLICE("2"));
    set_many(rig, LOG_CAPACITY / 2);
    close_store(rig);
    spoil_journal(rig, "000001.journal", 5000);
    open_store(rig);
    assert_trimmed(rig, first);
    assert_logged(rig, recent, LOG_CAPACITY / 2);
}

/* The same for a segment's head, with and without its first record. */
static void damaged_head_in_the_log_shortens_it(void **state)
{
    struct rig *rig = *state;
    set_journal_size(rig);
    open_store(rig);
    uint64_t first = set(rig, KEY, KV_SLICE("1"));
    set_many(rig, 60);
    uint64_t recent = set(rig, KEY, KV_SLICE("2"));
    set_many(rig, LOG_CAPACITY / 2);
    crash(rig);
    spoil_journal(rig, "000001.journal", 8);
    open_store(rig);
    assert_trimmed(rig, first);
    assert_logged(rig, recent, LOG_CAPACITY / 2);
    close_store(rig);
    spoil_journal(rig, "000001.journal", 60);
    open_store(rig);
    assert_trimmed(rig, first);
    assert_logged(rig, recent, LOG_CAPACITY / 2);
}

/* Expects the changes after `after` to set KEY to these values, in order. */
static void assert_values_logged(struct rig *rig, uint64_t after, const struct kv_slice *values,
                                 uint32_t n)
{
    struct kv_log_entry entries[LOG_CAPACITY];
    uint32_t n_found = 0;
    struct kv_log_page page = {.upto = after};
    while (!page.is_last) {
        page = (struct kv_log_page){
            .after = page.upto, .entries = entries, .capacity = LOG_CAPACITY, .most_bytes = 1};
        size_t before = n_logged;
        ops->read_log(rig->store, 0, &page);
        if (page.is_deferred)
            wait_until(&n_logged, before + 1);
        assert_int_equal(page.status, KV_OK);
        assert_true(page.n <= 1); /* at most one entry fits */
        if (page.n == 1) {
            assert_true(n_found < n);
            assert_true(kv_slice_equals(entries[0].after.value, values[n_found++]));
            ops->unref(rig->store, entries[0].ref);
        }
    }
    assert_int_equal(n_found, n);
}

/* Before the database has them, afterwards, and after a crash. */
static void overwritten_long_value_is_in_the_log(void **state)
{
    struct rig *rig = *state;
    struct kv_slice values[] = {long_value('a'), KV_SLICE("1"), long_value('b'), KV_SLICE("2")};
    host.log_bytes = 64 << 20;
    open_store(rig);
    uint64_t first = set(rig, KEY, KV_SLICE("0"));
    for (size_t i = 0; i < 4; i++)
        set(rig, KEY, values[i]);
    assert_values_logged(rig, first, values, 4);
    start_again(rig, 0);
    assert_values_logged(rig, first, values, 4);
    assert_int_equal(count_files(rig, ".value"), 0);
    assert_int_equal(count_files(rig, ".logged"), 2);
    crash(rig);
    open_store(rig);
    assert_values_logged(rig, first, values, 4);
    host.log_bytes = LOG_BYTES;
    start_again(rig, 0);
    assert_trimmed(rig, first);
    assert_int_equal(count_files(rig, ".logged"), 0);
    free((char *)values[0].bytes);
    free((char *)values[2].bytes);
}

/* Older values are limited by the log's size; the latest one is always there, as the key holds
 * it. */
static void long_values_of_the_log_are_bounded(void **state)
{
    struct rig *rig = *state;
    struct kv_slice value[] = {long_value('a'), long_value('b')};
    uint64_t revisions[8];
    host.log_bytes = 5 * KV_LONG_VALUE;
    open_store(rig);
    for (size_t i = 0; i < 8; i++)
        revisions[i] = set(rig, KEY, value[i % 2]);
    start_again(rig, 0);
    assert_in_range(count_files(rig, ".logged"), 3, 5);
    assert_trimmed(rig, revisions[0]);
    assert_values_logged(rig, revisions[5], value, 2);
    host.log_bytes = LOG_BYTES;
    free((char *)value[0].bytes);
    free((char *)value[1].bytes);
}

/* The log has the value only as long as the key does. */
static void value_too_long_for_the_log_keeps_the_other_entries(void **state)
{
    struct rig *rig = *state;
    struct kv_slice values[] = {KV_SLICE("1"), long_value('a')};
    host.log_bytes = KV_LONG_VALUE;
    open_store(rig);
    uint64_t first = set(rig, KEY, KV_SLICE("0"));
    set(rig, KEY, values[0]);
    set(rig, KEY, values[1]);
    start_again(rig, 0);
    assert_int_equal(count_files(rig, ".logged"), 0);
    assert_values_logged(rig, first, values, 2);
    uint64_t last = set(rig, KEY, KV_SLICE("2"));
    assert_trimmed(rig, first);
    assert_logged(rig, last, 0);
    host.log_bytes = LOG_BYTES;
    free((char *)values[1].bytes);
}

/* ---- deadlines ---- */

static void time_passes_while_the_store_is_closed(void **state)
{
    struct rig *rig = *state;
    open_store(rig);
    uint64_t revision = set_until(rig, KEY, KV_SLICE("1"), BOOT_MS + 10000);
    start_again(rig, 4000);
    assert_holds(rig, KEY, KV_SLICE("1"), revision, atomic_load(&now_ms) + 6000);
}

/* Both clocks may reach the next millisecond at any moment of the opening. */
static void deadline_is_the_same_at_any_fraction_of_a_millisecond(void **state)
{
    struct rig *rig = *state;
    atomic_store(&look_takes_us, 200);
    open_store(rig);
    uint64_t revision = set_until(rig, KEY, KV_SLICE("1"), BOOT_MS + 100000);
    for (int64_t part_us = 0; part_us < 1000; part_us += 100) {
        close_store(rig);
        atomic_fetch_add(&spent_us, 2000 - atomic_load(&spent_us) % 1000 + part_us);
        open_store(rig);
        assert_holds(rig, KEY, KV_SLICE("1"), revision, BOOT_MS + 100000);
    }
}

static void no_ttl_grows_if_the_clock_is_set_back(void **state)
{
    struct rig *rig = *state;
    open_store(rig);
    pass(5000);
    uint64_t revision = set_until(rig, KEY, KV_SLICE("1"), BOOT_MS + 15000);
    start_again(rig, -3600000);
    assert_holds(rig, KEY, KV_SLICE("1"), revision, atomic_load(&now_ms) + 10000);
    pass(10000);
    assert_int_equal(get(rig, KEY), KV_MISSING);
    expire_all(rig);
    assert_int_equal(n_told, 1);
    assert_int_equal(told[0], KV_REASON_EXPIRE);
}

static void touched_deadline_is_kept(void **state)
{
    struct rig *rig = *state;
    open_store(rig);
    uint64_t revision = set_until(rig, KEY, KV_SLICE("1"), BOOT_MS + 1000);
    struct kv_cmd touch =
        run(rig, (struct kv_cmd){.op = KV_OP_TOUCH, .key = KEY, .deadline_ms = BOOT_MS + 100000});
    assert_int_equal(touch.status, KV_OK);
    start_again(rig, 50000);
    assert_holds(rig, KEY, KV_SLICE("1"), revision, atomic_load(&now_ms) + 50000);
    expire_all(rig);
    assert_int_equal(n_told, 0);
}

static void keys_that_expired_meanwhile_are_missing_at_once_and_told_later(void **state)
{
    struct rig *rig = *state;
    open_store(rig);
    set_until(rig, KEY, KV_SLICE("1"), BOOT_MS + 1000);
    start_again(rig, 5000);
    assert_int_equal(get(rig, KEY), KV_MISSING);
    assert_int_equal(n_told, 0);
    expire_all(rig);
    assert_int_equal(n_told, 1);
    assert_int_equal(told[0], KV_REASON_EXPIRE);
    expire_all(rig);
    assert_int_equal(n_told, 1);
}

static void expiry_during_downtime_is_told_before_the_next_change_of_its_key(void **state)
{
    struct rig *rig = *state;
    open_store(rig);
    set_until(rig, KEY, KV_SLICE("1"), BOOT_MS + 1000);
    start_again(rig, 5000);
    set(rig, KEY, KV_SLICE("1"));
    assert_int_equal(n_told, 2);
    assert_int_equal(told[0], KV_REASON_EXPIRE);
    assert_int_equal(told[1], KV_REASON_SET);
}

/* ---- walks ---- */

enum {
    LONG_KEYS = 300,
    SHARED = 700
};

/* Keys whose common prefix exceeds the longest key of any database. */
static struct kv_slice long_key(int i)
{
    static char key[SHARED + 8];
    memset(key, 'k', SHARED);
    int len = SHARED + snprintf(key + SHARED, 8, "%03d", i);
    return (struct kv_slice){key, (size_t)len};
}

static void set_long_keys(struct rig *rig)
{
    for (int i = 0; i < LONG_KEYS; i++)
        set(rig, long_key(i * 7 % LONG_KEYS), KV_SLICE("1"));
}

static void assert_long_keys_in_order(struct rig *rig)
{
    struct kv_scan_entry entries[7];
    struct kv_scan scan = {.entries = entries, .capacity = 7, .wants_values = true};
    char *cursor = NULL;
    int n = 0;
    do {
        size_t before = n_scanned;
        scan.is_deferred = false;
        ops->scan(rig->store, 0, &scan);
        if (scan.is_deferred)
            wait_until(&n_scanned, before + 1);
        assert_int_equal(scan.status, KV_OK);
        for (uint32_t i = 0; i < scan.n; i++, n++) {
            assert_true(kv_slice_equals(entries[i].key, long_key(n)));
            ops->unref(rig->store, entries[i].item.ref);
        }
        free(cursor);
        cursor = kv_memdup(scan.next.bytes, scan.next.len);
        scan.cursor = (struct kv_slice){cursor, scan.next.len};
        if (scan.next_ref != NULL)
            ops->unref(rig->store, scan.next_ref);
    } while (scan.next.len != 0);
    free(cursor);
    assert_int_equal(n, LONG_KEYS);
}

static void long_keys_are_walked_in_order(void **state)
{
    struct rig *rig = *state;
    open_store(rig);
    set_long_keys(rig);
    assert_long_keys_in_order(rig);
}

static void write_mark(struct rig *rig, const char *text)
{
    char *path;
    assert_true(asprintf(&path, "%s/FORMAT", rig->path) > 0);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fputs(text, file);
    fclose(file);
    free(path);
}

/* Adds an entry without a key, as it remains if the building of the table is interrupted and an
 * older server then deletes the key. */
static void put_stale_entry(MDB_txn *txn, MDB_dbi table)
{
    char bytes[512], value[17] = {'k'};
    MDB_cursor *cursor;
    MDB_val key, row;
    assert_int_equal(mdb_cursor_open(txn, table, &cursor), 0);
    assert_int_equal(mdb_cursor_get(cursor, &key, &row, MDB_FIRST), 0);
    assert_int_equal(row.mv_size, sizeof(value));
    memcpy(bytes, key.mv_data, key.mv_size);
    bytes[key.mv_size++] = '0';
    mdb_cursor_close(cursor);
    key.mv_data = bytes;
    row = (MDB_val){.mv_data = value, .mv_size = sizeof(value)};
    assert_int_equal(mdb_put(txn, table, &key, &row, 0), 0);
}

/* Restores the state of LMDB's folder from before the table of the order of long keys existed; or,
 * if is_kept, the state after its building was interrupted. */
static void forget_order(struct rig *rig, bool is_kept)
{
    char path[256];
    MDB_env *env;
    MDB_txn *txn;
    MDB_dbi table;
    char name[] = "lmdb-order";
    MDB_val mark = {.mv_data = name, .mv_size = strlen(name)};
    snprintf(path, sizeof(path), "%s/db", rig->path);
    assert_int_equal(mdb_env_create(&env), 0);
    mdb_env_set_maxdbs(env, 4);
    assert_int_equal(mdb_env_open(env, path, 0, 0640), 0);
    assert_int_equal(mdb_txn_begin(env, NULL, 0, &txn), 0);
    assert_int_equal(mdb_dbi_open(txn, "order", 0, &table), 0);
    if (is_kept)
        put_stale_entry(txn, table);
    else
        assert_int_equal(mdb_drop(txn, table, 1), 0);
    assert_int_equal(mdb_dbi_open(txn, "meta", 0, &table), 0);
    assert_int_equal(mdb_del(txn, table, &mark, NULL), 0);
    assert_int_equal(mdb_txn_commit(txn), 0);
    mdb_env_close(env);
    write_mark(rig, "kvserver store lmdb format 3\n");
}

static void order_is_built(struct rig *rig, bool is_begun)
{
    if (strcmp(module->identity->name, "lmdb") != 0)
        skip();
    open_store(rig);
    set_long_keys(rig);
    close_store(rig);
    forget_order(rig, is_begun);
    open_store(rig);
    assert_long_keys_in_order(rig);
    close_store(rig);
    open_store(rig);
    assert_long_keys_in_order(rig);
}

static void long_keys_of_an_older_file_are_sorted(void **state)
{
    order_is_built(*state, false);
}

static void interrupted_building_of_the_order_is_repeated(void **state)
{
    order_is_built(*state, true);
}

/* The first part of the prefix is a key as well. */
static void long_prefix_finds_its_keys(void **state)
{
    enum {
        LONG = 600
    };
    struct rig *rig = *state;
    struct kv_scan_entry entries[4];
    char key[LONG];
    memset(key, 'k', LONG);
    struct kv_scan scan = {.entries = entries, .capacity = 4, .prefix = {key, LONG - 1}};
    open_store(rig);
    for (size_t len = 1; len < LONG; len++)
        set(rig, (struct kv_slice){key, len}, KV_SLICE("1"));
    set(rig, (struct kv_slice){key, LONG}, KV_SLICE("1"));
    size_t before = n_scanned;
    ops->scan(rig->store, 0, &scan);
    if (scan.is_deferred)
        wait_until(&n_scanned, before + 1);
    assert_int_equal(scan.status, KV_OK);
    assert_int_equal(scan.n, 2);
    assert_int_equal(scan.next.len, 0);
    for (uint32_t i = 0; i < scan.n; i++) {
        assert_int_equal(entries[i].key.len, LONG - 1 + i);
        ops->unref(rig->store, entries[i].item.ref);
    }
}

/* Walks in pages. Returns: `key=value ` of each entry, to be freed by free(). */
static char *walked(struct rig *rig, uint32_t capacity)
{
    struct kv_scan_entry entries[16];
    struct kv_scan scan = {.entries = entries, .capacity = capacity, .wants_values = true};
    struct kv_buffer found = {0};
    char *cursor = NULL;
    do {
        size_t before = n_scanned;
        scan.is_deferred = false;
        ops->scan(rig->store, 0, &scan);
        if (scan.is_deferred)
            wait_until(&n_scanned, before + 1);
        assert_int_equal(scan.status, KV_OK);
        for (uint32_t i = 0; i < scan.n; i++) {
            kv_buffer_printf(&found, "%.*s=%.*s ", (int)entries[i].key.len, entries[i].key.bytes,
                             (int)entries[i].item.value.len, entries[i].item.value.bytes);
            ops->unref(rig->store, entries[i].item.ref);
        }
        free(cursor);
        cursor = kv_memdup(scan.next.bytes, scan.next.len);
        scan.cursor = (struct kv_slice){cursor, scan.next.len};
        if (scan.next_ref != NULL)
            ops->unref(rig->store, scan.next_ref);
    } while (scan.next.len != 0);
    free(cursor);
    char *text = kv_memdup(found.bytes, found.len + 1);
    text[found.len] = '\0';
    kv_buffer_fini(&found);
    return text;
}

static void assert_walked(struct rig *rig, const char *expected)
{
    for (uint32_t capacity = 1; capacity < 6; capacity++) {
        char *found = walked(rig, capacity);
        assert_string_equal(found, expected);
        free(found);
    }
}

/* The database has the state from when the store was opened, and nothing newer. */
static void walk_shows_changes_the_database_lacks(void **state)
{
    struct rig *rig = *state;
    open_store(rig);
    set(rig, KV_SLICE("a"), KV_SLICE("1"));
    set(rig, KV_SLICE("c"), KV_SLICE("1"));
    set(rig, KV_SLICE("e"), KV_SLICE("1"));
    set(rig, KV_SLICE("g"), KV_SLICE("1"));
    start_again(rig, 0);
    assert_walked(rig, "a=1 c=1 e=1 g=1 ");
    set(rig, KV_SLICE("e"), KV_SLICE("2"));
    set(rig, KV_SLICE("b"), KV_SLICE("2"));
    assert_walked(rig, "a=1 b=2 c=1 e=2 g=1 ");
    delete_key(rig, KV_SLICE("c"));
    delete_key(rig, KV_SLICE("g"));
    set(rig, KV_SLICE("e"), KV_SLICE("3"));
    set_until(rig, KV_SLICE("d"), KV_SLICE("3"), atomic_load(&now_ms) + 5);
    set(rig, KV_SLICE("z"), KV_SLICE("3"));
    assert_walked(rig, "a=1 b=2 d=3 e=3 z=3 ");
    pass(5);
    assert_walked(rig, "a=1 b=2 e=3 z=3 ");
    start_again(rig, 0);
    assert_walked(rig, "a=1 b=2 e=3 z=3 ");
}

/* More keys than one page takes into account; every other one is deleted again. */
static void walk_handles_many_keys_the_database_lacks(void **state)
{
    enum {
        MANY = 3000
    };
    struct rig *rig = *state;
    static char keys[MANY][8];
    static struct kv_cmd sets[MANY], deletes[MANY / 2];
    static struct kv_cmd *cmds[MANY + MANY / 2];
    struct kv_buffer expected = {0};
    for (int i = 0; i < MANY; i++) {
        snprintf(keys[i], sizeof(keys[i]), "%04d", i);
        struct kv_slice key = kv_slice_of(keys[i]);
        uint64_t hash = host_hash(&host, key);
        sets[i] = (struct kv_cmd){.op = KV_OP_SET,
                                  .key = key,
                                  .hash = hash,
                                  .value = KV_SLICE("1"),
                                  .deadline_ms = KV_NEVER};
        cmds[i] = &sets[i];
        if (i % 2 == 0) {
            deletes[i / 2] = (struct kv_cmd){.op = KV_OP_DELETE, .key = key, .hash = hash};
            cmds[MANY + i / 2] = &deletes[i / 2];
        } else {
            kv_buffer_printf(&expected, "%s=1 ", keys[i]);
        }
    }
    open_store(rig);
    size_t before = n_done;
    ops->submit(rig->store, 0, cmds, MANY + MANY / 2);
    wait_until(&n_done, before + MANY + MANY / 2);
    char *found = walked(rig, 16);
    assert_int_equal(strlen(found), expected.len);
    assert_memory_equal(found, expected.bytes, expected.len);
    free(found);
    kv_buffer_fini(&expected);
}

/* ---- memory ---- */

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define MEMORY_IS_OURS false /* the sanitizer keeps freed memory */
#else
#define MEMORY_IS_OURS true
#endif

/* VmHWM in bytes since its last reset. */
static size_t peak_memory(void)
{
    char line[128];
    size_t kib = 0;
    FILE *file = fopen("/proc/self/status", "r");
    while (fgets(line, sizeof(line), file) != NULL)
        sscanf(line, "VmHWM: %zu kB", &kib);
    fclose(file);
    return kib * 1024;
}

static void reset_peak_memory(void)
{
    FILE *file = fopen("/proc/self/clear_refs", "w");
    fputs("5", file);
    fclose(file);
}

static void deleting_large_values_takes_bounded_memory(void **state)
{
    enum {
        MANY = 64,
        LARGE = 4 << 20
    };
    struct rig *rig = *state;
    struct kv_cmd deletes[MANY];
    struct kv_cmd *cmds[MANY];
    char keys[MANY][8];
    if (!MEMORY_IS_OURS)
        skip(); /* a sanitizer's allocator keeps freed memory */
    char *value = kv_alloc(LARGE);
    memset(value, '7', LARGE);
    open_store(rig);
    for (int i = 0; i < MANY; i++) {
        snprintf(keys[i], sizeof(keys[i]), "%d", i);
        struct kv_slice key = kv_slice_of(keys[i]);
        set(rig, key, (struct kv_slice){value, LARGE});
        deletes[i] = (struct kv_cmd){.op = KV_OP_DELETE, .key = key, .hash = host_hash(&host, key)};
        cmds[i] = &deletes[i];
    }
    start_again(rig, 0);
    reset_peak_memory();
    size_t at_first = peak_memory();
    size_t before = n_done;
    ops->submit(rig->store, 0, cmds, MANY);
    wait_until(&n_done, before + MANY);
    /* Pages of a mapped file count as well, and so does the work of the engine meanwhile. */
    size_t mapped = strcmp(module->identity->name, "lmdb") == 0 ? (size_t)MANY * LARGE : 0;
    assert_true(peak_memory() <= at_first + mapped + (size_t)MANY * LARGE / 4 * 3);
    free(value);
}

/* ---- refused folders and formats ---- */

static void folder_in_use_is_refused(void **state)
{
    struct rig *rig = *state;
    open_store(rig);
    assert_refused(rig, "in use by another server");
}

static void folder_of_another_store_is_refused(void **state)
{
    struct rig *rig = *state;
    open_store(rig);
    close_store(rig);
    write_mark(rig, "kvserver store another format 1\n");
    assert_refused(rig, "belongs to the store another");
}

static void newer_format_is_refused(void **state)
{
    struct rig *rig = *state;
    char text[64];
    open_store(rig);
    close_store(rig);
    snprintf(text, sizeof(text), "kvserver store %s format 5\n", module->identity->name);
    write_mark(rig, text);
    assert_refused(rig, "written by a newer version (format 5; this one knows 4)");
}

static void assert_mark(struct rig *rig, const char *expected)
{
    char text[64] = "";
    char *path;
    assert_true(asprintf(&path, "%s/FORMAT", rig->path) > 0);
    FILE *file = fopen(path, "r");
    assert_non_null(file);
    assert_non_null(fgets(text, sizeof(text), file));
    assert_string_equal(text, expected);
    fclose(file);
    free(path);
}

static void remove_journal(const char *store)
{
    char *path;
    assert_true(asprintf(&path, "%s/journal", store) > 0);
    assert_int_equal(nftw(path, remove_one, 8, FTW_DEPTH | FTW_PHYS), 0);
    free(path);
}

/* Format 1 had no journal, as the database had everything. */
static void format_1_is_upgraded(void **state)
{
    struct rig *rig = *state;
    char mark[64];
    open_store(rig);
    uint64_t revision = set(rig, KV_SLICE("key"), KV_SLICE("1"));
    close_store(rig);
    snprintf(mark, sizeof(mark), "kvserver store %s format 1\n", module->identity->name);
    write_mark(rig, mark);
    remove_journal(rig->path);
    open_store(rig);
    assert_holds(rig, KV_SLICE("key"), KV_SLICE("1"), revision, KV_NEVER);
    revision = set(rig, KV_SLICE("key"), KV_SLICE("2"));
    start_again(rig, 0);
    assert_holds(rig, KV_SLICE("key"), KV_SLICE("2"), revision, KV_NEVER);
    snprintf(mark, sizeof(mark), "kvserver store %s format 4\n", module->identity->name);
    assert_mark(rig, mark);
}

static void is_upgraded(struct rig *rig, int format)
{
    char mark[64];
    open_store(rig);
    uint64_t revision = set(rig, KV_SLICE("key"), KV_SLICE("1"));
    crash(rig);
    snprintf(mark, sizeof(mark), "kvserver store %s format %d\n", module->identity->name, format);
    write_mark(rig, mark);
    open_store(rig);
    assert_holds(rig, KV_SLICE("key"), KV_SLICE("1"), revision, KV_NEVER);
    snprintf(mark, sizeof(mark), "kvserver store %s format 4\n", module->identity->name);
    assert_mark(rig, mark);
}

static void format_2_is_upgraded(void **state)
{
    is_upgraded(*state, 2);
}

static void format_3_is_upgraded(void **state)
{
    is_upgraded(*state, 3);
}

/* After an orderly shutdown, the database has everything. */
static void missing_journal_is_refused_only_after_a_crash(void **state)
{
    struct rig *rig = *state;
    open_store(rig);
    uint64_t revision = set(rig, KV_SLICE("key"), KV_SLICE("1"));
    close_store(rig);
    remove_journal(rig->path);
    open_store(rig);
    assert_holds(rig, KV_SLICE("key"), KV_SLICE("1"), revision, KV_NEVER);
    crash(rig);
    remove_journal(rig->path);
    assert_refused(rig, "damaged: there is nothing in it");
}

static void damaged_mark_is_refused(void **state)
{
    struct rig *rig = *state;
    open_store(rig);
    close_store(rig);
    write_mark(rig, "?");
    assert_refused(rig, "damaged");
}

static void folder_with_foreign_files_is_refused(void **state)
{
    struct rig *rig = *state;
    char *path;
    set_path(rig, rig->folder);
    assert_true(asprintf(&path, "%s/letter.txt", rig->folder) > 0);
    fclose(fopen(path, "w"));
    assert_refused(rig, "neither empty nor a store");
    free(path);
    assert_true(asprintf(&path, "%s/kvserver.lock", rig->folder) > 0);
    assert_int_not_equal(access(path, F_OK), 0); /* nothing was created there */
    free(path);
}

static void path_that_is_a_file_is_refused(void **state)
{
    struct rig *rig = *state;
    char *path;
    assert_true(asprintf(&path, "%s/deep", rig->folder) > 0);
    fclose(fopen(path, "w"));
    assert_refused(rig, "cannot be made");
    free(path);
}

int main(int argc, char **argv)
{
#define DURABLE_TEST(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        DURABLE_TEST(everything_survives_a_restart),
        DURABLE_TEST(deleted_key_stays_deleted),
        DURABLE_TEST(revisions_keep_growing),
        DURABLE_TEST(revisions_fit_53_bits_with_any_wall_clock),
        DURABLE_TEST(epoch_is_kept),
        DURABLE_TEST(setting_the_stored_value_again_is_unchanged),
        DURABLE_TEST(long_value_survives_a_crash),
        DURABLE_TEST(refused_long_value_leaves_no_file),
        DURABLE_TEST(file_without_a_record_is_deleted),
        DURABLE_TEST(damaged_long_value_is_refused),
        DURABLE_TEST(log_after_a_crash_has_committed_changes_and_a_gap),
        DURABLE_TEST(log_is_trimmed_to_its_required_length),
        DURABLE_TEST(damage_in_the_log_shortens_it),
        DURABLE_TEST(damaged_head_in_the_log_shortens_it),
        DURABLE_TEST(overwritten_long_value_is_in_the_log),
        DURABLE_TEST(long_values_of_the_log_are_bounded),
        DURABLE_TEST(value_too_long_for_the_log_keeps_the_other_entries),
        DURABLE_TEST(time_passes_while_the_store_is_closed),
        DURABLE_TEST(deadline_is_the_same_at_any_fraction_of_a_millisecond),
        DURABLE_TEST(no_ttl_grows_if_the_clock_is_set_back),
        DURABLE_TEST(touched_deadline_is_kept),
        DURABLE_TEST(keys_that_expired_meanwhile_are_missing_at_once_and_told_later),
        DURABLE_TEST(expiry_during_downtime_is_told_before_the_next_change_of_its_key),
        DURABLE_TEST(long_keys_are_walked_in_order),
        DURABLE_TEST(long_keys_of_an_older_file_are_sorted),
        DURABLE_TEST(interrupted_building_of_the_order_is_repeated),
        DURABLE_TEST(long_prefix_finds_its_keys),
        DURABLE_TEST(walk_shows_changes_the_database_lacks),
        DURABLE_TEST(walk_handles_many_keys_the_database_lacks),
        DURABLE_TEST(deleting_large_values_takes_bounded_memory),
        DURABLE_TEST(folder_in_use_is_refused),
        DURABLE_TEST(folder_of_another_store_is_refused),
        DURABLE_TEST(newer_format_is_refused),
        DURABLE_TEST(format_1_is_upgraded),
        DURABLE_TEST(format_2_is_upgraded),
        DURABLE_TEST(format_3_is_upgraded),
        DURABLE_TEST(missing_journal_is_refused_only_after_a_crash),
        DURABLE_TEST(damaged_mark_is_refused),
        DURABLE_TEST(folder_with_foreign_files_is_refused),
        DURABLE_TEST(path_that_is_a_file_is_refused),
    };
    struct kv_error error;
    if (argc != 2 || kv_module_load(MODULES, KV_MODULE_STORE, argv[1], &module, &error) != 0) {
        fprintf(stderr, "%s\n", argc == 2 ? error.text : "usage: durable_test NAME");
        return EXIT_FAILURE;
    }
    ops = kv_module_store_ops(module);
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    kv_module_unload(module);
    return failed;
}
