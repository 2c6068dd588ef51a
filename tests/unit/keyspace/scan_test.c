/* Scans: pages of keys, limited by number and by bytes, on stores that complete at once or late,
 * with or without order. */
#include "rig.h"

#include <stdio.h>

enum {
    KEYS = 700, /* more than one turn reads */
    PAGES_A_TURN = 8,
    VALUE_BYTES = 100,
    MOST_PAGES = 10000
};

static struct rig rig;
static const char *store;
static bool is_ordered;

static int set_up(void **state)
{
    (void)state;
    rig_init_on(&rig, store);
    rig.is_sync = strcmp(store, "late") != 0;
    rig.capabilities |= rig.module->identity->capabilities & KV_STORE_SEEKS;
    is_ordered = (rig.module->identity->capabilities & KV_STORE_ORDERED) != 0;
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    rig_fini(&rig);
    return 0;
}

/* ---- a walk ---- */

static uint32_t n_seen[KEYS];
static struct kv_buffer cursor; /* of the last page; empty: the walk is complete */
static struct kv_buffer last;   /* the last key of the last page */
static uint32_t n_in_page;
static int page_status;

static void see(const struct kv_page *page, const struct kv_scan_entry *entry)
{
    int number;
    char key[32];
    snprintf(key, sizeof(key), "%.*s", (int)entry->key.len, entry->key.bytes);
    assert_int_equal(sscanf(key, "key%d", &number), 1);
    assert_in_range(number, 0, KEYS - 1);
    n_seen[number]++;
    if (page->wants_values)
        assert_int_equal(entry->item.value.len, VALUE_BYTES);
}

static void on_page(struct kv_command *command)
{
    const struct kv_page *page = command->page;
    page_status = command->status;
    n_in_page = page->n;
    cursor.len = 0;
    last.len = 0;
    kv_buffer_append(&cursor, kv_buffer_slice(&page->cursor));
    for (uint32_t i = 0; i < page->n; i++) {
        see(page, &page->entries[i]);
        if (is_ordered && i > 0)
            assert_true(kv_slice_compare(page->entries[i - 1].key, page->entries[i].key) < 0);
    }
    if (page->n != 0)
        kv_buffer_append(&last, page->entries[page->n - 1].key);
    rig_note(&rig, "%.*s %u", (int)command->note.len, command->note.bytes, page->n);
}

static struct kv_command *make_scan(struct kv_client *client, const char *prefix, uint32_t max_keys,
                                    uint64_t max_bytes)
{
    struct kv_command *command = rig_command(&rig, client, "page", KV_COMMAND_SCAN, prefix);
    command->page->max_keys = max_keys;
    command->page->max_bytes = max_bytes;
    command->page->wants_values = true;
    command->finished = on_page;
    return command;
}

static void begin_walk(void)
{
    memset(n_seen, 0, sizeof(n_seen));
    cursor.len = 0;
}

static void end_walk(void)
{
    kv_buffer_fini(&cursor);
    kv_buffer_fini(&last);
}

static void take_page(const char *prefix, uint32_t max_keys, uint64_t max_bytes)
{
    struct kv_command *command = make_scan(NULL, prefix, max_keys, max_bytes);
    command->argument = kv_buffer_slice(&cursor);
    rig_send(NULL, command);
    rig_settle(&rig);
    assert_int_equal(page_status, KV_OK);
    rig.log[0] = '\0';
}

static void fill(void)
{
    char value[VALUE_BYTES + 1], key[16];
    memset(value, '7', VALUE_BYTES);
    value[VALUE_BYTES] = '\0';
    for (int i = 0; i < KEYS; i++) {
        snprintf(key, sizeof(key), "key%d", i);
        rig_set(&rig, NULL, "s", key, value, 0);
        rig_settle(&rig);
        rig.log[0] = '\0';
    }
}

static void open_filled(uint32_t n_loops)
{
    rig_open(&rig, n_loops);
    fill();
    begin_walk();
}

static void walk(const char *prefix, uint32_t max_keys, uint64_t max_bytes, uint32_t most_in_page)
{
    int n_pages = 0;
    do {
        take_page(prefix, max_keys, max_bytes);
        assert_true(n_in_page <= most_in_page);
        assert_true(++n_pages < MOST_PAGES);
    } while (cursor.len != 0);
}

/* ---- pages ---- */

static void one_page_has_all_keys_if_they_fit(void **state)
{
    (void)state;
    open_filled(1);
    take_page("key", KV_PAGE_MOST_KEYS, UINT64_MAX);
    assert_int_equal(n_in_page, KEYS);
    assert_int_equal(cursor.len, 0);
    for (int i = 0; i < KEYS; i++)
        assert_int_equal(n_seen[i], 1);
    end_walk();
}

static void pages_limited_by_number_have_each_key_once(void **state)
{
    (void)state;
    open_filled(1);
    walk("key", 7, UINT64_MAX, 7);
    for (int i = 0; i < KEYS; i++)
        assert_int_equal(n_seen[i], 1);
    end_walk();
}

static void pages_limited_by_bytes_have_each_key_once(void **state)
{
    (void)state;
    open_filled(1);
    walk("key", KV_PAGE_MOST_KEYS, 5 * VALUE_BYTES, 4);
    for (int i = 0; i < KEYS; i++)
        assert_int_equal(n_seen[i], 1);
    end_walk();
}

static void a_key_larger_than_the_limit_has_a_page_of_its_own(void **state)
{
    (void)state;
    open_filled(1);
    walk("key", KV_PAGE_MOST_KEYS, 1, 1);
    for (int i = 0; i < KEYS; i++)
        assert_int_equal(n_seen[i], 1);
    end_walk();
}

/* The position of the walk is within a page of the store. */
static void no_key_is_skipped_if_the_last_one_seen_was_deleted(void **state)
{
    (void)state;
    char key[32];
    open_filled(1);
    do {
        take_page("key", KV_PAGE_MOST_KEYS, 20 * VALUE_BYTES);
        snprintf(key, sizeof(key), "%.*s", (int)last.len, last.bytes);
        rig_delete(&rig, NULL, "d", key);
        rig_settle(&rig);
    } while (cursor.len != 0);
    for (int i = 0; i < KEYS; i++)
        assert_true(n_seen[i] >= 1);
    end_walk();
}

static void only_keys_with_the_prefix_are_returned(void **state)
{
    (void)state;
    open_filled(1);
    walk("key69", 4, UINT64_MAX, 4);
    for (int i = 0; i < KEYS; i++)
        assert_int_equal(n_seen[i], i == 69 || i >= 690);
    begin_walk();
    walk("none", 10, UINT64_MAX, 0);
    end_walk();
}

static void a_foreign_cursor_is_refused(void **state)
{
    static const struct kv_slice bad[] = {{"x", 1}, {"p", 1}, {"k\377\0\0\0", 5}, {"k", 1}};
    (void)state;
    open_filled(1);
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct kv_command *command = make_scan(NULL, "key", 10, UINT64_MAX);
        command->argument = bad[i];
        rig_send(NULL, command);
        rig_settle(&rig);
        assert_int_equal(page_status, KV_BAD_CURSOR);
    }
    end_walk();
}

static void an_expired_key_is_not_returned(void **state)
{
    (void)state;
    open_filled(1);
    rig_set(&rig, NULL, "s", "key1", "1", 50);
    rig_settle(&rig);
    rig_pass_ms(&rig, 50);
    take_page("key", KV_PAGE_MOST_KEYS, UINT64_MAX);
    assert_int_equal(n_in_page, KEYS - 1);
    assert_int_equal(n_seen[1], 0);
    end_walk();
}

/* ---- among other commands ---- */

static void a_scan_is_ordered_with_its_clients_commands(void **state)
{
    char value[VALUE_BYTES + 1] = {0};
    (void)state;
    memset(value, '1', VALUE_BYTES);
    rig_open(&rig, 1);
    begin_walk();
    struct kv_client *client = rig_client(&rig, 0);
    rig_set(&rig, client, "a", "key1", value, 0);
    rig_send(client, make_scan(client, "key", 10, UINT64_MAX));
    rig_set(&rig, client, "b", "key2", value, 0);
    rig_send(client, make_scan(client, "key", 10, UINT64_MAX));
    rig_delete(&rig, client, "c", "key1");
    rig_get(&rig, client, "d", "key1");
    rig_send(client, make_scan(client, "key", 10, UINT64_MAX));
    rig_settle(&rig);
    rig_expect(&rig, "a ok; page 1; b ok; page 2; c ok; d missing; page 1");
    kv_client_close(client);
    end_walk();
}

static void a_turn_reads_a_bounded_number_of_pages_from_the_store(void **state)
{
    (void)state;
    open_filled(1);
    for (int i = 0; i < 10; i++)
        rig_send(NULL, make_scan(NULL, "key", KV_PAGE_MOST_KEYS, UINT64_MAX));
    size_t before;
    for (int i = 0; i < RIG_PATIENCE && !kv_keyspace_is_quiet(rig.keyspace); i++) {
        before = rig.n_scans;
        kv_loop_turn(rig.loops[0]);
        assert_true(rig.n_scans - before <= PAGES_A_TURN);
    }
    for (int i = 0; i < KEYS; i++)
        assert_int_equal(n_seen[i], 10);
    end_walk();
}

static void a_scan_of_a_closed_client_ends(void **state)
{
    (void)state;
    open_filled(1);
    struct kv_client *client = rig_client(&rig, 0);
    for (int i = 0; i < 10; i++)
        rig_send(client, make_scan(client, "key", KV_PAGE_MOST_KEYS, UINT64_MAX));
    kv_loop_turn(rig.loops[0]);
    kv_client_close(client);
    rig_settle(&rig);
    rig_expect(&rig, "");
    assert_true(rig.n_scans <= PAGES_A_TURN);
    end_walk();
}

static void an_empty_store_yields_one_empty_page(void **state)
{
    (void)state;
    rig_open(&rig, 1);
    begin_walk();
    take_page("", 10, UINT64_MAX);
    assert_int_equal(n_in_page, 0);
    assert_int_equal(cursor.len, 0);
    end_walk();
}

int main(int argc, char **argv)
{
#define SCAN_TEST(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        SCAN_TEST(one_page_has_all_keys_if_they_fit),
        SCAN_TEST(pages_limited_by_number_have_each_key_once),
        SCAN_TEST(pages_limited_by_bytes_have_each_key_once),
        SCAN_TEST(a_key_larger_than_the_limit_has_a_page_of_its_own),
        SCAN_TEST(no_key_is_skipped_if_the_last_one_seen_was_deleted),
        SCAN_TEST(only_keys_with_the_prefix_are_returned),
        SCAN_TEST(a_foreign_cursor_is_refused),
        SCAN_TEST(an_expired_key_is_not_returned),
        SCAN_TEST(a_scan_is_ordered_with_its_clients_commands),
        SCAN_TEST(a_turn_reads_a_bounded_number_of_pages_from_the_store),
        SCAN_TEST(a_scan_of_a_closed_client_ends),
        SCAN_TEST(an_empty_store_yields_one_empty_page),
    };
    store = argc > 1 ? argv[1] : "simple";
    return cmocka_run_group_tests(tests, NULL, NULL);
}
