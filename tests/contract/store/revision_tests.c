/*
 * revision(): the newest revision that a store has assigned. In all tests, the fixture checks that
 * it is never behind a change that was told, and that a store without threads of its own assigns
 * only larger revisions after the call.
 */
#include "contract/store/fixture.h"

#define KEY KV_SLICE("key")
#define ONE KV_SLICE("1")
#define TWO KV_SLICE("2")

static uint64_t revision_of(void **state)
{
    struct fixture *fixture = *state;
    if (fixture->ops->revision == NULL)
        skip(); /* the store has no revision() */
    return fixture->ops->revision(fixture->store);
}

static void revision_of_a_new_store_precedes_its_changes(void **state)
{
    uint64_t before = revision_of(state);
    uint64_t first = put(*state, KEY, ONE);
    assert_true(before > 0);
    assert_true(first > before);
}

static void revision_is_not_behind_an_answered_write(void **state)
{
    uint64_t before = revision_of(state);
    for (int i = 0; i < 50; i++) {
        uint64_t set = put(*state, KEY, i % 2 == 0 ? ONE : TWO);
        assert_true(set > before);
        before = revision_of(state);
        assert_true(before >= set);
    }
}

static void revision_is_kept_by_commands_that_change_nothing(void **state)
{
    struct fixture *fixture = *state;
    revision_of(state);
    put(fixture, KEY, ONE);
    uint64_t before = revision_of(state);
    assert_status(fixture, call_set(KEY, ONE), KV_UNCHANGED);
    assert_status(fixture, call_touch(KEY, START_MS + 1), KV_OK);
    assert_status(fixture, call_get(KEY), KV_OK);
    assert_int_equal(revision_of(state), before);
}

static void expiry_advances_the_revision(void **state)
{
    struct fixture *fixture = *state;
    uint64_t set = revision_of(state);
    set = put_until(fixture, KEY, ONE, START_MS + 1);
    advance(fixture, 1);
    expire_all(fixture);
    assert_told(fixture, 1, KV_REASON_EXPIRE, KEY, "1", NULL);
    assert_true(fixture->told[1].change.revision > set);
    assert_true(revision_of(state) >= fixture->told[1].change.revision);
}

int run_revision_tests(void)
{
    const struct CMUnitTest tests[] = {
        CONTRACT_TEST(revision_of_a_new_store_precedes_its_changes),
        CONTRACT_TEST(revision_is_not_behind_an_answered_write),
        CONTRACT_TEST(revision_is_kept_by_commands_that_change_nothing),
        CONTRACT_TEST(expiry_advances_the_revision),
    };
    return cmocka_run_group_tests_name("revisions", tests, NULL, NULL);
}
