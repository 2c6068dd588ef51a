/*
 * Random vectors of commands, while time moves and keys expire, compared with a simple model: an
 * array with one state for each key. The model follows the writes in the order submitted; it learns
 * only the revisions from the store.
 *
 * A deferred GET may have seen any state between the vector's first and last command, so the model
 * keeps all of them.
 */
#include "contract/store/walk.h"

enum {
    STEPS = 1000,
    VECTOR = 8,
    KEYS = 12,
    VALUES = 5,
    REVISIONS = 3
};

static const struct kv_slice keys[KEYS] = {
    {"", 0},     {"a", 1},  {"a\0", 2},  {"a\0b", 3}, {"ab", 2},
    {"abc", 3},  {"b", 1},  {"\xff", 1}, {"key", 3},  {"a key that is longer than the others", 36},
    {"key/", 4}, {"\0", 1},
};

static const struct kv_slice values[VALUES] = {
    {"", 0}, {"1", 1}, {"12", 2}, {"{\"a\":[1,2]}", 11}, {"2", 1}};

struct state {
    bool is_there; /* also true past the deadline until the expiry is told */
    size_t value;
    uint64_t revision;
    int64_t deadline_ms;
};

struct model {
    struct state keys[KEYS];
};

struct trial {
    struct fixture *fixture;
    unsigned seed;
    struct model model;
    struct model steps[VECTOR + 1]; /* before each command of the vector, and after the last */
    struct call calls[VECTOR];
    size_t key_of[VECTOR];
    size_t value_of[VECTOR];
    uint64_t revisions[VECTOR][REVISIONS];
    size_t n_seen; /* changes that the model has followed */
    uint64_t newest;
};

static size_t draw(struct trial *trial, size_t n)
{
    return (size_t)rand_r(&trial->seed) % n;
}

static bool is_visible(const struct state *state, int64_t now_ms)
{
    return state->is_there && now_ms < state->deadline_ms;
}

static size_t index_of(struct kv_slice key)
{
    for (size_t i = 0; i < KEYS; i++)
        if (kv_slice_equals(keys[i], key))
            return i;
    fail_msg("the store made a key up");
    return 0;
}

/* ---- drawing commands ---- */

/* The value that an update makes of the current one, or for a missing key. SIZE_MAX: it declines;
 * VALUES: it deletes the key. */
static size_t value_after(const struct state *state)
{
    if (!state->is_there)
        return 1;
    if (state->value == 3)
        return VALUES;
    return state->value + 1 == VALUES ? SIZE_MAX : state->value + 1 - state->value % 2;
}

/* The same for the store. */
static enum kv_status compute(struct kv_cmd *cmd, const struct kv_item *old,
                              struct kv_slice *ret_value)
{
    (void)cmd;
    struct state state = {.is_there = old->revision != 0};
    while (state.is_there && !kv_slice_equals(values[state.value], old->value))
        if (++state.value == VALUES)
            return KV_IO; /* nobody has set it */
    size_t value = value_after(&state);
    if (value == SIZE_MAX)
        return KV_DECLINED;
    if (value == VALUES)
        return KV_MISSING;
    *ret_value = values[value];
    return KV_OK;
}

static int64_t draw_deadline(struct trial *trial)
{
    return draw(trial, 3) == 0 ? KV_NEVER : now(trial->fixture) + (int64_t)draw(trial, 30);
}

static struct call draw_update(struct trial *trial, size_t key)
{
    struct call call = call_update(keys[key], compute, NULL);
    call.cmd.deadline_ms = draw_deadline(trial);
    call.cmd.keeps_deadline = draw(trial, 2) == 0;
    call.cmd.most_bytes = draw(trial, 4) == 0 ? 1 : 0;
    return call;
}

/* A condition for the i-th command, with revisions that were current some time ago, or never. */
static void draw_condition(struct trial *trial, size_t i)
{
    struct call *call = &trial->calls[i];
    if (draw(trial, 2) == 0)
        return;
    *call = with_cond(*call, (uint32_t)draw(trial, 8));
    int64_t deadline_ms = trial->model.keys[trial->key_of[i]].deadline_ms;
    if (draw(trial, 4) == 0)
        *call = with_deadline(*call, draw(trial, 4) == 0 ? draw_deadline(trial) : deadline_ms);
    if ((call->cmd.cond & KV_COND_REVISION) == 0)
        return;
    for (size_t j = 0; j < REVISIONS; j++)
        trial->revisions[i][j] = trial->model.keys[draw(trial, KEYS)].revision;
    trial->revisions[i][draw(trial, REVISIONS)] = trial->model.keys[trial->key_of[i]].revision;
    *call = with_revisions(*call, trial->revisions[i], draw(trial, REVISIONS + 1));
}

static void draw_call(struct trial *trial, size_t i)
{
    size_t key = trial->key_of[i] = draw(trial, KEYS);
    size_t value = trial->value_of[i] = draw(trial, VALUES);
    size_t kind = draw(trial, (trial->fixture->capabilities & KV_STORE_UPDATES) != 0 ? 10 : 8);
    if (kind < 2) {
        trial->calls[i] = call_get(keys[key]);
        return;
    }
    if (kind == 2)
        trial->calls[i] = call_delete(keys[key]);
    else if (kind == 3)
        trial->calls[i] = call_touch(keys[key], draw_deadline(trial));
    else if (kind >= 8)
        trial->calls[i] = draw_update(trial, key);
    else
        trial->calls[i] = call_set_until(keys[key], values[value], draw_deadline(trial));
    if (kind == 7)
        trial->calls[i] = keeping_deadline(trial->calls[i]);
    draw_condition(trial, i);
}

/* ---- following the store ---- */

/* The next change told must be this one. Returns: its revision. */
static uint64_t follow_change(struct trial *trial, enum kv_reason reason, size_t key)
{
    struct fixture *fixture = trial->fixture;
    assert_true(trial->n_seen < fixture->n_told);
    const struct kv_change *change = &fixture->told[trial->n_seen++].change;
    const struct state *state = &trial->model.keys[key];
    assert_int_equal(change->reason, reason);
    assert_slice(change->key, keys[key]);
    assert_int_equal(change->before.revision, state->is_there ? state->revision : 0);
    if (state->is_there)
        assert_slice(change->before.value, values[state->value]);
    assert_true(change->revision > trial->newest);
    trial->newest = change->revision;
    return change->revision;
}

static void expect(const struct call *call, enum kv_status status, uint64_t revision)
{
    assert_int_equal(call->cmd.status, status);
    if (status != KV_MISSING)
        assert_int_equal(call->cmd.revision, revision);
}

/* The key gets the value. */
static void follow_set(struct trial *trial, size_t i, struct state *state, size_t value)
{
    struct call *call = &trial->calls[i];
    bool keeps = state->is_there && call->cmd.keeps_deadline;
    int64_t deadline_ms = keeps ? state->deadline_ms : call->cmd.deadline_ms;
    if (state->is_there && state->value == value) {
        expect(call, KV_UNCHANGED, state->revision);
    } else {
        uint64_t revision = follow_change(trial, KV_REASON_SET, trial->key_of[i]);
        expect(call, KV_OK, revision);
        *state = (struct state){.is_there = true, .value = value, .revision = revision};
    }
    state->deadline_ms = deadline_ms;
}

static void follow_delete(struct trial *trial, size_t i, struct state *state)
{
    if (!state->is_there) {
        expect(&trial->calls[i], KV_MISSING, 0);
        return;
    }
    expect(&trial->calls[i], KV_OK, follow_change(trial, KV_REASON_DELETE, trial->key_of[i]));
    state->is_there = false;
}

static void follow_update(struct trial *trial, size_t i, struct state *state)
{
    const struct kv_cmd *cmd = &trial->calls[i].cmd;
    size_t value = value_after(state);
    if (state->is_there && cmd->most_bytes != 0 && values[state->value].len > cmd->most_bytes)
        assert_int_equal(cmd->status, KV_LONGER);
    else if (value == SIZE_MAX)
        assert_int_equal(cmd->status, KV_DECLINED);
    else if (value == VALUES)
        follow_delete(trial, i, state);
    else
        follow_set(trial, i, state, value);
}

static void follow_touch(struct trial *trial, size_t i, struct state *state)
{
    if (!state->is_there) {
        expect(&trial->calls[i], KV_MISSING, 0);
        return;
    }
    expect(&trial->calls[i], KV_OK, state->revision);
    state->deadline_ms = trial->calls[i].cmd.deadline_ms;
}

static void follow_expiry(struct trial *trial, size_t key)
{
    follow_change(trial, KV_REASON_EXPIRE, key);
    trial->model.keys[key].is_there = false;
}

static void follow_write(struct trial *trial, size_t i)
{
    struct call *call = &trial->calls[i];
    struct state *state = &trial->model.keys[trial->key_of[i]];
    if (state->is_there && !is_visible(state, now(trial->fixture)))
        follow_expiry(trial, trial->key_of[i]);
    if (!kv_cmd_holds_until(&call->cmd, state->is_there, state->revision, state->deadline_ms))
        expect(call, KV_CONDITION, state->is_there ? state->revision : 0);
    else if (call->cmd.op == KV_OP_SET)
        follow_set(trial, i, state, trial->value_of[i]);
    else if (call->cmd.op == KV_OP_UPDATE)
        follow_update(trial, i, state);
    else if (call->cmd.op == KV_OP_DELETE)
        follow_delete(trial, i, state);
    else
        follow_touch(trial, i, state);
}

static bool is_answer(const struct trial *trial, const struct call *call, const struct state *state)
{
    if (!is_visible(state, now(trial->fixture)))
        return call->cmd.status == KV_MISSING;
    return call->cmd.status == KV_OK && call->cmd.item.revision == state->revision &&
           call->cmd.item.deadline_ms == state->deadline_ms &&
           kv_slice_equals(call->cmd.item.value, values[state->value]);
}

static void check_get(struct trial *trial, size_t i, size_t n)
{
    struct call *call = &trial->calls[i];
    size_t first = call->cmd.is_deferred ? 0 : i;
    size_t last = call->cmd.is_deferred ? n : i;
    bool is_right = false;
    for (size_t at = first; at <= last; at++)
        is_right = is_right || is_answer(trial, call, &trial->steps[at].keys[trial->key_of[i]]);
    assert_true(is_right);
    release(trial->fixture, &call->cmd.item);
}

/* ---- steps ---- */

static void check_all_told(struct trial *trial)
{
    assert_n_told(trial->fixture, trial->n_seen);
    forget_changes(trial->fixture);
    trial->n_seen = 0;
}

static void step_vector(struct trial *trial)
{
    size_t n = 1 + draw(trial, VECTOR);
    for (size_t i = 0; i < n; i++)
        draw_call(trial, i);
    run_all(trial->fixture, trial->calls, n);
    for (size_t i = 0; i < n; i++) {
        trial->steps[i] = trial->model;
        if (trial->calls[i].cmd.op != KV_OP_GET)
            follow_write(trial, i);
    }
    trial->steps[n] = trial->model;
    for (size_t i = 0; i < n; i++)
        if (trial->calls[i].cmd.op == KV_OP_GET)
            check_get(trial, i, n);
    check_all_told(trial);
}

/* Asserts that expire() has expired only due keys; the model removes them. */
static void follow_expiries(struct trial *trial)
{
    struct fixture *fixture = trial->fixture;
    while (trial->n_seen < fixture->n_told) {
        size_t key = index_of(fixture->told[trial->n_seen].change.key);
        assert_true(trial->model.keys[key].is_there);
        assert_false(is_visible(&trial->model.keys[key], now(fixture)));
        follow_expiry(trial, key);
    }
    check_all_told(trial);
}

static void step_expire_some(struct trial *trial)
{
    struct fixture *fixture = trial->fixture;
    uint32_t max = 1 + (uint32_t)draw(trial, 3);
    uint32_t part = (uint32_t)draw(trial, fixture->info.parts);
    expire_part(fixture, part, max);
    assert_true(fixture->n_told <= max);
    follow_expiries(trial);
}

static void step_expire_all(struct trial *trial)
{
    expire_all(trial->fixture);
    follow_expiries(trial);
    for (size_t i = 0; i < KEYS; i++)
        assert_int_equal(trial->model.keys[i].is_there,
                         is_visible(&trial->model.keys[i], now(trial->fixture)));
}

static void compare_entry(struct walk *walk, const struct kv_scan_entry *entry)
{
    bool *seen = walk->context;
    seen[index_of(entry->key)] = true;
}

static void step_scan(struct trial *trial)
{
    bool seen[KEYS] = {false};
    struct walk walk = {.each = compare_entry, .context = seen};
    walk.capacity = 1 + (uint32_t)draw(trial, 5);
    walk_all(trial->fixture, &walk);
    for (size_t i = 0; i < KEYS; i++)
        assert_int_equal(seen[i], is_visible(&trial->model.keys[i], now(trial->fixture)));
}

static void run_trial(struct fixture *fixture, unsigned seed)
{
    struct trial trial = {.fixture = fixture, .seed = seed};
    for (int i = 0; i < STEPS; i++) {
        size_t kind = draw(&trial, 20);
        if (kind < 4)
            advance(fixture, (int64_t)draw(&trial, 10));
        else if (kind == 4)
            step_expire_some(&trial);
        else if (kind == 5)
            step_expire_all(&trial);
        else if (kind == 6)
            step_scan(&trial);
        else
            step_vector(&trial);
    }
}

#define TRIAL(seed)                                                                                \
    static void store_does_as_the_model_with_seed_##seed(void **state)                             \
    {                                                                                              \
        run_trial(*state, seed);                                                                   \
    }

TRIAL(1)
TRIAL(2)
TRIAL(3)
TRIAL(4)
TRIAL(5)
TRIAL(6)

int run_random_tests(void)
{
    const struct CMUnitTest tests[] = {
        CONTRACT_TEST(store_does_as_the_model_with_seed_1),
        CONTRACT_TEST(store_does_as_the_model_with_seed_2),
        CONTRACT_TEST(store_does_as_the_model_with_seed_3),
        CONTRACT_TEST(store_does_as_the_model_with_seed_4),
        CONTRACT_TEST(store_does_as_the_model_with_seed_5),
        CONTRACT_TEST(store_does_as_the_model_with_seed_6),
    };
    return cmocka_run_group_tests_name("random", tests, NULL, NULL);
}
