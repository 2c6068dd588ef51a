/* Conditions: every write under every condition, on an existing key and on a missing one. */
#include "contract/store/fixture.h"

#define KEY KV_SLICE("key")
#define ONE KV_SLICE("1")
#define TWO KV_SLICE("2")

enum {
    FITTING = 1,
    WRONG = 2
};

/* The expected answer to a write; the revisions of KV_COND_REVISION match or do not. */
struct row {
    enum kv_op op;
    uint32_t cond;
    int revisions; /* FITTING, WRONG, or 0: no list */
    enum kv_status when_there;
    enum kv_status when_missing;
};

/* clang-format off */
static const struct row rows[] = {
    {KV_OP_SET, KV_COND_NONE, 0, KV_OK, KV_OK},
    {KV_OP_SET, KV_COND_ABSENT, 0, KV_CONDITION, KV_OK},
    {KV_OP_SET, KV_COND_PRESENT, 0, KV_OK, KV_CONDITION},
    {KV_OP_SET, KV_COND_REVISION, FITTING, KV_OK, KV_CONDITION},
    {KV_OP_SET, KV_COND_REVISION, WRONG, KV_CONDITION, KV_CONDITION},
    {KV_OP_SET, KV_COND_REVISION, 0, KV_CONDITION, KV_CONDITION},
    {KV_OP_SET, KV_COND_REVISION | KV_COND_PRESENT, FITTING, KV_OK, KV_CONDITION},
    {KV_OP_SET, KV_COND_REVISION | KV_COND_PRESENT, WRONG, KV_CONDITION, KV_CONDITION},
    {KV_OP_SET, KV_COND_REVISION | KV_COND_ABSENT, FITTING, KV_CONDITION, KV_CONDITION},
    {KV_OP_SET, KV_COND_PRESENT | KV_COND_ABSENT, 0, KV_CONDITION, KV_CONDITION},
    {KV_OP_DELETE, KV_COND_NONE, 0, KV_OK, KV_MISSING},
    {KV_OP_DELETE, KV_COND_ABSENT, 0, KV_CONDITION, KV_MISSING},
    {KV_OP_DELETE, KV_COND_PRESENT, 0, KV_OK, KV_CONDITION},
    {KV_OP_DELETE, KV_COND_REVISION, FITTING, KV_OK, KV_CONDITION},
    {KV_OP_DELETE, KV_COND_REVISION, WRONG, KV_CONDITION, KV_CONDITION},
    {KV_OP_DELETE, KV_COND_REVISION, 0, KV_CONDITION, KV_CONDITION},
    {KV_OP_TOUCH, KV_COND_NONE, 0, KV_OK, KV_MISSING},
    {KV_OP_TOUCH, KV_COND_ABSENT, 0, KV_CONDITION, KV_MISSING},
    {KV_OP_TOUCH, KV_COND_PRESENT, 0, KV_OK, KV_CONDITION},
    {KV_OP_TOUCH, KV_COND_REVISION, FITTING, KV_OK, KV_CONDITION},
    {KV_OP_TOUCH, KV_COND_REVISION, WRONG, KV_CONDITION, KV_CONDITION},
    {KV_OP_TOUCH, KV_COND_REVISION, 0, KV_CONDITION, KV_CONDITION},
};
/* clang-format on */

enum {
    N_ROWS = sizeof(rows) / sizeof(rows[0])
};

/* The row's write, with the current revision between wrong ones, or with wrong ones only. */
static struct call call_of(const struct row *row, const uint64_t revisions[3])
{
    struct call call;
    if (row->op == KV_OP_SET)
        call = call_set(KEY, TWO);
    else if (row->op == KV_OP_DELETE)
        call = call_delete(KEY);
    else
        call = call_touch(KEY, START_MS + 1);
    call = with_cond(call, row->cond);
    if (row->revisions == FITTING)
        call = with_revisions(call, revisions, 3);
    if (row->revisions == WRONG)
        call = with_revisions(call, revisions + 2, 1);
    return call;
}

static void assert_row(enum kv_status actual, enum kv_status expected, size_t row)
{
    if (actual != expected)
        fail_msg("row %zu: status %d, expected %d", row, actual, expected);
}

static void every_condition_is_evaluated_on_an_existing_key(void **state)
{
    struct fixture *fixture = *state;
    for (size_t i = 0; i < N_ROWS; i++) {
        uint64_t revision = put(fixture, KEY, ONE);
        uint64_t revisions[] = {revision - 1, revision, revision + 1};
        forget_changes(fixture);
        struct call call = run(fixture, call_of(&rows[i], revisions));
        assert_row(call.cmd.status, rows[i].when_there, i);
        bool is_changed = call.cmd.status == KV_OK && rows[i].op != KV_OP_TOUCH;
        assert_n_told(fixture, is_changed ? 1 : 0);
        if (call.cmd.status == KV_CONDITION) {
            assert_int_equal(call.cmd.revision, revision);
            assert_holds(fixture, KEY, ONE);
        }
        run(fixture, call_delete(KEY));
    }
}

static void every_condition_is_evaluated_on_a_missing_key(void **state)
{
    struct fixture *fixture = *state;
    for (size_t i = 0; i < N_ROWS; i++) {
        uint64_t revision = put(fixture, KEY, ONE);
        uint64_t revisions[] = {revision - 1, revision, revision + 1};
        assert_status(fixture, call_delete(KEY), KV_OK);
        forget_changes(fixture);
        struct call call = run(fixture, call_of(&rows[i], revisions));
        assert_row(call.cmd.status, rows[i].when_missing, i);
        assert_n_told(fixture, call.cmd.status == KV_OK ? 1 : 0);
        if (call.cmd.status == KV_CONDITION)
            assert_int_equal(call.cmd.revision, 0);
        run(fixture, call_delete(KEY));
    }
}

static void every_condition_treats_an_expired_key_as_missing(void **state)
{
    struct fixture *fixture = *state;
    for (size_t i = 0; i < N_ROWS; i++) {
        uint64_t revision = put_until(fixture, KEY, ONE, now(fixture) + 1);
        uint64_t revisions[] = {revision - 1, revision, revision + 1};
        advance(fixture, 1);
        forget_changes(fixture);
        struct call call = run(fixture, call_of(&rows[i], revisions));
        assert_row(call.cmd.status, rows[i].when_missing, i);
        assert_told(fixture, 0, KV_REASON_EXPIRE, KEY, "1", NULL);
        assert_n_told(fixture, call.cmd.status == KV_OK ? 2 : 1);
        run(fixture, call_delete(KEY));
    }
}

static void condition_is_evaluated_before_the_bytes_are_compared(void **state)
{
    struct fixture *fixture = *state;
    put(fixture, KEY, ONE);
    assert_status(fixture, with_cond(call_set(KEY, ONE), KV_COND_ABSENT), KV_CONDITION);
    assert_status(fixture, with_cond(call_set(KEY, ONE), KV_COND_PRESENT), KV_UNCHANGED);
}

static void failed_condition_keeps_the_deadline(void **state)
{
    struct fixture *fixture = *state;
    put_until(fixture, KEY, ONE, START_MS + 10);
    struct call set = with_cond(call_set_until(KEY, ONE, START_MS + 20), KV_COND_ABSENT);
    struct call touch = with_cond(call_touch(KEY, START_MS + 20), KV_COND_ABSENT);
    assert_status(fixture, set, KV_CONDITION);
    assert_status(fixture, touch, KV_CONDITION);
    advance(fixture, 10);
    assert_missing(fixture, KEY);
}

enum {
    N_WRITES = 3
};

/* The i-th kind of write. */
static struct call write_of(size_t i)
{
    return i == 0 ? call_set(KEY, TWO) : i == 1 ? call_delete(KEY) : call_touch(KEY, KV_NEVER);
}

static void deadline_condition_holds_for_the_deadline_of_the_key(void **state)
{
    struct fixture *fixture = *state;
    const int64_t deadlines_ms[] = {START_MS + 10000, KV_NEVER};
    for (size_t i = 0; i < 2 * N_WRITES; i++) {
        int64_t there_ms = deadlines_ms[i % 2], other_ms = deadlines_ms[1 - i % 2];
        uint64_t revision = put_until(fixture, KEY, ONE, there_ms);
        struct call call = run(fixture, with_deadline(write_of(i / 2), other_ms));
        assert_int_equal(call.cmd.status, KV_CONDITION);
        assert_int_equal(call.cmd.revision, revision);
        assert_status(fixture, with_deadline(write_of(i / 2), START_MS + 11000), KV_CONDITION);
        assert_holds(fixture, KEY, ONE);
        assert_status(fixture, with_deadline(write_of(i / 2), there_ms), KV_OK);
        run(fixture, call_delete(KEY));
    }
}

static void deadline_condition_fails_for_a_missing_key(void **state)
{
    struct fixture *fixture = *state;
    for (size_t i = 0; i < N_WRITES; i++)
        assert_status(fixture, with_deadline(write_of(i), KV_NEVER), KV_CONDITION);
    for (size_t i = 0; i < N_WRITES; i++) {
        int64_t deadline_ms = now(fixture) + 1;
        put_until(fixture, KEY, ONE, deadline_ms);
        advance(fixture, 1);
        assert_status(fixture, with_deadline(write_of(i), deadline_ms), KV_CONDITION);
        assert_missing(fixture, KEY);
    }
}

static void deadline_condition_fails_after_a_touch(void **state)
{
    struct fixture *fixture = *state;
    uint64_t revision = put_until(fixture, KEY, ONE, START_MS + 10000);
    assert_status(fixture, call_touch(KEY, START_MS + 20000), KV_OK);
    for (size_t i = 0; i < N_WRITES; i++) {
        struct call call = with_revisions(write_of(i), &revision, 1);
        assert_status(fixture, with_deadline(call, START_MS + 10000), KV_CONDITION);
    }
    advance(fixture, 19999);
    assert_holds(fixture, KEY, ONE);
    advance(fixture, 1);
    assert_missing(fixture, KEY);
}

static void any_of_several_revisions_matches(void **state)
{
    struct fixture *fixture = *state;
    uint64_t revisions[100];
    uint64_t revision = put(fixture, KEY, ONE);
    for (size_t i = 0; i < 100; i++)
        revisions[i] = revision + 1 + i;
    assert_status(fixture, with_revisions(call_set(KEY, TWO), revisions, 100), KV_CONDITION);
    revisions[99] = revision;
    assert_status(fixture, with_revisions(call_set(KEY, TWO), revisions, 100), KV_OK);
}

static void revision_condition_holds_after_an_unchanged_set(void **state)
{
    struct fixture *fixture = *state;
    uint64_t revision = put(fixture, KEY, ONE);
    assert_status(fixture, call_set(KEY, ONE), KV_UNCHANGED);
    assert_status(fixture, call_touch(KEY, START_MS + 1), KV_OK);
    assert_status(fixture, with_revisions(call_delete(KEY), &revision, 1), KV_OK);
}

static void revision_from_before_a_delete_does_not_match(void **state)
{
    struct fixture *fixture = *state;
    uint64_t revision = put(fixture, KEY, ONE);
    assert_status(fixture, call_delete(KEY), KV_OK);
    put(fixture, KEY, ONE);
    assert_status(fixture, with_revisions(call_set(KEY, TWO), &revision, 1), KV_CONDITION);
}

int run_condition_tests(void)
{
    const struct CMUnitTest tests[] = {
        CONTRACT_TEST(every_condition_is_evaluated_on_an_existing_key),
        CONTRACT_TEST(every_condition_is_evaluated_on_a_missing_key),
        CONTRACT_TEST(every_condition_treats_an_expired_key_as_missing),
        CONTRACT_TEST(condition_is_evaluated_before_the_bytes_are_compared),
        CONTRACT_TEST(failed_condition_keeps_the_deadline),
        CONTRACT_TEST(deadline_condition_holds_for_the_deadline_of_the_key),
        CONTRACT_TEST(deadline_condition_fails_for_a_missing_key),
        CONTRACT_TEST(deadline_condition_fails_after_a_touch),
        CONTRACT_TEST(any_of_several_revisions_matches),
        CONTRACT_TEST(revision_condition_holds_after_an_unchanged_set),
        CONTRACT_TEST(revision_from_before_a_delete_does_not_match),
    };
    return cmocka_run_group_tests_name("conditions", tests, NULL, NULL);
}
