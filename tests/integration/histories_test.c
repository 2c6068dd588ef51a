/*
 * The history that a subscriber sees, under load: of one that reconnects again and again with
 * `since` it is that of one that never left; and `initial` ends in exactly the true state, however
 * much is written meanwhile.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/mem.h"
#include "fixture.h"
#include "support/client/watcher.h"

enum {
    WRITERS = 4,
    RECONNECTS = 100 / (KV_TEST_SHARE > 1 ? 5 : 1),
    TURNS_A_CONNECTION = 7, /* at most */
    KEYS = 50,
    BATCH = 20,
    AHEAD = 200, /* unanswered writes of a writer */
    MANY = 100000 / KV_TEST_SHARE,
    MANY_LATE = MANY / 20, /* for a store that takes its time */
    WRITES_A_MS = 20,
    SLOWER = 3, /* `initial` under load may take so many times longer */
    TRIES = 3,  /* of that */
    MOST_GROWTH_KIB = 64 << 10,
};

static int n_many; /* keys */

static bool store_takes_its_time(void)
{
    return kv_test_uses_store("late") || kv_test_has_twins();
}

/* ---- writers ---- */

struct writer {
    struct kv_test_ws ws;
    int n_sent, n_answered;
};

static void open_writers(struct writer *writers, uint16_t port)
{
    for (int i = 0; i < WRITERS; i++) {
        writers[i] = (struct writer){0};
        kv_test_ws_open(&writers[i].ws, port);
    }
}

static void close_writers(struct writer *writers)
{
    for (int i = 0; i < WRITERS; i++)
        kv_test_ws_close(&writers[i].ws);
}

static void take_answers(struct writer *writers)
{
    struct kv_test_frame frame;
    for (int i = 0; i < WRITERS; i++)
        while (kv_test_ws_take(&writers[i].ws, &frame)) {
            if (frame.opcode != KV_TEST_WS_TEXT)
                continue; /* a ping */
            if (!kv_slice_has_prefix(frame.payload, KV_SLICE("{\"type\":\"ok\"")))
                fail_msg("%.*s", (int)frame.payload.len, frame.payload.bytes);
            writers[i].n_answered++;
        }
}

static bool is_answered(const struct writer *writers)
{
    for (int i = 0; i < WRITERS; i++)
        if (writers[i].n_answered != writers[i].n_sent)
            return false;
    return true;
}

static void put_set(struct writer *writer, const char *prefix, int key, int value, const char *more)
{
    writer->n_sent++;
    kv_test_ws_put_text(&writer->ws,
                        "{\"type\":\"set\",\"id\":1,\"payload\":{\"key\":\"%s%d\",\"value\":%d%s}}",
                        prefix, key, value, more);
}

/* A set, a set that expires soon, or a delete, of any of the keys; or of one of others. */
static void put_some_write(struct writer *writer, int value)
{
    int key = rand() % KEYS;
    switch (rand() % 8) {
    case 0:
        writer->n_sent++;
        kv_test_ws_put_text(&writer->ws,
                            "{\"type\":\"delete\",\"id\":1,\"payload\":{\"key\":\"h/%d\"}}", key);
        break;
    case 1:
        put_set(writer, "h/", key, value, ",\"ttl\":3");
        break;
    case 2:
        put_set(writer, "other/", key, value, "");
        break;
    default:
        put_set(writer, "h/", key, value, "");
    }
}

static void put_batches(struct writer *writers)
{
    static int value;
    for (int i = 0; i < WRITERS; i++)
        for (int n = 0; n < BATCH && writers[i].n_sent - writers[i].n_answered < AHEAD; n++)
            put_some_write(&writers[i], ++value);
}

/* Returns: whether anything moved. */
static bool turn(struct writer *writers, struct kv_test_watcher *const watchers[],
                 size_t n_watchers, int64_t limit_ms)
{
    struct kv_test_stream *streams[WRITERS + 2];
    for (int i = 0; i < WRITERS; i++)
        streams[i] = &writers[i].ws.stream;
    for (size_t i = 0; i < n_watchers; i++)
        streams[WRITERS + i] = &watchers[i]->ws.stream;
    bool has_moved = kv_test_stream_turn(streams, WRITERS + n_watchers, limit_ms);
    take_answers(writers);
    for (size_t i = 0; i < n_watchers; i++)
        kv_test_watcher_see(watchers[i]);
    return has_moved;
}

/* ---- reconnecting ---- */

static void expect_same_history(const struct kv_test_watcher *stayed,
                                const struct kv_test_watcher *returned)
{
    assert_int_equal(stayed->n_resets, 0);
    assert_int_equal(returned->n_resets, 0);
    assert_int_equal(returned->n, stayed->n);
    for (size_t i = 0; i < stayed->n; i++) {
        assert_int_equal(returned->history[i].revision, stayed->history[i].revision);
        assert_string_equal(returned->history[i].text, stayed->history[i].text);
    }
}

static bool has_seen_end(const struct kv_test_watcher *watcher)
{
    return watcher->is_synced && watcher->n != 0 &&
           strcmp(watcher->history[watcher->n - 1].text, "9999 set 1") == 0;
}

static void returning_subscriber_has_the_history_of_one_that_stayed(void **state)
{
    struct writer writers[WRITERS];
    struct kv_test_watcher stays, returns;
    struct kv_test_watcher *const both[] = {&stays, &returns};
    uint16_t port = kv_test_port(state);
    srand(15);
    open_writers(writers, port);
    kv_test_watcher_begin(&stays, port, "h/");
    kv_test_watcher_begin(&returns, port, "h/");
    while (!stays.is_synced || !returns.is_synced)
        turn(writers, both, 2, KV_TEST_LIMIT_MS);
    for (int i = 0; i < RECONNECTS; i++) {
        for (int turns = rand() % TURNS_A_CONNECTION; turns >= 0; turns--) {
            put_batches(writers);
            turn(writers, both, 2, KV_TEST_LIMIT_MS);
        }
        kv_test_watcher_resume(&returns, port);
    }
    while (!is_answered(writers))
        turn(writers, both, 2, KV_TEST_LIMIT_MS);
    for (int key = 0; key < KEYS; key++) /* so nothing expires behind the last one */
        put_set(&writers[0], "h/", key, 0, "");
    put_set(&writers[0], "h/", 9999, 1, "");
    while (!has_seen_end(&stays) || !has_seen_end(&returns))
        turn(writers, both, 2, KV_TEST_LIMIT_MS);
    expect_same_history(&stays, &returns);
    assert_true(stays.n > RECONNECTS);
    print_message("%zu changes, %d reconnections\n", stays.n, RECONNECTS);
    kv_test_watcher_end(&stays);
    kv_test_watcher_end(&returns);
    close_writers(writers);
}

/* ---- the present state under load ---- */

/* Sets keys of which each belongs to one writer; `truth` is what the last write says. */
static void put_steady(struct writer *writers, int *truth, int n)
{
    for (int i = 0; i < n; i++) {
        int key = rand() % n_many;
        struct writer *writer = &writers[key % WRITERS];
        if (writer->n_sent - writer->n_answered < 10 * AHEAD)
            put_set(writer, "many/", key, ++truth[key], "");
    }
}

static void fill(struct writer *writers, int *truth)
{
    for (int key = 0; key < n_many; key++) {
        put_set(&writers[key % WRITERS], "many/", key, ++truth[key], "");
        if (key % 1000 == 0)
            turn(writers, NULL, 0, KV_TEST_LIMIT_MS);
    }
    while (!is_answered(writers))
        turn(writers, NULL, 0, KV_TEST_LIMIT_MS);
}

/* Returns: how long `initial` took, in milliseconds, while so much is written. */
static int64_t time_initial(struct writer *writers, struct kv_test_watcher *watcher, int *truth,
                            int writes_a_ms)
{
    int64_t begun_ms = kv_test_now_ms(), written_ms = begun_ms;
    kv_test_watcher_keep_values(watcher, (size_t)n_many);
    watcher->has_values_only = true;
    while (!watcher->is_synced) {
        int64_t now_ms = kv_test_now_ms();
        put_steady(writers, truth, writes_a_ms * (int)(now_ms - written_ms));
        written_ms = now_ms;
        turn(writers, &watcher, 1, 1);
    }
    return kv_test_now_ms() - begun_ms;
}

static void expect_truth(struct writer *writers, struct kv_test_watcher *watcher, const int *truth)
{
    while (!is_answered(writers))
        turn(writers, &watcher, 1, KV_TEST_LIMIT_MS);
    while (memcmp(watcher->values, truth, (size_t)n_many * sizeof(int)) !=
           0) /* what it has not read yet */
        assert_true(turn(writers, &watcher, 1, KV_TEST_LIMIT_MS));
    assert_int_equal(watcher->n_resets, 0);
}

/* Returns: how long it took, in milliseconds. */
static int64_t walk(struct writer *writers, uint16_t port, int *truth, int writes_a_ms)
{
    struct kv_test_watcher watcher;
    kv_test_watcher_begin(&watcher, port, "many/");
    int64_t ms = time_initial(writers, &watcher, truth, writes_a_ms);
    expect_truth(writers, &watcher, truth);
    if (writes_a_ms == 0)
        assert_int_equal(watcher.n_states, n_many);
    kv_test_watcher_end(&watcher);
    return ms;
}

static int sent(const struct writer *writers)
{
    int n = 0;
    for (int i = 0; i < WRITERS; i++)
        n += writers[i].n_sent;
    return n;
}

/* Returns: whether writes slow it down no more than they may. */
static bool keeps_up(struct kv_test_server *server, struct writer *writers, int *truth)
{
    int64_t quiet_ms = walk(writers, server->port, truth, 0);
    kv_test_program_forget_peak(&server->program);
    size_t before = kv_test_program_resident(&server->program);
    int n_before = sent(writers);
    int64_t busy_ms = walk(writers, server->port, truth, WRITES_A_MS);
    size_t growth_kib = (kv_test_program_peak(&server->program) - before) / 1024;
    print_message("%d keys: %lld ms; with %d writes meanwhile %lld ms, and %zu KiB more\n", n_many,
                  (long long)quiet_ms, sent(writers) - n_before, (long long)busy_ms, growth_kib);
    return busy_ms <= SLOWER * quiet_ms + 1000 && growth_kib < MOST_GROWTH_KIB;
}

static void initial_under_load_ends_in_the_true_state(void **state)
{
    struct writer writers[WRITERS];
    struct kv_test_server *server = *state;
    bool is_judged = KV_TEST_SHARE == 1 && !store_takes_its_time();
    n_many = store_takes_its_time() ? MANY_LATE : MANY;
    int *truth = kv_calloc((size_t)n_many, sizeof(int));
    open_writers(writers, kv_test_port(state));
    fill(writers, truth);
    bool does = keeps_up(server, writers, truth);
    for (int i = 1; is_judged && !does && i < TRIES; i++) /* others may have slowed the second */
        does = keeps_up(server, writers, truth);
    assert_true(does || !is_judged);
    close_writers(writers);
    free(truth);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(returning_subscriber_has_the_history_of_one_that_stayed),
        cmocka_unit_test(initial_under_load_ends_in_the_true_state),
    };
    return cmocka_run_group_tests(tests, kv_test_group_start, kv_test_group_stop);
}
