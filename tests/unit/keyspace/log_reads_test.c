/* Reads from a store that has its own log, completed at once or late. */
#include "keyspace/loop.h"
#include "told_store.h"

enum {
    MOST_BYTES = 1000
};

static struct rig rig;
static struct kv_log_page *page; /* requested from the store */
static uint32_t asked_on;
static enum kv_status answer;
static bool defers;

/* Answers with one entry for each wanted key of a, b, ab; the revisions follow `after`. */
static void fill(void)
{
    static const char *const keys[] = {"a", "b", "ab"};
    page->status = answer;
    page->upto = page->after + 3;
    page->is_last = page->after >= 20;
    for (uint32_t i = 0; i < 3 && answer == KV_OK; i++) {
        struct kv_slice key = kv_slice_of(keys[i]);
        if (!page->wants(page, key))
            continue;
        page->entries[page->n++] = (struct kv_log_entry){.reason = KV_REASON_DELETE,
                                                         .revision = page->after + 1 + i,
                                                         .key = key,
                                                         .ref = told_store_reference()};
    }
}

static void read_log(struct kv_store *store, uint32_t loop, struct kv_log_page *wanted)
{
    (void)store;
    page = wanted;
    asked_on = loop;
    assert_int_equal(wanted->capacity, KV_LOG_PAGE);
    assert_int_equal(wanted->most_bytes, MOST_BYTES);
    wanted->is_deferred = defers;
    if (!defers)
        fill();
}

static int set_up(void **state)
{
    (void)state;
    rig_init(&rig);
    told_store_use(&rig);
    rig.ops.read_log = read_log;
    rig.capabilities = KV_STORE_IN_ORDER | KV_STORE_LOG;
    rig.log_bytes = 1 << 20;
    rig.log_ms = 1000;
    answer = KV_OK;
    defers = false;
    rig_open(&rig, 2);
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
    return &kv_keyspace_on(rig.keyspace, 1)->log_reads;
}

static void note_page(struct kv_log_read *read)
{
    rig_note(&rig, "%s:", read->status == KV_OK ? "page" : "trimmed");
    for (uint32_t i = 0; i < read->n; i++)
        rig_note(&rig, "%ju %.*s", (uintmax_t)read->entries[i].revision,
                 (int)read->entries[i].key.len, read->entries[i].key.bytes);
    if (read->status == KV_OK && !read->is_last)
        kv_log_read_next(read, MOST_BYTES);
    else
        kv_log_read_close(read);
}

static struct kv_log_read *begin(uint64_t after, const char *subject, bool is_prefix)
{
    struct kv_log_read *read =
        kv_log_read_open(reads(), after, kv_slice_of(subject), is_prefix, NULL, note_page);
    kv_log_read_next(read, MOST_BYTES);
    return read;
}

static void pages_of_the_store_are_read_in_sequence(void **state)
{
    (void)state;
    begin(17, "a", true);
    rig_turn(&rig);
    rig_expect(&rig, "page:; 18 a; 20 ab; page:; 21 a; 23 ab");
    assert_int_equal(asked_on, 1);
}

static void a_deferred_page_is_delivered_when_the_store_completes_it(void **state)
{
    (void)state;
    defers = true;
    begin(20, "a", false);
    rig_turn(&rig);
    rig_expect(&rig, "");
    fill();
    rig.host->log_done(rig.host, 1, page);
    rig_turn(&rig);
    rig_expect(&rig, "page:; 21 a");
}

static void a_reader_closed_meanwhile_is_freed_when_its_page_arrives(void **state)
{
    (void)state;
    defers = true;
    struct kv_log_read *read = begin(20, "a", false);
    rig_turn(&rig);
    kv_log_read_close(read);
    fill();
    rig.host->log_done(rig.host, 1, page);
    rig_turn(&rig);
    rig_expect(&rig, "");
}

static void a_trimmed_log_is_reported(void **state)
{
    (void)state;
    answer = KV_TRIMMED;
    begin(20, "a", false);
    rig_turn(&rig);
    rig_expect(&rig, "trimmed:");
}

static void the_log_in_memory_does_not_run_if_the_store_has_one(void **state)
{
    (void)state;
    kv_log_reads_join(reads());
    assert_true(kv_log_reads_are_possible(reads()));
    assert_false(kv_change_log_is_running(reads()->log));
    kv_log_reads_leave(reads());
}

static void the_store_learns_how_much_to_keep(void **state)
{
    (void)state;
    assert_int_equal(rig.host->log_bytes, 1 << 20);
    assert_int_equal(rig.host->log_ms, 1000);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(pages_of_the_store_are_read_in_sequence),
        TEST(a_deferred_page_is_delivered_when_the_store_completes_it),
        TEST(a_reader_closed_meanwhile_is_freed_when_its_page_arrives),
        TEST(a_trimmed_log_is_reported),
        TEST(the_log_in_memory_does_not_run_if_the_store_has_one),
        TEST(the_store_learns_how_much_to_keep),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
