/*
 * The log: it returns the changes that were told, in the order of revisions, across restarts. For
 * stores with KV_STORE_LOG.
 */
#include "contract/store/fixture.h"

#include "base/mem.h"

#define KEY   KV_SLICE("key")
#define OTHER KV_SLICE("other")
#define ONE   KV_SLICE("1")
#define TWO   KV_SLICE("2")

enum {
    MANY = 3000
};

/* The position of a reader of the log. */
struct reading {
    uint64_t after;
    size_t n;
    uint32_t capacity;
    size_t most_bytes;
};

static uint64_t begin(struct fixture *fixture)
{
    skip_without(fixture, KV_STORE_LOG);
    return put(fixture, KV_SLICE("first"), ONE);
}

static void assert_is(const struct kv_log_entry *entry, const struct kv_change *change)
{
    assert_int_equal(entry->revision, change->revision);
    assert_int_equal(entry->reason, change->reason);
    assert_slice(entry->key, change->key);
    assert_int_equal(entry->after.revision, change->after.revision);
    if (change->after.revision == 0)
        return;
    assert_slice(entry->after.value, change->after.value);
    assert_int_equal(entry->after.deadline_ms, change->after.deadline_ms);
}

/* Reads to the end. Each entry must be the next of the changes told. */
static void assert_log_matches_changes(struct fixture *fixture, struct reading *reading)
{
    bool is_last = false;
    while (!is_last) {
        struct log_page page = {.page = {.after = reading->after,
                                         .capacity = reading->capacity,
                                         .most_bytes = reading->most_bytes}};
        run_log(fixture, &page);
        assert_int_equal(page.page.status, KV_OK);
        for (uint32_t i = 0; i < page.page.n; i++) {
            assert_true(reading->n < fixture->n_told);
            assert_is(&page.entries[i], &fixture->told[reading->n++].change);
            assert_true(page.entries[i].revision <= page.page.upto);
        }
        assert_true(page.page.upto > reading->after || page.page.is_last);
        reading->after = page.page.upto;
        is_last = page.page.is_last;
        release_log(fixture, &page);
    }
    assert_int_equal(reading->n, fixture->n_told);
}

/* ---- entries ---- */

static void log_contains_every_change(void **state)
{
    struct fixture *fixture = *state;
    struct reading reading = {.after = begin(fixture), .n = 1};
    put(fixture, KEY, ONE);
    put(fixture, OTHER, ONE);
    put_until(fixture, KEY, TWO, now(fixture) + 1000);
    assert_status(fixture, call_delete(OTHER), KV_OK);
    put_until(fixture, OTHER, KV_SLICE(""), now(fixture) + 10);
    advance(fixture, 10);
    expire_all(fixture);
    put(fixture, KV_SLICE(""), ONE);
    assert_log_matches_changes(fixture, &reading);
}

static void log_omits_writes_that_change_nothing(void **state)
{
    struct fixture *fixture = *state;
    struct reading reading = {.after = begin(fixture), .n = 1};
    put(fixture, KEY, ONE);
    assert_status(fixture, call_touch(KEY, now(fixture) + 1000), KV_OK);
    assert_status(fixture, call_set(KEY, ONE), KV_UNCHANGED);
    assert_status(fixture, call_delete(OTHER), KV_MISSING);
    assert_log_matches_changes(fixture, &reading);
    assert_int_equal(reading.n, 2);
}

static void log_contains_every_change_of_a_key_in_a_vector(void **state)
{
    struct fixture *fixture = *state;
    struct reading reading = {.after = begin(fixture), .n = 1};
    struct call calls[] = {call_set(KEY, ONE),
                           call_set(KEY, TWO),
                           call_delete(KEY),
                           call_set_until(KEY, ONE, now(fixture) + 1000),
                           call_touch(KEY, now(fixture) + 2000),
                           call_set(OTHER, TWO),
                           call_delete(OTHER)};
    run_all(fixture, calls, sizeof(calls) / sizeof(calls[0]));
    assert_log_matches_changes(fixture, &reading);
    assert_int_equal(reading.n, 7);
}

static void reading_the_log_continues_after_the_last_entry_read(void **state)
{
    struct fixture *fixture = *state;
    struct reading reading = {.after = begin(fixture), .n = 1};
    assert_log_matches_changes(fixture, &reading);
    put(fixture, KEY, ONE);
    assert_log_matches_changes(fixture, &reading);
    put(fixture, KEY, TWO);
    put(fixture, OTHER, ONE);
    assert_log_matches_changes(fixture, &reading);
}

/* ---- pages ---- */

static void make_history(struct fixture *fixture)
{
    char keys[50][8];
    char values[MANY][16];
    struct call *calls = kv_calloc(MANY, sizeof(*calls));
    for (int i = 0; i < 50; i++)
        snprintf(keys[i], sizeof(keys[i]), "k%d", i);
    for (int i = 0; i < MANY; i++) {
        struct kv_slice key = kv_slice_of(keys[i * 7 % 50]);
        snprintf(values[i], sizeof(values[i]), "%d", i);
        calls[i] = i % 11 == 3 ? call_delete(key) : call_set(key, kv_slice_of(values[i]));
    }
    for (int i = 0; i < MANY; i += 100) {
        submit(fixture, 0, calls + i, 100);
        assert_true(wait_for(fixture, calls + i, 100));
    }
    free(calls);
}

static void pages_are_bounded_by_entries(void **state)
{
    struct fixture *fixture = *state;
    struct reading reading = {.after = begin(fixture), .n = 1, .capacity = 7};
    make_history(fixture);
    assert_log_matches_changes(fixture, &reading);
}

static void pages_are_bounded_by_bytes(void **state)
{
    struct fixture *fixture = *state;
    struct reading reading = {.after = begin(fixture), .n = 1, .most_bytes = 1000};
    char *letters = kv_alloc(2000);
    memset(letters, 'v', 2000);
    for (size_t len = 1; len < 2000; len += 50)
        put(fixture, KEY, (struct kv_slice){letters, len});
    assert_log_matches_changes(fixture, &reading);
    free(letters);
}

static bool is_of_key_7(const struct kv_log_page *page, struct kv_slice key)
{
    (void)page;
    return kv_slice_equals(key, KV_SLICE("k7"));
}

static void log_returns_only_the_wanted_changes(void **state)
{
    struct fixture *fixture = *state;
    uint64_t after = begin(fixture);
    size_t n = 0, n_wanted = 0;
    make_history(fixture);
    for (size_t i = 0; i < fixture->n_told; i++)
        n_wanted += kv_slice_equals(fixture->told[i].change.key, KV_SLICE("k7")) ? 1 : 0;
    for (bool is_last = false; !is_last;) {
        struct log_page page = {.page = {.after = after, .wants = is_of_key_7}};
        run_log(fixture, &page);
        assert_int_equal(page.page.status, KV_OK);
        for (uint32_t i = 0; i < page.page.n; i++)
            assert_slice(page.entries[i].key, KV_SLICE("k7"));
        n += page.page.n;
        after = page.page.upto;
        is_last = page.page.is_last;
        release_log(fixture, &page);
    }
    assert_int_equal(n, n_wanted);
    assert_int_equal(after, fixture->told[fixture->n_told - 1].change.revision);
}

/* ---- trimming and restarts ---- */

static void assert_trimmed(struct fixture *fixture, uint64_t after)
{
    struct log_page page = {.page = {.after = after}};
    run_log(fixture, &page);
    assert_int_equal(page.page.status, KV_TRIMMED);
}

static void reading_after_an_unknown_revision_is_answered_with_trimmed(void **state)
{
    struct fixture *fixture = *state;
    uint64_t newest = begin(fixture);
    assert_trimmed(fixture, newest + 1);
    assert_trimmed(fixture, KV_REVISION_MAX);
    assert_trimmed(fixture, 0);
}

static void log_survives_a_restart(void **state)
{
    struct fixture *fixture = *state;
    uint64_t first = begin(fixture);
    uint64_t second = put(fixture, KEY, ONE);
    assert_status(fixture, call_delete(KEY), KV_OK);
    for (int i = 0; i < 3; i++) {
        fixture_reopen(fixture);
        struct log_page page = {.page = {.after = first}};
        run_log(fixture, &page);
        assert_int_equal(page.page.status, KV_OK);
        assert_int_equal(page.page.n, 2 + i);
        assert_true(page.page.is_last);
        assert_int_equal(page.entries[0].revision, second);
        assert_slice(page.entries[0].after.value, ONE);
        assert_int_equal(page.entries[1].reason, KV_REASON_DELETE);
        assert_slice(page.entries[1].key, KEY);
        release_log(fixture, &page);
        put(fixture, OTHER, i % 2 == 0 ? ONE : TWO);
    }
}

int run_log_tests(void)
{
    const struct CMUnitTest tests[] = {
        CONTRACT_TEST(log_contains_every_change),
        CONTRACT_TEST(log_omits_writes_that_change_nothing),
        CONTRACT_TEST(log_contains_every_change_of_a_key_in_a_vector),
        CONTRACT_TEST(reading_the_log_continues_after_the_last_entry_read),
        CONTRACT_TEST(pages_are_bounded_by_entries),
        CONTRACT_TEST(pages_are_bounded_by_bytes),
        CONTRACT_TEST(log_returns_only_the_wanted_changes),
        CONTRACT_TEST(reading_after_an_unknown_revision_is_answered_with_trimmed),
        CONTRACT_TEST(log_survives_a_restart),
    };
    return cmocka_run_group_tests_name("the log", tests, NULL, NULL);
}
