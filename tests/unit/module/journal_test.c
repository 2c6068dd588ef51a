/*
 * The journal of the durable stores on its own: which records are read back, which are ignored, and
 * what it treats as damage.
 */
#include <dirent.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/buffer.h"
#include "base/mem.h"
#include "journal.h"
#include "support/client/folder.h"
#include "support/client/stream.h"

enum {
    SEGMENT = 8192,
    HEAD = 64, /* of a segment's start */
    COPY = 64, /* of its end */
    LONG = 3 * SEGMENT
};

struct rig {
    char *folder;
    struct journal journal;
    bool is_open;
    struct kv_buffer found; /* the keys of the records read, one letter each */
    struct kv_error error;
};

/* ---- helpers ---- */

static bool take(void *context, uint64_t sequence, struct kv_slice rows)
{
    struct rig *rig = context;
    (void)sequence;
    kv_buffer_append_char(&rig->found, rows.bytes[9]);
    return true;
}

/* Opens the files on the disk, and reads the records after `after`. Returns: 0, or -1 and the
 * error. */
static int open_journal(struct rig *rig, uint64_t after)
{
    rig->found.len = 0;
    rig->is_open = true;
    if (journal_open(&rig->journal, rig->folder, SEGMENT, 0, 0, &rig->error) != 0)
        return -1;
    return journal_read(&rig->journal, after, take, rig, &rig->error);
}

static void close_journal(struct rig *rig)
{
    journal_close(&rig->journal);
    rig->is_open = false;
}

static int open_again(struct rig *rig, uint64_t after)
{
    close_journal(rig);
    return open_journal(rig, after);
}

static void assert_found(const struct rig *rig, const char *letters)
{
    if (!kv_slice_equals(kv_buffer_slice(&rig->found), kv_slice_of(letters)))
        fail_msg("found %.*s instead of %s", (int)rig->found.len, rig->found.bytes, letters);
}

static void assert_damaged(struct rig *rig, uint64_t after, const char *why)
{
    assert_int_equal(open_again(rig, after), -1);
    if (strstr(rig->error.text, rig->folder) == NULL || strstr(rig->error.text, why) == NULL)
        fail_msg("expected the folder and \"%s\" in \"%s\"", why, rig->error.text);
}

static void begin(struct rig *rig)
{
    assert_int_equal(journal_begin(&rig->journal), KV_ENGINE_OK);
}

/* A record with one row, whose key is the letter. */
static void append(struct rig *rig, char letter, size_t value_len)
{
    struct rows rows = {0};
    struct kv_slice key = {.bytes = &letter, .len = 1};
    char *value = kv_alloc(value_len);
    memset(value, letter, value_len);
    rows_put(&rows, KV_ENGINE_RECORDS, key, (struct kv_slice){value, value_len});
    assert_int_equal(journal_append(&rig->journal, &rows), KV_ENGINE_OK);
    rows_fini(&rows);
    free(value);
}

static void append_all(struct rig *rig, const char *letters, size_t value_len)
{
    for (; *letters != '\0'; letters++)
        append(rig, *letters, value_len);
}

static void sync_journal(struct rig *rig)
{
    assert_int_equal(journal_sync(&rig->journal), KV_ENGINE_OK);
}

static char *file_of(const struct rig *rig, unsigned number)
{
    char *path;
    assert_true(asprintf(&path, "%s/%06u.journal", rig->folder, number) > 0);
    return path;
}

/* Inverts a byte of a file. */
static void spoil(const struct rig *rig, unsigned number, off_t at)
{
    char byte;
    char *path = file_of(rig, number);
    int fd = open(path, O_RDWR | O_CLOEXEC);
    assert_int_equal(pread(fd, &byte, 1, at), 1);
    byte ^= 0x55;
    assert_int_equal(pwrite(fd, &byte, 1, at), 1);
    close(fd);
    free(path);
}

static size_t count_files(const struct rig *rig)
{
    size_t n = 0;
    DIR *folder = opendir(rig->folder);
    assert_non_null(folder);
    for (struct dirent *entry; (entry = readdir(folder)) != NULL;)
        n += entry->d_name[0] != '.' ? 1 : 0;
    closedir(folder);
    return n;
}

static int set_up(void **state)
{
    struct rig *rig = kv_calloc(1, sizeof(*rig));
    rig->folder = kv_test_folder_make();
    assert_int_equal(open_journal(rig, 0), 0);
    assert_false(journal_is_there(&rig->journal));
    begin(rig);
    *state = rig;
    return 0;
}

static int tear_down(void **state)
{
    struct rig *rig = *state;
    if (rig->is_open)
        close_journal(rig);
    kv_test_folder_remove(rig->folder);
    free(rig->folder);
    kv_buffer_fini(&rig->found);
    free(rig);
    return 0;
}

/* ---- records read back ---- */

static void records_are_read_in_order_from_any_sequence(void **state)
{
    struct rig *rig = *state;
    append_all(rig, "abcde", 100);
    assert_int_equal(open_again(rig, 0), 0);
    assert_true(journal_is_there(&rig->journal));
    assert_found(rig, "abcde");
    assert_int_equal(rig->journal.next, 6);
    assert_int_equal(open_again(rig, 3), 0);
    assert_found(rig, "de");
    assert_int_equal(open_again(rig, 5), 0);
    assert_found(rig, "");
    assert_int_equal(rig->journal.next, 6);
}

/* A power cut lost unsynced records that the database has. */
static void journal_continues_after_a_database_that_is_ahead(void **state)
{
    struct rig *rig = *state;
    append_all(rig, "abc", 100);
    assert_int_equal(open_again(rig, 7), 0);
    assert_found(rig, "");
    begin(rig);
    append(rig, 'i', 100);
    assert_int_equal(open_again(rig, 7), 0);
    assert_found(rig, "i");
    assert_int_equal(rig->journal.next, 9);
}

static void records_continue_in_the_next_segment(void **state)
{
    struct rig *rig = *state;
    append_all(rig, "abcdefghi", 3000);
    assert_true(count_files(rig) >= 4);
    assert_int_equal(open_again(rig, 0), 0);
    assert_found(rig, "abcdefghi");
    begin(rig);
    append_all(rig, "jkl", 3000);
    assert_int_equal(open_again(rig, 4), 0);
    assert_found(rig, "efghijkl");
}

static void record_longer_than_a_segment_has_a_file_deleted_with_it(void **state)
{
    struct rig *rig = *state;
    append(rig, 'a', 10);
    append(rig, 'b', LONG);
    append(rig, 'c', 10);
    assert_int_equal(count_files(rig), 3);
    assert_true(journal_bytes(&rig->journal) > LONG);
    assert_int_equal(open_again(rig, 0), 0);
    assert_found(rig, "abc");
    begin(rig);
    journal_forget(&rig->journal, 3);
    assert_int_equal(count_files(rig), 3);
    assert_int_equal(journal_bytes(&rig->journal), SEGMENT);
}

/* ---- reuse of segments ---- */

static void forgotten_segments_are_reused(void **state)
{
    struct rig *rig = *state;
    for (int i = 0; i < 50; i++) {
        append_all(rig, "abcd", 3000);
        journal_forget(&rig->journal, rig->journal.next - 3);
    }
    assert_true(count_files(rig) <= 4);
    uint64_t last = rig->journal.next - 1;
    assert_int_equal(open_again(rig, last - 2), 0);
    assert_found(rig, "cd");
    assert_damaged(rig, last - 40, "are missing");
}

static void prepared_segment_is_used_next(void **state)
{
    struct rig *rig = *state;
    journal_prepare(&rig->journal);
    journal_prepare(&rig->journal);
    assert_int_equal(count_files(rig), 2);
    append_all(rig, "abc", 3000);
    assert_int_equal(count_files(rig), 2);
}

static void shrinking_keeps_needed_segments(void **state)
{
    struct rig *rig = *state;
    append_all(rig, "abcdefghijkl", 3000);
    journal_forget(&rig->journal, 8);
    size_t before = count_files(rig);
    journal_shrink(&rig->journal);
    assert_true(count_files(rig) < before);
    assert_int_equal(open_again(rig, 8), 0);
    assert_found(rig, "ijkl");
}

/* The old records would follow in sequence, but belong to another generation. */
static void records_of_an_earlier_generation_are_ignored(void **state)
{
    struct rig *rig = *state;
    append_all(rig, "abcd", 100);
    journal_refuse(&rig->journal, 1);
    journal_forget(&rig->journal, 0);
    begin(rig);
    append(rig, 'x', 100);
    assert_int_equal(count_files(rig), 1);
    assert_int_equal(open_again(rig, 0), 0);
    assert_found(rig, "x");
}

static void segments_of_another_size_are_read_and_then_deleted(void **state)
{
    struct rig *rig = *state;
    append_all(rig, "abcd", 3000);
    close_journal(rig);
    rig->found.len = 0;
    assert_int_equal(journal_open(&rig->journal, rig->folder, 2 * SEGMENT, 0, 0, &rig->error), 0);
    rig->is_open = true;
    assert_int_equal(journal_read(&rig->journal, 0, take, rig, &rig->error), 0);
    assert_found(rig, "abcd");
    begin(rig);
    journal_forget(&rig->journal, 4);
    assert_int_equal(count_files(rig), 1);
    assert_int_equal(journal_bytes(&rig->journal), 2 * SEGMENT);
}

/* ---- ignored records ---- */

static void refused_records_are_not_read_back(void **state)
{
    struct rig *rig = *state;
    append_all(rig, "abc", 100);
    journal_refuse(&rig->journal, 2);
    assert_int_equal(journal_sync(&rig->journal), KV_ENGINE_FAILED);
    begin(rig);
    append(rig, 'x', 100);
    assert_int_equal(open_again(rig, 0), 0);
    assert_found(rig, "ax");
    assert_int_equal(rig->journal.next, 3);
}

static void torn_last_record_ends_the_journal(void **state)
{
    struct rig *rig = *state;
    append_all(rig, "ab", 100);
    sync_journal(rig);
    append(rig, 'c', 100);
    spoil(rig, 1, HEAD + 2 * (ROWS_ROOM + 9 + 1 + 100 + 2) + 80);
    assert_int_equal(open_again(rig, 0), 0);
    assert_found(rig, "ab");
    begin(rig);
    append(rig, 'd', 100);
    assert_int_equal(open_again(rig, 0), 0);
    assert_found(rig, "abd");
}

/* A record is appended before the previous one is known to be synced. */
static void unsynced_record_may_be_lost_before_another(void **state)
{
    struct rig *rig = *state;
    append_all(rig, "abc", 100);
    spoil(rig, 1, HEAD + 80);
    assert_int_equal(open_again(rig, 0), 0);
    assert_found(rig, "");
    begin(rig);
    append(rig, 'x', 100);
    assert_int_equal(open_again(rig, 0), 0);
    assert_found(rig, "x");
}

/* The power cut lost the head of the last segment, but left records of it. */
static void records_without_their_head_are_ignored(void **state)
{
    struct rig *rig = *state;
    char former[HEAD];
    journal_prepare(&rig->journal);
    append_all(rig, "ab", 3500);
    char *path = file_of(rig, 2);
    int fd = open(path, O_RDWR | O_CLOEXEC);
    assert_int_equal(pread(fd, former, HEAD, 0), HEAD);
    append_all(rig, "cde", 1000);
    assert_int_equal(count_files(rig), 2);
    assert_int_equal(pwrite(fd, former, HEAD, 0), HEAD);
    assert_int_equal(open_again(rig, 0), 0);
    assert_found(rig, "ab");
    begin(rig);
    append(rig, 'x', 1000); /* over c */
    assert_int_equal(count_files(rig), 2);
    assert_int_equal(open_again(rig, 0), 0);
    assert_found(rig, "abx");
    close(fd);
    free(path);
}

static void foreign_files_are_ignored(void **state)
{
    struct rig *rig = *state;
    append(rig, 'a', 100);
    char *path = kv_test_path(rig->folder, "letter.txt");
    kv_test_file_write(path, KV_SLICE("text"));
    free(path);
    path = kv_test_path(rig->folder, "000002.journal"); /* as left by a power cut during its
                                                         * creation */
    kv_test_file_write(path, KV_SLICE("short"));
    free(path);
    assert_int_equal(open_again(rig, 0), 0);
    assert_found(rig, "a");
    assert_int_equal(count_files(rig), 2);
}

/* ---- numbers of files ---- */

static char *path_of(const struct rig *rig, const char *name)
{
    return kv_test_path(rig->folder, name);
}

/* An empty file with that name counts as a segment that was never started: the next one has a
 * higher number. */
static void go_on_behind(struct rig *rig, const char *name)
{
    char *path = path_of(rig, name);
    kv_test_file_write(path, KV_SLICE(""));
    free(path);
}

static bool has_file(const struct rig *rig, const char *name)
{
    char *path = path_of(rig, name);
    bool is_there = access(path, F_OK) == 0;
    free(path);
    return is_there;
}

static void numbers_may_exceed_six_digits(void **state)
{
    struct rig *rig = *state;
    go_on_behind(rig, "999998.journal");
    assert_int_equal(open_again(rig, 0), 0);
    begin(rig);
    append_all(rig, "abcdefghi", 3000);
    assert_true(has_file(rig, "999999.journal"));
    assert_true(has_file(rig, "1000000.journal"));
    assert_true(has_file(rig, "1000003.journal"));
    assert_int_equal(open_again(rig, 0), 0);
    assert_found(rig, "abcdefghi");
    begin(rig);
    append_all(rig, "jkl", 3000);
    assert_int_equal(open_again(rig, 0), 0);
    assert_found(rig, "abcdefghijkl");
}

static void numbers_may_exceed_32_bits(void **state)
{
    struct rig *rig = *state;
    go_on_behind(rig, "4294967295.journal");
    assert_int_equal(open_again(rig, 0), 0);
    begin(rig);
    append_all(rig, "abcdef", 3000);
    assert_true(has_file(rig, "4294967297.journal"));
    assert_int_equal(open_again(rig, 0), 0);
    assert_found(rig, "abcdef");
}

/* Numbers only name files; they do not determine their order. */
static void numbers_wrap_around_at_their_end(void **state)
{
    struct rig *rig = *state;
    go_on_behind(rig, "18446744073709551615.journal");
    assert_int_equal(open_again(rig, 0), 0);
    begin(rig);
    append_all(rig, "abcdef", 3000);
    assert_int_equal(open_again(rig, 0), 0);
    assert_found(rig, "abcdef");
}

/* Whatever they contain. */
static void existing_files_with_the_next_numbers_are_not_overwritten(void **state)
{
    struct rig *rig = *state;
    char *paths[] = {path_of(rig, "000002.journal"), path_of(rig, "000003.journal")};
    for (size_t i = 0; i < 2; i++)
        kv_test_file_write(paths[i], KV_SLICE("text"));
    append_all(rig, "abcde", 3000);
    for (size_t i = 0; i < 2; i++) {
        struct kv_buffer text = {0};
        kv_test_file_read(paths[i], &text);
        assert_true(kv_slice_equals(kv_buffer_slice(&text), KV_SLICE("text")));
        kv_buffer_fini(&text);
        free(paths[i]);
    }
}

/* Each of them was once mistaken for a segment, or for an existing one. */
static void files_with_similar_names_are_ignored(void **state)
{
    static const char *const names[] = {"1.journal",        "00001.journal",
                                        "0000001.journal",  "+00001.journal",
                                        " 000001.journal",  "000001.journal.bak",
                                        "000001.journal~",  "-00001.journal",
                                        "0x0001.journal",   "000001.JOURNAL",
                                        "x000001.journal",  ".journal",
                                        "000001.journal\n", "18446744073709551616.journal"};
    struct rig *rig = *state;
    append_all(rig, "ab", 100);
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        char *path = path_of(rig, names[i]);
        kv_test_file_write(path, KV_SLICE("no segment, but as long as the head of one would have "
                                          "to be: sixty-four bytes"));
        free(path);
    }
    assert_int_equal(open_again(rig, 0), 0);
    assert_found(rig, "ab");
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        assert_true(has_file(rig, names[i]));
}

static void exhausted_generations_are_refused(void **state)
{
    struct rig *rig = *state;
    rig->journal.generation = UINT64_MAX - 1;
    begin(rig);
    append(rig, 'a', 100);
    assert_int_equal(journal_begin(&rig->journal), KV_ENGINE_FAILED);
    assert_damaged(rig, 0, "generations");
}

/* ---- damage ---- */

static void damaged_synced_record_is_refused(void **state)
{
    struct rig *rig = *state;
    append_all(rig, "ab", 100);
    sync_journal(rig);
    append(rig, 'c', 100);
    spoil(rig, 1, HEAD + 80);
    assert_damaged(rig, 0, "000001.journal: damaged: record 1");
    assert_damaged(rig, 1, "damaged: record 1"); /* later records are unreachable */
}

static void damaged_record_of_an_earlier_segment_is_refused(void **state)
{
    struct rig *rig = *state;
    append_all(rig, "abcd", 3000);
    spoil(rig, 1, HEAD + 80);
    assert_damaged(rig, 0, "000001.journal: damaged: record 1");
}

static void missing_segment_is_refused(void **state)
{
    struct rig *rig = *state;
    append_all(rig, "abcdefgh", 3000);
    char *path = file_of(rig, 2);
    assert_int_equal(unlink(path), 0);
    free(path);
    assert_damaged(rig, 0, "damaged: record");
}

/* The first record identifies the segment; if the generation is damaged, the head's copy does. */
static void damaged_head_loses_no_record(void **state)
{
    struct rig *rig = *state;
    append_all(rig, "a", 100);
    sync_journal(rig);
    for (off_t at = 0; at < 40; at++) {
        spoil(rig, 1, at);
        assert_int_equal(open_again(rig, 0), 0);
        assert_found(rig, "a");
        spoil(rig, 1, at);
    }
}

/* Without a copy of the head, only a neighbour could identify the generation. */
static void damaged_head_without_a_copy_loses_no_record(void **state)
{
    struct rig *rig = *state;
    append_all(rig, "a", 100);
    sync_journal(rig);
    spoil(rig, 1, SEGMENT - COPY);
    for (off_t at = 0; at < 40; at++) {
        bool is_generation = at >= 16 && at < 24;
        spoil(rig, 1, at);
        if (is_generation)
            assert_damaged(rig, 0, "000001.journal: damaged: its head");
        else
            assert_int_equal(open_again(rig, 0), 0);
        assert_found(rig, is_generation ? "" : "a");
        spoil(rig, 1, at);
    }
}

static void damaged_head_between_others_loses_no_record(void **state)
{
    struct rig *rig = *state;
    append_all(rig, "abcdefgh", 3000);
    sync_journal(rig);
    for (unsigned number = 1; number <= 4; number++)
        for (off_t at = 0; at < HEAD; at++)
            if (number != 4)
                spoil(rig, number, at);
    assert_int_equal(open_again(rig, 0), 0);
    assert_found(rig, "abcdefgh");
    begin(rig);
    append(rig, 'i', 100);
    assert_int_equal(open_again(rig, 3), 0);
    assert_found(rig, "defghi");
}

static void spoil_head_and_first_record(const struct rig *rig, unsigned number)
{
    spoil(rig, number, 0);
    spoil(rig, number, HEAD + 80);
}

static void unidentified_segment_that_may_be_needed_is_refused(void **state)
{
    struct rig *rig = *state;
    append_all(rig, "abcd", 3000);
    sync_journal(rig);
    spoil_head_and_first_record(rig, 2);
    assert_damaged(rig, 0, "000002.journal: damaged: its head and its first record");
    assert_damaged(rig, 2, "restore the store's folder from a backup");
    assert_damaged(rig, 4, "000002.journal: damaged"); /* it may have contained more records */
}

/* The database has its records. */
static void damaged_segment_needed_only_by_the_log_is_skipped(void **state)
{
    struct rig *rig = *state;
    append_all(rig, "abcdef", 3000);
    sync_journal(rig);
    spoil_head_and_first_record(rig, 2);
    assert_damaged(rig, 3, "000002.journal: damaged: its head and its first record");
    assert_int_equal(open_again(rig, 4), 0);
    assert_found(rig, "ef");
    assert_int_equal(rig->journal.n_damaged, 1);
    begin(rig);
    append(rig, 'g', 100);
    sync_journal(rig);
    assert_int_equal(open_again(rig, 4), 0);
    assert_found(rig, "efg");
}

static void unidentifiable_segment_is_refused(void **state)
{
    struct rig *rig = *state;
    append_all(rig, "abcdef", 3000);
    sync_journal(rig);
    spoil_head_and_first_record(rig, 2);
    spoil(rig, 2, SEGMENT - COPY);
    spoil(rig, 2, 16); /* otherwise its head would still identify its generation */
    assert_damaged(rig, 4, "000002.journal: damaged: its head, the head's copy");
}

/* The database has everything. */
static void store_closed_in_order_needs_no_segment(void **state)
{
    struct rig *rig = *state;
    append_all(rig, "abcd", 3000);
    sync_journal(rig);
    spoil_head_and_first_record(rig, 2);
    close_journal(rig);
    assert_int_equal(journal_open(&rig->journal, rig->folder, SEGMENT, 0, 0, &rig->error), 0);
    rig->is_open = true;
    assert_int_equal(journal_end_at(&rig->journal, 4, &rig->error), 0);
    begin(rig);
    append(rig, 'e', 100);
    sync_journal(rig);
    assert_int_equal(open_again(rig, 4), 0);
    assert_found(rig, "e");
}

static void truncated_segment_is_refused(void **state)
{
    struct rig *rig = *state;
    append_all(rig, "ab", 3000);
    sync_journal(rig);
    char *path = file_of(rig, 1);
    assert_int_equal(truncate(path, SEGMENT / 2), 0);
    free(path);
    assert_damaged(rig, 0, "000001.journal: damaged");
}

static bool refuse_rows(void *context, uint64_t sequence, struct kv_slice rows)
{
    (void)context;
    (void)sequence;
    (void)rows;
    return false;
}

static void refused_rows_end_the_reading(void **state)
{
    struct rig *rig = *state;
    append_all(rig, "ab", 100);
    assert_int_equal(journal_read(&rig->journal, 0, refuse_rows, rig, &rig->error), -1);
    assert_non_null(strstr(rig->error.text, "cannot be brought into the database: record 1"));
}

/* Whichever byte is wrong, the records found are a prefix of those written, or the journal is
 * refused. */
static void no_flipped_byte_yields_a_wrong_record(void **state)
{
    struct rig *rig = *state;
    append_all(rig, "abc", 40);
    sync_journal(rig);
    append_all(rig, "de", 40);
    for (off_t at = 0; at < HEAD + 5 * 88; at++) {
        spoil(rig, 1, at);
        if (open_again(rig, 0) == 0)
            assert_memory_equal(rig->found.bytes, "abcde", rig->found.len);
        spoil(rig, 1, at);
    }
    assert_int_equal(open_again(rig, 0), 0);
    assert_found(rig, "abcde");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(records_are_read_in_order_from_any_sequence),
        TEST(journal_continues_after_a_database_that_is_ahead),
        TEST(records_continue_in_the_next_segment),
        TEST(record_longer_than_a_segment_has_a_file_deleted_with_it),
        TEST(forgotten_segments_are_reused),
        TEST(prepared_segment_is_used_next),
        TEST(shrinking_keeps_needed_segments),
        TEST(records_of_an_earlier_generation_are_ignored),
        TEST(segments_of_another_size_are_read_and_then_deleted),
        TEST(refused_records_are_not_read_back),
        TEST(torn_last_record_ends_the_journal),
        TEST(unsynced_record_may_be_lost_before_another),
        TEST(records_without_their_head_are_ignored),
        TEST(foreign_files_are_ignored),
        TEST(numbers_may_exceed_six_digits),
        TEST(numbers_may_exceed_32_bits),
        TEST(numbers_wrap_around_at_their_end),
        TEST(existing_files_with_the_next_numbers_are_not_overwritten),
        TEST(files_with_similar_names_are_ignored),
        TEST(exhausted_generations_are_refused),
        TEST(damaged_synced_record_is_refused),
        TEST(damaged_record_of_an_earlier_segment_is_refused),
        TEST(damaged_head_loses_no_record),
        TEST(damaged_head_without_a_copy_loses_no_record),
        TEST(damaged_head_between_others_loses_no_record),
        TEST(damaged_segment_needed_only_by_the_log_is_skipped),
        TEST(unidentifiable_segment_is_refused),
        TEST(unidentified_segment_that_may_be_needed_is_refused),
        TEST(store_closed_in_order_needs_no_segment),
        TEST(truncated_segment_is_refused),
        TEST(missing_segment_is_refused),
        TEST(refused_rows_end_the_reading),
        TEST(no_flipped_byte_yields_a_wrong_record),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
