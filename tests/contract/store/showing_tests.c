/*
 * KV_STORE_SHOWS: the store shows changes to observers once and in order; after a restart, it shows
 * unsettled ones again.
 */
#include "contract/store/fixture.h"

#include <unistd.h>

enum {
    N_KEYS = 7,
    N_CHANGES = 300
};

static struct fixture *showing(void **state)
{
    struct fixture *fixture = *state;
    skip_without(fixture, KV_STORE_SHOWS);
    return fixture;
}

static void put_number(struct fixture *fixture, int key, int value)
{
    char name[16], text[16];
    snprintf(name, sizeof(name), "key%d", key);
    snprintf(text, sizeof(text), "%d", value);
    put(fixture, kv_slice_of(name), kv_slice_of(text));
}

/* Returns: the i-th change of the part, in the order told. */
static const struct told *find_told(const struct fixture *fixture, uint32_t part, size_t i)
{
    for (size_t n = 0; n < fixture->n_told; n++)
        if (fixture->told[n].part == part && i-- == 0)
            return &fixture->told[n];
    fail_msg("more changes of a part are shown than were told");
    return NULL;
}

static void expect_as_told(const struct fixture *fixture, size_t n)
{
    size_t n_of_part[MAX_PARTS] = {0};
    for (size_t i = 0; i < n; i++) {
        const struct shown *shown = &fixture->shown[i];
        const struct told *told = find_told(fixture, shown->part, n_of_part[shown->part]++);
        assert_int_equal(shown->revision, told->change.revision);
        assert_int_equal(shown->reason, told->change.reason);
        assert_slice((struct kv_slice){shown->key, shown->key_len}, told->change.key);
    }
}

static void changes_of_a_part_are_shown_once_in_order(void **state)
{
    struct fixture *fixture = showing(state);
    for (int i = 0; i < N_CHANGES; i++)
        put_number(fixture, i % N_KEYS, i);
    assert_status(fixture, call_delete(KV_SLICE("key0")), KV_OK);
    await_shown(fixture, N_CHANGES + 1);
    expect_as_told(fixture, N_CHANGES + 1);
}

static void a_change_is_shown_with_the_mark_of_its_command(void **state)
{
    struct fixture *fixture = showing(state);
    struct call set = call_set_until(KV_SLICE("key"), KV_SLICE("1"), now(fixture) + 10);
    set.cmd.mark = 7;
    assert_int_equal(run(fixture, set).cmd.status, KV_OK);
    await_shown(fixture, 1);
    assert_int_equal(fixture->shown[0].mark, 7);
    advance(fixture, 10);
    struct call again = call_set(KV_SLICE("key"), KV_SLICE("1"));
    again.cmd.mark = UINT16_MAX;
    assert_int_equal(run(fixture, again).cmd.status, KV_OK);
    await_shown(fixture, 3);
    assert_int_equal(fixture->shown[1].reason, KV_REASON_EXPIRE);
    assert_int_equal(fixture->shown[1].mark, 0); /* an expiry has no command */
    assert_int_equal(fixture->shown[2].mark, UINT16_MAX);
}

static void writes_that_change_nothing_are_not_shown(void **state)
{
    struct fixture *fixture = showing(state);
    put(fixture, KV_SLICE("key"), KV_SLICE("1"));
    assert_status(fixture, call_set(KV_SLICE("key"), KV_SLICE("1")), KV_UNCHANGED);
    assert_status(fixture, call_touch(KV_SLICE("key"), now(fixture) + 1000), KV_OK);
    assert_status(fixture, call_delete(KV_SLICE("none")), KV_MISSING);
    put(fixture, KV_SLICE("key"), KV_SLICE("2"));
    await_shown(fixture, 2);
}

static void changes_wait_while_observers_have_no_room(void **state)
{
    struct fixture *fixture = showing(state);
    put_number(fixture, 0, 1);
    await_shown(fixture, 1);
    atomic_store(&fixture->may_show, false);
    for (int i = 2; i < 10; i++)
        put_number(fixture, 0, i);
    while (!fixture->ops->has_to_show(fixture->store, UINT64_MAX))
        usleep(1000);
    atomic_store(&fixture->may_show, true);
    await_shown(fixture, 9);
    expect_as_told(fixture, 9);
}

static void current_claim_is_held_and_another_is_lost(void **state)
{
    struct fixture *fixture = showing(state);
    put_number(fixture, 0, 1);
    await_shown(fixture, 1);
    const struct shown *shown = &fixture->shown[0];
    assert_int_equal(fixture->ops->claim_state(fixture->store, shown->part, shown->claim),
                     KV_CLAIM_HELD);
    assert_int_equal(fixture->ops->claim_state(fixture->store, shown->part, shown->claim + 1),
                     KV_CLAIM_LOST);
}

/* Settles, in each part, the first half of the changes. Returns: the number of changes left. */
static size_t settle_half(struct fixture *fixture, uint64_t settled[MAX_PARTS])
{
    size_t n = fixture->n_shown, n_left = 0;
    for (size_t i = 0; i < n / 2; i++) {
        const struct shown *shown = &fixture->shown[i];
        fixture->ops->settled(fixture->store, shown->part, shown->claim, shown->revision);
        settled[shown->part] = shown->revision;
    }
    for (size_t i = 0; i < n; i++)
        n_left += fixture->shown[i].revision > settled[fixture->shown[i].part];
    return n_left;
}

static void unsettled_changes_are_shown_again_after_a_restart(void **state)
{
    struct fixture *fixture = showing(state);
    static uint64_t settled[MAX_PARTS];
    memset(settled, 0, sizeof(settled));
    skip_without(fixture, KV_STORE_DURABLE);
    for (int i = 0; i < N_CHANGES; i++)
        put_number(fixture, i % N_KEYS, i);
    await_shown(fixture, N_CHANGES);
    uint64_t claim = fixture->shown[0].claim;
    uint32_t part = fixture->shown[0].part;
    size_t n_left = settle_half(fixture, settled);
    forget_shown(fixture);
    fixture_reopen(fixture);
    await_shown(fixture, n_left);
    for (size_t i = 0; i < n_left; i++) {
        assert_true(fixture->shown[i].revision > settled[fixture->shown[i].part]);
        if (fixture->shown[i].part == part)
            assert_int_not_equal(fixture->shown[i].claim, claim);
    }
}

static void settling_under_an_earlier_claim_has_no_effect(void **state)
{
    struct fixture *fixture = showing(state);
    skip_without(fixture, KV_STORE_DURABLE);
    put_number(fixture, 0, 1);
    await_shown(fixture, 1);
    struct shown first = fixture->shown[0];
    forget_shown(fixture);
    fixture_reopen(fixture);
    await_shown(fixture, 1);
    fixture->ops->settled(fixture->store, first.part, first.claim, first.revision);
    forget_shown(fixture);
    fixture_reopen(fixture);
    await_shown(fixture, 1);
}

int run_showing_tests(void)
{
    const struct CMUnitTest tests[] = {
        CONTRACT_TEST(changes_of_a_part_are_shown_once_in_order),
        CONTRACT_TEST(a_change_is_shown_with_the_mark_of_its_command),
        CONTRACT_TEST(writes_that_change_nothing_are_not_shown),
        CONTRACT_TEST(changes_wait_while_observers_have_no_room),
        CONTRACT_TEST(current_claim_is_held_and_another_is_lost),
        CONTRACT_TEST(unsettled_changes_are_shown_again_after_a_restart),
        CONTRACT_TEST(settling_under_an_earlier_claim_has_no_effect),
    };
    return cmocka_run_group_tests_name("showing", tests, NULL, NULL);
}
