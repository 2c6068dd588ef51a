/* Deadlines: when a key becomes missing, which call commits the expiry, and how expire() and
 * wake_at() work together. */
#include "contract/store/fixture.h"

#define KEY  KV_SLICE("key")
#define ONE  KV_SLICE("1")
#define TWO  KV_SLICE("2")
#define SOON (START_MS + 10)

static void key_exists_until_the_millisecond_before_its_deadline(void **state)
{
    struct fixture *fixture = *state;
    put_until(fixture, KEY, ONE, SOON);
    advance(fixture, 9);
    assert_holds(fixture, KEY, ONE);
}

static void key_at_its_deadline_is_missing(void **state)
{
    struct fixture *fixture = *state;
    put_until(fixture, KEY, ONE, SOON);
    advance(fixture, 10);
    assert_missing(fixture, KEY);
}

static void get_of_an_expired_key_commits_nothing(void **state)
{
    struct fixture *fixture = *state;
    put_until(fixture, KEY, ONE, SOON);
    advance(fixture, 100);
    assert_missing(fixture, KEY);
    assert_n_told(fixture, 1);
    expire_all(fixture);
    assert_told(fixture, 1, KV_REASON_EXPIRE, KEY, "1", NULL);
}

static void key_set_with_a_deadline_in_the_past_is_missing(void **state)
{
    struct fixture *fixture = *state;
    assert_status(fixture, call_set_until(KEY, ONE, START_MS), KV_OK);
    assert_missing(fixture, KEY);
    expire_all(fixture);
    assert_missing(fixture, KEY);
    assert_n_told(fixture, 2);
}

static void set_of_an_expired_key_commits_the_expiry_first(void **state)
{
    struct fixture *fixture = *state;
    put_until(fixture, KEY, ONE, SOON);
    advance(fixture, 10);
    uint64_t revision = put(fixture, KEY, TWO);
    assert_n_told(fixture, 3);
    uint64_t expired = assert_told(fixture, 1, KV_REASON_EXPIRE, KEY, "1", NULL)->revision;
    assert_told(fixture, 2, KV_REASON_SET, KEY, NULL, "2");
    assert_true(revision > expired);
}

static void set_of_the_same_bytes_on_an_expired_key_is_a_change(void **state)
{
    struct fixture *fixture = *state;
    put_until(fixture, KEY, ONE, SOON);
    advance(fixture, 10);
    assert_status(fixture, call_set(KEY, ONE), KV_OK);
    assert_n_told(fixture, 3);
    assert_told(fixture, 1, KV_REASON_EXPIRE, KEY, "1", NULL);
    assert_told(fixture, 2, KV_REASON_SET, KEY, NULL, "1");
}

static void delete_of_an_expired_key_commits_the_expiry(void **state)
{
    struct fixture *fixture = *state;
    put_until(fixture, KEY, ONE, SOON);
    advance(fixture, 10);
    assert_status(fixture, call_delete(KEY), KV_MISSING);
    assert_n_told(fixture, 2);
    assert_told(fixture, 1, KV_REASON_EXPIRE, KEY, "1", NULL);
}

static void touch_does_not_revive_an_expired_key(void **state)
{
    struct fixture *fixture = *state;
    put_until(fixture, KEY, ONE, SOON);
    advance(fixture, 10);
    assert_status(fixture, call_touch(KEY, KV_NEVER), KV_MISSING);
    assert_missing(fixture, KEY);
    expire_all(fixture);
    assert_n_told(fixture, 2);
}

static void expiry_is_told_once(void **state)
{
    struct fixture *fixture = *state;
    put_until(fixture, KEY, ONE, SOON);
    advance(fixture, 10);
    expire_all(fixture);
    assert_status(fixture, call_delete(KEY), KV_MISSING);
    expire_all(fixture);
    assert_n_told(fixture, 2);
}

static void item_outlives_its_expiry(void **state)
{
    struct fixture *fixture = *state;
    put_until(fixture, KEY, ONE, SOON);
    struct call call = run(fixture, call_get(KEY));
    advance(fixture, 10);
    expire_all(fixture);
    forget_changes(fixture);
    assert_slice(call.cmd.item.value, ONE);
    release(fixture, &call.cmd.item);
}

static void touch_postpones_the_deadline(void **state)
{
    struct fixture *fixture = *state;
    put_until(fixture, KEY, ONE, SOON);
    assert_status(fixture, call_touch(KEY, SOON + 10), KV_OK);
    advance(fixture, 10);
    expire_all(fixture);
    assert_holds(fixture, KEY, ONE);
    advance(fixture, 10);
    assert_missing(fixture, KEY);
}

static void touch_moves_the_deadline_forward(void **state)
{
    struct fixture *fixture = *state;
    put_until(fixture, KEY, ONE, SOON + 100);
    assert_status(fixture, call_touch(KEY, SOON), KV_OK);
    advance(fixture, 10);
    assert_missing(fixture, KEY);
    expire_all(fixture);
    assert_told(fixture, 1, KV_REASON_EXPIRE, KEY, "1", NULL);
}

static void touch_removes_the_deadline(void **state)
{
    struct fixture *fixture = *state;
    put_until(fixture, KEY, ONE, SOON);
    assert_status(fixture, call_touch(KEY, KV_NEVER), KV_OK);
    advance(fixture, 1000000);
    expire_all(fixture);
    assert_holds(fixture, KEY, ONE);
}

static void set_without_a_deadline_removes_the_old_one(void **state)
{
    struct fixture *fixture = *state;
    put_until(fixture, KEY, ONE, SOON);
    put(fixture, KEY, TWO);
    advance(fixture, 10);
    expire_all(fixture);
    assert_holds(fixture, KEY, TWO);
}

static void unchanged_set_takes_the_new_deadline(void **state)
{
    struct fixture *fixture = *state;
    put_until(fixture, KEY, ONE, SOON);
    assert_status(fixture, call_set_until(KEY, ONE, SOON + 10), KV_UNCHANGED);
    advance(fixture, 10);
    expire_all(fixture);
    assert_holds(fixture, KEY, ONE);
    assert_status(fixture, call_set(KEY, ONE), KV_UNCHANGED);
    advance(fixture, 10);
    expire_all(fixture);
    assert_holds(fixture, KEY, ONE);
}

static void deleted_key_does_not_expire(void **state)
{
    struct fixture *fixture = *state;
    put_until(fixture, KEY, ONE, SOON);
    assert_status(fixture, call_delete(KEY), KV_OK);
    advance(fixture, 10);
    expire_all(fixture);
    assert_n_told(fixture, 2);
}

/* ---- expire() ---- */

enum {
    MANY = 500
};

/* Keys "0" … with deadlines one millisecond apart, starting at SOON, in shuffled order. */
static void put_many(struct fixture *fixture)
{
    for (int i = 0; i < MANY; i++) {
        char key[16];
        int at = i * 7 % MANY;
        snprintf(key, sizeof(key), "%d", at);
        put_until(fixture, kv_slice_of(key), ONE, SOON + at);
    }
    forget_changes(fixture);
}

static void expire_commits_only_due_keys(void **state)
{
    struct fixture *fixture = *state;
    put_many(fixture);
    advance(fixture, 10 + MANY / 2);
    expire_all(fixture);
    assert_n_told(fixture, MANY / 2 + 1);
    for (size_t i = 0; i < fixture->n_told; i++) {
        assert_int_equal(fixture->told[i].change.reason, KV_REASON_EXPIRE);
        assert_true(fixture->told[i].change.before.deadline_ms <= now(fixture));
    }
    assert_missing(fixture, KV_SLICE("250"));
    assert_holds(fixture, KV_SLICE("251"), ONE);
}

static void expire_commits_at_most_max_keys_a_call(void **state)
{
    struct fixture *fixture = *state;
    put_many(fixture);
    advance(fixture, 10 + MANY);
    for (uint32_t part = 0; part < fixture->info.parts; part++) {
        int64_t next;
        do {
            size_t before = fixture->n_told;
            next = expire_part(fixture, part, 7);
            assert_true(fixture->n_told - before <= 7);
        } while (next <= now(fixture));
    }
    assert_n_told(fixture, MANY);
}

/* The earliest deadline that expire() returns for any part if nothing is due. */
static int64_t next_deadline(struct fixture *fixture)
{
    int64_t earliest = KV_NEVER;
    for (uint32_t part = 0; part < fixture->info.parts; part++) {
        int64_t next = expire_part(fixture, part, 16);
        earliest = next < earliest ? next : earliest;
    }
    return earliest;
}

static void expire_without_deadlines_returns_never(void **state)
{
    struct fixture *fixture = *state;
    assert_int_equal(next_deadline(fixture), KV_NEVER);
    put(fixture, KEY, ONE);
    assert_int_equal(next_deadline(fixture), KV_NEVER);
}

/* A caller that sleeps until the deadline that expire() returned, and repeats this, arrives on
 * time: a store may name a time before the deadline (the turn of a timing wheel), never one after
 * it. */
static void next_deadlines_lead_to_the_expiry_on_time(void **state)
{
    struct fixture *fixture = *state;
    int64_t deadline = START_MS + 3 * 24 * 3600 * 1000 + 12345;
    put_until(fixture, KEY, ONE, deadline);
    int64_t next = next_deadline(fixture);
    for (int turns = 0; fixture->n_told < 2; turns++) {
        assert_true(turns < 1000);
        assert_true(next > now(fixture) && next <= deadline);
        advance(fixture, next - now(fixture));
        next = next_deadline(fixture);
    }
    assert_int_equal(now(fixture), deadline);
    assert_int_equal(next, KV_NEVER);
}

/* The earliest time passed to wake_at() for any part since the last call. */
static int64_t take_wake_at(struct fixture *fixture)
{
    int64_t earliest = KV_NEVER;
    for (uint32_t part = 0; part < fixture->info.parts; part++) {
        int64_t asked = atomic_exchange(&fixture->wake_at_ms[part], KV_NEVER);
        earliest = asked < earliest ? asked : earliest;
    }
    return earliest;
}

static void new_deadline_requests_a_wake_up(void **state)
{
    struct fixture *fixture = *state;
    take_wake_at(fixture);
    put_until(fixture, KEY, ONE, SOON);
    assert_true(take_wake_at(fixture) <= SOON);
}

static void deadline_of_an_unchanged_set_requests_a_wake_up(void **state)
{
    struct fixture *fixture = *state;
    put(fixture, KEY, ONE);
    next_deadline(fixture);
    take_wake_at(fixture);
    assert_status(fixture, call_set_until(KEY, ONE, SOON), KV_UNCHANGED);
    assert_true(take_wake_at(fixture) <= SOON);
}

static void earlier_deadline_requests_a_wake_up(void **state)
{
    struct fixture *fixture = *state;
    put_until(fixture, KEY, ONE, SOON + 100000);
    next_deadline(fixture);
    take_wake_at(fixture);
    assert_status(fixture, call_touch(KEY, SOON), KV_OK);
    assert_true(take_wake_at(fixture) <= SOON);
}

static void woken_part_tells_the_expiry(void **state)
{
    struct fixture *fixture = *state;
    put_until(fixture, KEY, ONE, SOON);
    uint32_t part = fixture->told[0].part;
    assert_true(atomic_load(&fixture->wake_at_ms[part]) <= SOON);
    advance(fixture, 10);
    expire_part(fixture, part, 16);
    assert_n_told(fixture, 2);
    assert_int_equal(fixture->told[1].part, part);
}

int run_expiry_tests(void)
{
    const struct CMUnitTest tests[] = {
        CONTRACT_TEST(key_exists_until_the_millisecond_before_its_deadline),
        CONTRACT_TEST(key_at_its_deadline_is_missing),
        CONTRACT_TEST(get_of_an_expired_key_commits_nothing),
        CONTRACT_TEST(key_set_with_a_deadline_in_the_past_is_missing),
        CONTRACT_TEST(set_of_an_expired_key_commits_the_expiry_first),
        CONTRACT_TEST(set_of_the_same_bytes_on_an_expired_key_is_a_change),
        CONTRACT_TEST(delete_of_an_expired_key_commits_the_expiry),
        CONTRACT_TEST(touch_does_not_revive_an_expired_key),
        CONTRACT_TEST(expiry_is_told_once),
        CONTRACT_TEST(item_outlives_its_expiry),
        CONTRACT_TEST(touch_postpones_the_deadline),
        CONTRACT_TEST(touch_moves_the_deadline_forward),
        CONTRACT_TEST(touch_removes_the_deadline),
        CONTRACT_TEST(set_without_a_deadline_removes_the_old_one),
        CONTRACT_TEST(unchanged_set_takes_the_new_deadline),
        CONTRACT_TEST(deleted_key_does_not_expire),
        CONTRACT_TEST(expire_commits_only_due_keys),
        CONTRACT_TEST(expire_commits_at_most_max_keys_a_call),
        CONTRACT_TEST(expire_without_deadlines_returns_never),
        CONTRACT_TEST(next_deadlines_lead_to_the_expiry_on_time),
        CONTRACT_TEST(new_deadline_requests_a_wake_up),
        CONTRACT_TEST(deadline_of_an_unchanged_set_requests_a_wake_up),
        CONTRACT_TEST(earlier_deadline_requests_a_wake_up),
        CONTRACT_TEST(woken_part_tells_the_expiry),
    };
    return cmocka_run_group_tests_name("expiry", tests, NULL, NULL);
}
