/*
 * Linearizability: loops on threads of their own run random commands on a few keys while time moves
 * and keys expire. The checker (support/linear) then judges the results that each loop observed,
 * key by key; the changes told meanwhile must be the history of those keys.
 *
 * Between their commands, the loops fill the store with other keys and empty it again, so that the
 * store's data structures grow and shrink meanwhile.
 *
 * All loops pause regularly, so that histories stay short; the state of each key is carried over.
 */
#include "contract/store/fixture.h"

#include "base/mem.h"
#include "contract/store/history.h"
#include "support/linear/linear.h"

enum {
    KEYS = 3,
    VALUES = 3,
    LONGEST_VECTOR = 4,
    VECTORS_A_ROUND = 24, /* per loop */
    MOST_OPS = VECTORS_A_ROUND * LONGEST_VECTOR,
    MANY_CLIENTS = 1000, /* unordered commands get client numbers from here on, one each */
    OPERATIONS = 40000,
    FILLERS = 16,       /* per vector */
    PHASE = 20,         /* rounds in which the fillers are set, or deleted */
    FILLER_KEYS = 30000 /* of all loops together */
};

static const struct kv_slice keys[KEYS] = {{"a", 1}, {"b", 1}, {"", 0}};
static const struct kv_slice values[VALUES] = {{"1", 1}, {"22", 2}, {"333", 3}};

struct watch {
    struct linear_op op;
    size_t key;
};

struct worker {
    struct contest *contest;
    uint32_t loop;
    unsigned seed;
    unsigned n_rounds;
    unsigned next_filler;
    pthread_t id;
    struct watch seen[MOST_OPS]; /* in this round */
    size_t n_seen;
};

struct contest {
    struct fixture *fixture;
    _Atomic uint64_t stamp;
    _Atomic uint64_t revision; /* a recent revision */
    atomic_bool is_over;
    pthread_barrier_t barrier;
    struct worker workers[N_LOOPS];
    struct linear_state states[KEYS];
    uint32_t n_clients;
};

/* Starts at 1. */
static uint64_t value_number(struct kv_slice bytes)
{
    for (uint64_t i = 0; i < VALUES; i++)
        if (kv_slice_equals(values[i], bytes))
            return i + 1;
    return UINT64_MAX;
}

/* ---- drawing commands ---- */

static int draw(struct worker *worker, int n)
{
    return rand_r(&worker->seed) % n;
}

static int64_t draw_deadline(struct worker *worker)
{
    return draw(worker, 3) == 0 ? KV_NEVER : now(worker->contest->fixture) + draw(worker, 6);
}

/* Makes the successor of the current value; for a missing key, the first value. Declines after the
 * last one. */
static enum kv_status make_next(struct kv_cmd *cmd, const struct kv_item *old,
                                struct kv_slice *ret_value)
{
    struct watch *watch = KV_CONTAINER(cmd, struct call, cmd)->context;
    watch->op.seen_value = old->revision == 0 ? 0 : value_number(old->value);
    if (watch->op.seen_value == VALUES)
        return KV_DECLINED;
    *ret_value = values[watch->op.seen_value];
    watch->op.value = watch->op.seen_value + 1;
    return KV_OK;
}

static struct call draw_update(struct worker *worker, struct watch *watch)
{
    struct call call = call_update(keys[watch->key], make_next, watch);
    call.cmd.deadline_ms = draw_deadline(worker);
    call.cmd.keeps_deadline = draw(worker, 2) == 0;
    return call;
}

static struct call draw_write(struct worker *worker, struct watch *watch)
{
    struct kv_slice key = keys[watch->key];
    bool takes_updates = (worker->contest->fixture->capabilities & KV_STORE_UPDATES) != 0;
    switch (draw(worker, takes_updates ? 8 : 6)) {
    case 0:
        return call_delete(key);
    case 1:
        return call_touch(key, draw_deadline(worker));
    case 6:
    case 7:
        return draw_update(worker, watch);
    case 5:
        return keeping_deadline(
            call_set_until(key, values[draw(worker, VALUES)], draw_deadline(worker)));
    default:
        return call_set_until(key, values[draw(worker, VALUES)], draw_deadline(worker));
    }
}

/* `watch` owns the revision that the call borrows. */
static struct call draw_call(struct worker *worker, struct watch *watch)
{
    watch->key = (size_t)draw(worker, KEYS);
    if (draw(worker, 5) < 2)
        return call_get(keys[watch->key]);
    struct call call = draw_write(worker, watch);
    int cond = draw(worker, 8);
    if (cond == 0)
        return with_cond(call, KV_COND_ABSENT);
    if (cond == 1)
        return with_cond(call, KV_COND_PRESENT);
    if (cond > 3)
        return call;
    watch->op.if_revision = atomic_load(&worker->contest->revision);
    return with_revisions(call, &watch->op.if_revision, 1);
}

/* ---- running and recording them ---- */

/* Deferred reads may take effect in any order, so each is a client of its own. */
static uint32_t client_of(struct worker *worker, const struct kv_cmd *cmd)
{
    struct contest *contest = worker->contest;
    bool is_in_order =
        cmd->op != KV_OP_GET || (contest->fixture->capabilities & KV_STORE_SYNC) != 0;
    return is_in_order ? worker->loop
                       : MANY_CLIENTS * (worker->loop + 1) + (uint32_t)worker->n_seen;
}

static void record(struct worker *worker, struct watch *watch, const struct kv_cmd *cmd)
{
    struct linear_op *op = &watch->op;
    op->client = client_of(worker, cmd);
    op->op = cmd->op;
    op->cond = cmd->cond;
    if (cmd->op == KV_OP_SET)
        op->value = value_number(cmd->value);
    op->keeps_deadline = cmd->keeps_deadline;
    op->earliest_deadline_ms = op->latest_deadline_ms = cmd->deadline_ms;
    op->status = cmd->status;
    op->revision = cmd->revision;
    if (cmd->status == KV_MISSING || cmd->status == KV_DECLINED)
        op->revision = LINEAR_NOT_TOLD;
    if (cmd->item.revision != 0)
        op->seen_value = value_number(cmd->item.value);
    if (cmd->status == KV_OK)
        atomic_store(&worker->contest->revision, cmd->revision);
}

static void run_vector(struct worker *worker)
{
    struct contest *contest = worker->contest;
    struct fixture *fixture = contest->fixture;
    struct call calls[LONGEST_VECTOR];
    size_t n = 1 + (size_t)draw(worker, LONGEST_VECTOR);
    struct watch *watches = &worker->seen[worker->n_seen];
    memset(watches, 0, n * sizeof(*watches));
    for (size_t i = 0; i < n; i++)
        calls[i] = draw_call(worker, &watches[i]);
    int64_t called_ms = now(fixture);
    uint64_t called = atomic_fetch_add(&contest->stamp, n);
    submit(fixture, worker->loop, calls, n);
    wait_for(fixture, calls, n);
    uint64_t returned = atomic_fetch_add(&contest->stamp, n);
    int64_t returned_ms = now(fixture);
    for (size_t i = 0; i < n; i++) {
        record(worker, &watches[i], &calls[i].cmd);
        watches[i].op.called = called + i;
        watches[i].op.returned = returned + i;
        watches[i].op.called_ms = called_ms;
        watches[i].op.returned_ms = returned_ms;
        release(fixture, &calls[i].cmd.item);
        worker->n_seen++;
    }
}

/* Sets or deletes some of this loop's fillers. */
static void run_fillers(struct worker *worker)
{
    struct fixture *fixture = worker->contest->fixture;
    bool is_filling = worker->n_rounds / PHASE % 2 == 0;
    struct call calls[FILLERS];
    char names[FILLERS][24];
    for (int i = 0; i < FILLERS; i++) {
        worker->next_filler = (worker->next_filler + N_LOOPS) % FILLER_KEYS;
        snprintf(names[i], sizeof(names[i]), "filler %u", worker->next_filler + worker->loop);
        struct kv_slice key = kv_slice_of(names[i]);
        calls[i] = is_filling ? call_set(key, values[0]) : call_delete(key);
    }
    submit(fixture, worker->loop, calls, FILLERS);
    wait_for(fixture, calls, FILLERS);
}

static void run_round(struct worker *worker)
{
    struct fixture *fixture = worker->contest->fixture;
    bool fills = (fixture->capabilities & KV_STORE_SYNC) != 0;
    worker->n_rounds++;
    for (int i = 0; i < VECTORS_A_ROUND; i++) {
        run_vector(worker);
        if (fills)
            run_fillers(worker);
        if (draw(worker, 4) == 0)
            advance(fixture, 1);
        for (uint32_t part = worker->loop; draw(worker, 4) == 0 && part < fixture->info.parts;
             part += N_LOOPS)
            expire_part(fixture, part, 2);
    }
}

static void *work(void *arg)
{
    struct worker *worker = arg;
    struct contest *contest = worker->contest;
    for (;;) {
        pthread_barrier_wait(&contest->barrier);
        if (atomic_load(&contest->is_over))
            return NULL;
        run_round(worker);
        pthread_barrier_wait(&contest->barrier);
    }
}

/* ---- judging a round ---- */

/* Reads the final state as one more command, which the checker judges too; the next round starts
 * from it. */
static struct linear_op look(struct contest *contest, size_t key, struct linear_state *ret_state)
{
    struct fixture *fixture = contest->fixture;
    struct worker here = {.contest = contest, .loop = N_LOOPS};
    struct watch watch = {.key = key};
    struct call call = run(fixture, call_get(keys[key]));
    record(&here, &watch, &call.cmd);
    watch.op.called = atomic_fetch_add(&contest->stamp, 2);
    watch.op.returned = watch.op.called + 1;
    watch.op.called_ms = watch.op.returned_ms = now(fixture);
    *ret_state = (struct linear_state){
        .is_there = call.cmd.status == KV_OK,
        .revision = call.cmd.item.revision,
        .value = watch.op.seen_value,
        .earliest_deadline_ms = call.cmd.item.deadline_ms,
        .latest_deadline_ms = call.cmd.item.deadline_ms,
        .newest = contest->states[key].newest,
        .time_ms = now(fixture),
    };
    release(fixture, &call.cmd.item);
    return watch.op;
}

static size_t gather(const struct contest *contest, size_t key, struct linear_op *ops)
{
    size_t n = 0;
    for (size_t i = 0; i < N_LOOPS; i++)
        for (size_t j = 0; j < contest->workers[i].n_seen; j++)
            if (contest->workers[i].seen[j].key == key)
                ops[n++] = contest->workers[i].seen[j].op;
    return n;
}

static void raise_newest(struct contest *contest, size_t key, struct linear_state *state)
{
    struct fixture *fixture = contest->fixture;
    for (size_t i = 0; i < fixture->n_told; i++) {
        const struct kv_change *change = &fixture->told[i].change;
        if (kv_slice_equals(change->key, keys[key]) && change->revision > state->newest)
            state->newest = change->revision;
    }
}

static void judge_key(struct contest *contest, size_t key)
{
    static struct linear_op ops[N_LOOPS * MOST_OPS + 1];
    struct linear_state next;
    size_t n = gather(contest, key, ops);
    ops[n++] = look(contest, key, &next);
    const struct linear_op *stuck;
    if (!linear_check(&contest->states[key], ops, n, &stuck)) {
        struct kv_error text;
        linear_describe(stuck, &text);
        fail_msg("key %zu: no order explains %s", key, text.text);
    }
    raise_newest(contest, key, &next);
    contest->states[key] = next;
}

/* Returns: the number of commands in the round. */
static size_t judge(struct contest *contest)
{
    struct fixture *fixture = contest->fixture;
    struct kv_error error;
    size_t n = 0;
    for (size_t key = 0; key < KEYS; key++)
        judge_key(contest, key);
    if (history_check(fixture, &error) != 0)
        fail_msg("%s", error.text);
    forget_changes(fixture);
    for (size_t i = 0; i < N_LOOPS; i++) {
        n += contest->workers[i].n_seen;
        contest->workers[i].n_seen = 0;
    }
    return n;
}

/* ---- the test ---- */

static void start(struct contest *contest, struct fixture *fixture)
{
    contest->fixture = fixture;
    atomic_store(&fixture->is_restless, true);
    pthread_barrier_init(&contest->barrier, NULL, N_LOOPS + 1);
    for (uint32_t i = 0; i < N_LOOPS; i++) {
        struct worker *worker = &contest->workers[i];
        worker->contest = contest;
        worker->loop = i;
        worker->seed = i + 1;
        assert_int_equal(pthread_create(&worker->id, NULL, work, worker), 0);
    }
}

static void finish(struct contest *contest)
{
    atomic_store(&contest->is_over, true);
    pthread_barrier_wait(&contest->barrier);
    for (uint32_t i = 0; i < N_LOOPS; i++)
        pthread_join(contest->workers[i].id, NULL);
    pthread_barrier_destroy(&contest->barrier);
    free(contest);
}

static void loops_observe_each_key_in_one_order(void **state)
{
    struct contest *contest = kv_calloc(1, sizeof(*contest));
    size_t operations = linear_operations(OPERATIONS);
    start(contest, *state);
    for (size_t n = 0; n < operations; n += judge(contest)) {
        pthread_barrier_wait(&contest->barrier);
        pthread_barrier_wait(&contest->barrier);
        assert_no_violation(*state);
    }
    finish(contest);
}

int run_linear_tests(void)
{
    const struct CMUnitTest tests[] = {
        CONTRACT_TEST(loops_observe_each_key_in_one_order),
    };
    return cmocka_run_group_tests_name("linearizability", tests, NULL, NULL);
}
