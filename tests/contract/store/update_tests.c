/*
 * KV_OP_UPDATE: at the commit point, a new value is computed from the current one, atomically. For
 * stores with KV_STORE_UPDATES.
 */
#include "contract/store/fixture.h"

#include "base/mem.h"

#define KEY   KV_SLICE("key")
#define OTHER KV_SLICE("other")
#define ONE   KV_SLICE("1")
#define TWO   KV_SLICE("2")

/* How the function of an update must behave, and the state it last received. */
struct plan {
    enum kv_status result; /* KV_PENDING: like KV_OK */
    struct kv_slice value;
    int n_calls;
    struct kv_item old; /* the value is no longer valid; see `seen` */
    char seen[16];
};

static enum kv_status follow_plan(struct kv_cmd *cmd, const struct kv_item *old,
                                  struct kv_slice *ret_value)
{
    struct plan *plan = KV_CONTAINER(cmd, struct call, cmd)->context;
    plan->n_calls++;
    plan->old = *old;
    memset(plan->seen, 0, sizeof(plan->seen));
    if (old->revision != 0 && old->value.len < sizeof(plan->seen))
        memcpy(plan->seen, old->value.bytes, old->value.len);
    if (plan->result != KV_PENDING && plan->result != KV_OK)
        return plan->result;
    *ret_value = plan->value;
    return KV_OK;
}

static struct call update(struct plan *plan)
{
    return call_update(KEY, follow_plan, plan);
}

static struct call update_until(struct plan *plan, int64_t deadline_ms)
{
    struct call call = update(plan);
    call.cmd.deadline_ms = deadline_ms;
    return call;
}

static struct call with_most(struct call call, size_t most_bytes)
{
    call.cmd.most_bytes = most_bytes;
    return call;
}

static struct fixture *updating(void **state)
{
    struct fixture *fixture = *state;
    skip_without(fixture, KV_STORE_UPDATES);
    return fixture;
}

static void assert_deadline(struct fixture *fixture, int64_t deadline_ms)
{
    struct call call = run(fixture, call_get(KEY));
    assert_int_equal(call.cmd.status, KV_OK);
    assert_int_equal(call.cmd.item.deadline_ms, deadline_ms);
    release(fixture, &call.cmd.item);
}

/* ---- effects ---- */

static void update_computes_the_new_value_from_the_old_one(void **state)
{
    struct fixture *fixture = updating(state);
    struct plan plan = {.value = TWO};
    uint64_t first = put_until(fixture, KEY, ONE, START_MS + 9);
    struct call call = run(fixture, update(&plan));
    assert_int_equal(call.cmd.status, KV_OK);
    assert_holds(fixture, KEY, TWO);
    assert_string_equal(plan.seen, "1");
    assert_int_equal(plan.old.revision, first);
    assert_int_equal(plan.old.deadline_ms, START_MS + 9);
    const struct kv_change *change = assert_told(fixture, 1, KV_REASON_SET, KEY, "1", "2");
    assert_int_equal(change->revision, call.cmd.revision);
    assert_n_told(fixture, 2);
}

static void update_of_a_missing_key_creates_it(void **state)
{
    struct fixture *fixture = updating(state);
    struct plan plan = {.value = ONE};
    struct call call = run(fixture, update(&plan));
    assert_int_equal(call.cmd.status, KV_OK);
    assert_int_equal(plan.old.revision, 0);
    assert_holds(fixture, KEY, ONE);
    assert_n_told(fixture, 1);
    const struct kv_change *change = assert_told(fixture, 0, KV_REASON_SET, KEY, NULL, "1");
    assert_int_equal(change->revision, call.cmd.revision);
}

static void update_to_the_same_bytes_is_unchanged_and_tells_no_change(void **state)
{
    struct fixture *fixture = updating(state);
    struct plan plan = {.value = ONE};
    uint64_t revision = put(fixture, KEY, ONE);
    struct call call = run(fixture, update(&plan));
    assert_int_equal(call.cmd.status, KV_UNCHANGED);
    assert_int_equal(call.cmd.revision, revision);
    assert_n_told(fixture, 1);
}

static void update_may_make_an_empty_or_a_long_value(void **state)
{
    enum {
        LONG = 200000
    };
    struct fixture *fixture = updating(state);
    char *bytes = kv_alloc(LONG);
    memset(bytes, 'x', LONG);
    struct plan plans[] = {{.value = {0}}, {.value = {bytes, LONG}}, {.value = {bytes, 1}}};
    put(fixture, KEY, ONE);
    for (size_t i = 0; i < 3; i++) {
        assert_status(fixture, update(&plans[i]), KV_OK);
        assert_holds(fixture, KEY, plans[i].value);
    }
    assert_int_equal(plans[1].old.value.len, 0);
    assert_int_equal(plans[2].old.value.len, LONG);
    free(bytes);
}

static void update_sees_earlier_writes_of_its_vector(void **state)
{
    struct fixture *fixture = updating(state);
    struct plan plans[] = {{.value = ONE}, {.value = TWO}, {.value = ONE}};
    struct call calls[] = {update(&plans[0]), call_set(KEY, KV_SLICE("set")), update(&plans[1]),
                           call_delete(KEY), update(&plans[2])};
    run_all(fixture, calls, 5);
    assert_int_equal(plans[0].old.revision, 0);
    assert_string_equal(plans[1].seen, "set");
    assert_int_equal(plans[2].old.revision, 0);
    assert_holds(fixture, KEY, ONE);
    assert_n_told(fixture, 5);
}

static void update_may_delete_the_key(void **state)
{
    struct fixture *fixture = updating(state);
    struct plan plan = {.result = KV_MISSING};
    put_until(fixture, KEY, ONE, START_MS + 9);
    struct call call = run(fixture, update(&plan));
    assert_int_equal(call.cmd.status, KV_OK);
    assert_string_equal(plan.seen, "1");
    assert_missing(fixture, KEY);
    assert_n_told(fixture, 2);
    const struct kv_change *change = assert_told(fixture, 1, KV_REASON_DELETE, KEY, "1", NULL);
    assert_int_equal(change->revision, call.cmd.revision);
    assert_status(fixture, update(&plan), KV_MISSING);
    assert_n_told(fixture, 2);
}

static void update_may_delete_a_long_value(void **state)
{
    struct fixture *fixture = updating(state);
    enum {
        LONG = 100000
    };
    struct plan plan = {.result = KV_MISSING};
    char *bytes = kv_alloc(LONG);
    memset(bytes, 'x', LONG);
    put(fixture, KEY, (struct kv_slice){bytes, LONG});
    assert_status(fixture, update(&plan), KV_OK);
    assert_missing(fixture, KEY);
    free(bytes);
}

/* ---- no effect ---- */

static void declined_update_changes_nothing(void **state)
{
    struct fixture *fixture = updating(state);
    struct plan plan = {.result = KV_DECLINED};
    assert_status(fixture, update_until(&plan, START_MS + 1), KV_DECLINED);
    assert_missing(fixture, KEY);
    put(fixture, KEY, ONE);
    assert_status(fixture, update_until(&plan, START_MS + 1), KV_DECLINED);
    assert_holds(fixture, KEY, ONE);
    assert_deadline(fixture, KV_NEVER);
    assert_n_told(fixture, 1);
}

static void update_fails_with_the_status_of_its_function(void **state)
{
    struct fixture *fixture = updating(state);
    struct plan plans[] = {{.result = KV_TOO_BIG}, {.result = KV_FULL}};
    put(fixture, KEY, ONE);
    assert_status(fixture, update(&plans[0]), KV_TOO_BIG);
    assert_status(fixture, update(&plans[1]), KV_FULL);
    assert_holds(fixture, KEY, ONE);
    assert_n_told(fixture, 1);
}

static void update_of_a_longer_value_is_not_executed(void **state)
{
    struct fixture *fixture = updating(state);
    struct plan plan = {.value = TWO};
    put(fixture, KEY, KV_SLICE("12345"));
    assert_status(fixture, with_most(update(&plan), 4), KV_LONGER);
    assert_int_equal(plan.n_calls, 0);
    assert_holds(fixture, KEY, KV_SLICE("12345"));
    assert_status(fixture, with_most(update(&plan), 5), KV_OK);
    assert_holds(fixture, KEY, TWO);
    assert_n_told(fixture, 2);
}

static void missing_key_is_never_too_long(void **state)
{
    struct fixture *fixture = updating(state);
    struct plan plan = {.value = TWO};
    assert_status(fixture, with_most(update(&plan), 1), KV_OK);
    assert_holds(fixture, KEY, TWO);
}

static void condition_is_evaluated_before_the_function_runs(void **state)
{
    struct fixture *fixture = updating(state);
    struct plan plan = {.value = TWO};
    assert_status(fixture, with_cond(update(&plan), KV_COND_PRESENT), KV_CONDITION);
    uint64_t revision = put(fixture, KEY, ONE);
    uint64_t other = revision - 1;
    struct call refused = run(fixture, with_cond(update(&plan), KV_COND_ABSENT));
    assert_int_equal(refused.cmd.status, KV_CONDITION);
    assert_int_equal(refused.cmd.revision, revision);
    assert_status(fixture, with_revisions(update(&plan), &other, 1), KV_CONDITION);
    assert_int_equal(plan.n_calls, 0);
    assert_holds(fixture, KEY, ONE);
    assert_status(fixture, with_revisions(update(&plan), &revision, 1), KV_OK);
    assert_holds(fixture, KEY, TWO);
}

/* ---- deadlines ---- */

static void update_sets_the_deadline(void **state)
{
    struct fixture *fixture = updating(state);
    struct plan plan = {.value = ONE};
    assert_status(fixture, update_until(&plan, START_MS + 5), KV_OK);
    assert_deadline(fixture, START_MS + 5);
    assert_status(fixture, update_until(&plan, START_MS + 7), KV_UNCHANGED);
    assert_deadline(fixture, START_MS + 7);
    plan.value = TWO;
    assert_status(fixture, update_until(&plan, KV_NEVER), KV_OK);
    assert_deadline(fixture, KV_NEVER);
}

static void update_may_keep_the_deadline(void **state)
{
    struct fixture *fixture = updating(state);
    struct plan plan = {.value = TWO};
    put_until(fixture, KEY, ONE, START_MS + 5);
    assert_status(fixture, keeping_deadline(update_until(&plan, START_MS + 90)), KV_OK);
    assert_deadline(fixture, START_MS + 5);
    assert_status(fixture, keeping_deadline(update_until(&plan, KV_NEVER)), KV_UNCHANGED);
    assert_deadline(fixture, START_MS + 5);
    advance(fixture, 5);
    assert_missing(fixture, KEY);
}

static void update_may_keep_a_key_without_a_deadline(void **state)
{
    struct fixture *fixture = updating(state);
    struct plan plan = {.value = TWO};
    put(fixture, KEY, ONE);
    assert_status(fixture, keeping_deadline(update_until(&plan, START_MS + 5)), KV_OK);
    assert_deadline(fixture, KV_NEVER);
    assert_status(fixture, keeping_deadline(update_until(&plan, START_MS + 5)), KV_UNCHANGED);
    assert_deadline(fixture, KV_NEVER);
}

static void key_that_an_update_creates_gets_the_deadline(void **state)
{
    struct fixture *fixture = updating(state);
    struct plan plan = {.value = TWO};
    assert_status(fixture, keeping_deadline(update_until(&plan, START_MS + 5)), KV_OK);
    assert_deadline(fixture, START_MS + 5);
}

static void update_of_an_expired_key_commits_the_expiry_first(void **state)
{
    struct fixture *fixture = updating(state);
    struct plan plan = {.value = TWO};
    put_until(fixture, KEY, ONE, START_MS + 5);
    advance(fixture, 5);
    assert_status(fixture, keeping_deadline(update_until(&plan, START_MS + 50)), KV_OK);
    assert_int_equal(plan.old.revision, 0);
    assert_deadline(fixture, START_MS + 50);
    assert_n_told(fixture, 3);
    assert_told(fixture, 1, KV_REASON_EXPIRE, KEY, "1", NULL);
    assert_told(fixture, 2, KV_REASON_SET, KEY, NULL, "2");
}

static void declined_update_of_an_expired_key_commits_the_expiry(void **state)
{
    struct fixture *fixture = updating(state);
    struct plan plan = {.result = KV_DECLINED};
    put_until(fixture, KEY, ONE, START_MS + 5);
    advance(fixture, 5);
    assert_status(fixture, update(&plan), KV_DECLINED);
    assert_n_told(fixture, 2);
    assert_told(fixture, 1, KV_REASON_EXPIRE, KEY, "1", NULL);
}

/* ---- races ---- */

enum {
    ROUNDS = 60,
    VECTOR = 8,
    SHORT_COUNT = 24,
    LONG_COUNT = 5000 /* a store may treat long values differently */
};

struct counter {
    size_t len;
    char text[LONG_COUNT];
};

/* Adds one to the current number, and pads it with spaces. */
static enum kv_status count(struct kv_cmd *cmd, const struct kv_item *old,
                            struct kv_slice *ret_value)
{
    struct counter *counter = KV_CONTAINER(cmd, struct call, cmd)->context;
    char text[24] = "0";
    if (old->revision != 0)
        memcpy(text, old->value.bytes, sizeof(text) - 1);
    memset(counter->text, ' ', counter->len);
    int n = snprintf(counter->text, sizeof(counter->text), "%ld", atol(text) + 1);
    counter->text[n] = ' ';
    *ret_value = (struct kv_slice){counter->text, counter->len};
    return KV_OK;
}

struct thread {
    struct fixture *fixture;
    uint32_t loop;
    pthread_t id;
};

/* Vectors that count on one key and, in long values, on another, alternately. */
static void *count_often(void *arg)
{
    struct thread *here = arg;
    struct counter counters[VECTOR];
    struct call calls[VECTOR];
    for (int round = 0; round < ROUNDS; round++) {
        for (size_t i = 0; i < VECTOR; i++) {
            counters[i].len = i % 2 == 0 ? SHORT_COUNT : LONG_COUNT;
            calls[i] = call_update(i % 2 == 0 ? KEY : OTHER, count, &counters[i]);
        }
        submit(here->fixture, here->loop, calls, VECTOR);
        if (!wait_for(here->fixture, calls, VECTOR))
            break;
    }
    return NULL;
}

static void assert_count(struct fixture *fixture, struct kv_slice key, int expected)
{
    struct call call = run(fixture, call_get(key));
    assert_int_equal(call.cmd.status, KV_OK);
    assert_int_equal(atoi(call.cmd.item.value.bytes), expected);
    release(fixture, &call.cmd.item);
}

static void no_update_of_concurrent_loops_is_lost(void **state)
{
    struct fixture *fixture = updating(state);
    struct thread threads[N_LOOPS];
    for (uint32_t i = 0; i < N_LOOPS; i++) {
        threads[i] = (struct thread){.fixture = fixture, .loop = i};
        assert_int_equal(pthread_create(&threads[i].id, NULL, count_often, &threads[i]), 0);
    }
    for (uint32_t i = 0; i < N_LOOPS; i++)
        pthread_join(threads[i].id, NULL);
    assert_no_violation(fixture);
    assert_count(fixture, KEY, N_LOOPS * ROUNDS * VECTOR / 2);
    assert_count(fixture, OTHER, N_LOOPS * ROUNDS * VECTOR / 2);
    assert_n_told(fixture, (size_t)N_LOOPS * ROUNDS * VECTOR);
}

int run_update_tests(void)
{
    const struct CMUnitTest tests[] = {
        CONTRACT_TEST(update_computes_the_new_value_from_the_old_one),
        CONTRACT_TEST(update_of_a_missing_key_creates_it),
        CONTRACT_TEST(update_to_the_same_bytes_is_unchanged_and_tells_no_change),
        CONTRACT_TEST(update_may_make_an_empty_or_a_long_value),
        CONTRACT_TEST(update_sees_earlier_writes_of_its_vector),
        CONTRACT_TEST(update_may_delete_the_key),
        CONTRACT_TEST(update_may_delete_a_long_value),
        CONTRACT_TEST(declined_update_changes_nothing),
        CONTRACT_TEST(update_fails_with_the_status_of_its_function),
        CONTRACT_TEST(update_of_a_longer_value_is_not_executed),
        CONTRACT_TEST(missing_key_is_never_too_long),
        CONTRACT_TEST(condition_is_evaluated_before_the_function_runs),
        CONTRACT_TEST(update_sets_the_deadline),
        CONTRACT_TEST(update_may_keep_the_deadline),
        CONTRACT_TEST(update_may_keep_a_key_without_a_deadline),
        CONTRACT_TEST(key_that_an_update_creates_gets_the_deadline),
        CONTRACT_TEST(update_of_an_expired_key_commits_the_expiry_first),
        CONTRACT_TEST(declined_update_of_an_expired_key_commits_the_expiry),
        CONTRACT_TEST(no_update_of_concurrent_loops_is_lost),
    };
    return cmocka_run_group_tests_name("updates", tests, NULL, NULL);
}
