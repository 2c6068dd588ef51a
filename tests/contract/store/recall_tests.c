/*
 * recall(): after a restart, the store gives back the changes that it told, the newest first and
 * without a gap. For stores that have it.
 */
#include "contract/store/fixture.h"

enum {
    N_CHANGES = 1000,
    N_KEYS = 20,
    LONGEST = 16,
    LONG = 200000,
};

/* A change as it is expected, or as it was recalled. */
struct known {
    uint64_t revision;
    enum kv_reason reason;
    char key[LONGEST], value[LONGEST];
    bool has_value;
    int64_t deadline_ms;
};

struct known_changes {
    size_t n;
    struct known changes[N_CHANGES + 1];
};

static struct known_changes expected, recalled;
static uint64_t joint; /* `after` of the last one recalled */
static size_t most_wanted;
static int n_values; /* each one is another */

static void set_text(char text[LONGEST], struct kv_slice slice)
{
    snprintf(text, LONGEST, "%.*s", (int)slice.len, slice.bytes);
}

static bool remember(const struct kv_store_host *host, uint64_t after, uint64_t upto,
                     const struct kv_change *change, int64_t at_ms)
{
    struct known *known = &recalled.changes[recalled.n];
    (void)host;
    (void)at_ms;
    assert_int_equal(upto, joint);
    assert_true(after < change->revision && change->revision <= upto);
    assert_true(recalled.n <= most_wanted);
    joint = after;
    if (recalled.n == most_wanted)
        return false;
    *known = (struct known){.revision = change->revision, .reason = change->reason};
    known->has_value = change->after.revision != 0;
    set_text(known->key, change->key);
    if (known->has_value) {
        assert_int_equal(change->after.revision, change->revision);
        set_text(known->value, change->after.value);
        known->deadline_ms = change->after.deadline_ms;
    }
    recalled.n++;
    return true;
}

static struct fixture *recalling(void **state)
{
    struct fixture *fixture = *state;
    if (fixture->ops->recall == NULL)
        skip();
    expected.n = 0;
    return fixture;
}

static void expect_change(const struct known *known)
{
    assert_true(expected.n < N_CHANGES);
    expected.changes[expected.n++] = *known;
}

static void put_known(struct fixture *fixture, const char *key, const char *value)
{
    struct known known = {
        .reason = KV_REASON_SET, .has_value = true, .deadline_ms = now(fixture) + 5000};
    set_text(known.key, kv_slice_of(key));
    set_text(known.value, kv_slice_of(value));
    known.revision = put_until(fixture, kv_slice_of(key), kv_slice_of(value), known.deadline_ms);
    expect_change(&known);
}

static void recall(struct fixture *fixture, size_t most)
{
    recalled.n = 0;
    most_wanted = most;
    fixture_reopen(fixture);
    joint = fixture->ops->revision(fixture->store);
    fixture->host.remember = remember;
    fixture->ops->recall(fixture->store, joint);
}

/* The newest ones, in reverse order. */
static void assert_recalled(size_t n)
{
    assert_int_equal(recalled.n, n);
    for (size_t i = 0; i < n; i++) {
        const struct known *known = &recalled.changes[i];
        const struct known *wanted = &expected.changes[expected.n - 1 - i];
        assert_int_equal(known->revision, wanted->revision);
        assert_int_equal(known->reason, wanted->reason);
        assert_string_equal(known->key, wanted->key);
        assert_int_equal(known->has_value, wanted->has_value);
        assert_string_equal(known->value, wanted->value);
        assert_int_equal(known->deadline_ms, wanted->deadline_ms);
    }
}

static void put_many(struct fixture *fixture, int n)
{
    char key[LONGEST], value[LONGEST];
    for (int i = 0; i < n; i++) {
        snprintf(key, sizeof(key), "key%d", i % N_KEYS);
        snprintf(value, sizeof(value), "%d", n_values++);
        put_known(fixture, key, value);
    }
}

static void all_changes_are_recalled_after_a_restart(void **state)
{
    struct fixture *fixture = recalling(state);
    put_many(fixture, N_CHANGES / 2);
    struct call deleted = run(fixture, call_delete(KV_SLICE("key0")));
    expect_change(&(struct known){
        .revision = deleted.cmd.revision, .reason = KV_REASON_DELETE, .key = "key0"});
    put_many(fixture, 3);
    recall(fixture, N_CHANGES);
    assert_recalled(expected.n);
    put_many(fixture, 3); /* after the restart */
    recall(fixture, N_CHANGES);
    assert_recalled(expected.n);
}

static void expiries_are_recalled(void **state)
{
    struct fixture *fixture = recalling(state);
    for (int i = 0; i < N_KEYS; i++) {
        char key[LONGEST];
        snprintf(key, sizeof(key), "key%d", i);
        put_until(fixture, kv_slice_of(key), KV_SLICE("v"), now(fixture) + 10);
    }
    advance(fixture, 10);
    expire_all(fixture);
    recall(fixture, 2 * N_KEYS);
    assert_int_equal(recalled.n, 2 * N_KEYS);
    for (size_t i = 0; i < N_KEYS; i++) {
        assert_int_equal(recalled.changes[i].reason, KV_REASON_EXPIRE);
        assert_int_equal(recalled.changes[N_KEYS + i].reason, KV_REASON_SET);
    }
}

static void no_more_is_recalled_than_is_wanted(void **state)
{
    struct fixture *fixture = recalling(state);
    put_many(fixture, N_CHANGES / 2);
    recall(fixture, 10);
    assert_recalled(10);
}

static void a_new_store_has_nothing_to_recall(void **state)
{
    struct fixture *fixture = recalling(state);
    recall(fixture, N_CHANGES);
    assert_recalled(0);
}

/* If the value is not at hand, the host reads the key. */
static void long_values_are_recalled_whole_or_not_at_all(void **state)
{
    struct fixture *fixture = recalling(state);
    static char value[LONG];
    memset(value, 'x', LONG);
    uint64_t revision = put(fixture, KV_SLICE("long"), (struct kv_slice){value, LONG});
    put_many(fixture, 1);
    recall(fixture, 2);
    assert_int_equal(recalled.n, 2);
    const struct known *known = &recalled.changes[1];
    assert_int_equal(known->revision, revision);
    assert_int_equal(known->reason, KV_REASON_SET);
    assert_string_equal(known->key, "long");
    assert_true(!known->has_value || strlen(known->value) == LONGEST - 1);
}

int run_recall_tests(void)
{
    const struct CMUnitTest tests[] = {
        CONTRACT_TEST(all_changes_are_recalled_after_a_restart),
        CONTRACT_TEST(expiries_are_recalled),
        CONTRACT_TEST(no_more_is_recalled_than_is_wanted),
        CONTRACT_TEST(a_new_store_has_nothing_to_recall),
        CONTRACT_TEST(long_values_are_recalled_whole_or_not_at_all),
    };
    return cmocka_run_group_tests_name("recall", tests, NULL, NULL);
}
