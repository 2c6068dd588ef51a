/*
 * Folders that a server must not open, or cannot: it ends with an error that names the path.
 * Damaged content is an error when it is detected, and never a wrong answer.
 */
#include <dirent.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "fixture.h"
#include "support/client/folder.h"
#include "support/durable/store.h"

enum {
    KEYS = 400, /* several of RocksDB's files */
    FEW_KEYS = 50,
    BATCH = 25, /* keys are written in multiples of it */
    VALUE = 1000,
};

/* ---- stores ---- */

/* Nothing that can be compressed to little. */
static char *value_of(int key)
{
    uint32_t random = (uint32_t)key;
    char *value = kv_test_letters('"', VALUE + 2);
    for (int i = 1; i <= VALUE; i++) {
        random = random * 1664525 + 1013904223;
        value[i] = (char)('a' + (random >> 16) % 26);
    }
    return value;
}

static void expect_oks(struct kv_test_ws *ws, int first)
{
    kv_test_stream_flush(&ws->stream);
    for (int i = first; i < first + BATCH; i++) {
        char id[16], key[24];
        snprintf(id, sizeof(id), "%d", i);
        snprintf(key, sizeof(key), "\"key%d\"", i);
        kv_test_ws_expect_ok(ws, id, key);
    }
}

/* A server over a new store with keys, which are written one batch after the other: a single one
 * would stay in RocksDB's memory. */
static void start_with_keys(struct kv_test_store *store, int n_keys)
{
    struct kv_test_ws ws;
    kv_test_store_make(store);
    kv_test_store_start(store, "");
    kv_test_ws_open(&ws, store->server.port);
    for (int i = 0; i < n_keys; i++) {
        char *value = value_of(i);
        kv_test_ws_put_text(
            &ws, "{\"type\":\"set\",\"id\":%d,\"payload\":{\"key\":\"key%d\",\"value\":%s}}", i, i,
            value);
        free(value);
        if ((i + 1) % BATCH == 0)
            expect_oks(&ws, i + 1 - BATCH);
    }
    kv_test_ws_close(&ws);
}

static void make_store(struct kv_test_store *store)
{
    start_with_keys(store, FEW_KEYS);
    kv_test_server_stop_cleanly(&store->server);
}

/* A file of the store. Owns: the caller, by free(). */
static char *file_in(const struct kv_test_store *store, const char *name)
{
    return kv_test_path(store->path, name);
}

static void overwrite(const struct kv_test_store *store, const char *name, const char *text)
{
    char *path = file_in(store, name);
    kv_test_file_write(path, kv_slice_of(text));
    free(path);
}

/* Makes the file as long as the given part of it. */
static void cut(const struct kv_test_store *store, const char *name, int percent)
{
    struct stat status;
    char *path = file_in(store, name);
    assert_int_equal(stat(path, &status), 0);
    assert_int_equal(truncate(path, status.st_size * percent / 100), 0);
    free(path);
}

/* The first file of the database whose name begins so. Returns: NULL if there is none. Owns: the
 * caller, by free(). */
static char *find_in_database(const struct kv_test_store *store, const char *start)
{
    char *path = file_in(store, "db"), *found = NULL;
    DIR *folder = opendir(path);
    assert_non_null(folder);
    for (struct dirent *entry; found == NULL && (entry = readdir(folder)) != NULL;)
        if (strncmp(entry->d_name, start, strlen(start)) == 0)
            assert_true(asprintf(&found, "db/%s", entry->d_name) > 0);
    closedir(folder);
    free(path);
    return found;
}

/* ---- servers that do not come up ---- */

static void expect_refusal_and_remove(struct kv_test_store *store, const char *what)
{
    kv_test_store_expect_refusal(store, store->path, what);
    kv_test_store_remove(store);
}

static void folder_that_cannot_be_created_is_refused(void **state)
{
    struct kv_test_store store;
    (void)state;
    kv_test_store_make(&store);
    char *in_the_way = kv_test_path(store.disk, "deep");
    kv_test_file_write(in_the_way, KV_SLICE("a file"));
    kv_test_store_expect_refusal(&store, in_the_way, "Not a directory");
    free(in_the_way);
    kv_test_store_remove(&store);
}

/* The superuser may write anywhere, but to a file system that is mounted for reading. */
static bool make_read_only(const char *path)
{
    if (geteuid() != 0)
        return chmod(path, 0500) == 0;
    return kv_test_folder_mount(path, MS_RDONLY, "size=1m");
}

static void make_writable(const char *path)
{
    if (geteuid() != 0)
        chmod(path, 0700);
    else
        kv_test_folder_unmount(path);
}

static void unwritable_folder_is_refused(void **state)
{
    struct kv_test_store store;
    (void)state;
    kv_test_store_make(&store);
    if (!make_read_only(store.disk)) {
        kv_test_store_remove(&store);
        skip(); /* neither a mount nor a mode makes a folder read-only for this user */
    }
    char *deep = kv_test_path(store.disk, "deep");
    kv_test_store_expect_refusal(&store, deep, geteuid() == 0 ? "Read-only" : "Permission denied");
    free(deep);
    make_writable(store.disk);
    kv_test_store_remove(&store);
}

static void expect_export(const struct kv_test_store *store, int exit_code, const char *what)
{
    struct kv_test_outcome outcome;
    kv_test_store_export(store, &outcome);
    bool is_said = strstr(outcome.out, what) != NULL || strstr(outcome.err, what) != NULL;
    if (outcome.exit_code != exit_code || !is_said)
        fail_msg("exit code %d; expected %s: %s%s", outcome.exit_code, what, outcome.out,
                 outcome.err);
    kv_test_outcome_fini(&outcome);
}

/* A store that was closed in order; after a crash it would first have to be recovered. */
static void read_only_store_is_exported(void **state)
{
    (void)state;
    for (int is_crash = 0; is_crash < 2; is_crash++) {
        struct kv_test_store store;
        kv_test_store_make(&store);
        if (!kv_test_folder_mount(store.disk, 0, "size=64m")) {
            kv_test_store_remove(&store);
            skip(); /* this user cannot mount a disk that can be made read-only */
        }
        kv_test_store_start(&store, "");
        kv_test_store(store.server.port, "key", "[1, 2]");
        if (is_crash)
            kv_test_server_kill(&store.server);
        else
            kv_test_server_stop_cleanly(&store.server);
        kv_test_folder_mount_to_read(store.disk);
        if (is_crash)
            expect_export(&store, 1, " and cannot be recovered: ");
        else
            expect_export(&store, 0, "{\"key\":\"key\",\"value\":[1, 2]");
        kv_test_folder_unmount(store.disk);
        kv_test_store_remove(&store);
    }
}

static void folder_in_use_is_refused(void **state)
{
    struct kv_test_store store;
    (void)state;
    kv_test_store_make(&store);
    kv_test_store_start(&store, "");
    kv_test_store_expect_refusal(&store, store.path, "in use by another server");
    expect_export(&store, 1, "in use by another server");
    kv_test_store(store.server.port, "key", "1"); /* the one that is there serves on */
    kv_test_server_stop_cleanly(&store.server);
    kv_test_store_remove(&store);
}

/* Marks that do not fit this server. */
static void foreign_or_damaged_mark_is_refused(void **state)
{
    struct kv_test_store store;
    char newer[64];
    (void)state;
    make_store(&store);
    snprintf(newer, sizeof(newer), "kvserver store %s format 99\n", getenv("KV_TEST_STORE"));
    const struct {
        const char *mark;
        const char *refusal;
    } marks[] = {
        {newer, "written by a newer version (format 99"},
        {"kvserver store other format 1\n", "belongs to the store other"},
        {"", "FORMAT: damaged"},
        {"\n", "FORMAT: damaged"},
        {"kvserver store x format", "FORMAT: damaged"},
        {"kvserver store x format 0\n", "FORMAT: damaged"},
        {"kvserver store x format -1\n", "FORMAT: damaged"},
        {"kvserver store x format 1.5\n", "FORMAT: damaged"},
        {"kvserver store x format 4294967297\n", "FORMAT: damaged"},
        {"kvserver  store x format 1\n", "FORMAT: damaged"},
        {"\377\1", "FORMAT: damaged"},
    };
    for (size_t i = 0; i < sizeof(marks) / sizeof(marks[0]); i++) {
        overwrite(&store, "FORMAT", marks[i].mark);
        kv_test_store_expect_refusal(&store, store.path, marks[i].refusal);
    }
    char *path = file_in(&store, "FORMAT");
    assert_int_equal(unlink(path), 0);
    free(path);
    expect_refusal_and_remove(&store, "neither empty nor a store");
}

/* ---- databases ---- */

/* The files without which there is no database: of each engine its own. */
static void truncated_database_is_refused(void **state)
{
    static const int percents[] = {0, 1, 50, 90};
    /* RocksDB takes a manifest that ends early for one that was being written to. */
    size_t n = kv_test_uses_store("lmdb") ? 4 : 2;
    (void)state;
    for (size_t i = 0; i < n; i++) {
        struct kv_test_store store;
        make_store(&store);
        char *name = find_in_database(&store, kv_test_uses_store("lmdb") ? "data.mdb" : "MANIFEST");
        cut(&store, name, percents[i]);
        free(name);
        expect_refusal_and_remove(&store, "");
    }
}

static void missing_database_is_refused(void **state)
{
    struct kv_test_store store;
    (void)state;
    make_store(&store);
    char *path = file_in(&store, "db");
    kv_test_folder_remove(path);
    free(path);
    expect_refusal_and_remove(&store, "damaged");
}

static void database_of_garbage_is_refused(void **state)
{
    struct kv_test_store store;
    struct kv_buffer bytes = {0};
    (void)state;
    make_store(&store);
    char *name = find_in_database(&store, kv_test_uses_store("lmdb") ? "data.mdb" : "CURRENT");
    char *path = file_in(&store, name);
    kv_test_file_read(path, &bytes);
    memset(bytes.bytes, 'g', bytes.len);
    kv_test_file_write(path, kv_buffer_slice(&bytes));
    kv_buffer_fini(&bytes);
    free(path);
    free(name);
    expect_refusal_and_remove(&store, "");
}

/* ---- the journal ---- */

/* The file of the journal whose head names the highest generation, or the lowest. Owns: the caller,
 * by free(). */
static char *find_segment(const struct kv_test_store *store, bool is_youngest)
{
    char *path = file_in(store, "journal"), *found = NULL;
    uint64_t best = 0;
    DIR *folder = opendir(path);
    assert_non_null(folder);
    for (struct dirent *entry; (entry = readdir(folder)) != NULL;) {
        uint64_t generation = 0;
        char *file = kv_test_path(path, entry->d_name);
        int fd = strstr(file, ".journal") == NULL ? -1 : open(file, O_RDONLY | O_CLOEXEC);
        ssize_t n = fd < 0 ? 0 : pread(fd, &generation, sizeof(generation), 16);
        if (fd >= 0)
            close(fd);
        if (n != sizeof(generation) || generation == 0 ||
            (found != NULL && (generation > best) != is_youngest)) {
            free(file);
            continue;
        }
        free(found);
        found = file;
        best = generation;
    }
    closedir(folder);
    free(path);
    assert_non_null(found);
    return found;
}

/* Its head, and its first record behind that. */
static void spoil_start(const char *path)
{
    char bytes[256];
    memset(bytes, 0xee, sizeof(bytes));
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    assert_int_equal(pwrite(fd, bytes, sizeof(bytes), 0), sizeof(bytes));
    close(fd);
}

static void expect_keys(const struct kv_test_store *store, int n_keys)
{
    char path[32];
    for (int i = 0; i < n_keys; i++) {
        char *value = value_of(i);
        snprintf(path, sizeof(path), "key%d", i);
        kv_test_expect_value(store->server.port, path, value);
        free(value);
    }
}

/* After a close in order the database has what was written before, and a crash then leaves a store
 * that needs the youngest segment only. */
static void make_store_that_crashed(struct kv_test_store *store)
{
    make_store(store);
    kv_test_store_start(store, "");
    kv_test_store(store->server.port, "last", "1");
    kv_test_server_kill(&store->server);
}

static void damaged_segment_needed_only_by_the_log_shortens_the_log(void **state)
{
    struct kv_test_store store;
    (void)state;
    make_store_that_crashed(&store);
    char *path = find_segment(&store, false);
    spoil_start(path);
    free(path);
    kv_test_store_start(&store, "");
    kv_test_await_log(&store.server, "the change log begins after them");
    expect_keys(&store, FEW_KEYS);
    kv_test_expect_value(store.server.port, "last", "1");
    kv_test_server_stop_cleanly(&store.server);
    kv_test_store_remove(&store);
}

static void needed_damaged_segment_is_reported(void **state)
{
    struct kv_test_store store;
    (void)state;
    make_store_that_crashed(&store);
    char *path = find_segment(&store, true);
    spoil_start(path);
    kv_test_store_expect_refusal(&store, path, "damaged: its head and its first record");
    kv_test_store_expect_refusal(&store, path, "restore the store's folder from a backup");
    free(path);
    kv_test_store_remove(&store);
}

/* ---- rows ---- */

/* Spoils a byte of each kilobyte of a file. */
static void spoil(const char *path)
{
    char byte;
    int fd = open(path, O_RDWR | O_CLOEXEC);
    for (off_t at = 20; pread(fd, &byte, 1, at) == 1; at += 1024)
        assert_int_equal(pwrite(fd, "\xee", 1, at), 1);
    close(fd);
}

/* Of each file of sorted rows but the smallest. */
static void spoil_rows(const struct kv_test_store *store)
{
    struct stat status;
    char *path = file_in(store, "db");
    DIR *folder = opendir(path);
    assert_non_null(folder);
    for (struct dirent *entry; (entry = readdir(folder)) != NULL;) {
        char *file = kv_test_path(path, entry->d_name);
        if (strstr(file, ".sst") != NULL && stat(file, &status) == 0 && status.st_size > 4096)
            spoil(file);
        free(file);
    }
    closedir(folder);
    free(path);
}

/* Returns: whether the key was read. */
static bool read_key(struct kv_test_stream *stream, int key)
{
    struct kv_test_response response = {0};
    char path[32], *value = value_of(key);
    snprintf(path, sizeof(path), "/storage/key%d", key);
    int status = kv_test_http_ask(stream, "GET", path, NULL, NULL, &response);
    bool is_right =
        status == 200 && kv_test_is_value_body(kv_buffer_slice(&response.body), kv_slice_of(value));
    if (!is_right && status != 503)
        fail_msg("key%d: %d %.*s", key, status, (int)response.body.len, response.body.bytes);
    kv_test_response_fini(&response);
    free(value);
    return is_right;
}

/* Returns: the last key that cannot be read, -1 if there is none. */
static int find_damaged(struct kv_test_stream *stream)
{
    int damaged = -1;
    for (int i = 0; i < KEYS; i++)
        if (!read_key(stream, i))
            damaged = i;
    return damaged;
}

/* Returns: whether the key could not be read by WebSocket. */
static bool is_error_by_ws(struct kv_test_ws *ws, int key)
{
    struct kv_test_frame frame;
    kv_test_ws_send_text(ws, "{\"type\":\"get\",\"payload\":{\"key\":\"key%d\"}}", key);
    assert_true(kv_test_ws_receive(ws, &frame));
    assert_int_equal(frame.opcode, KV_TEST_WS_TEXT);
    return kv_slice_has_prefix(frame.payload, KV_SLICE("{\"type\":\"error\""));
}

/* Damages files until the damage is noticed: rows that the server has in memory, or is compacting,
 * are not affected, or only until it has done so. LMDB has no checksums. */
static void damaged_rows_are_errors_and_never_wrong_answers(void **state)
{
    struct kv_test_store store;
    struct kv_test_stream stream;
    struct kv_test_ws ws;
    int damaged;
    int64_t limit_ms = kv_test_now_ms() + KV_TEST_LIMIT_MS;
    (void)state;
    if (!kv_test_uses_store("rocksdb"))
        skip(); /* LMDB has no checksums: it cannot notice */
    start_with_keys(&store, KEYS);
    kv_test_stream_open(&stream, store.server.port);
    kv_test_ws_open(&ws, store.server.port);
    do {
        assert_true(kv_test_now_ms() < limit_ms);
        spoil_rows(&store);
    } while ((damaged = find_damaged(&stream)) < 0 || !is_error_by_ws(&ws, damaged));
    kv_test_ws_close(&ws);
    kv_test_stream_close(&stream);
    kv_test_server_kill(&store.server);
    kv_test_store_remove(&store);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(folder_that_cannot_be_created_is_refused),
        cmocka_unit_test(unwritable_folder_is_refused),
        cmocka_unit_test(read_only_store_is_exported),
        cmocka_unit_test(folder_in_use_is_refused),
        cmocka_unit_test(foreign_or_damaged_mark_is_refused),
        cmocka_unit_test(truncated_database_is_refused),
        cmocka_unit_test(missing_database_is_refused),
        cmocka_unit_test(database_of_garbage_is_refused),
        cmocka_unit_test(damaged_segment_needed_only_by_the_log_shortens_the_log),
        cmocka_unit_test(needed_damaged_segment_is_reported),
        cmocka_unit_test(damaged_rows_are_errors_and_never_wrong_answers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
