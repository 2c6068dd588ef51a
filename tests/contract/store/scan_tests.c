/* Scans: the keys that a walk must return despite concurrent writes; cursors have no state in the
 * store. */
#include "contract/store/walk.h"

#define ONE KV_SLICE("1")
#define TWO KV_SLICE("2")

enum {
    MANY = 300
};

/* The i-th key of a family; valid until the next call. */
static struct kv_slice key_of(const char *family, int i)
{
    static char key[32];
    snprintf(key, sizeof(key), "%s%03d", family, i);
    return kv_slice_of(key);
}

/* Puts the keys 0 … n-1 of the family in one vector. */
static void put_family(struct fixture *fixture, const char *family, int n, int64_t deadline_ms)
{
    static struct call calls[MANY];
    static char keys[MANY][32];
    for (int i = 0; i < n; i++) {
        memcpy(keys[i], key_of(family, i).bytes, sizeof(keys[i]));
        calls[i] = call_set_until(kv_slice_of(keys[i]), ONE, deadline_ms);
    }
    run_all(fixture, calls, (size_t)n);
}

/* How often each key of a family was seen; other keys are counted together. */
struct census {
    const char *family;
    int seen[MANY];
    int others;
};

static void count_in(struct census *census, const struct kv_scan_entry *entry)
{
    for (int i = 0; i < MANY; i++)
        if (kv_slice_equals(entry->key, key_of(census->family, i))) {
            census->seen[i]++;
            return;
        }
    census->others++;
}

static void count_entry(struct walk *walk, const struct kv_scan_entry *entry)
{
    count_in(walk->context, entry);
}

static void assert_complete(const struct census *census)
{
    for (int i = 0; i < MANY; i++)
        assert_true(census->seen[i] >= 1);
}

static void scan_of_an_empty_store_ends_without_keys(void **state)
{
    struct fixture *fixture = *state;
    struct census census = {.family = "a"};
    struct walk walk = {.each = count_entry, .context = &census};
    walk_all(fixture, &walk);
    assert_int_equal(census.others, 0);
}

static void scan_returns_every_key(void **state)
{
    struct fixture *fixture = *state;
    struct census census = {.family = "a"};
    struct walk walk = {.each = count_entry, .context = &census};
    put_family(fixture, "a", MANY, KV_NEVER);
    walk_all(fixture, &walk);
    assert_complete(&census);
    assert_int_equal(census.others, 0);
}

static void pages_of_one_entry_return_every_key(void **state)
{
    struct fixture *fixture = *state;
    struct census census = {.family = "a"};
    struct walk walk = {.each = count_entry, .context = &census, .capacity = 1};
    put_family(fixture, "a", MANY, KV_NEVER);
    assert_true(walk_all(fixture, &walk) >= MANY);
    assert_complete(&census);
}

static void scan_returns_only_keys_with_the_prefix(void **state)
{
    struct fixture *fixture = *state;
    struct census census = {.family = "ab"};
    struct walk walk = {
        .prefix = KV_SLICE("ab"), .each = count_entry, .context = &census, .capacity = 7};
    put_family(fixture, "aa", MANY, KV_NEVER);
    put_family(fixture, "ab", MANY, KV_NEVER);
    put_family(fixture, "ac", MANY, KV_NEVER);
    put(fixture, KV_SLICE("a"), ONE);
    walk_all(fixture, &walk);
    assert_complete(&census);
    assert_int_equal(census.others, 0);
}

static void key_that_is_the_prefix_is_returned(void **state)
{
    struct fixture *fixture = *state;
    struct census census = {.family = "a"};
    struct walk walk = {.prefix = KV_SLICE("a007"), .each = count_entry, .context = &census};
    put_family(fixture, "a", MANY, KV_NEVER);
    walk_all(fixture, &walk);
    for (int i = 0; i < MANY; i++)
        assert_int_equal(census.seen[i] != 0, i == 7);
}

static void prefix_of_no_key_returns_nothing(void **state)
{
    struct fixture *fixture = *state;
    struct census census = {.family = "a"};
    struct walk walk = {.prefix = KV_SLICE("a\xff"), .each = count_entry, .context = &census};
    put_family(fixture, "a", MANY, KV_NEVER);
    walk_all(fixture, &walk);
    for (int i = 0; i < MANY; i++)
        assert_int_equal(census.seen[i], 0);
}

static void scan_continues_after_the_empty_key(void **state)
{
    struct fixture *fixture = *state;
    struct census census = {.family = "a"};
    struct walk walk = {.each = count_entry, .context = &census, .capacity = 1};
    put(fixture, (struct kv_slice){0}, ONE);
    put_family(fixture, "a", MANY, KV_NEVER);
    walk_all(fixture, &walk);
    assert_complete(&census);
    assert_true(census.others >= 1);
}

static void scan_does_not_return_expired_keys(void **state)
{
    struct fixture *fixture = *state;
    struct census census = {.family = "b"};
    struct walk walk = {.each = count_entry, .context = &census, .capacity = 5};
    put_family(fixture, "a", MANY, START_MS + 5);
    put_family(fixture, "b", MANY, START_MS + 6);
    advance(fixture, 5);
    walk_all(fixture, &walk);
    assert_complete(&census);
    assert_int_equal(census.others, 0);
}

/* ---- order ---- */

/* The last key seen, as a copy. */
static void compare_with_last(struct walk *walk, const struct kv_scan_entry *entry)
{
    struct kv_slice *last = walk->context;
    if (last->bytes != NULL)
        assert_true(kv_slice_compare(*last, entry->key) < 0);
    free((char *)last->bytes);
    *last = slice_dup(entry->key);
}

static void ordered_scan_returns_byte_order(void **state)
{
    struct fixture *fixture = *state;
    if ((fixture->capabilities & KV_STORE_ORDERED) == 0)
        skip(); /* the store has no order */
    struct kv_slice last = {0};
    struct walk walk = {.each = compare_with_last, .context = &last, .capacity = 9};
    put_family(fixture, "b", MANY, KV_NEVER);
    put_family(fixture, "a\xff", MANY, KV_NEVER);
    put_family(fixture, "a", MANY, KV_NEVER);
    put(fixture, (struct kv_slice){0}, ONE);
    put(fixture, (struct kv_slice){"a\0b", 3}, ONE);
    walk_all(fixture, &walk);
    free((char *)last.bytes);
}

/* ---- entries ---- */

static void entry_has_value_revision_and_deadline(void **state)
{
    struct fixture *fixture = *state;
    uint64_t revision = put_until(fixture, KV_SLICE("key"), ONE, START_MS + 7);
    struct page page = {.scan = {.prefix = KV_SLICE("key"), .wants_values = true}};
    run_scan(fixture, &page);
    assert_int_equal(page.scan.n, 1);
    assert_slice(page.entries[0].key, KV_SLICE("key"));
    assert_slice(page.entries[0].item.value, ONE);
    assert_int_equal(page.entries[0].item.revision, revision);
    assert_int_equal(page.entries[0].item.deadline_ms, START_MS + 7);
    release_page(fixture, &page);
}

static void entry_without_value_has_key_and_revision(void **state)
{
    struct fixture *fixture = *state;
    uint64_t revision = put(fixture, KV_SLICE("key"), ONE);
    struct page page = {.scan = {.prefix = KV_SLICE("key")}};
    run_scan(fixture, &page);
    assert_int_equal(page.scan.n, 1);
    assert_slice(page.entries[0].key, KV_SLICE("key"));
    assert_int_equal(page.entries[0].item.revision, revision);
    release_page(fixture, &page);
}

static void entry_outlives_the_delete_of_its_key(void **state)
{
    struct fixture *fixture = *state;
    put(fixture, KV_SLICE("key"), ONE);
    struct page page = {.scan = {.wants_values = true}};
    run_scan(fixture, &page);
    assert_status(fixture, call_delete(KV_SLICE("key")), KV_OK);
    forget_changes(fixture);
    assert_int_equal(page.scan.n, 1);
    assert_slice(page.entries[0].key, KV_SLICE("key"));
    assert_slice(page.entries[0].item.value, ONE);
    release_page(fixture, &page);
}

/* ---- cursors ---- */

/* Writes among the permanent keys: creates, deletes and overwrites keys all over the store. */
static void stir(struct walk *walk, struct fixture *fixture, size_t n_pages)
{
    (void)walk;
    static const char *const families[] = {"", "m", "key", "z"};
    for (size_t i = 0; i < 4; i++) {
        int number = (int)(n_pages * 31 % MANY);
        run(fixture, call_set(key_of(families[i], number), ONE));
        run(fixture, call_delete(key_of(families[i], (int)((n_pages - 1) * 31 % MANY))));
    }
    run(fixture, call_set(key_of("k", (int)(n_pages % MANY)), n_pages % 2 == 0 ? ONE : TWO));
}

static void permanent_keys_are_returned_despite_writes_between_pages(void **state)
{
    struct fixture *fixture = *state;
    struct census census = {.family = "k"};
    struct walk walk = {.each = count_entry, .between = stir, .context = &census, .capacity = 3};
    put_family(fixture, "k", MANY, KV_NEVER);
    walk_all(fixture, &walk);
    assert_complete(&census);
}

static void grow(struct walk *walk, struct fixture *fixture, size_t n_pages)
{
    (void)walk;
    if (n_pages > 30)
        return;
    char family[8];
    snprintf(family, sizeof(family), "%c%zu-", n_pages % 2 == 0 ? 'j' : 'l', n_pages);
    put_family(fixture, family, MANY, KV_NEVER);
}

static void permanent_keys_are_returned_while_the_store_grows(void **state)
{
    struct fixture *fixture = *state;
    struct census census = {.family = "k"};
    struct walk walk = {.each = count_entry, .between = grow, .context = &census, .capacity = 10};
    put_family(fixture, "k", MANY, KV_NEVER);
    walk_all(fixture, &walk);
    assert_complete(&census);
}

/* A census that remembers the last key seen. */
struct trail {
    struct census census;
    char last[32];
};

static void count_and_remember(struct walk *walk, const struct kv_scan_entry *entry)
{
    struct trail *trail = walk->context;
    assert_true(entry->key.len < sizeof(trail->last));
    memset(trail->last, 0, sizeof(trail->last));
    memcpy(trail->last, entry->key.bytes, entry->key.len);
    count_in(&trail->census, entry);
}

/* Deletes the key that the cursor has just passed, unless it is permanent. */
static void delete_last(struct walk *walk, struct fixture *fixture, size_t n_pages)
{
    (void)n_pages;
    struct trail *trail = walk->context;
    if (strchr(trail->last, '-') != NULL)
        run(fixture, call_delete(kv_slice_of(trail->last)));
}

static void cursor_behind_a_deleted_key_skips_nothing(void **state)
{
    struct fixture *fixture = *state;
    struct trail trail = {.census = {.family = "k"}};
    struct walk walk = {
        .each = count_and_remember, .between = delete_last, .context = &trail, .capacity = 1};
    put_family(fixture, "k", MANY, KV_NEVER);
    for (int i = 0; i < MANY; i += 3) {
        char key[32];
        snprintf(key, sizeof(key), "k%03d-", i);
        put(fixture, kv_slice_of(key), ONE);
    }
    walk_all(fixture, &walk);
    assert_complete(&trail.census);
}

/* The cursor after the first page. Owns: the caller. */
static struct kv_slice first_cursor(struct fixture *fixture, uint32_t capacity)
{
    struct page page = {.scan = {.capacity = capacity}};
    run_scan(fixture, &page);
    assert_int_equal(page.scan.status, KV_OK);
    assert_true(page.scan.next.len != 0);
    struct kv_slice cursor = slice_dup(page.scan.next);
    release_page(fixture, &page);
    return cursor;
}

static void cursor_returns_the_same_page_again(void **state)
{
    struct fixture *fixture = *state;
    put_family(fixture, "k", MANY, KV_NEVER);
    struct kv_slice cursor = first_cursor(fixture, 10);
    struct page first = {.scan = {.cursor = cursor, .capacity = 10}};
    struct page again = {.scan = {.cursor = cursor, .capacity = 10}};
    run_scan(fixture, &first);
    run_scan(fixture, &again);
    assert_int_equal(first.scan.n, again.scan.n);
    for (uint32_t i = 0; i < first.scan.n; i++)
        assert_slice(first.entries[i].key, again.entries[i].key);
    release_page(fixture, &first);
    release_page(fixture, &again);
    free((char *)cursor.bytes);
}

static void cursor_is_valid_after_all_keys_expired(void **state)
{
    struct fixture *fixture = *state;
    put_family(fixture, "k", MANY, START_MS + 1);
    struct kv_slice cursor = first_cursor(fixture, 10);
    advance(fixture, 1);
    expire_all(fixture);
    struct page page = {.scan = {.cursor = cursor}};
    run_scan(fixture, &page);
    assert_int_equal(page.scan.status, KV_OK);
    assert_int_equal(page.scan.n, 0);
    release_page(fixture, &page);
    free((char *)cursor.bytes);
}

/* A client may send any bytes as a cursor. */
static void arbitrary_cursor_is_refused_or_harmless(void **state)
{
    struct fixture *fixture = *state;
    put_family(fixture, "k", MANY, KV_NEVER);
    unsigned seed = 1;
    for (int i = 0; i < 200; i++) {
        char bytes[40];
        for (size_t j = 0; j < sizeof(bytes); j++)
            bytes[j] = (char)rand_r(&seed);
        struct page page = {.scan = {.cursor = {bytes, 1 + (size_t)i % sizeof(bytes)}}};
        run_scan(fixture, &page);
        assert_true(page.scan.status == KV_OK || page.scan.status == KV_CONDITION);
        if (page.scan.status == KV_OK)
            release_page(fixture, &page);
    }
}

int run_scan_tests(void)
{
    const struct CMUnitTest tests[] = {
        CONTRACT_TEST(scan_of_an_empty_store_ends_without_keys),
        CONTRACT_TEST(scan_returns_every_key),
        CONTRACT_TEST(pages_of_one_entry_return_every_key),
        CONTRACT_TEST(scan_returns_only_keys_with_the_prefix),
        CONTRACT_TEST(key_that_is_the_prefix_is_returned),
        CONTRACT_TEST(prefix_of_no_key_returns_nothing),
        CONTRACT_TEST(scan_continues_after_the_empty_key),
        CONTRACT_TEST(scan_does_not_return_expired_keys),
        CONTRACT_TEST(ordered_scan_returns_byte_order),
        CONTRACT_TEST(entry_has_value_revision_and_deadline),
        CONTRACT_TEST(entry_without_value_has_key_and_revision),
        CONTRACT_TEST(entry_outlives_the_delete_of_its_key),
        CONTRACT_TEST(permanent_keys_are_returned_despite_writes_between_pages),
        CONTRACT_TEST(permanent_keys_are_returned_while_the_store_grows),
        CONTRACT_TEST(cursor_behind_a_deleted_key_skips_nothing),
        CONTRACT_TEST(cursor_returns_the_same_page_again),
        CONTRACT_TEST(cursor_is_valid_after_all_keys_expired),
        CONTRACT_TEST(arbitrary_cursor_is_refused_or_harmless),
    };
    return cmocka_run_group_tests_name("scans", tests, NULL, NULL);
}
