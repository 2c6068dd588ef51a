/*
 * Restores that a power cut ends (support/power says what it leaves). Then there is no store, as
 * before; or the store says that it is not whole, and is neither served nor exported; or it has
 * all that the backup has. A backup that waits for the next start replaces the store as a whole,
 * whenever the power is cut. KV_TEST_CUTS=<n>: how many for each durability (a few unless given).
 * KV_TEST_SEED=<n>: to do the same again, as far as times allow.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/file.h>
#include <unistd.h>

#include <cmocka.h>

#include "fixture.h"
#include "support/client/folder.h"
#include "support/client/stream.h"
#include "support/durable/store.h"
#include "support/power/disk.h"

enum {
    CUTS = 3,
    BATCHES = 20,
    BATCH = 200,
    VALUE = 300,
    PART = 500000,
};

/* Shared by all restores. */
struct original {
    char *folder;
    char *backup;   /* its path */
    char *exported; /* the store's lines */
};

/* ---- a backup ---- */

static void write_batch(struct kv_test_stream *stream, int number, const char *letters)
{
    struct kv_buffer body = {0};
    struct kv_test_response response = {0};
    for (int i = 0; i < BATCH; i++)
        kv_buffer_printf(&body,
                         "%c{\"type\":\"set\",\"payload\":{\"key\":\"k%d\",\"value\":\"%s\"}}",
                         i == 0 ? '[' : ',', number * BATCH + i, letters);
    kv_buffer_append(&body, KV_SLICE("]"));
    kv_test_http_exchange(stream, "POST", KV_SLICE("/batch"), NULL, kv_buffer_slice(&body),
                          &response);
    assert_int_equal(response.status, 200);
    kv_test_response_fini(&response);
    kv_buffer_fini(&body);
}

static void fill(uint16_t port)
{
    struct kv_test_stream stream;
    char *letters = kv_test_letters('v', VALUE);
    kv_test_stream_open(&stream, port);
    for (int i = 0; i < BATCHES; i++)
        write_batch(&stream, i, letters);
    kv_test_stream_close(&stream);
    free(letters);
}

static void take_backup(uint16_t port, const char *path)
{
    struct kv_test_stream stream;
    struct kv_test_response response = {0};
    kv_test_stream_open(&stream, port);
    kv_test_http_exchange(&stream, "GET", KV_SLICE("/admin/backup"), NULL, (struct kv_slice){0},
                          &response);
    assert_int_equal(response.status, 200);
    kv_test_file_write(path, kv_buffer_slice(&response.body));
    kv_test_response_fini(&response);
    kv_test_stream_close(&stream);
}

/* A restore gives keys new ones. Owns: the caller, by free(). */
static char *without_revisions(const char *lines)
{
    static const char mark[] = ",\"revision\":";
    struct kv_buffer text = {0};
    for (const char *at; (at = strstr(lines, mark)) != NULL;) {
        kv_buffer_append(&text, (struct kv_slice){lines, (size_t)(at - lines)});
        at += sizeof(mark) - 1;
        lines = at + strspn(at, "0123456789");
    }
    kv_buffer_append(&text, kv_slice_of(lines));
    kv_buffer_append_char(&text, '\0');
    return text.bytes;
}

/* Owns: the caller, by free(). */
static char *export_of(const struct kv_test_store *store)
{
    struct kv_test_outcome outcome;
    kv_test_store_export(store, &outcome);
    if (outcome.exit_code != 0)
        fail_msg("the export ends with %d: %s", outcome.exit_code, outcome.err);
    char *lines = without_revisions(outcome.out);
    kv_test_outcome_fini(&outcome);
    return lines;
}

static int make_original(void **state)
{
    struct original *original = calloc(1, sizeof(*original));
    struct kv_test_store store;
    original->folder = kv_test_folder_make();
    original->backup = kv_test_path(original->folder, "backup.jsonl");
    kv_test_store_make(&store);
    kv_test_store_start(&store, "");
    fill(store.server.port);
    take_backup(store.server.port, original->backup);
    kv_test_server_stop_cleanly(&store.server);
    original->exported = export_of(&store);
    kv_test_store_remove(&store);
    *state = original;
    return 0;
}

static int remove_original(void **state)
{
    struct original *original = *state;
    kv_test_folder_remove(original->folder);
    free(original->folder);
    free(original->backup);
    free(original->exported);
    free(original);
    return 0;
}

/* ---- restores ---- */

/* Owns: the caller, by kv_test_program_remove(). */
static void begin_restore(struct kv_test_program *program, const struct kv_test_store *store,
                          const char *options, const char *backup)
{
    char *yaml = kv_test_store_yaml(store, options);
    memcpy(strstr(yaml, "%port"), "0    ", strlen("%port"));
    kv_test_program_prepare(program);
    char *path = kv_test_program_write(program, "kvserver.yaml", yaml);
    kv_test_program_spawn(program, (const char *[]){"-c", path, "--restore", backup, NULL});
    free(path);
    free(yaml);
}

static bool is_there(const char *path)
{
    return access(path, F_OK) == 0;
}

static char *mark_of(const struct kv_test_store *store)
{
    char *mark;
    assert_true(asprintf(&mark, "%s.restoring", store->path) > 0);
    return mark;
}

/* Neither served, nor exported, nor restored into. */
static void expect_unfinished(const struct kv_test_store *store)
{
    struct kv_test_outcome outcome;
    kv_test_store_expect_refusal(store, store->path, "a restore was not finished");
    kv_test_store_export(store, &outcome);
    assert_int_equal(outcome.exit_code, 1);
    kv_test_expect_part(outcome.err, "a restore was not finished");
    kv_test_outcome_fini(&outcome);
}

static void expect_whole(const struct kv_test_store *store, const struct original *original)
{
    char *exported = export_of(store);
    if (strcmp(exported, original->exported) != 0)
        fail_msg("the store has %zu bytes of an export that has %zu, and does not say that it is "
                 "not whole",
                 strlen(exported), strlen(original->exported));
    free(exported);
}

static void restore_whole(const struct kv_test_store *store, const char *options,
                          const struct original *original)
{
    struct kv_test_program program;
    begin_restore(&program, store, options, original->backup);
    int exit_code = kv_test_program_wait(&program, KV_TEST_LIMIT_MS);
    char *log = kv_test_program_read(&program, "err");
    if (exit_code != 0)
        fail_msg("the restore ends with %d: %s", exit_code, log);
    free(log);
    kv_test_program_remove(&program);
    expect_whole(store, original);
}

/* Cuts the power after that time, or at once when the restore has ended. Returns: whether it had
 * ended, well. */
static bool cut_after(struct kv_test_program *program, struct kv_test_disk *disk, int64_t after_us,
                      uint64_t seed)
{
    int64_t until_us = kv_test_now_us() + after_us;
    int exit_code = -1;
    bool has_ended;
    while (!(has_ended = kv_test_program_has_ended(program, &exit_code)) &&
           kv_test_now_us() < until_us)
        usleep(100);
    if (!has_ended)
        kv_test_program_kill(program);
    kv_test_program_remove(program);
    kv_test_disk_cut(disk, seed);
    assert_true(!has_ended || exit_code == 0);
    return has_ended;
}

/* Returns: how long a restore takes. */
static int64_t measure(const char *options, const struct original *original)
{
    struct kv_test_store store;
    struct kv_test_disk disk;
    kv_test_store_make(&store);
    kv_test_disk_open(&disk, store.disk);
    int64_t began_us = kv_test_now_us();
    restore_whole(&store, options, original);
    int64_t took_us = kv_test_now_us() - began_us;
    kv_test_disk_close(&disk);
    kv_test_store_remove(&store);
    return took_us;
}

struct counts {
    int whole, unfinished, missing;
};

static void restore_and_cut(const char *options, const struct original *original, int64_t after_us,
                            uint64_t seed, struct counts *counts)
{
    struct kv_test_store store;
    struct kv_test_disk disk;
    struct kv_test_program program;
    kv_test_store_make(&store);
    kv_test_disk_open(&disk, store.disk);
    begin_restore(&program, &store, options, original->backup);
    bool has_ended = cut_after(&program, &disk, after_us, seed);
    char *mark = mark_of(&store);
    if (is_there(mark)) {
        assert_false(has_ended);
        expect_unfinished(&store);
        kv_test_folder_remove(store.path);
        assert_int_equal(unlink(mark), 0);
        restore_whole(&store, options, original);
        counts->unfinished++;
    } else if (is_there(store.path)) {
        expect_whole(&store, original);
        counts->whole++;
    } else {
        assert_false(has_ended);
        restore_whole(&store, options, original);
        counts->missing++;
    }
    free(mark);
    kv_test_disk_close(&disk);
    kv_test_store_remove(&store);
}

static void cut_again_and_again(void **state, const char *options)
{
    const struct original *original = *state;
    struct counts counts = {0};
    uint64_t seed = kv_test_setting("KV_TEST_SEED", (uint64_t)kv_test_now_us());
    int n_cuts = (int)kv_test_setting("KV_TEST_CUTS", CUTS);
    int64_t whole_us = measure(options, original);
    print_message("KV_TEST_SEED=%ju\n", (uintmax_t)seed);
    srandom((unsigned)seed);
    for (int i = 0; i < n_cuts; i++)
        restore_and_cut(options, original, random() % whole_us,
                        i % 2 == 0 ? 0 : (uint64_t)random() + 1, &counts);
    /* When it has ended, and said so. */
    restore_and_cut(options, original, INT64_MAX / 2, 0, &counts);
    assert_true(counts.whole >= 1);
    print_message("%d cuts: %d whole, %d unfinished, %d before the store was there\n", n_cuts + 1,
                  counts.whole, counts.unfinished, counts.missing);
}

static void restore_is_complete_or_reported_if_each_commit_is_synced(void **state)
{
    cut_again_and_again(state, ", durability: always");
}

static void restore_is_complete_or_reported_with_syncs_at_intervals(void **state)
{
    cut_again_and_again(state, ", durability: interval, interval: 10s");
}

static void restore_is_complete_or_reported_if_the_system_syncs(void **state)
{
    cut_again_and_again(state, ", durability: os");
}

/* ---- replacements ---- */

static void upload(uint16_t port, const char *path)
{
    struct kv_buffer backup = {0};
    struct kv_test_stream stream;
    struct kv_test_response response = {0};
    kv_test_file_read(path, &backup);
    kv_test_stream_open(&stream, port);
    for (size_t at = 0, len; at < backup.len; at += len) {
        char target[64];
        len = backup.len - at < PART ? backup.len - at : PART;
        snprintf(target, sizeof(target), "/admin/restore?offset=%zu", at);
        kv_test_http_exchange(&stream, "PUT", kv_slice_of(target), NULL,
                              (struct kv_slice){backup.bytes + at, len}, &response);
        assert_int_equal(response.status, 200);
    }
    assert_int_equal(kv_test_http_ask(&stream, "POST", "/admin/restore", NULL, NULL, &response),
                     200);
    kv_test_response_fini(&response);
    kv_test_stream_close(&stream);
    kv_buffer_fini(&backup);
}

/* A process that restores has a lock on the backup. */
static void await_restorer(const struct kv_test_store *store)
{
    char *path;
    assert_true(asprintf(&path, "%s.restore", store->path) > 0);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd >= 0) {
        assert_int_equal(flock(fd, LOCK_EX), 0);
        close(fd);
    }
    free(path);
}

/* Starts the server, and cuts the power after that time. */
static void start_and_cut(const struct kv_test_store *store, struct kv_test_disk *disk,
                          const char *options, int64_t after_us, uint64_t seed)
{
    struct kv_test_program program;
    char *yaml = kv_test_store_yaml(store, options);
    memcpy(strstr(yaml, "%port"), "0    ", strlen("%port"));
    kv_test_program_prepare(&program);
    char *path = kv_test_program_write(&program, "kvserver.yaml", yaml);
    kv_test_program_spawn(&program, (const char *[]){"-c", path, NULL});
    usleep((useconds_t)after_us); /* a moment is what is wanted */
    kv_test_program_kill(&program);
    kv_test_program_remove(&program);
    await_restorer(store);
    kv_test_disk_cut(disk, seed);
    free(path);
    free(yaml);
}

static void replace_and_cut(const char *options, const struct original *original, int64_t whole_us)
{
    struct kv_test_store store;
    struct kv_test_disk disk;
    kv_test_store_make(&store);
    kv_test_disk_open(&disk, store.disk);
    kv_test_store_start(&store, options);
    kv_test_store(store.server.port, "old", "1");
    upload(store.server.port, original->backup);
    kv_test_server_kill(&store.server);
    kv_test_disk_cut(&disk, 0);
    for (int i = 0; i < CUTS; i++)
        start_and_cut(&store, &disk, options, random() % whole_us,
                      i % 2 == 0 ? 0 : (uint64_t)random() + 1);
    kv_test_store_start(&store, options);
    kv_test_server_stop_cleanly(&store.server);
    expect_whole(&store, original);
    kv_test_disk_close(&disk);
    kv_test_store_remove(&store);
}

static void accepted_backup_replaces_the_whole_store(void **state)
{
    const struct original *original = *state;
    uint64_t seed = kv_test_setting("KV_TEST_SEED", (uint64_t)kv_test_now_us());
    int n = (int)kv_test_setting("KV_TEST_CUTS", CUTS);
    print_message("KV_TEST_SEED=%ju\n", (uintmax_t)seed);
    srandom((unsigned)seed);
    for (int i = 0; i < n; i++) {
        const char *options = i % 2 == 0 ? ", durability: os" : ", durability: always";
        int64_t whole_us = measure(options, original);
        replace_and_cut(options, original, whole_us * 3 / 2);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(restore_is_complete_or_reported_if_each_commit_is_synced),
        cmocka_unit_test(restore_is_complete_or_reported_with_syncs_at_intervals),
        cmocka_unit_test(restore_is_complete_or_reported_if_the_system_syncs),
        cmocka_unit_test(accepted_backup_replaces_the_whole_store),
    };
    return cmocka_run_group_tests(tests, make_original, remove_original);
}
