/*
 * open_to_read() of durable stores: it finds an existing store, and does not create a missing one.
 */
#include "contract/store/fixture.h"

#include <dirent.h>
#include <unistd.h>

#include "contract/store/sum.h"
#include "contract/store/walk.h"

#define FOREVER KV_SLICE("forever")
#define PASSING KV_SLICE("passing")

static struct fixture *durable(void **state)
{
    struct fixture *fixture = *state;
    if ((fixture->capabilities & KV_STORE_DURABLE) == 0)
        skip(); /* a volatile store leaves no files */
    return fixture;
}

/* ---- stored data ---- */

struct found {
    uint64_t forever, passing; /* revisions */
    int64_t deadline_ms;       /* of the key with a deadline */
    size_t n;
};

static void take(struct walk *walk, const struct kv_scan_entry *entry)
{
    struct found *found = walk->context;
    found->n++;
    if (kv_slice_equals(entry->key, FOREVER)) {
        found->forever = entry->item.revision;
        assert_slice(entry->item.value, KV_SLICE("[1, 2]"));
        return;
    }
    assert_slice(entry->key, PASSING);
    assert_slice(entry->item.value, KV_SLICE("\"x\""));
    found->passing = entry->item.revision;
    found->deadline_ms = entry->item.deadline_ms;
}

static struct found read_all(struct fixture *fixture)
{
    struct found found = {0};
    struct walk walk = {.each = take, .context = &found};
    walk_all(fixture, &walk);
    return found;
}

static void stored_keys_are_read(void **state)
{
    struct fixture *fixture = durable(state);
    uint64_t forever = put(fixture, FOREVER, KV_SLICE("[1, 2]"));
    uint64_t passing = put_until(fixture, PASSING, KV_SLICE("\"x\""), now(fixture) + 60000);
    struct kv_store_info before = fixture->info;
    fixture_close_store(fixture);
    fixture_open_to_read(fixture);
    struct found found = read_all(fixture);
    assert_int_equal(found.n, 2);
    assert_int_equal(found.forever, forever);
    assert_int_equal(found.passing, passing);
    assert_int_equal(found.deadline_ms, now(fixture) + 60000);
    assert_string_equal(fixture->info.epoch, before.epoch);
}

/* ---- files stay unchanged ---- */

static void reading_a_closed_store_changes_no_byte_of_it(void **state)
{
    struct fixture *fixture = durable(state);
    put(fixture, FOREVER, KV_SLICE("[1, 2]"));
    fixture_close_store(fixture);
    uint64_t closed = folder_sum(fixture->folder);
    fixture_open_to_read(fixture);
    read_all(fixture);
    assert_int_equal(folder_sum(fixture->folder), closed);
    fixture_close_store(fixture);
    assert_int_equal(folder_sum(fixture->folder), closed);
    fixture_open_to_read(fixture);
}

static bool is_empty(const char *path)
{
    size_t n = 0;
    DIR *folder = opendir(path);
    assert_non_null(folder);
    while (readdir(folder) != NULL)
        n++;
    closedir(folder);
    return n == 2;
}

static void missing_store_is_refused_and_not_created(void **state)
{
    struct fixture *fixture = durable(state);
    struct kv_error error = {0};
    char path[] = "/tmp/kv-nothing-XXXXXX";
    assert_non_null(mkdtemp(path));
    assert_int_equal(fixture_read_nothing(fixture, path, &error), -1);
    bool is_untouched = is_empty(path);
    rmdir(path);
    assert_true(is_untouched);
    assert_non_null(strstr(error.text, "there is no store at"));
    assert_non_null(strstr(error.text, path));
}

int run_reading_tests(void)
{
    const struct CMUnitTest tests[] = {
        CONTRACT_TEST(stored_keys_are_read),
        CONTRACT_TEST(reading_a_closed_store_changes_no_byte_of_it),
        CONTRACT_TEST(missing_store_is_refused_and_not_created),
    };
    return cmocka_run_group_tests_name("reading", tests, NULL, NULL);
}
