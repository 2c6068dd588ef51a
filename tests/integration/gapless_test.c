/*
 * A subscriber that comes back with `since`, again and again, to a server that is killed under
 * load, or whose power is cut: it has exactly the history of what was committed, or is told by
 * `reset` that it cannot have it. KV_TEST_CRASHES=<n>: how often for each durability.
 * KV_TEST_SEED=<n>: to do the same again, as far as times allow.
 */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/mem.h"
#include "fixture.h"
#include "support/client/watcher.h"
#include "support/durable/store.h"
#include "support/power/disk.h"

enum {
    CRASHES = 10 / (KV_TEST_SHARE > 1 ? 5 : 1),
    CRASHES_A_HISTORY = 50, /* its changes fit the log of a small journal */
    CONNECTIONS_EACH = 10,  /* between two crashes */
    TURNS_A_CONNECTION = 7, /* at most */
    WRITERS = 4,
    KEYS = 48,
    FENCE = KEYS, /* the number of a further key */
    N_KEYS,
    BATCH = 20,
    AHEAD = 200, /* unanswered writes of a writer */
};

struct mode {
    const char *options;
    bool has_power_cuts;
    bool may_lose; /* what was answered */
};

/* A set that was answered. */
struct answer {
    int key, value;
    uint64_t revision;
};

struct trial {
    const struct mode *mode;
    struct kv_test_store store;
    struct kv_test_disk disk;
    struct kv_test_ws writers[WRITERS];
    int n_ahead[WRITERS];
    int last_value;
    struct answer *answers;
    size_t n_answers, capacity;
    struct kv_test_watcher returns;
    int n_resets;      /* of those that came before it */
    size_t n_compared; /* changes */
};

/* ---- writing ---- */

static void open_writers(struct trial *trial)
{
    for (int i = 0; i < WRITERS; i++) {
        trial->n_ahead[i] = 0;
        kv_test_ws_open(&trial->writers[i], trial->store.server.port);
    }
}

static void close_writers(struct trial *trial)
{
    for (int i = 0; i < WRITERS; i++)
        kv_test_ws_close(&trial->writers[i]);
}

static void put_set(struct trial *trial, int writer, const char *prefix, int key, const char *more)
{
    int value = ++trial->last_value;
    trial->n_ahead[writer]++;
    kv_test_ws_put_text(
        &trial->writers[writer],
        "{\"type\":\"set\",\"id\":%d,\"payload\":{\"key\":\"%s%d\",\"value\":%d%s}}", value, prefix,
        key, value, more);
}

static void put_delete(struct trial *trial, int writer, int key)
{
    trial->n_ahead[writer]++;
    kv_test_ws_put_text(&trial->writers[writer],
                        "{\"type\":\"delete\",\"id\":0,\"payload\":{\"key\":\"h/%d\"}}", key);
}

/* A set, a set that expires soon, or a delete, of any of the keys; or of one of others. */
static void put_some_write(struct trial *trial, int writer)
{
    int key = (int)(random() % KEYS);
    switch (random() % 8) {
    case 0:
        put_delete(trial, writer, key);
        break;
    case 1:
        put_set(trial, writer, "h/", key, ",\"ttl\":3");
        break;
    case 2:
        put_set(trial, writer, "other/", key, "");
        break;
    default:
        put_set(trial, writer, "h/", key, "");
    }
}

static void put_batches(struct trial *trial)
{
    for (int i = 0; i < WRITERS; i++)
        for (int n = 0; n < BATCH && trial->n_ahead[i] < AHEAD; n++)
            put_some_write(trial, i);
}

static void note_answer(struct trial *trial, struct answer answer)
{
    if (trial->n_answers == trial->capacity) {
        trial->capacity = trial->capacity == 0 ? 1024 : 2 * trial->capacity;
        trial->answers = kv_realloc(trial->answers, trial->capacity * sizeof(*trial->answers));
    }
    trial->answers[trial->n_answers++] = answer;
}

static void see_answer(struct trial *trial, struct kv_slice text)
{
    char message[256];
    struct answer answer;
    unsigned long long revision;
    snprintf(message, sizeof(message), "%.*s", (int)text.len, text.bytes);
    if (strstr(message, "{\"type\":\"ok\"") != message)
        fail_msg("%s", message);
    if (sscanf(message,
               "{\"type\":\"ok\",\"id\":%d,\"payload\":{\"key\":\"h/%d\",\"revision\":%llu",
               &answer.value, &answer.key, &revision) != 3 ||
        answer.value == 0)
        return;
    answer.revision = revision;
    note_answer(trial, answer);
}

static void take_answers(struct trial *trial)
{
    struct kv_test_frame frame;
    for (int i = 0; i < WRITERS; i++)
        while (kv_test_ws_take(&trial->writers[i], &frame)) {
            if (frame.opcode != KV_TEST_WS_TEXT)
                continue; /* a ping */
            trial->n_ahead[i]--;
            see_answer(trial, frame.payload);
        }
}

static bool is_answered(const struct trial *trial)
{
    for (int i = 0; i < WRITERS; i++)
        if (trial->n_ahead[i] != 0)
            return false;
    return true;
}

/* ---- the connections' turns ---- */

/* other: a further watcher, or NULL. Returns: how many connections are left. */
static size_t turn(struct trial *trial, struct kv_test_watcher *other)
{
    struct kv_test_stream *streams[WRITERS + 2];
    size_t n = 0, n_left = 0;
    for (; n < WRITERS; n++)
        streams[n] = &trial->writers[n].stream;
    streams[n++] = &trial->returns.ws.stream;
    if (other != NULL)
        streams[n++] = &other->ws.stream;
    kv_test_stream_turn(streams, n, KV_TEST_LIMIT_MS);
    take_answers(trial);
    kv_test_watcher_see(&trial->returns);
    if (other != NULL)
        kv_test_watcher_see(other);
    for (size_t i = 0; i < n; i++)
        n_left += !streams[i]->is_ended;
    return n_left;
}

/* The same of a server that stays. */
static void turn_all(struct trial *trial, struct kv_test_watcher *other)
{
    assert_int_equal(turn(trial, other), WRITERS + 1 + (other != NULL));
}

/* ---- what is right ---- */

/* Where the change with the revision is in the history; `n` where it would be behind it. */
static size_t find_change(const struct kv_test_watcher *watcher, uint64_t revision)
{
    size_t from = 0, to = watcher->n;
    while (from < to) {
        size_t middle = (from + to) / 2;
        if (watcher->history[middle].revision < revision)
            from = middle + 1;
        else
            to = middle;
    }
    return from;
}

static void expect_answered(const struct trial *trial, uint64_t upto)
{
    const struct kv_test_watcher *returns = &trial->returns;
    char text[56];
    for (size_t i = 0; i < trial->n_answers; i++) {
        const struct answer *answer = &trial->answers[i];
        if (answer->revision <= returns->base || answer->revision > upto)
            continue;
        size_t at = find_change(returns, answer->revision);
        snprintf(text, sizeof(text), "%d set %d", answer->key, answer->value);
        assert_true(at < returns->n);
        assert_int_equal(returns->history[at].revision, answer->revision);
        assert_string_equal(returns->history[at].text, text);
    }
}

/* The log, as one reads it who asks for all of it: what both have from the base to the end. */
static void expect_history_of_log(struct trial *trial, const struct kv_test_watcher *log,
                                  uint64_t upto)
{
    const struct kv_test_watcher *returns = &trial->returns;
    size_t from = find_change(returns, returns->base + 1);
    size_t n = find_change(log, upto + 1);
    assert_int_equal(log->n_resets, 0);
    assert_int_equal(find_change(returns, upto + 1) - from, n);
    for (size_t i = 0; i < n; i++) {
        assert_int_equal(returns->history[from + i].revision, log->history[i].revision);
        assert_string_equal(returns->history[from + i].text, log->history[i].text);
    }
    trial->n_compared += n;
}

/* The state that follows from the first states and the history after them. */
static void fold(const struct kv_test_watcher *watcher, int ret_values[N_KEYS])
{
    memcpy(ret_values, watcher->values, N_KEYS * sizeof(int));
    for (size_t i = 0; i < watcher->n; i++) {
        int key, value;
        assert_int_equal(sscanf(watcher->history[i].text, "%d %*s %d", &key, &value), 2);
        ret_values[key] = value;
    }
}

static bool has_same_values(const struct kv_test_watcher *one, const struct kv_test_watcher *other)
{
    int values[2][N_KEYS];
    fold(one, values[0]);
    fold(other, values[1]);
    return memcmp(values[0], values[1], sizeof(values[0])) == 0;
}

static void await_same_values(struct trial *trial)
{
    struct kv_test_watcher fresh;
    kv_test_watcher_begin(&fresh, trial->store.server.port, "h/");
    kv_test_watcher_keep_values(&fresh, N_KEYS);
    while (!fresh.is_synced || !has_same_values(&trial->returns, &fresh))
        turn_all(trial, &fresh);
    kv_test_watcher_end(&fresh);
}

/* Returns: the revision of a change that comes after everything that was answered. */
static uint64_t put_fence(struct trial *trial)
{
    while (!is_answered(trial))
        turn_all(trial, NULL);
    put_set(trial, 0, "h/", FENCE, "");
    while (!is_answered(trial))
        turn_all(trial, NULL);
    return trial->answers[trial->n_answers - 1].revision;
}

static void read_log(struct trial *trial, struct kv_test_watcher *log, uint64_t upto)
{
    const struct kv_test_watcher *returns = &trial->returns;
    *log = (struct kv_test_watcher){.prefix = returns->prefix, .mark = returns->base};
    memcpy(log->epoch, returns->epoch, sizeof(log->epoch));
    log->ws.stream.fd = -1;
    kv_test_watcher_resume(log, trial->store.server.port);
    while (!log->is_synced || log->mark < upto)
        turn_all(trial, log);
}

/* Returns: up to where the subscriber has been told everything. */
static uint64_t tell_everything(struct trial *trial)
{
    uint64_t upto = put_fence(trial);
    while (!trial->returns.is_synced || trial->returns.mark < upto)
        turn_all(trial, NULL);
    return upto;
}

static void check(struct trial *trial)
{
    struct kv_test_watcher log;
    uint64_t upto = tell_everything(trial);
    read_log(trial, &log, upto);
    expect_history_of_log(trial, &log, upto);
    if (!trial->mode->may_lose)
        expect_answered(trial, upto);
    await_same_values(trial);
    kv_test_watcher_end(&log);
}

/* ---- crashes ---- */

static void come_and_go(struct trial *trial)
{
    for (int i = 0; i < CONNECTIONS_EACH; i++) {
        if (i != 0)
            kv_test_watcher_resume(&trial->returns, trial->store.server.port);
        for (long turns = random() % TURNS_A_CONNECTION; turns >= 0; turns--) {
            put_batches(trial);
            turn_all(trial, NULL);
        }
    }
}

/* Everything that the server still sent was answered and told. */
static void crash(struct trial *trial, uint64_t seed)
{
    kill(trial->store.server.program.pid, SIGKILL);
    while (turn(trial, NULL) != 0)
        continue;
    close_writers(trial);
    kv_test_server_kill(&trial->store.server);
    if (trial->mode->has_power_cuts)
        kv_test_disk_cut(&trial->disk, seed);
}

static void start(struct trial *trial)
{
    kv_test_store_start(&trial->store, trial->mode->options);
    open_writers(trial);
}

static void begin_history(struct trial *trial)
{
    kv_test_watcher_begin(&trial->returns, trial->store.server.port, "h/");
    kv_test_watcher_keep_values(&trial->returns, N_KEYS);
    while (!trial->returns.is_synced)
        turn_all(trial, NULL);
}

static void end_history(struct trial *trial)
{
    trial->n_resets += trial->returns.n_resets;
    kv_test_watcher_end(&trial->returns);
}

static void begin(struct trial *trial, const struct mode *mode)
{
    *trial = (struct trial){.mode = mode};
    kv_test_store_make(&trial->store);
    if (mode->has_power_cuts)
        kv_test_disk_open(&trial->disk, trial->store.disk);
    start(trial);
    begin_history(trial);
}

static void end(struct trial *trial)
{
    end_history(trial);
    close_writers(trial);
    kv_test_server_stop_cleanly(&trial->store.server);
    if (trial->mode->has_power_cuts)
        kv_test_disk_close(&trial->disk);
    kv_test_store_remove(&trial->store);
    free(trial->answers);
}

/* Returns: how often the subscriber was told `reset`. */
static int crash_again_and_again(const struct mode *mode)
{
    struct trial trial;
    uint64_t seed = kv_test_setting("KV_TEST_SEED", (uint64_t)kv_test_now_us());
    uint64_t n_crashes = kv_test_setting("KV_TEST_CRASHES", CRASHES);
    print_message("KV_TEST_SEED=%ju\n", (uintmax_t)seed);
    srandom((unsigned)seed);
    begin(&trial, mode);
    for (uint64_t i = 0; i < n_crashes; i++) {
        come_and_go(&trial);
        if (mode->may_lose && i % 2 == 0)
            tell_everything(&trial); /* what it resumes from has not been synced */
        else
            put_batches(&trial);
        crash(&trial, i % 2 == 0 ? 0 : (uint64_t)random() + 1);
        start(&trial);
        kv_test_watcher_resume(&trial.returns, trial.store.server.port);
        bool is_over = i % CRASHES_A_HISTORY == CRASHES_A_HISTORY - 1;
        if (is_over || random() % 2 == 0)
            check(&trial);
        if (is_over) {
            end_history(&trial);
            begin_history(&trial);
        }
    }
    check(&trial);
    end(&trial);
    print_message("%ju crashes: %d resets; %zu sets answered, %zu changes compared\n",
                  (uintmax_t)n_crashes, trial.n_resets, trial.n_answers, trial.n_compared);
    return trial.n_resets;
}

static void nothing_is_missed_of_a_server_that_is_killed(void **state)
{
    (void)state;
    assert_int_equal(crash_again_and_again(&(struct mode){", durability: always", false, false}),
                     0);
}

static void nothing_is_missed_where_the_system_syncs_either(void **state)
{
    (void)state;
    assert_int_equal(crash_again_and_again(&(struct mode){", durability: os", false, false}), 0);
}

static void nothing_is_missed_across_power_cuts(void **state)
{
    (void)state;
    assert_int_equal(crash_again_and_again(&(struct mode){", durability: always", true, false}), 0);
}

/* The subscriber has seen what is lost. */
static void what_a_power_cut_takes_back_resets(void **state)
{
    (void)state;
    assert_true(crash_again_and_again(&(struct mode){", durability: os", true, true}) > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_is_missed_of_a_server_that_is_killed),
        cmocka_unit_test(nothing_is_missed_where_the_system_syncs_either),
        cmocka_unit_test(nothing_is_missed_across_power_cuts),
        cmocka_unit_test(what_a_power_cut_takes_back_resets),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
