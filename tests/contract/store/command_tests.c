/* GET, SET, DELETE and TOUCH: their answers, their effects, and the changes they tell. */
#include "contract/store/fixture.h"

#define KEY   KV_SLICE("key")
#define OTHER KV_SLICE("other")
#define ONE   KV_SLICE("1")
#define TWO   KV_SLICE("2")

static void key_never_set_is_missing(void **state)
{
    struct fixture *fixture = *state;
    assert_missing(fixture, KEY);
    assert_n_told(fixture, 0);
}

static void set_creates_the_key_and_tells_it(void **state)
{
    struct fixture *fixture = *state;
    uint64_t revision = put(fixture, KEY, ONE);
    assert_holds(fixture, KEY, ONE);
    assert_n_told(fixture, 1);
    const struct kv_change *change = assert_told(fixture, 0, KV_REASON_SET, KEY, NULL, "1");
    assert_int_equal(change->revision, revision);
}

static void get_returns_revision_and_deadline(void **state)
{
    struct fixture *fixture = *state;
    uint64_t revision = put_until(fixture, KEY, ONE, START_MS + 5);
    struct call call = run(fixture, call_get(KEY));
    assert_int_equal(call.cmd.item.revision, revision);
    assert_int_equal(call.cmd.item.deadline_ms, START_MS + 5);
    release(fixture, &call.cmd.item);
}

static void set_replaces_the_value_and_tells_both(void **state)
{
    struct fixture *fixture = *state;
    uint64_t first = put(fixture, KEY, ONE);
    uint64_t second = put(fixture, KEY, TWO);
    assert_holds(fixture, KEY, TWO);
    assert_n_told(fixture, 2);
    const struct kv_change *change = assert_told(fixture, 1, KV_REASON_SET, KEY, "1", "2");
    assert_int_equal(change->before.revision, first);
    assert_int_equal(change->after.revision, second);
}

static void set_of_the_same_bytes_is_unchanged_and_tells_no_change(void **state)
{
    struct fixture *fixture = *state;
    uint64_t revision = put(fixture, KEY, ONE);
    struct call again = run(fixture, call_set(KEY, ONE));
    assert_int_equal(again.cmd.status, KV_UNCHANGED);
    assert_int_equal(again.cmd.revision, revision);
    assert_n_told(fixture, 1);
}

static void set_of_a_prefix_of_the_value_is_a_change(void **state)
{
    struct fixture *fixture = *state;
    put(fixture, KEY, KV_SLICE("12"));
    assert_status(fixture, call_set(KEY, ONE), KV_OK);
    assert_holds(fixture, KEY, ONE);
}

static void assert_deadline(struct fixture *fixture, int64_t deadline_ms)
{
    struct call get = run(fixture, call_get(KEY));
    assert_int_equal(get.cmd.status, KV_OK);
    assert_int_equal(get.cmd.item.deadline_ms, deadline_ms);
    release(fixture, &get.cmd.item);
}

static void set_may_keep_the_deadline_of_an_existing_key(void **state)
{
    struct fixture *fixture = *state;
    const int64_t deadlines_ms[] = {START_MS + 9, KV_NEVER, START_MS + 19};
    put(fixture, KEY, ONE);
    for (size_t i = 0; i < 3; i++) {
        assert_status(fixture, call_touch(KEY, deadlines_ms[i]), KV_OK);
        struct call other = call_set_until(KEY, i % 2 == 0 ? TWO : ONE, START_MS + 5);
        assert_status(fixture, keeping_deadline(other), KV_OK);
        assert_deadline(fixture, deadlines_ms[i]);
        assert_status(fixture, keeping_deadline(other), KV_UNCHANGED);
        assert_deadline(fixture, deadlines_ms[i]);
    }
    const struct kv_change *change = assert_told(fixture, 3, KV_REASON_SET, KEY, "1", "2");
    assert_int_equal(change->after.deadline_ms, START_MS + 19);
    advance(fixture, 19);
    assert_missing(fixture, KEY);
}

static void set_that_keeps_the_deadline_gives_a_missing_key_its_own(void **state)
{
    struct fixture *fixture = *state;
    struct call set = keeping_deadline(call_set_until(KEY, ONE, START_MS + 9));
    assert_status(fixture, set, KV_OK);
    assert_deadline(fixture, START_MS + 9);
    advance(fixture, 9);
    assert_status(fixture, keeping_deadline(call_set_until(KEY, ONE, START_MS + 19)), KV_OK);
    assert_deadline(fixture, START_MS + 19);
}

static void delete_removes_the_key_and_tells_its_last_value(void **state)
{
    struct fixture *fixture = *state;
    uint64_t set = put(fixture, KEY, ONE);
    struct call call = run(fixture, call_delete(KEY));
    assert_int_equal(call.cmd.status, KV_OK);
    assert_true(call.cmd.revision > set);
    assert_missing(fixture, KEY);
    assert_n_told(fixture, 2);
    const struct kv_change *change = assert_told(fixture, 1, KV_REASON_DELETE, KEY, "1", NULL);
    assert_int_equal(change->revision, call.cmd.revision);
    assert_int_equal(change->before.revision, set);
}

static void delete_of_a_missing_key_tells_no_change(void **state)
{
    struct fixture *fixture = *state;
    assert_status(fixture, call_delete(KEY), KV_MISSING);
    put(fixture, KEY, ONE);
    assert_status(fixture, call_delete(KEY), KV_OK);
    assert_status(fixture, call_delete(KEY), KV_MISSING);
    assert_n_told(fixture, 2);
}

static void touch_keeps_value_and_revision_and_tells_no_change(void **state)
{
    struct fixture *fixture = *state;
    uint64_t revision = put(fixture, KEY, ONE);
    struct call touch = run(fixture, call_touch(KEY, START_MS + 9));
    assert_int_equal(touch.cmd.status, KV_OK);
    assert_int_equal(touch.cmd.revision, revision);
    struct call get = run(fixture, call_get(KEY));
    assert_slice(get.cmd.item.value, ONE);
    assert_int_equal(get.cmd.item.revision, revision);
    assert_int_equal(get.cmd.item.deadline_ms, START_MS + 9);
    release(fixture, &get.cmd.item);
    assert_n_told(fixture, 1);
}

/* Sets the key, so that every earlier touch has been told; then compares the latest touch. */
static void assert_touch(struct fixture *fixture, size_t n, uint64_t revision, int64_t deadline_ms)
{
    assert_int_equal(run(fixture, call_set(KEY, TWO)).cmd.status, KV_OK);
    pthread_mutex_lock(&fixture->lock);
    assert_int_equal(fixture->n_touches, n);
    assert_string_equal(fixture->touch.key, "key");
    assert_int_equal(fixture->touch.revision, revision);
    assert_int_equal(fixture->touch.deadline_ms, deadline_ms);
    pthread_mutex_unlock(&fixture->lock);
}

static void touches_are_told_before_later_changes(void **state)
{
    struct fixture *fixture = *state;
    if ((fixture->capabilities & KV_STORE_TOUCHES) == 0)
        skip(); /* the server records its own touches */
    uint64_t revision = put(fixture, KEY, ONE);
    assert_status(fixture, call_touch(KEY, START_MS + 9), KV_OK);
    assert_touch(fixture, 1, revision, START_MS + 9);
    revision = put(fixture, KEY, ONE);
    assert_status(fixture, call_set_until(KEY, ONE, START_MS + 10), KV_UNCHANGED);
    assert_touch(fixture, 2, revision, START_MS + 10);
    revision = put(fixture, KEY, ONE);
    assert_status(fixture, call_touch(KEY, START_MS + 11), KV_OK);
    assert_status(fixture, call_touch(KEY, KV_NEVER), KV_OK);
    assert_touch(fixture, 4, revision, KV_NEVER);
}

static void catching_up_finds_all_told_and_changes_nothing(void **state)
{
    struct fixture *fixture = *state;
    skip_without(fixture, KV_STORE_CATCHES_UP);
    assert_status(fixture, call_catch_up(), KV_OK);
    put(fixture, KEY, ONE);
    put(fixture, OTHER, TWO);
    assert_status(fixture, call_catch_up(), KV_OK);
    assert_n_told(fixture, 2);
    assert_holds(fixture, KEY, ONE);
    assert_missing(fixture, (struct kv_slice){0});
}

static void touch_of_a_missing_key_is_missing(void **state)
{
    struct fixture *fixture = *state;
    assert_status(fixture, call_touch(KEY, START_MS + 9), KV_MISSING);
    assert_missing(fixture, KEY);
    assert_n_told(fixture, 0);
}

static void keys_are_independent(void **state)
{
    struct fixture *fixture = *state;
    put(fixture, KEY, ONE);
    put(fixture, OTHER, TWO);
    assert_status(fixture, call_delete(KEY), KV_OK);
    assert_missing(fixture, KEY);
    assert_holds(fixture, OTHER, TWO);
}

static void empty_key_and_empty_value_are_valid(void **state)
{
    struct fixture *fixture = *state;
    struct kv_slice empty = {0};
    put(fixture, empty, empty);
    assert_holds(fixture, empty, empty);
    assert_status(fixture, call_set(empty, empty), KV_UNCHANGED);
    assert_told(fixture, 0, KV_REASON_SET, empty, NULL, "");
    assert_status(fixture, call_delete(empty), KV_OK);
    assert_missing(fixture, empty);
}

static void keys_with_a_common_prefix_are_different(void **state)
{
    static const struct kv_slice keys[] = {{"", 0},      {"a", 1},    {"a\0", 2},   {"a\0b", 3},
                                           {"a\0c", 3},  {"ab", 2},   {"\0", 1},    {"\0\0", 2},
                                           {"\xff", 1},  {"A", 1},    {"a ", 2},    {"\x80", 1},
                                           {"a/b/c", 5}, {"a/b/", 4}, {"a\0bc", 4}, {"\0a", 2}};
    enum {
        N = sizeof(keys) / sizeof(keys[0])
    };
    struct fixture *fixture = *state;
    for (size_t i = 0; i < N; i++)
        put(fixture, keys[i], (struct kv_slice){"abcdefghijklmnopqrstuvwxyz", i + 1});
    for (size_t i = 0; i < N; i++)
        assert_holds(fixture, keys[i], (struct kv_slice){"abcdefghijklmnopqrstuvwxyz", i + 1});
    for (size_t i = 0; i < N; i += 2)
        assert_status(fixture, call_delete(keys[i]), KV_OK);
    for (size_t i = 1; i < N; i += 2)
        assert_holds(fixture, keys[i], (struct kv_slice){"abcdefghijklmnopqrstuvwxyz", i + 1});
}

/* Bytes without a short period. Owns: the caller. */
static struct kv_slice make_bytes(size_t len, uint32_t seed)
{
    char *bytes = malloc(len);
    assert_non_null(bytes);
    for (size_t i = 0; i < len; i++) {
        seed = seed * 1664525 + 1013904223;
        bytes[i] = (char)(seed >> 24);
    }
    return (struct kv_slice){bytes, len};
}

static void keys_of_a_mebibyte_differ_in_their_last_byte(void **state)
{
    struct fixture *fixture = *state;
    struct kv_slice key = make_bytes((size_t)1 << 20, 1);
    struct kv_slice twin = make_bytes((size_t)1 << 20, 1);
    ((char *)twin.bytes)[twin.len - 1] ^= 1;
    put(fixture, key, ONE);
    put(fixture, twin, TWO);
    assert_holds(fixture, key, ONE);
    assert_holds(fixture, twin, TWO);
    assert_slice(fixture->told[0].change.key, key);
    free((char *)key.bytes);
    free((char *)twin.bytes);
}

static void value_of_16_mebibytes_is_returned_whole(void **state)
{
    struct fixture *fixture = *state;
    struct kv_slice value = make_bytes((size_t)16 << 20, 2);
    put(fixture, KEY, value);
    assert_holds(fixture, KEY, value);
    assert_status(fixture, call_set(KEY, value), KV_UNCHANGED);
    ((char *)value.bytes)[value.len - 1] ^= 1;
    assert_status(fixture, call_set(KEY, value), KV_OK);
    assert_holds(fixture, KEY, value);
    free((char *)value.bytes);
}

static void get_of_a_value_over_most_bytes_reports_it_or_returns_it_whole(void **state)
{
    struct fixture *fixture = *state;
    enum {
        LEN = 300000
    };
    static char value[LEN];
    memset(value, '7', LEN);
    struct kv_slice key = KV_SLICE("long"), text = {value, LEN};
    put(fixture, key, text);
    for (size_t most = 1; most <= 2 * LEN; most += LEN - 1) {
        struct call get = call_get(key);
        get.cmd.most_bytes = most;
        get = run(fixture, get);
        if (get.cmd.status == KV_LONGER) {
            assert_true(most < LEN && get.cmd.most_bytes >= LEN);
            assert_int_equal(get.cmd.item.revision, 0);
        } else {
            assert_int_equal(get.cmd.status, KV_OK);
            assert_slice(get.cmd.item.value, text);
        }
        release(fixture, &get.cmd.item);
    }
    assert_holds(fixture, key, text);
}

static void store_keeps_no_bytes_of_the_command(void **state)
{
    struct fixture *fixture = *state;
    char key[] = "key";
    char value[] = "value";
    put(fixture, kv_slice_of(key), kv_slice_of(value));
    memset(key, 'x', 3);
    memset(value, 'x', 5);
    assert_holds(fixture, KEY, KV_SLICE("value"));
}

static void revisions_grow_with_every_change(void **state)
{
    struct fixture *fixture = *state;
    uint64_t newest = 0;
    for (int i = 0; i < 50; i++) {
        uint64_t set = put(fixture, i % 2 == 0 ? KEY : OTHER, ONE);
        assert_true(set > newest);
        struct call call = run(fixture, call_delete(i % 2 == 0 ? KEY : OTHER));
        assert_true(call.cmd.revision > set);
        newest = call.cmd.revision;
    }
}

static void revisions_of_a_volatile_store_start_at_the_wall_clock(void **state)
{
    struct fixture *fixture = *state;
    if ((fixture->capabilities & KV_STORE_DURABLE) != 0)
        skip(); /* a durable store continues from its last revision */
    uint64_t revision = put(fixture, KEY, ONE);
    assert_true(revision >= (uint64_t)START_WALL_US);
    assert_true(revision < (uint64_t)START_WALL_US + 1000000);
}

static void epoch_is_a_nonempty_text(void **state)
{
    struct fixture *fixture = *state;
    size_t len = strnlen(fixture->info.epoch, sizeof(fixture->info.epoch));
    assert_true(len > 0 && len < sizeof(fixture->info.epoch));
    assert_true(fixture->info.parts >= 1);
}

static void item_outlives_overwriting_and_deleting(void **state)
{
    struct fixture *fixture = *state;
    put(fixture, KEY, ONE);
    struct call first = run(fixture, call_get(KEY));
    put(fixture, KEY, TWO);
    struct call second = run(fixture, call_get(KEY));
    assert_status(fixture, call_delete(KEY), KV_OK);
    forget_changes(fixture);
    assert_slice(first.cmd.item.value, ONE);
    assert_slice(second.cmd.item.value, TWO);
    release(fixture, &first.cmd.item);
    release(fixture, &second.cmd.item);
}

static void item_outlives_as_many_releases_as_it_has_other_references(void **state)
{
    struct fixture *fixture = *state;
    put(fixture, KEY, ONE);
    struct call call = run(fixture, call_get(KEY));
    struct kv_item copy = call.cmd.item;
    fixture->ops->ref(fixture->store, copy.ref);
    release(fixture, &call.cmd.item);
    assert_status(fixture, call_delete(KEY), KV_OK);
    forget_changes(fixture);
    assert_slice(copy.value, ONE);
    release(fixture, &copy);
}

static void key_of_a_change_stays_valid_with_the_state_after_it(void **state)
{
    struct fixture *fixture = *state;
    put(fixture, KEY, ONE);
    put(fixture, KEY, TWO);
    struct kv_change *change = &fixture->told[1].change;
    release(fixture, &change->before);
    assert_status(fixture, call_delete(KEY), KV_OK);
    assert_slice(change->key, KEY);
    forget_changes(fixture);
}

static void key_of_a_delete_stays_valid_with_the_state_before_it(void **state)
{
    struct fixture *fixture = *state;
    put(fixture, KEY, ONE);
    assert_status(fixture, call_delete(KEY), KV_OK);
    release(fixture, &fixture->told[0].change.after);
    assert_slice(fixture->told[1].change.key, KEY);
    forget_changes(fixture);
}

enum {
    MANY = 5000
};

static void many_keys_are_all_kept(void **state)
{
    struct fixture *fixture = *state;
    static char keys[MANY][8];
    static struct call calls[MANY];
    for (int i = 0; i < MANY; i++) {
        snprintf(keys[i], sizeof(keys[i]), "%d", i * 7919 % MANY);
        calls[i] = call_set(kv_slice_of(keys[i]), kv_slice_of(keys[i]));
    }
    run_all(fixture, calls, MANY);
    for (int i = 0; i < MANY; i++)
        if (i % 3 != 0)
            calls[i] = call_delete(kv_slice_of(keys[i]));
        else
            calls[i] = call_touch(kv_slice_of(keys[i]), KV_NEVER);
    run_all(fixture, calls, MANY);
    for (int i = 0; i < MANY; i++)
        calls[i] = call_get(kv_slice_of(keys[i]));
    run_all(fixture, calls, MANY);
    for (int i = 0; i < MANY; i++) {
        assert_int_equal(calls[i].cmd.status, i % 3 == 0 ? KV_OK : KV_MISSING);
        if (i % 3 == 0)
            assert_slice(calls[i].cmd.item.value, kv_slice_of(keys[i]));
        release(fixture, &calls[i].cmd.item);
    }
}

/* ---- staged copies ---- */

enum {
    STAGED_LEN = 100000
};

/* A SET of a staged copy of `text`, which is cleared afterwards. */
static struct call call_set_staged(struct fixture *fixture, struct kv_item *ret_staged,
                                   char text[STAGED_LEN], char letter)
{
    if (fixture->ops->stage == NULL) {
        skip();  /* the store does not stage copies */
        abort(); /* skip() does not return */
    }
    memset(text, letter, STAGED_LEN);
    *ret_staged = fixture->ops->stage(fixture->store, KEY, (struct kv_slice){text, STAGED_LEN});
    assert_non_null(ret_staged->ref);
    memset(text, 0, STAGED_LEN);
    struct call call = call_set_until(KEY, ret_staged->value, START_MS + 5);
    call.cmd.staged = ret_staged->ref;
    return call;
}

/* A staged item has no revision, so release() would ignore it. */
static void release_staged(struct fixture *fixture, struct kv_item *staged)
{
    fixture->ops->unref(fixture->store, staged->ref);
    *staged = (struct kv_item){0};
}

static void assert_key_is_full_of(struct fixture *fixture, char letter, int64_t deadline_ms)
{
    struct call get = run(fixture, call_get(KEY));
    assert_int_equal(get.cmd.item.value.len, STAGED_LEN);
    assert_int_equal(get.cmd.item.value.bytes[STAGED_LEN - 1], letter);
    assert_int_equal(get.cmd.item.deadline_ms, deadline_ms);
    release(fixture, &get.cmd.item);
}

static void set_stores_a_staged_copy(void **state)
{
    static char text[STAGED_LEN];
    struct fixture *fixture = *state;
    struct kv_item staged;
    struct call set = run(fixture, call_set_staged(fixture, &staged, text, 's'));
    assert_int_equal(set.cmd.status, KV_OK);
    release_staged(fixture, &staged);
    assert_key_is_full_of(fixture, 's', START_MS + 5);
    assert_n_told(fixture, 1);
}

static void staged_copy_of_a_failed_set_is_not_stored(void **state)
{
    static char text[STAGED_LEN];
    struct fixture *fixture = *state;
    struct kv_item staged;
    struct call set = call_set_staged(fixture, &staged, text, 's');
    assert_status(fixture, with_cond(set, KV_COND_PRESENT), KV_CONDITION);
    assert_missing(fixture, KEY);
    assert_int_equal(staged.value.bytes[0], 's');
    release_staged(fixture, &staged);
}

static void set_of_a_staged_copy_of_the_same_bytes_is_unchanged(void **state)
{
    static char text[STAGED_LEN];
    struct fixture *fixture = *state;
    struct kv_item first, second;
    run(fixture, call_set_staged(fixture, &first, text, 's'));
    struct call again = call_set_staged(fixture, &second, text, 's');
    again.cmd.deadline_ms = START_MS + 9;
    assert_int_equal(run(fixture, again).cmd.status, KV_UNCHANGED);
    release_staged(fixture, &first);
    release_staged(fixture, &second);
    assert_key_is_full_of(fixture, 's', START_MS + 9);
}

static void set_of_a_staged_copy_may_keep_the_deadline(void **state)
{
    static char text[STAGED_LEN];
    struct fixture *fixture = *state;
    struct kv_item staged[3];
    const int64_t deadlines_ms[] = {START_MS + 9, KV_NEVER};
    for (size_t i = 0; i < 2; i++) {
        put_until(fixture, KEY, KV_SLICE("1"), deadlines_ms[i]);
        struct call set = call_set_staged(fixture, &staged[i], text, 's');
        assert_status(fixture, keeping_deadline(set), KV_OK);
        assert_key_is_full_of(fixture, 's', deadlines_ms[i]);
        release_staged(fixture, &staged[i]);
    }
    run(fixture, call_delete(KEY));
    assert_status(fixture, keeping_deadline(call_set_staged(fixture, &staged[2], text, 's')),
                  KV_OK);
    assert_key_is_full_of(fixture, 's', START_MS + 5);
    release_staged(fixture, &staged[2]);
}

static void staged_copy_may_be_released_unused(void **state)
{
    static char text[STAGED_LEN];
    struct fixture *fixture = *state;
    struct kv_item staged;
    call_set_staged(fixture, &staged, text, 's');
    release_staged(fixture, &staged);
    assert_missing(fixture, KEY);
}

int run_command_tests(void)
{
    const struct CMUnitTest tests[] = {
        CONTRACT_TEST(key_never_set_is_missing),
        CONTRACT_TEST(set_creates_the_key_and_tells_it),
        CONTRACT_TEST(get_returns_revision_and_deadline),
        CONTRACT_TEST(set_replaces_the_value_and_tells_both),
        CONTRACT_TEST(set_of_the_same_bytes_is_unchanged_and_tells_no_change),
        CONTRACT_TEST(set_of_a_prefix_of_the_value_is_a_change),
        CONTRACT_TEST(set_may_keep_the_deadline_of_an_existing_key),
        CONTRACT_TEST(set_that_keeps_the_deadline_gives_a_missing_key_its_own),
        CONTRACT_TEST(delete_removes_the_key_and_tells_its_last_value),
        CONTRACT_TEST(delete_of_a_missing_key_tells_no_change),
        CONTRACT_TEST(touch_keeps_value_and_revision_and_tells_no_change),
        CONTRACT_TEST(touches_are_told_before_later_changes),
        CONTRACT_TEST(catching_up_finds_all_told_and_changes_nothing),
        CONTRACT_TEST(touch_of_a_missing_key_is_missing),
        CONTRACT_TEST(keys_are_independent),
        CONTRACT_TEST(empty_key_and_empty_value_are_valid),
        CONTRACT_TEST(keys_with_a_common_prefix_are_different),
        CONTRACT_TEST(keys_of_a_mebibyte_differ_in_their_last_byte),
        CONTRACT_TEST(value_of_16_mebibytes_is_returned_whole),
        CONTRACT_TEST(get_of_a_value_over_most_bytes_reports_it_or_returns_it_whole),
        CONTRACT_TEST(store_keeps_no_bytes_of_the_command),
        CONTRACT_TEST(revisions_grow_with_every_change),
        CONTRACT_TEST(revisions_of_a_volatile_store_start_at_the_wall_clock),
        CONTRACT_TEST(epoch_is_a_nonempty_text),
        CONTRACT_TEST(item_outlives_overwriting_and_deleting),
        CONTRACT_TEST(item_outlives_as_many_releases_as_it_has_other_references),
        CONTRACT_TEST(key_of_a_change_stays_valid_with_the_state_after_it),
        CONTRACT_TEST(key_of_a_delete_stays_valid_with_the_state_before_it),
        CONTRACT_TEST(many_keys_are_all_kept),
        CONTRACT_TEST(set_stores_a_staged_copy),
        CONTRACT_TEST(staged_copy_of_a_failed_set_is_not_stored),
        CONTRACT_TEST(set_of_a_staged_copy_of_the_same_bytes_is_unchanged),
        CONTRACT_TEST(set_of_a_staged_copy_may_keep_the_deadline),
        CONTRACT_TEST(staged_copy_may_be_released_unused),
    };
    return cmocka_run_group_tests_name("commands", tests, NULL, NULL);
}
