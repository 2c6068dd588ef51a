/* The change log in memory, as seen by its readers. */
#include "keyspace/loop.h"
#include "told_store.h"

enum {
    SIZE = 64 << 10,
    AGE_MS = 60000,
    START = 100 /* the store's newest revision when the log begins */
};

static struct rig rig;
static int64_t n_pages;

static int set_up(void **state)
{
    (void)state;
    rig_init(&rig);
    told_store_use(&rig);
    told_store_set_revision(START);
    rig.is_sync = true;
    rig.log_bytes = SIZE;
    rig.log_ms = AGE_MS;
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    rig_fini(&rig);
    told_store_expect_no_references();
    return 0;
}

static struct kv_log_reads *reads(void)
{
    return &kv_keyspace_on(rig.keyspace, 0)->log_reads;
}

static void open_and_join(void)
{
    rig_open(&rig, 2);
    kv_log_reads_join(reads());
}

static void note_page(struct kv_log_read *read)
{
    n_pages++;
    if (read->status == KV_TRIMMED)
        rig_note(&rig, "trimmed");
    for (uint32_t i = 0; i < read->n; i++) {
        const struct kv_log_entry *entry = &read->entries[i];
        struct kv_slice value = entry->after.value;
        if (entry->reason != KV_REASON_SET)
            value = KV_SLICE("none");
        rig_note(&rig, "%ju %.*s=%.*s", (uintmax_t)entry->revision, (int)entry->key.len,
                 entry->key.bytes, (int)(value.len < 8 ? value.len : 8), value.bytes);
    }
    if (read->status == KV_OK && !read->is_last)
        kv_log_read_next(read, SIZE);
    else {
        rig_note(&rig, "up to %ju", (uintmax_t)read->upto);
        kv_log_read_close(read);
    }
}

/* Records everything that the log returns after a revision. */
static void read_back(uint64_t after, const char *subject, bool is_prefix)
{
    struct kv_log_read *read =
        kv_log_read_open(reads(), after, kv_slice_of(subject), is_prefix, NULL, note_page);
    n_pages = 0;
    kv_log_read_next(read, SIZE);
    rig_expect(&rig, ""); /* never from within the call */
    rig_turn(&rig);
    while (reads()->n_deferred != 0 || kv_log_reads_have_work(reads()))
        rig_turn(&rig);
}

/* The same of all keys: that is the log. */
static void expect_all(uint64_t after, const char *log)
{
    read_back(after, "", true);
    rig_expect(&rig, log);
}

static void changes_are_returned_in_the_order_of_revisions(void **state)
{
    (void)state;
    open_and_join();
    told_store_tell(&rig, 103, "c", "3");
    told_store_tell(&rig, 101, "a", "1");
    told_store_tell(&rig, 104, "a", NULL);
    told_store_tell(&rig, 102, "b", "2");
    expect_all(START, "101 a=1; 102 b=2; 103 c=3; 104 a=none; up to 104");
    kv_log_reads_leave(reads());
}

static void a_reader_continues_after_its_revision(void **state)
{
    (void)state;
    open_and_join();
    for (uint64_t i = 1; i <= 4; i++)
        told_store_tell(&rig, START + i, "a", "v");
    expect_all(102, "103 a=v; 104 a=v; up to 104");
    expect_all(104, "up to 104");
    kv_log_reads_leave(reads());
}

static void a_reader_gets_only_its_key_or_prefix(void **state)
{
    (void)state;
    open_and_join();
    told_store_tell(&rig, 101, "a", "1");
    told_store_tell(&rig, 102, "a/b", "2");
    told_store_tell(&rig, 103, "b", "3");
    read_back(START, "a", false);
    rig_expect(&rig, "101 a=1; up to 103");
    read_back(START, "a", true);
    rig_expect(&rig, "101 a=1; 102 a/b=2; up to 103");
    kv_log_reads_leave(reads());
}

static void nothing_is_read_above_the_watermark(void **state)
{
    (void)state;
    open_and_join();
    struct kv_watermark *watermark = &kv_keyspace_on(rig.keyspace, 0)->inbox.feed->watermark;
    told_store_tell(&rig, 101, "a", "1");
    kv_watermark_enter(watermark, 1);
    told_store_tell(&rig, 103, "c", "3");
    expect_all(START, "101 a=1; up to 101");
    told_store_tell(&rig, 102, "b", "2");
    kv_watermark_leave(watermark, 1);
    expect_all(101, "102 b=2; 103 c=3; up to 103");
    kv_log_reads_leave(reads());
}

static void changes_before_the_start_of_the_log_are_trimmed(void **state)
{
    (void)state;
    rig_open(&rig, 2);
    told_store_tell(&rig, 101, "a", "1");
    expect_all(START, "trimmed; up to 100");
    kv_log_reads_join(reads());
    told_store_tell(&rig, 102, "a", "2");
    expect_all(START, "trimmed; up to 100");
    expect_all(101, "102 a=2; up to 102");
    kv_log_reads_leave(reads());
}

static void unassigned_revisions_are_trimmed(void **state)
{
    (void)state;
    open_and_join();
    expect_all(START + 1, "trimmed; up to 101");
    kv_log_reads_leave(reads());
}

static void the_log_stays_within_its_size(void **state)
{
    (void)state;
    char value[1001];
    memset(value, 'x', 1000);
    value[1000] = '\0';
    open_and_join();
    for (uint64_t i = 1; i <= 1000; i++) {
        told_store_tell(&rig, START + i, "a", value);
        assert_in_range(reads()->log->bytes, 1, SIZE);
    }
    rig_turn(&rig);
    assert_in_range(told_store_n_references(), 1, SIZE / 1000 + 2);
    expect_all(START, "trimmed; up to 100");
    uint64_t begins_after = reads()->log->begins_after;
    read_back(begins_after, "none", false);
    rig_expect(&rig, "up to 1100");
    kv_log_reads_leave(reads());
}

static void dropped_entries_are_released_as_fast_as_others_arrive(void **state)
{
    (void)state;
    enum {
        PER_TURN = 1000,
        TURNS = 20
    };
    open_and_join();
    struct kv_change_log *log = reads()->log;
    for (uint64_t i = 1; i <= PER_TURN * TURNS; i++) {
        told_store_tell(&rig, START + i, "a", "v");
        if (i % PER_TURN == 0)
            kv_change_log_tidy(log);
    }
    assert_in_range(log->first - log->unreleased, 0, PER_TURN);
    kv_log_reads_leave(reads());
}

static void old_changes_are_dropped_without_new_ones(void **state)
{
    (void)state;
    open_and_join();
    told_store_tell(&rig, 101, "a", "1");
    rig_pass_ms(&rig, AGE_MS - 1);
    told_store_tell(&rig, 102, "a", "2");
    rig_turn(&rig);
    expect_all(START, "101 a=1; 102 a=2; up to 102");
    assert_true(kv_change_log_next_ms(reads()->log) <= RIG_START_MS + AGE_MS + 100);
    rig_pass_ms(&rig, 101);
    rig_turn(&rig);
    expect_all(START, "trimmed; up to 100");
    expect_all(101, "102 a=2; up to 102");
    kv_log_reads_leave(reads());
}

static void the_log_continues_for_its_age_after_the_last_reader_left(void **state)
{
    (void)state;
    open_and_join();
    told_store_tell(&rig, 101, "a", "1");
    rig_pass_ms(&rig, AGE_MS / 2);
    kv_log_reads_leave(reads());
    told_store_tell(&rig, 102, "a", "2");
    rig_turn(&rig);
    expect_all(START, "101 a=1; 102 a=2; up to 102");
    rig_pass_ms(&rig, AGE_MS + 200);
    rig_turn(&rig);
    assert_false(kv_change_log_is_running(reads()->log));
    told_store_tell(&rig, 103, "a", "3");
    assert_int_equal(reads()->log->bytes, 0);
    assert_int_equal(kv_change_log_next_ms(reads()->log), INT64_MAX);
    kv_log_reads_join(reads());
    told_store_tell(&rig, 104, "a", "4");
    expect_all(102, "trimmed; up to 102");
    expect_all(103, "104 a=4; up to 104");
    kv_log_reads_leave(reads());
}

static void a_long_value_is_returned_only_as_the_newest_state(void **state)
{
    (void)state;
    char value[SIZE / 16 + 2];
    memset(value, 'l', sizeof(value) - 1);
    value[sizeof(value) - 1] = '\0';
    open_and_join();
    told_store_tell(&rig, 101, "a", value);
    told_store_tell(&rig, 102, "b", "2");
    assert_in_range(reads()->log->bytes, 1, SIZE / 16);
    expect_all(START, "101 a=llllllll; 102 b=2; up to 102");
    told_store_tell(&rig, 103, "a", "short");
    expect_all(START, "102 b=2; 103 a=short; up to 103");
    kv_log_reads_leave(reads());
}

static void keep_value(struct kv_log_read *read)
{
    struct kv_item *kept = read->owner;
    assert_int_equal(read->n, 1);
    *kept = kv_keyspace_share(rig.keyspace, &read->entries[0].after);
    kv_log_read_close(read);
}

/* An event stream sends a long value without copying it, maybe after the page. */
static void a_long_value_may_be_kept_beyond_its_page(void **state)
{
    (void)state;
    char value[SIZE / 16 + 2];
    memset(value, 'l', sizeof(value) - 1);
    value[sizeof(value) - 1] = '\0';
    open_and_join();
    told_store_tell(&rig, 101, "a", value);
    struct kv_item kept = {0};
    kv_log_read_next(kv_log_read_open(reads(), START, KV_SLICE("a"), false, &kept, keep_value),
                     SIZE);
    rig_turn(&rig);
    assert_non_null(kept.ref);
    told_store_tell(&rig, 102, "a", "short");
    assert_int_equal(kept.value.len, sizeof(value) - 1);
    assert_memory_equal(kept.value.bytes, value, sizeof(value) - 1);
    kv_keyspace_release(rig.keyspace, &kept);
    kv_log_reads_leave(reads());
}

static void long_logs_are_read_in_bounded_pages(void **state)
{
    (void)state;
    rig.log_bytes = 16 << 20;
    open_and_join();
    for (uint64_t i = 1; i <= 5000; i++)
        told_store_tell(&rig, START + i, i == 2500 ? "wanted" : "other", "v");
    read_back(START, "wanted", false);
    rig_expect(&rig, "2600 wanted=v; up to 5100");
    assert_in_range(n_pages, 5, 20);
    kv_log_reads_leave(reads());
}

static void a_page_ends_at_its_limit_of_bytes(void **state)
{
    (void)state;
    open_and_join();
    for (uint64_t i = 1; i <= 3; i++)
        told_store_tell(&rig, START + i, "a", "four");
    struct kv_log_read *read =
        kv_log_read_open(reads(), START, KV_SLICE(""), true, NULL, note_page);
    kv_log_read_next(read, 1);
    n_pages = 0;
    rig_turn(&rig);
    rig_expect(&rig, "101 a=four; 102 a=four; 103 a=four; up to 103");
    assert_int_equal(n_pages, 2); /* one entry always has room; note_page() asks for more */
    kv_log_reads_leave(reads());
}

static void a_reader_may_be_closed_while_it_waits_for_a_page(void **state)
{
    (void)state;
    open_and_join();
    told_store_tell(&rig, 101, "a", "1");
    struct kv_log_read *read =
        kv_log_read_open(reads(), START, KV_SLICE(""), true, NULL, note_page);
    kv_log_read_next(read, SIZE);
    kv_log_read_close(read);
    rig_turn(&rig);
    rig_expect(&rig, "");
    kv_log_reads_leave(reads());
}

static void without_a_size_there_is_no_log(void **state)
{
    (void)state;
    rig.log_bytes = 0;
    open_and_join();
    told_store_tell(&rig, 101, "a", "1");
    assert_false(kv_log_reads_are_possible(reads()));
    assert_false(kv_change_log_is_running(reads()->log));
    kv_log_reads_leave(reads());
}

static void without_a_known_order_there_is_no_log(void **state)
{
    (void)state;
    rig.is_sync = false;
    open_and_join();
    told_store_tell(&rig, 101, "a", "1");
    assert_false(kv_log_reads_are_possible(reads()));
    assert_false(kv_change_log_is_running(reads()->log));
    kv_log_reads_leave(reads());
}

/* ---- changes from before the log began ---- */

static bool remember(uint64_t after, uint64_t upto, uint64_t revision, const char *value)
{
    return told_store_remember(&rig, after, upto, revision, "a", value, RIG_START_MS);
}

static void recalled_changes_precede_those_told_since(void **state)
{
    (void)state;
    open_and_join();
    told_store_tell(&rig, 101, "b", "new");
    assert_true(remember(97, START, 99, "third"));
    told_store_tell(&rig, 102, "b", NULL);
    assert_true(remember(95, 97, 97, NULL));
    assert_true(remember(90, 95, 95, "first"));
    expect_all(90, "95 a=first; 97 a=none; 99 a=third; 101 b=new; 102 b=none; up to 102");
    expect_all(97, "99 a=third; 101 b=new; 102 b=none; up to 102");
    expect_all(89, "trimmed; up to 89");
    kv_log_reads_leave(reads());
}

static void any_number_of_changes_is_recalled(void **state)
{
    (void)state;
    enum {
        N = 5000
    };
    rig.log_bytes = 16 << 20;
    told_store_set_revision(N);
    open_and_join();
    for (uint64_t i = N; i > 0; i--) {
        assert_true(remember(i - 1, i, i, "v"));
        if (i % 3 == 0)
            told_store_tell(&rig, 2 * N - i, "b", "v");
    }
    for (uint64_t after = 0; after < N; after += 499) {
        struct kv_log_entry entries[16];
        struct kv_log_page page = {
            .after = after, .entries = entries, .capacity = 16, .most_bytes = SIZE};
        kv_change_log_read(reads()->log, &page);
        assert_int_equal(page.status, KV_OK);
        for (uint32_t i = 0; i < page.n; i++) {
            assert_true(entries[i].revision == after + 1 + i || entries[i].revision > N);
            kv_change_log_release(reads()->log, &entries[i]);
        }
    }
    kv_log_reads_leave(reads());
}

static void a_change_is_not_told_again_that_is_recalled(void **state)
{
    (void)state;
    open_and_join();
    assert_true(remember(90, START, START, "1"));
    told_store_tell(&rig, START, "a", "1");
    expect_all(90, "100 a=1; up to 100");
    kv_log_reads_leave(reads());
}

static void a_recalled_value_that_is_not_at_hand_is_read(void **state)
{
    (void)state;
    open_and_join();
    told_store_tell(&rig, 97, "a", "there");
    assert_true(remember(95, START, 97, ""));
    assert_true(remember(90, 95, 95, ""));
    expect_all(90, "97 a=there; up to 100");
    kv_log_reads_leave(reads());
}

/* It was lost by the store before this server was started, and a client knows it. */
static void a_revision_that_no_recalled_change_has_is_trimmed(void **state)
{
    (void)state;
    open_and_join();
    assert_true(remember(95, START, 97, "2"));
    assert_true(remember(90, 95, 95, "1"));
    expect_all(96, "trimmed; up to 96");
    expect_all(91, "trimmed; up to 91");
    expect_all(START, "up to 100");
    kv_log_reads_leave(reads());
}

static void a_change_that_does_not_join_on_is_refused(void **state)
{
    (void)state;
    open_and_join();
    assert_false(remember(90, START - 1, 95, "v"));
    assert_false(remember(90, START, START + 1, "v"));
    assert_false(remember(95, START, 95, "v"));
    assert_true(remember(90, START, 95, "v"));
    assert_false(remember(80, START, 85, "v"));
    kv_log_reads_leave(reads());
}

static void nothing_is_recalled_from_before_a_loss(void **state)
{
    (void)state;
    open_and_join();
    assert_true(remember(95, START, 97, "v"));
    kv_change_log_lose(reads()->log, START);
    assert_false(remember(90, 95, 95, "v"));
    assert_false(remember(90, START, 95, "v"));
    expect_all(95, "trimmed; up to 95");
    kv_log_reads_leave(reads());
}

static void recalled_changes_stay_within_the_size_and_age(void **state)
{
    (void)state;
    char value[1001];
    memset(value, 'x', 1000);
    value[1000] = '\0';
    told_store_set_revision(1000);
    open_and_join();
    uint64_t at = 1000;
    assert_false(told_store_remember(&rig, 999, 1000, 1000, "a", "v", RIG_START_MS - AGE_MS));
    while (remember(at - 1, at, at, value))
        at--;
    assert_in_range(1000 - at, SIZE / 1200, SIZE / 1000);
    assert_in_range(reads()->log->bytes, 1, SIZE);
    read_back(at, "none", false);
    rig_expect(&rig, "up to 1000");
    told_store_tell(&rig, 1001, "a", value);
    assert_in_range(reads()->log->bytes, 1, SIZE);
    read_back(at, "none", false);
    assert_false(remember(at - 1, at, at, value));
    rig_pass_ms(&rig, AGE_MS + 200);
    rig_turn(&rig);
    assert_int_equal(reads()->log->bytes, 0);
    rig.log[0] = '\0';
    kv_log_reads_leave(reads());
}

static uint64_t recalled_upto;

static void recall(struct kv_store *store, uint64_t upto)
{
    (void)store;
    recalled_upto = upto;
    assert_true(remember(90, upto, 95, "v"));
}

static void changes_are_recalled_when_a_store_that_catches_up_is_opened(void **state)
{
    (void)state;
    rig.ops.recall = recall;
    rig.capabilities = KV_STORE_CATCHES_UP;
    rig_open(&rig, 2);
    assert_int_equal(recalled_upto, START);
    expect_all(90, "95 a=v; up to 100");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(changes_are_returned_in_the_order_of_revisions),
        TEST(a_reader_continues_after_its_revision),
        TEST(a_reader_gets_only_its_key_or_prefix),
        TEST(nothing_is_read_above_the_watermark),
        TEST(changes_before_the_start_of_the_log_are_trimmed),
        TEST(unassigned_revisions_are_trimmed),
        TEST(the_log_stays_within_its_size),
        TEST(dropped_entries_are_released_as_fast_as_others_arrive),
        TEST(old_changes_are_dropped_without_new_ones),
        TEST(the_log_continues_for_its_age_after_the_last_reader_left),
        TEST(a_long_value_is_returned_only_as_the_newest_state),
        TEST(a_long_value_may_be_kept_beyond_its_page),
        TEST(long_logs_are_read_in_bounded_pages),
        TEST(a_page_ends_at_its_limit_of_bytes),
        TEST(a_reader_may_be_closed_while_it_waits_for_a_page),
        TEST(without_a_size_there_is_no_log),
        TEST(without_a_known_order_there_is_no_log),
        TEST(recalled_changes_precede_those_told_since),
        TEST(any_number_of_changes_is_recalled),
        TEST(a_change_is_not_told_again_that_is_recalled),
        TEST(a_recalled_value_that_is_not_at_hand_is_read),
        TEST(a_revision_that_no_recalled_change_has_is_trimmed),
        TEST(a_change_that_does_not_join_on_is_refused),
        TEST(nothing_is_recalled_from_before_a_loss),
        TEST(recalled_changes_stay_within_the_size_and_age),
        TEST(changes_are_recalled_when_a_store_that_catches_up_is_opened),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
